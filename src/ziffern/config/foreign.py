"""Checks configuration files from outside this package where Hydra loads and merges them.

`--config-dir` may name a folder from somebody else (`experiment=best` of their search), and Hydra instantiates
callbacks, configures logging and creates folders as its files specify. So they are checked before Hydra acts on any of
them, and exactly the checked content is used. `foreign_rules` lists what a file may set. The command line is not
restricted.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hydra._internal import hydra as hydra_internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins import file_config_source, importlib_resources_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.config.foreign_rules import check_defaults, check_references, check_settings, refusal
from ziffern.config.paths import expand_home
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.text.catalog import os_reason
from ziffern.text.printable import reason

MAX_BYTES = 100_000  # of one configuration file
MAX_DEPTH = 30  # of mappings and lists within each other
NULL_GROUPS = ("experiment", "hparams_search", "debug")  # null is their default, but not a valid override
OPTIONAL = "default"  # of the group `local`
HEADER = 512  # characters in which Hydra looks for `# @package`


class FileConfigSource(file_config_source.FileConfigSource):
    """Reads configuration files as Hydra does; foreign ones must be regular files, small, and without aliases."""

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the options of a group; files whose names begin with an underscore are parts of other options."""
        names: list[str] = super().list(config_path, results_filter)
        return [name for name in names if not name.startswith("_")]

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the content of a file; see the base class.

        Raises:
            InputError: A foreign file is not regular, is too large, is not YAML, or has a setting that is not allowed.
        """
        file = Path(self.path).absolute() / self._normalize_file_name(config_path)
        if not is_foreign(file):
            return super().load_config(config_path)
        header, config = _read(file)
        if "hydra" in re.split(r"[.\[\]]", header["package"] or ""):
            raise refusal(file, f"# @package {header['package']}", "not_allowed")
        if isinstance(config, DictConfig):
            content: Any = OmegaConf.to_container(config, resolve=False)  # Hydra resolves both before the other checks
            check_defaults(file, content.get("defaults"))
            hydra = content.get("hydra")
            if isinstance(hydra, str):
                raise refusal(file, f"hydra={hydra}", "not_allowed")
            if isinstance(hydra, dict) and "searchpath" in hydra:
                raise refusal(file, "hydra.searchpath", "not_allowed")
        return ForeignResult(self.provider, f"{self.scheme()}://{self.path}", config, header, file=file)


class ImportlibResourcesConfigSource(importlib_resources_config_source.ImportlibResourcesConfigSource):
    """Reads configuration files of installed packages, and no files outside them."""

    def is_config(self, config_path: str) -> bool:
        """Return whether the package has such a file; a path that leads out of it is left to `FileConfigSource`."""
        path = Path(config_path)
        return ".." not in path.parts and not path.is_absolute() and super().is_config(config_path)


@dataclass
class ForeignResult(ConfigResult):
    """The content of a file from outside this package; `file` is where it was read."""

    file: Path = Path()


class CheckedConfigLoader(ConfigLoaderImpl):
    """Composes as Hydra does, and refuses settings that a foreign file must not have."""

    def _load_configuration_impl(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *more: Any, **options: Any
    ) -> DictConfig:
        overrides = self._without_null_groups(overrides)
        try:
            config = super()._load_configuration_impl(config_name, overrides, run_mode, *more, **options)
        except InputError:
            raise
        except ValueError as error:  # an option that is not text, such as debug=true
            raise ConfigCompositionException(str(error)) from error
        for node in (config.hydra.run, config.hydra.sweep):
            expand_home(node, "dir")
        local = config.hydra.runtime.choices.get("local") or OPTIONAL
        if local != OPTIONAL and local not in self.get_group_options("local"):  # Hydra would ignore it
            raise InputError("config.option.no_local", name=local, folder=conf_folder())
        return config

    def _without_null_groups(self, overrides: list[str]) -> list[str]:
        """Return overrides without `GROUP=null`, which Hydra rejects, or with `GROUP=none` if there is one."""
        kept = []
        for override in overrides:
            group, _, option = override.partition("=")
            options = self.get_group_options(group) if option == "null" else []
            if "none" in options:
                kept.append(f"{group}=none")
            elif options and group not in NULL_GROUPS:
                raise InputError("config.option.null", group=group, options=options)
            elif not (option == "null" and group in NULL_GROUPS):
                kept.append(override)
        return kept

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        result = super()._load_single_config(default, repo)
        if default.config_path in self._foreign:
            check_settings(self._foreign[default.config_path], OmegaConf.to_container(result.config, resolve=False))
        return result

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        self._foreign = _foreign_files(defaults, repo)
        config = super()._compose_config_from_defaults_list(defaults, repo)
        for path, file in self._foreign.items():
            loaded = repo.load_config(path)
            if loaded is not None:
                check_references(file, OmegaConf.to_container(loaded.config, resolve=False), config)
        return config


@contextlib.contextmanager
def checked_configs() -> Iterator[None]:
    """Let Hydra check every configuration file from outside this package, until the context ends."""
    Plugins.instance()  # registers Hydra's own sources, once
    sources, internals = SourcesRegistry.instance().types, vars(hydra_internals)
    before = dict(sources), internals["ConfigLoaderImpl"]
    sources |= {"file": FileConfigSource, "pkg": ImportlibResourcesConfigSource}
    internals["ConfigLoaderImpl"] = CheckedConfigLoader
    try:
        yield
    finally:
        sources |= before[0]
        internals["ConfigLoaderImpl"] = before[1]


def is_foreign(file: Path) -> bool:
    """Return whether a configuration file lies outside this package's own folder of them."""
    return ".." in file.parts or not file.is_relative_to(conf_folder())


def _foreign_files(defaults: list[ResultDefault], repo: IConfigRepository) -> dict[str, Path]:
    """Return the foreign files of a defaults list by their configuration paths.

    A file of this package counts as foreign if a foreign file includes it under another package than its own.
    """
    results = {str(default.config_path): repo.load_config(str(default.config_path)) for default in defaults}
    files = {path: result.file for path, result in results.items() if isinstance(result, ForeignResult)}
    misplaced = [default for default in defaults if not _is_at_own_package(default, results[str(default.config_path)])]
    while more := [default for default in misplaced if default.parent in files and default.config_path not in files]:
        files |= {str(default.config_path): files[str(default.parent)] for default in more}
    return files


def _is_at_own_package(default: ResultDefault, result: ConfigResult | None) -> bool:
    """Return whether a file is merged at its own package: that of its header, or that of its group."""
    package = result.header["package"] if result else None
    if package is None:
        package = str(default.config_path).rpartition("/")[0].replace("/", ".")
    return default.package == package.removeprefix("_global_").lstrip(".")


def _read(file: Path) -> tuple[dict[str, str | None], Any]:
    """Return the header and the content of a foreign configuration file.

    Raises:
        InputError: It cannot be read, is not regular or is too large; it is not a configuration, is nested too deeply,
            or has aliases, which can grow exponentially.
    """
    try:
        text, depth = read_text(file, MAX_BYTES), 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise InputError("config.foreign.alias", file=file)  # noqa: TRY301
            if depth > MAX_DEPTH:
                raise InputError("config.foreign.too_deep", file=file, limit=MAX_DEPTH)  # noqa: TRY301
        config = OmegaConf.load(StringIO(text))
        str(OmegaConf.to_container(config, resolve=False))  # raises for 0xff..., a number too long to be printed
        return ConfigSource._get_header_dict(text[:HEADER]), config
    except InputError:
        raise
    except OSError as error:
        raise InputError("config.foreign.unreadable", file=file, reason=os_reason(error)) from error
    except Exception as error:  # a file that is not a configuration may raise anything
        raise InputError("config.foreign.invalid", file=file, reason=reason(error)) from error
