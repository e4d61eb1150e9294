"""The Hydra callback that claims the folder of a run or a multirun before Hydra writes to it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ziffern.config.command import plain
from ziffern.errors import InputError
from ziffern.experiment.failure import describe, fail
from ziffern.experiment.run_folder import claim, claim_multirun
from ziffern.machine.processes import is_first

WORKER = "HYDRA_OPTUNA_QUEUE_WORKER"  # set in worker processes of a search, whose first process checked the folder


class ClaimRunFolder(Callback):
    """Claims the folder, or exits with 2; configured in conf/train.yaml."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the run folder."""
        if is_first():
            overrides = plain(config.hydra.overrides.task)
            _or_exit(lambda: claim(_folder(config, "hydra.run.dir"), overrides), "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the folder of a multirun; a search shares its own with other processes."""
        if not is_first() or WORKER in os.environ:
            return
        subdir = str(OmegaConf.to_container(config.hydra.sweep)["subdir"])  # type: ignore[index, call-overload]
        is_search = "OptunaQueueSweeper" in str(config.hydra.sweeper.get("_target_"))
        overrides = plain(config.hydra.overrides.task)
        debug = next((item for item in overrides if item.startswith("debug=") and item != "debug=null"), "")
        if is_search and debug:
            fail(InputError("experiment.debug.search", option=debug.partition("=")[2]))
        _or_exit(lambda: claim_multirun(_folder(config, "hydra.sweep.dir"), subdir, is_search), "hydra.sweep.dir")


def _or_exit(check: Callable[[], None], setting: str) -> None:
    """Exit with 2 if a check fails: Hydra turns an exception in a callback into a warning."""
    try:
        check()
    except OSError as error:
        fail(describe(error, f"{setting}=FOLDER"))
    except InputError as error:
        fail(error)


def _folder(config: DictConfig, key: str) -> Path:
    """Return a folder from the configuration, resolved as Hydra will resolve it."""
    hydra = HydraConfig.instance()
    before = hydra.cfg
    hydra.set_config(config)
    try:
        return Path(str(OmegaConf.select(config, key)))
    finally:
        hydra.cfg = before
        OmegaConf.set_readonly(config.hydra, False)  # set_config made it read-only
