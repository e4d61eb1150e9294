"""Reads foreign configuration files: small, regular, and without constructs that could use unlimited memory."""

from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hydra.plugins.config_source import ConfigSource
from omegaconf import OmegaConf

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.text.catalog import os_reason
from ziffern.text.printable import reason

MAX_BYTES = 100_000  # of one configuration file
MAX_DEPTH = 30  # of mappings and lists within each other
HEADER = 512  # characters in which Hydra looks for `# @package`


def read(file: Path) -> str:
    """Return a file's text.

    Raises:
        InputError: It cannot be read, is not regular or is too large.
    """
    try:
        return read_text(file, MAX_BYTES)
    except OSError as error:
        raise InputError("config.foreign.unreadable", file=file, reason=os_reason(error)) from error


def parse(file: Path, text: str) -> tuple[dict[str, str | None], Any]:
    """Return the header and the content of a configuration file.

    Raises:
        InputError: It is not a configuration, is nested too deeply, or has aliases, which can grow exponentially.
    """
    try:
        _check_size(file, text)
        config = OmegaConf.load(StringIO(text))
        str(OmegaConf.to_container(config, resolve=False))  # raises for 0xff..., a number too long to be printed
        return ConfigSource._get_header_dict(text[:HEADER]), config
    except InputError:
        raise
    except Exception as error:  # a file that is not a configuration may raise anything
        raise InputError("config.foreign.invalid", file=file, reason=reason(error)) from error


def _check_size(file: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise InputError("config.foreign.alias", file=file)
        if depth > MAX_DEPTH:
            raise InputError("config.foreign.too_deep", file=file, limit=MAX_DEPTH)
