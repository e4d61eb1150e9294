"""Train, load and compare, as `import ziffern` offers it."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ziffern.api.run import TrainedRun
from ziffern.errors import InputError
from ziffern.runs.builtin import BUILTIN, find_run
from ziffern.runs.comparison import MARGIN, Comparison, make_comparison
from ziffern.runs.run import Run


def train(*overrides: str, folder: str | PathLike[str] | None = None) -> TrainedRun:
    """Train, test and record a model, and return its run.

    Args:
        overrides: Those of the command line, such as `model=cnn` and `trainer.max_epochs=3`.
        folder: The new run folder; a unique one below outputs/runs if None.

    Raises:
        InputError: A setting, the folder, the data or the machine does not allow this run.

    Example:
        >>> run = train("model=nn", "data=mnist5k", "trainer.max_epochs=1")
        >>> run.metrics["data/name"]
        'mnist5k'
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from ziffern.config import conf_folder
    from ziffern.config.explain import explain
    from ziffern.config.foreign import checked_configs
    from ziffern.config.typed import grammatical
    from ziffern.experiment.naming import register_resolvers
    from ziffern.experiment.run import run_experiment

    register_resolvers()
    given, initialized = [grammatical(str(item)) for item in overrides], GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()  # a notebook or an application may have initialized it
    try:
        with checked_configs(), initialize_config_dir(str(conf_folder()), version_base="1.3"):
            cfg = compose("train", overrides=given, return_hydra_config=True)
        place = Path(folder).expanduser() if folder is not None else Path(str(OmegaConf.select(cfg, "hydra.run.dir")))
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, given, conf_folder()) from error
    finally:
        GlobalHydra.instance().hydra = initialized
    run_experiment(cfg, place, str(cfg.hydra.runtime.choices["model"]))
    return TrainedRun(place)


def load_run(path: str | PathLike[str]) -> TrainedRun:
    """Return the run in a folder, which may be anyone's: nothing in it is executed or unpickled.

    Raises:
        InputError: It is not a run folder.
    """
    run = TrainedRun(Path(path).expanduser())
    _ = run.config  # raises if this is no run
    return run


def load(name: str | PathLike[str] = BUILTIN) -> TrainedRun:
    """Return the model that the package carries, `builtin`, or the run in a folder.

    Raises:
        InputError: It is neither.
    """
    return load_run(find_run(str(name)))


def compare(runs: Sequence[Run | str | PathLike[str]], margin: float = MARGIN, with_speed: bool = False) -> Comparison:
    """Return the comparison of runs: recipes over their seeds, tests of each pair, and which model to use.

    Args:
        runs: At least two runs, or their folders.
        margin: The share of accuracy by which a larger model must be better to be recommended, in [0, 1).
        with_speed: Also load the models, and measure their size and speed.

    Raises:
        InputError: Fewer than two runs are complete, a file in one is damaged, or the margin is out of range.
    """
    if not 0 <= margin < 1:
        raise InputError("cli.margin.out_of_range", value=f"{100 * margin:g}")
    if isinstance(runs, str | PathLike | Run):
        runs = [runs]
    loaded = [run if isinstance(run, Run) else Run(Path(run).expanduser()) for run in runs]
    return make_comparison(loaded, margin, with_speed)
