"""The plugin as Hydra sees it: its configuration and a class that starts the sweep."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_study.conf import PRUNERS, SAMPLERS, StudyConf


class StudySweeper(Sweeper):
    """Runs a study whose trials are Hydra jobs; the settings are those of StudyConf."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's arguments for `sweep`."""
        self._given = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Run the study to its end."""
        from hydra_study.sweep import sweep

        sweep(*self._given, self.settings, arguments)


_store = ConfigStore.instance()
_store.store(group="hydra/sweeper", name="optuna", node=StudyConf, provider="hydra_study")
for _group, _options in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
    for _name, _node in _options.items():
        _store.store(group=f"hydra/sweeper/{_group}", name=_name, node=_node, provider="hydra_study")
