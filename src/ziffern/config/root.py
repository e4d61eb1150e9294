"""Checks that every setting at the root of a configuration has an effect.

Hydra adds any key that begins with `+`, and any in a file; one that nothing reads would be ignored silently.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder, suggestion
from ziffern.config.elsewhere import replacement
from ziffern.errors import InputError

GROUPS = ("data", "model", "callbacks", "logger", "published", "ensemble")  # in addition to conf/train.yaml


def check_root(cfg: DictConfig, hydra: Any = None) -> None:
    """Check that the configuration has no setting that is neither known nor referred to by another one.

    Args:
        cfg: The composed configuration.
        hydra: Hydra's own configuration, which may refer to it.

    Raises:
        InputError: It has one.
    """
    content: Any = OmegaConf.to_container(cfg, resolve=False)
    known = {*yaml.safe_load((conf_folder() / "train.yaml").read_text(encoding="utf-8")), *GROUPS}
    used: set[str] = set()
    new = {key for key in content if key in known}
    texts = list(_references(hydra))
    while new:
        used |= new
        texts += [text for key in new for text in _references(content[key])]
        new = {key for key in content if key not in used and any(_mentions(text, str(key)) for text in texts)}
    for key in content:
        if key not in used:
            if key == "train" and content[key] is not True:
                raise InputError("config.root.train", value=str(content[key]).lower())
            if renamed := replacement(str(key)):
                raise renamed
            near = suggestion(str(key), known) or "."
            raise InputError("config.root.unknown", key=str(key), near=near)


def _references(node: Any) -> Iterator[str]:
    """Yield every text in plain containers that holds an interpolation."""
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _references(value)
    elif isinstance(node, str) and "${" in node:
        yield node


def _mentions(text: str, key: str) -> bool:
    absolute = re.sub(r"\$\{\.+", "${", text)
    return re.search(rf"\$\{{.*?(?<![\w.]){re.escape(key)}(?!\w)", absolute) is not None
