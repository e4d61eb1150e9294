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

from ziffern.files.untrusted import read_text

MAX_BYTES = 1_000_000_000  # of the CSV logger's file
ENDINGS = {"WandbLogger": "finish", "CometLogger": "end", "NeptuneLogger": "stop"}  # of an experiment, by its logger


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
        if row.get("step", "").isdecimal() and int(row["step"]) <= step:
            experiment.metrics.append({name: value for name, value in row.items() if value})
    logger.save()


def close_loggers(loggers: Sequence[Logger], status: str) -> None:
    """End the experiment of each logger, so that the next run of this process begins its own.

    Args:
        loggers: Those of the run.
        status: `success` or `failed`.
    """
    for logger in loggers:
        logger.finalize(status)
        ending = next((ENDINGS[base.__name__] for base in type(logger).__mro__ if base.__name__ in ENDINGS), "")
        if ending and (experiment := getattr(logger, "_experiment", None)) is not None:
            getattr(experiment, ending)()
