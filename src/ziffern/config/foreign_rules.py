"""Which settings a configuration file from outside this package may have: those of an experiment or a search.

Decisions: below `hydra` only the settings of a search are accepted; a run writes to its own folder only, but a known
data set may be downloaded to any `data.dir`; a value may refer to another setting, but may not call a resolver, which
could read the environment, nor refer to a value that is itself a reference, since chains of references can grow
exponentially.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ziffern.config.own import is_own
from ziffern.errors import InputError
from ziffern.text.catalog import Message

MAX_TARGET = 1000  # characters of the value that a reference may stand for
OUTPUT = "${hydra:runtime.output_dir}"  # the run folder, and the one resolver that a foreign file may use
REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.\w+)*)\}")
SEARCH = (  # below hydra.sweeper: the search space and the search
    *("params", "when", "direction", "metric_names", "n_trials", "keep_best", "sampler", "pruner"),
    *("max_failures", "max_failure_rate", "retry_failed"),
)
CHOICES = ("hydra/sweeper", "hydra/sweeper/sampler", "hydra/sweeper/pruner")
LOGGERS = ("pytorch_lightning.loggers.TensorBoardLogger", "pytorch_lightning.loggers.CSVLogger")  # no network
NETWORK = ("comet",)  # loggers that contact a server
LOGGER_SETTINGS = (  # they neither contact another server nor name a place outside the run folder
    *("_target_", "save_dir", "name", "version", "sub_dir", "prefix", "default_hp_metric", "log_graph"),
    *("flush_logs_every_n_steps", "project", "experiment_name", "run_name", "group", "tags", "notes"),
)
WRITING = ("logger", "callbacks", "trainer")  # parts of an experiment that write files
WRITING_REFERENCES = ("monitor", "seed")  # settings that these may refer to, checked before anything is written
PLACE = re.compile(r"(dir|path|root|uri|url)$")  # names of settings for output locations
OUTSIDE = re.compile(r"^[/~\\]|://|(^|[/\\])\.\.([/\\]|$)|^[A-Za-z]:[/\\]")
UNSEARCHED = ("hydra", "ckpt_path", "targets")
PARAMETER = re.compile(r"[A-Za-z_]\w*([./]\w+)*")  # of a search: no + or ~, which add and delete
RESOLVED = re.compile(r"\$\\*\{")  # $\{...} in a search's parameters is ${...} once Hydra has parsed the override


def refusal(file: Path, setting: object, why: str, **values: object) -> InputError:
    """Return the error for a setting that a foreign file must not have; `why` is a code below config.foreign.why."""
    reason = Message(f"config.foreign.why.{why}", **values)
    return InputError("config.foreign.refused", file=file, setting=setting, why=reason)


def check_defaults(file: Path, defaults: Any) -> None:
    """Refuse defaults that choose or extend Hydra's own configuration."""
    if not isinstance(defaults, list | None):
        raise InputError("config.foreign.defaults_not_a_list", file=file)
    for entry in defaults or []:
        key, option = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, None)
        shown = f"defaults: {entry}"
        options = option if isinstance(option, list) else [option or ""]
        if not isinstance(key, str) or not all(isinstance(item, str) for item in options) or "_self_@" in key:
            raise InputError("config.foreign.bad_default", file=file, entry=str(entry))
        group, _, package = key.split(" ")[-1].partition("@")
        of_hydra = "hydra" in group.split("/") and (group.strip("/") not in CHOICES or package)
        if of_hydra or "hydra" in re.split(r"[.\[\]:]", package):
            raise refusal(file, shown, "hydra_part", allowed=CHOICES)
        if group.strip("/") == "logger" and set(options) & set(NETWORK):
            raise refusal(file, shown, "network")
        if any(".." in item for item in (group, *options)):
            raise refusal(file, shown, "other_folder")


def check_settings(file: Path, content: Any) -> None:
    """Check what a foreign file sets, under the full keys at which it is merged into the configuration."""
    for key, value in _leaves(content, ()):
        top = key[0] if key else ""
        shown = f"{'.'.join(key)}={value}"
        if top == "hydra":
            _check_hydra(file, key, value, shown)
        elif top == "ckpt_path" and value is not None:
            raise refusal(file, shown, "not_allowed")
        elif top == "targets" and value != [] and not is_own(value, file):
            raise refusal(file, shown, "not_own")
        elif top in WRITING:
            _check_writing(file, key, value, shown)
        if isinstance(value, str) and RESOLVED.search(REFERENCE.sub("", value.replace(OUTPUT, ""))):
            raise refusal(file, shown, "resolver")


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


def _check_hydra(file: Path, key: tuple[str, ...], value: Any, shown: str) -> None:
    if key[1:2] != ("sweeper",) or key[2:3] == () or key[2] not in SEARCH or any(k.startswith("_") for k in key):
        raise refusal(file, shown, "hydra_setting", allowed="|".join(SEARCH))
    names = {"params": key[3:4], "when": key[4:5]}.get(key[2], ())
    for name in names:
        if not PARAMETER.fullmatch(name) or name.split(".")[0] in UNSEARCHED or name.startswith("hydra/"):
            raise refusal(file, shown, "not_searchable")
        names_place = PLACE.search(name) or re.search(r"[/~\\{$]|\.\.", str(value))
        if name.split(".")[0] in WRITING and "." in name and names_place:
            raise refusal(file, shown, "maybe_outside")


def _check_writing(file: Path, key: tuple[str, ...], value: Any, shown: str) -> None:
    """Check a setting of a logger, a callback or the trainer: what it writes stays in the run folder."""
    setting = key[2] if key[0] == "logger" and len(key) > 2 else "name"  # noqa: PLR2004
    is_other = setting == "_target_" and value not in LOGGERS and not is_own(value, file)
    if setting not in LOGGER_SETTINGS or is_other:
        raise refusal(file, shown, "not_allowed")
    if key[:2] in {("logger", name) for name in NETWORK}:
        raise refusal(file, shown, "network")
    if not isinstance(value, str):
        return
    inside = value.removeprefix(f"{OUTPUT}/") if value != OUTPUT else ""
    if (PLACE.search(key[-1]) and inside == value) or OUTSIDE.search(inside):
        raise refusal(file, shown, "outside", folder=OUTPUT)
    if "${" in REFERENCE.sub("", inside) or not set(REFERENCE.findall(inside)) <= set(WRITING_REFERENCES):
        raise refusal(file, shown, "other_reference", allowed=WRITING_REFERENCES)


def check_references(file: Path, content: Any, config: DictConfig) -> None:
    """Refuse a reference to anything but a short plain value."""
    for key, value in _leaves(content, ()):
        for name in REFERENCE.findall(value) if isinstance(value, str) else ():
            try:
                node = OmegaConf.select(config, name.rpartition(".")[0]) if "." in name else config
                target = node._get_node(name.rpartition(".")[2]) if isinstance(node, DictConfig) else None
            except Exception:  # Hydra reports the error when it resolves the reference
                continue
            raw = target._value() if target is not None and not isinstance(target, Iterable) else target
            if isinstance(target, Iterable) or len(str(raw)) > MAX_TARGET or "${" in str(raw):
                raise refusal(file, f"{'.'.join(key)}={value}", "not_plain", name=name)
