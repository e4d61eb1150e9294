"""The plugin as Hydra sees it: its settings, and classes that start a sweep. Hydra imports this at every start."""

from importlib.util import find_spec
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_study.conf import ENGINES, PRUNERS, SAMPLERS, MultirunConf, StudyConf

OFFICIAL = "hydra_plugins.hydra_optuna_sweeper"  # its names are its own where it is installed
ALIAS = {"defaults": ["study"]}  # a tenth of the time of another StudyConf


class MultirunSweeper(Sweeper):
    """Runs each job of a plain multirun once; the settings are those of MultirunConf."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's arguments for `sweep`."""
        self._given = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs; return a list of one batch, the jobs' returns."""
        from hydra_study.sweep import run_multirun

        return run_multirun(*self._given, self.settings, arguments)


class StudySweeper(MultirunSweeper):
    """Runs a study whose trials are Hydra jobs; the settings are those of StudyConf."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the study to its end; return a list of one batch, the trials' returns."""
        from hydra_study.sweep import run_search

        return run_search(*self._given, self.settings, arguments)


class OfficialName(SearchPathPlugin):
    """Gives StudySweeper the name of the official plugin's class as well, unless that plugin is installed."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Register the name; Hydra calls this once it knows all plugins."""
        name = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
        Plugins.instance().class_name_to_class.setdefault(name, StudySweeper)


def _register() -> None:
    store = ConfigStore.instance()
    is_alone = find_spec(OFFICIAL) is None
    nodes: dict[str, dict[str, Any]] = {
        "hydra/sweeper": {"study": StudyConf, "multirun": MultirunConf} | ({"optuna": ALIAS} if is_alone else {}),
        "hydra/sweeper/engine": ENGINES,
        "hydra/sweeper/pruner": PRUNERS,
        "hydra/sweeper/sampler": SAMPLERS,
    }
    for group, options in nodes.items():
        for name, node in options.items():
            if is_alone or f"{name}.yaml" not in _known(store, group):
                store.store(group=group, name=name, node=node, provider="hydra_study")


def _known(store: ConfigStore, group: str) -> Any:
    """Return the options of a group that others have registered."""
    options: Any = store.repo
    for part in group.split("/"):
        options = options.get(part, {})
    return options


_register()
