"""What a configuration file from outside this package may set: what an experiment consists of, and nothing else.

`--config-dir` may name somebody else's folder (`experiment=best` of their search), and Hydra instantiates callbacks,
configures logging and creates folders as the files in it demand. So the files are checked where Hydra loads and merges
them, before it acts on any of them, and exactly what was checked is used.

Decisions: below `hydra` only the settings of a search are accepted; a run writes to its own folder only, but a known
data set may be downloaded to any `data.dir`; a value may refer to another setting, but may not call a resolver, which
could read the environment, nor refer to a value that is itself a reference, since chains of references can grow
exponentially. The command line is not restricted.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
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
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import Container, DictConfig, ListConfig, OmegaConf

from ziffern.config.instantiate import conf_folder
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.text.printable import one_line, reason

MAX_BYTES = 100_000  # of one configuration file
MAX_DEPTH = 30  # of mappings and lists within each other
MAX_TARGET = 1000  # characters of the value that a reference may stand for
OUTPUT = "${hydra:runtime.output_dir}"  # the run folder, and the one resolver that a foreign file may use
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.\w+)*)\}")
SEARCH = (  # below hydra.sweeper: what is searched, and how
    *("params", "when", "direction", "metric_names", "n_trials", "keep_best", "sampler", "pruner"),
    *("max_failures", "max_failure_rate", "retry_failed"),
)
CHOICES = ("hydra/sweeper", "hydra/sweeper/sampler", "hydra/sweeper/pruner")
LOGGERS = ("pytorch_lightning.loggers.TensorBoardLogger", "pytorch_lightning.loggers.CSVLogger")  # no network
LOGGING = (  # settings of loggers that neither contact another server nor name a place outside the run folder
    *("_target_", "save_dir", "name", "version", "sub_dir", "prefix", "default_hp_metric", "log_graph"),
    *("flush_logs_every_n_steps", "project", "experiment_name", "run_name", "group", "tags", "notes"),
)
WRITING = ("logger", "callbacks", "trainer")  # parts of an experiment that write files
IN_WRITING = ("monitor", "seed")  # what these may refer to: values that are checked before anything is written
PLACE = re.compile(r"(dir|path|root|uri|url)$")  # names of settings for output locations
OUTSIDE = re.compile(r"^[/~\\]|://|(^|[/\\])\.\.([/\\]|$)|^[A-Za-z]:[/\\]")
PARAMETER = re.compile(r"[A-Za-z_]\w*([./]\w+)*")  # of a search: no + or ~, which add and delete
RESOLVED = re.compile(r"\$\\*\{")  # $\{...} in a search's parameters is ${...} once Hydra has parsed the override
IMAGE = "data.image"  # the one list that a reference may stand for, as networks need it
TYPE_IT = "remove it from the file; if you want it, type it on the command line"


class FileConfigSource(file_config_source.FileConfigSource):
    """Reads configuration files as Hydra does; foreign ones must be regular files, small, and without aliases."""

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the options of a group; what begins with an underscore is no option but a part of others."""
        names: list[str] = super().list(config_path, results_filter)
        return [name for name in names if not name.startswith("_")]

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the content of a file; see the base class.

        Raises:
            InputError: A foreign file that is not regular, is too large, is not YAML, or sets what it must not.
        """
        file = Path(self.path).absolute() / self._normalize_file_name(config_path)
        if not is_foreign(file):
            return super().load_config(config_path)
        header, config = _parse(file, _read(file))
        if "hydra" in re.split(r"[.\[\]]", header["package"] or ""):
            raise _refusal(file, f"# @package {header['package']}", "is not allowed in a file from elsewhere")
        if isinstance(config, DictConfig):
            content: Any = OmegaConf.to_container(config, resolve=False)  # Hydra resolves both before the other checks
            _check_defaults(file, content.get("defaults"))
            hydra = content.get("hydra")
            if isinstance(hydra, str):
                raise _refusal(file, f"hydra={hydra}", "is not allowed in a file from elsewhere")
            if isinstance(hydra, dict) and "searchpath" in hydra:
                raise _refusal(file, "hydra.searchpath", "is not allowed in a file from elsewhere")
        return ForeignResult(self.provider, f"{self.scheme()}://{self.path}", config, header, file=file)


class ImportlibResourcesConfigSource(importlib_resources_config_source.ImportlibResourcesConfigSource):
    """Reads configuration files of installed packages, and no files outside them."""

    def is_config(self, config_path: str) -> bool:
        """Return whether the package has such a file; a path that leads out of it is left to `FileConfigSource`."""
        return (
            ".." not in Path(config_path).parts and not config_path.startswith("/") and super().is_config(config_path)
        )


@dataclass
class ForeignResult(ConfigResult):
    """The content of a file from outside this package.

    Attributes:
        file: Where it was read.
    """

    file: Path = Path()


class CheckedConfigLoader(ConfigLoaderImpl):
    """Composes as Hydra does, and refuses what a foreign file must not set."""

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        result = super()._load_single_config(default, repo)
        if default.config_path in self._foreign:
            _check(self._foreign[default.config_path], OmegaConf.to_container(result.config, resolve=False))
        return result

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        self._foreign = _foreign_files(defaults, repo)
        config = super()._compose_config_from_defaults_list(defaults, repo)
        for path, file in self._foreign.items():
            loaded = repo.load_config(path)
            if loaded is not None:
                _check_references(file, OmegaConf.to_container(loaded.config, resolve=False), config)
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


def _read(file: Path) -> str:
    try:
        return read_text(file, MAX_BYTES)
    except OSError as error:
        raise InputError(f"{one_line(file)}: cannot be read ({error.strerror})") from error


def _parse(file: Path, text: str) -> tuple[dict[str, str | None], Any]:
    """Return the header and the content of a configuration file."""
    try:
        if what := _bomb(text):
            raise InputError(f"{one_line(file)}: {what} in a file from elsewhere: write the values out")  # noqa: TRY301
        config = OmegaConf.load(StringIO(text))
        str(OmegaConf.to_container(config, resolve=False))  # raises for 0xff..., a number too long to be printed
        return ConfigSource._get_header_dict(text[:512]), config
    except InputError:
        raise
    except Exception as error:  # whatever a file that is not a configuration raises
        raise InputError(f"{one_line(file)}: not a configuration: {reason(error)}: correct or remove it") from error


def _bomb(text: str) -> str:
    """Return what in a YAML text could take endless memory or recursion, or an empty string."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            return "an alias (*name)"
        if depth > MAX_DEPTH:
            return f"more than {MAX_DEPTH} levels"
    return ""


def _check_defaults(file: Path, defaults: Any) -> None:
    """Refuse defaults that choose Hydra's own parts or place something among them."""
    if not isinstance(defaults, list | None):
        raise InputError(f"{one_line(file)}: defaults: must be a list, such as [default, _self_]")
    for entry in defaults or []:
        key, option = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, None)
        shown = f"defaults: {entry}"
        options = option if isinstance(option, list) else [option or ""]
        if not isinstance(key, str) or not all(isinstance(item, str) for item in options) or "_self_@" in key:
            raise InputError(f"{one_line(file)}: {one_line(shown)}: must be OPTION, GROUP: OPTION or _self_")
        group, _, package = key.split(" ")[-1].partition("@")
        of_hydra = "hydra" in group.split("/") and (group.strip("/") not in CHOICES or package)
        if of_hydra or "hydra" in re.split(r"[.\[\]:]", package):
            raise _refusal(file, shown, f"is not allowed; of Hydra's parts only {', '.join(CHOICES)} are")
        if any(".." in item for item in (group, *options)):
            raise _refusal(file, shown, "leads to another folder")


def _foreign_files(defaults: list[ResultDefault], repo: IConfigRepository) -> dict[str, Path]:
    """Return the foreign files of a defaults list by their configuration paths.

    A file of this package counts as foreign if a foreign file includes it under another package than its own.
    """
    results = {str(default.config_path): repo.load_config(str(default.config_path)) for default in defaults}
    found = {path: result.file for path, result in results.items() if isinstance(result, ForeignResult)}
    away = [default for default in defaults if not _is_at_home(default, results[str(default.config_path)])]
    while more := [default for default in away if default.parent in found and default.config_path not in found]:
        found |= {str(default.config_path): found[str(default.parent)] for default in more}
    return found


def _is_at_home(default: ResultDefault, result: ConfigResult | None) -> bool:
    """Return whether a file is merged at its own package: that of its header, or else of its group."""
    package = result.header["package"] if result else None
    if package is None:
        package = str(default.config_path).rpartition("/")[0].replace("/", ".")
    return default.package == package.removeprefix("_global_").lstrip(".")


def _check(file: Path, content: Any) -> None:
    """Check what a foreign file sets, under the full keys at which it is merged into the configuration."""
    for key, value in _leaves(content, ()):
        top = key[0] if key else ""
        shown = f"{'.'.join(key)}={value}"
        if top == "hydra":
            _check_hydra(file, key, value)
        elif top == "ckpt_path" and value is not None:
            raise _refusal(file, shown, "is not taken from a file from elsewhere")
        elif top in WRITING:
            _check_writing(file, key, value)
        if isinstance(value, str) and RESOLVED.search(REFERENCE.sub("", value.replace(OUTPUT, ""))):
            raise _refusal(file, shown, "calls a resolver; a file from elsewhere may refer to settings only, as ${a.b}")


def _leaves(node: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every plain value under its keys; an empty mapping or list is a value too."""
    if isinstance(node, Mapping) and node:
        for name, value in node.items():
            yield from _leaves(value, (*key, str(name)))
    elif isinstance(node, list) and node:
        for value in node:
            yield from _leaves(value, key)
    else:
        yield key, node


def _check_hydra(file: Path, key: tuple[str, ...], value: Any) -> None:
    shown = f"{'.'.join(key)}={value}"
    if key[1:2] != ("sweeper",) or key[2:3] == () or key[2] not in SEARCH or any(k.startswith("_") for k in key):
        raise _refusal(file, shown, f"is not allowed; of Hydra's settings only hydra.sweeper.{'|'.join(SEARCH)} are")
    names = {"params": key[3:4], "when": key[4:5]}.get(key[2], ())
    for name in names:
        if not PARAMETER.fullmatch(name) or name.split(".")[0] in ("hydra", "ckpt_path") or name.startswith("hydra/"):
            raise _refusal(file, shown, "is not a setting that a search may vary")
        names_place = PLACE.search(name) or re.search(r"[/~\\{$]|\.\.", str(value))
        if name.split(".")[0] in WRITING and "." in name and names_place:
            raise _refusal(file, shown, "could name a place outside the run folder")


def _check_writing(file: Path, key: tuple[str, ...], value: Any) -> None:
    """Check a setting of a logger, a callback or the trainer: what it writes stays in the run folder."""
    shown, name = f"{'.'.join(key)}={value}", key[-1]
    setting = key[2] if key[0] == "logger" and len(key) > 2 else "name"  # noqa: PLR2004
    if setting not in LOGGING or (setting == "_target_" and value not in LOGGERS):
        raise _refusal(file, shown, "is not taken from a file from elsewhere")
    if not isinstance(value, str):
        return
    inside = value.removeprefix(f"{OUTPUT}/") if value != OUTPUT else ""
    if (PLACE.search(name) and inside == value) or OUTSIDE.search(inside):
        raise _refusal(file, shown, f"names a place outside the run folder ({OUTPUT})")
    if "${" in REFERENCE.sub("", inside) or not set(REFERENCE.findall(inside)) <= set(IN_WRITING):
        raise _refusal(file, shown, f"may refer to {', '.join(IN_WRITING)} only")


def _check_references(file: Path, content: Any, config: DictConfig) -> None:
    """Refuse a reference to anything but a short plain value."""
    for key, value in _leaves(content, ()):
        for name in REFERENCE.findall(value) if isinstance(value, str) else ():
            try:
                node = OmegaConf.select(config, name.rpartition(".")[0]) if "." in name else config
                target = node._get_node(name.rpartition(".")[2]) if isinstance(node, DictConfig) else None
            except Exception:  # Hydra reports it when it resolves the reference
                continue
            is_list = name == IMAGE and isinstance(target, ListConfig)
            is_mapping = isinstance(target, Container) and not is_list
            raw = OmegaConf.to_container(target, resolve=False) if is_list else target and target._value()
            if is_mapping or len(str(raw)) > MAX_TARGET or "${" in str(raw):
                raise _refusal(
                    file,
                    f"{'.'.join(key)}={value}",
                    f"refers to {name}, which is not a plain value: write the value itself",
                )


def _refusal(file: Path, shown: str, why: str) -> InputError:
    return InputError(f"{one_line(file)}: {one_line(shown)} {why}: {TYPE_IT}")
