"""What a run leaves behind: the files of the contract, each written whole.

The contract: checkpoints/best.ckpt and last.ckpt, metrics.json, history.csv, predictions.npz, data.npz,
progress.jsonl, environment.json. A killed run has those that it came to.
"""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from rich.console import Console

from ziffern.analysis.outcome import Outcome
from ziffern.data.dataset import LabelledImages
from ziffern.data.split import Split
from ziffern.files.atomic import write_atomically, write_json, writing
from ziffern.models.normalization import Normalize
from ziffern.records.contents import Material
from ziffern.training.callbacks.checkpoints import RunCheckpoints
from ziffern.training.callbacks.early_stopping import better
from ziffern.training.callbacks.history import History
from ziffern.training.callbacks.progress import EventLog, ProgressReport

PACKAGES = (
    "ziffern",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "numpy",
    "scipy",
)


MOST_MISTAKES = 1000  # misclassified images kept, the most confident first: an untrained model has thousands


class Recorder:
    """Writes one run folder.

    Args:
        folder: The run folder; made where it does not exist.
        monitor: The validation score that chooses the best checkpoint.
        console: Where people read.
    """

    def __init__(self, folder: Path, monitor: str, console: Console) -> None:
        self.folder, self.monitor, self.console = folder.absolute(), monitor, console
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.history, self.events = History(self.folder), EventLog(self.folder)
        self.checkpoints = RunCheckpoints(self.folder / "checkpoints", monitor, better(monitor))
        self.callbacks: list[pl.Callback] = [self.history, ProgressReport(self.events, console), self.checkpoints]

    def environment(self, trainer: pl.Trainer) -> None:
        """Write environment.json: versions, machine, device, threads, commit and command."""
        device = trainer.strategy.root_device
        cuda = torch.cuda.get_device_name(device) if device.type == "cuda" else None
        write_json(
            self.folder / "environment.json",
            {
                "command": command(),
                "git_commit": _git_commit(),
                "python": platform.python_version(),
                "versions": {name: found for name in PACKAGES if (found := _version(name))},
                "platform": platform.platform(),
                "processor": processor_name(),
                "cpu_count": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "device": cuda or str(device),
                "devices": trainer.world_size,
                "precision": str(trainer.precision),
            },
        )

    def metrics(self, metrics: dict[str, Any]) -> None:
        """Write metrics.json, which says that the run is complete."""
        write_json(self.folder / "metrics.json", metrics)
        self.events.write("end", metrics=metrics)

    def data(self, dataset: LabelledImages, parts: Split, normalize: Normalize) -> None:
        """Write data.npz: class_names (K,), counts (3, K) of train, val and test, five examples, mean and std (C,)."""
        material = Material.of(dataset, parts, normalize)
        write_atomically(
            self.folder / "data.npz",
            lambda file: np.savez_compressed(
                file,
                **{**vars(material), "class_names": np.array(material.class_names, dtype=np.str_)},
            ),
        )

    def predictions(self, index: NDArray[np.int64], outcome: Outcome, images: NDArray[np.uint8]) -> None:
        """Write predictions.npz, and in it the misclassified images, so that a report needs no data.

        Args:
            index: (N,) original index.
            outcome: Target (N,) and probability (N, C).
            images: (N, C, H, W) uint8.
        """
        mistake = outcome.mistakes[:MOST_MISTAKES]
        write_atomically(
            self.folder / "predictions.npz",
            lambda file: np.savez_compressed(
                file,
                index=index,
                target=outcome.target,
                probability=outcome.probability,
                mistake=mistake,
                mistake_image=images[mistake],
            ),
        )


def command(**replaced: object) -> str:
    """Return the command of this process as typed, with overrides `replaced` or added."""
    program = Path(sys.argv[0]).name
    start = ["python", program] if program.endswith(".py") else [program, "train"]
    kept = [item for item in sys.argv[1:] if item.split("=")[0] not in replaced]
    return shlex.join([*start, *kept, *(f"{key}={value}" for key, value in replaced.items())])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """Return the commit of this package's checkout, with `-dirty` where files differ, or None."""
    call = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude=*",
    ]
    try:
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def processor_name() -> str:
    """Return the processor's model where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
