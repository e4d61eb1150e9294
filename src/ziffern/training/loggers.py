"""The loggers of a run where it continues, and where it ends.

Decision: Lightning's loggers begin anew in a run that continues, or in the next run of the same process; here a run's
logs are complete, and belong to that run alone.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from ziffern.config.instantiate import build
from ziffern.config.targets import allowed_class
from ziffern.errors import InputError
from ziffern.files.untrusted import read_text
from ziffern.training.labels import Labels, run_name

SERVICES = {  # the package of a logger, and its settings for a run's name and tags
    "WandbLogger": ("wandb", "name", "tags"),
    "MLFlowLogger": ("mlflow", "run_name", "tags"),
    "CometLogger": ("comet-ml", "name", "tags"),
    "AimLogger": ("aim", "run_name", None),
}
MAX_BYTES = 1_000_000_000  # of the CSV logger's file
FAILED = "failed"  # a status, and the tag of a failed run where a service records no status


def build_logger(node: Mapping[str, Any], where: str, folder: Path, labels: Labels) -> Logger:
    """Return a logger whose runs have the run folder's name, and the tags of the run.

    Args:
        node: Its configuration.
        where: The dotted name of the configuration.
        folder: The run folder.
        labels: Those of the run; a name and tags in the configuration take precedence.

    Raises:
        InputError: A target that is not allowed, its package is not installed, or it would record nothing.
    """
    settings = dict(node)
    names = [base.__name__ for base in allowed_class(node.get("_target_"), f"{where}._target_").__mro__]
    package, name, tags = next((SERVICES[name] for name in names if name in SERVICES), ("", None, None))
    if name:
        settings.setdefault(name, run_name(folder))
    if tags and labels.all_tags:
        settings.setdefault(tags, {tag: tag for tag in labels.all_tags} if package == "mlflow" else labels.all_tags)
    if "CometLogger" in names and node.get("online") is False:  # Lightning disables Comet then, instead of its network
        raise InputError("training.logger.comet_offline", where=where)
    outside = not Path(str(node.get("save_dir"))).absolute().is_relative_to(folder)
    if {"TensorBoardLogger", "CSVLogger"} & set(names) and outside and not node.get("version"):
        settings["version"] = run_name(folder)  # or the runs would be mixed in one folder
    try:
        logger: Logger = build(settings, where, Logger)
    except InputError as error:
        missing = error.__cause__ is not None and isinstance(error.__cause__.__cause__, ModuleNotFoundError)
        if package and missing:
            raise InputError("training.logger.not_installed", where=where, package=package) from error
        raise
    return logger


def tag_experiments(loggers: Sequence[Logger], tags: Sequence[str]) -> None:
    """Tag the runs of loggers whose constructor takes no tags."""
    for logger in loggers:
        if type(logger).__name__ == "AimLogger":
            for tag in tags:
                logger.experiment.add_tag(tag)  # type: ignore[attr-defined]


def continue_logs(loggers: Sequence[Logger], checkpoint: Mapping[str, Any]) -> None:
    """Keep what was logged until a checkpoint was saved, and hide what came after it.

    Args:
        loggers: Those of the run, not used yet.
        checkpoint: The content of the checkpoint that is resumed; empty for a new run.
    """
    step = int(checkpoint.get("global_step", -1))
    for logger in loggers if checkpoint else ():
        if isinstance(logger, TensorBoardLogger):
            logger._kwargs["purge_step"] = step + 1  # TensorBoard's own means to drop the later events
        elif isinstance(logger, CSVLogger):
            _keep_rows(logger, step)


def _keep_rows(logger: CSVLogger, step: int) -> None:
    path = Path(logger.log_dir) / "metrics.csv"
    if not path.is_file():
        return
    rows = list(csv.DictReader(io.StringIO(read_text(path, MAX_BYTES))))
    experiment = logger.experiment  # deletes the file
    for row in rows:
        if (row.get("step") or "").isdecimal() and int(row["step"]) <= step:  # the last row may have been cut
            experiment.metrics.append({name: value for name, value in row.items() if name and value})
    logger.save()


def close_loggers(loggers: Sequence[Logger], status: str) -> None:
    """End the experiment of each logger, so that the next run of this process begins its own.

    Args:
        loggers: Those of the run.
        status: `success` or `failed`.
    """
    for logger in loggers:
        names = {base.__name__ for base in type(logger).__mro__}
        experiment: Any = getattr(logger, "_experiment", None)  # None until it is used
        if status == FAILED and "AimLogger" in names:
            logger.experiment.add_tag(FAILED)  # type: ignore[attr-defined]
        logger.finalize(status)
        if experiment is not None and "WandbLogger" in names:
            experiment.finish(exit_code=int(status == FAILED))
        if experiment is not None and "CometLogger" in names:
            if status == FAILED:
                experiment.add_tag(FAILED)
            experiment.end()
