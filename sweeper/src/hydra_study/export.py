"""Export the best trial as a config of the application, so that one command repeats it."""

import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from hydra_study.folder import write_whole
from hydra_study.study import Study


def export(
    study: Study,
    loader: ConfigLoader,
    groups: Collection[str],
) -> dict[int, str]:
    """Write the best trial below `folder` as a config; return the command that uses it, by the trial's number.

    `groups` are those of the application's defaults list. With several directions each trial of the Pareto
    front gets a config with its number.
    """
    path, best = PurePosixPath(study.settings["export"]), study.best
    if not best:
        return {}
    chosen = {best[0]: path}
    if len(study.directions) > 1:
        chosen = {number: path.with_name(f"{path.name}_{number}") for number in best}
    commands = {}
    for number, target in chosen.items():
        trial = study.trial(number)
        kept = trial.user_attrs.get("overrides", [])
        overrides = [str(line) for line in kept] if isinstance(kept, list) else []
        deleted = [line for line in overrides if line.startswith("~")]  # a config cannot delete a setting
        body = _config(overrides, str(path.parent), study.settings["search_group"], loader)
        header = f"# @package _global_\n# Trial {number} of study {study.name}: {trial.values}\n"
        write_whole(study.folder / f"{target}.yaml", header + _yaml(body))
        group = str(target.parent)
        choice = f"{'' if group in groups else '+'}{group}={target.name}"
        commands[number] = shlex.join(
            [*_program(), *_chosen_config(), "--config-dir", str(study.folder), choice, *deleted]
        )
    write_whole(study.folder / "optimization_results.yaml", _yaml(_results(study, list(chosen))))
    return commands


def _program() -> list[str]:
    """Return how this program was called, without its arguments."""
    given = sys.argv[1:]
    at = len(sys.orig_argv) - len(given)
    words = sys.orig_argv[1:at] if sys.orig_argv[at:] == given else []
    words = words or sys.argv[:1]
    if words[0].endswith(".py") or words[0].startswith("-"):
        return [_on_path("python", Path(sys.executable)), *words]
    return [_on_path(Path(words[0]).name, Path(words[0])), *words[1:]]


def _chosen_config() -> list[str]:
    """Return the options by which this command chose its configuration."""
    given, _ = get_args_parser().parse_known_args(sys.argv[1:])
    options = {"--config-path": given.config_path, "--config-name": given.config_name}
    words = [word for option, value in options.items() if value for word in (option, value)]
    return [*words, f"hydra.searchpath=[file://{Path(given.config_dir).absolute()}]"] if given.config_dir else words


def _on_path(name: str, program: Path) -> str:
    """Return the program's name if the shell resolves it to this program, else its path."""
    found = shutil.which(name)
    return name if found and Path(found).parent == program.absolute().parent else str(program)


def _results(study: Study, chosen: list[int]) -> dict[str, Any]:
    """Return the content of optimization_results.yaml, as the official plugin writes it."""
    trials = [study.trial(number) for number in chosen]
    if len(study.directions) == 1:
        (best,) = trials
        return {"name": "optuna", "best_params": dict(best.params), "best_value": best.value}
    return {
        "name": "optuna",
        "solutions": [{"params": dict(trial.params), "values": list(trial.values)} for trial in trials],
    }


def _config(overrides: list[str], group: str, search_group: str, loader: ConfigLoader) -> dict[str, Any]:
    """Return overrides as the content of a config in `group`: chosen options as defaults, values as a tree."""
    before: list[Any] = []  # defaults that the values override
    chosen: list[Any] = []
    values = OmegaConf.create({}, flags={"allow_objects": True})
    for override in OverridesParser.create(config_loader=loader).parse_overrides(overrides):
        key = override.key_or_group
        if key == search_group or override.is_delete():
            continue
        is_group = bool(loader.get_group_options(key))
        if is_group and key == group:
            before.append(override.value())  # an option of the same group, which this one extends
        elif is_group:
            package = f"@{override.package}" if override.package else ""
            added = override.is_add() or override.is_force_add()
            name = f"/{key}{package}" if added else f"override /{key}{package}"
            (before if added else chosen).append({name: override.value()})
        else:
            OmegaConf.update(values, key, override.value(), force_add=True)
    content = OmegaConf.to_container(values)
    assert isinstance(content, dict)
    return {"defaults": [*before, "_self_", *chosen], **{str(key): value for key, value in content.items()}}


def _yaml(content: dict[str, Any]) -> str:
    return str(OmegaConf.to_yaml(OmegaConf.create(content)))
