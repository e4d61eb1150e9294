"""The Hydra callback that claims the folder of a run or a multirun before Hydra writes to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ziffern.config.command import plain
from ziffern.errors import InputError
from ziffern.experiment.failure import describe, fail
from ziffern.experiment.restarted_job import is_finished_multirun, is_finished_run, is_restarted
from ziffern.experiment.run_folder import claim, claim_multirun
from ziffern.machine.processes import is_first
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable

SEARCH, MULTIRUN = "StudySweeper", "MultirunSweeper"


class ClaimRunFolder(Callback):
    """Claims the folder, or exits with 2; configured in conf/train.yaml.

    A run that was finished before SLURM restarted its job exits with 0, so that the next command of the job is reached.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Claim the run folder."""

        def check() -> None:
            folder, overrides = _folder(config, "hydra.run.dir"), plain(config.hydra.overrides.task)
            if is_restarted() and is_finished_run(folder, overrides):
                _end(folder)
            if is_first():
                claim(folder, overrides)

        if is_first() or is_restarted():
            _or_exit(check, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a multirun, and claim it unless the sweeper locks it itself, as ours do."""
        if not (is_first() or is_restarted()):
            return
        subdir = str(OmegaConf.to_container(config.hydra.sweep)["subdir"])  # type: ignore[index, call-overload]
        sweeper = str(config.hydra.sweeper.get("_target_")).rpartition(".")[2]
        is_search, is_ours = sweeper == SEARCH, sweeper in (SEARCH, MULTIRUN)
        overrides = plain(config.hydra.overrides.task)
        debug = next((item for item in overrides if item.startswith("debug=") and item != "debug=null"), "")
        if is_search and debug:
            fail(InputError("experiment.debug.search", option=debug.partition("=")[2]))

        def check() -> None:
            folder = _folder(config, "hydra.sweep.dir")
            if is_restarted() and not is_ours and is_finished_multirun(folder, subdir, overrides):
                _end(folder)
            if is_first():
                claim_multirun(folder, subdir, is_ours)

        _or_exit(check, "hydra.sweep.dir")


def _end(folder: Path) -> NoReturn:
    """Exit with 0 because of what was finished earlier: in every process, or the others would wait for the first."""
    if is_first():
        print(terminal_words()("cli.finished_before_restart", folder=printable(folder)))
    raise SystemExit(0)


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
