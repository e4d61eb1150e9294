"""Writes the files of a run folder, each of them atomically.

They are checkpoints/best.ckpt and last.ckpt, metrics.json, history.csv, predictions.npz, data.npz, progress.jsonl and
environment.json. A run that was killed has those that were written by then.
"""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from rich.console import Console

from ziffern.config.command import this_command
from ziffern.files.atomic import writing
from ziffern.records import writer
from ziffern.training.callbacks.checkpoints import RunCheckpoints
from ziffern.training.callbacks.history import History
from ziffern.training.callbacks.own_metrics import OwnMetrics
from ziffern.training.callbacks.progress import ProgressReport
from ziffern.training.callbacks.requeue import Requeue, slurm_job
from ziffern.training.labels import Labels
from ziffern.training.optimizers import monitor_mode

PACKAGES = ("ziffern", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scipy")


class Recorder:
    """Writes one run folder.

    Args:
        folder: The run folder; created where it does not exist.
        monitor: The validation score that chooses the best checkpoint.
        console: Where progress and results are printed.
        labels: How the run is named and marked.
        own_metrics: The user's own metrics, whose values are recorded too.
        continues: Whether the same command continues the run, so that SLURM may put its job back into the queue.
    """

    def __init__(
        self,
        folder: Path,
        monitor: str,
        console: Console,
        labels: Labels | None = None,
        own_metrics: OwnMetrics | None = None,
        continues: bool = False,
    ) -> None:
        self.folder, self.monitor, self.console = folder.absolute(), monitor, console
        self.labels, self.own_metrics = labels or Labels(), own_metrics
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.history = History(self.folder)
        self.checkpoints = RunCheckpoints(self.folder / "checkpoints", monitor, monitor_mode(monitor))
        self.progress = ProgressReport(self.folder, console)
        self.callbacks: list[pl.Callback] = [self.history, self.progress, self.checkpoints]
        if job := slurm_job():
            self.callbacks.append(Requeue(self.checkpoints, job if continues else None))

    def environment(self, trainer: pl.Trainer) -> None:
        """Write environment.json: versions, machine, device, threads, commit and command."""
        device = trainer.strategy.root_device
        cuda = torch.cuda.get_device_name(device) if device.type == "cuda" else None
        environment = {
            "command": this_command(),
            "git_commit": _git_commit(),
            "python": platform.python_version(),
            "versions": {name: number for name in PACKAGES if (number := _version(name))},
            "platform": platform.platform(),
            "processor": processor_name(),
            "cpu_count": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "device": cuda or str(device),
            "devices": trainer.world_size,
            "precision": str(trainer.precision),
        }
        writer.write_environment(self.folder, environment)

    def metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json, which marks the run as complete."""
        writer.write_metrics(self.folder, metrics)
        writer.append_event(self.folder, "end", metrics=metrics)


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Return the commit of this package's checkout, with `-dirty` where files differ, or None."""
    package = str(Path(__file__).parent)
    call = ["git", "-C", package, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def processor_name() -> str:
    """Return the processor's model where the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
