"""Make the model that the package carries from a recorded run: `python scripts/make_builtin.py RUN`.

The run was `python train.py experiment=champion trainer.max_epochs=50 data.val_share=0.2 seed=0 threads=1`. Weights are
stored in half precision, with what a prediction needs and without optimizer, data and predictions. The script fails if
the result has more than 100 kB, or answers any test image of the run differently.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from ziffern.config.instantiate import build
from ziffern.data.datamodule import ImageDataModule
from ziffern.experiment.run_data import data_of_run
from ziffern.files.atomic import write_json, write_text
from ziffern.records.checkpoint import read_checkpoint
from ziffern.records.inference import KEY
from ziffern.records.writer import write_material
from ziffern.runs.builtin import BUILTIN, find_run
from ziffern.runs.predictor import Predictor
from ziffern.runs.run import Run

MAX_BYTES = 100_000  # of the whole folder
MIN_SIZE = 64  # values of a tensor from which on half precision saves anything
KEPT = ("model", "data", "seed", "monitor")  # of the configuration


def make(run: Run, folder: Path) -> None:
    """Write the folder of the packaged model."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoint = read_checkpoint(run.folder / "checkpoints/best.ckpt")
    small: dict[str, Any] = {
        "epoch": checkpoint["epoch"],
        "global_step": checkpoint["global_step"],
        "state_dict": {name: _halved(tensor) for name, tensor in checkpoint["state_dict"].items()},
        "optimizer_states": [],
        KEY: checkpoint[KEY],
    }
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(small, folder / "checkpoints/best.ckpt")
    config = {key: run.config[key] for key in KEPT}
    config["data"] = config["data"] | {"dir": "data"}
    write_text(folder / ".hydra/config.yaml", yaml.safe_dump(config, sort_keys=False))
    write_json(folder / "metrics.json", run.metrics)
    material = run.material
    assert material is not None
    write_material(folder, material)


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half() if tensor.is_floating_point() and tensor.numel() >= MIN_SIZE else tensor


def main() -> None:
    """Write the folder, and check its size and its answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--data", default="data", help="the folder of data sets")
    arguments = parser.parse_args()
    run, folder = Run(arguments.run), find_run(BUILTIN)
    make(run, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    data = build(data_of_run(run, arguments.data), "data", ImageDataModule)
    data.setup()
    images = data.dataset.images[data.parts.test]
    before, after = (Predictor.of(each).predict(images) for each in (run, Run(folder)))
    changed = int((before.label != after.label).sum())
    difference = float(np.abs(before.probability - after.probability).max())
    print(
        f"{folder}: {size:,} bytes; {changed} of {len(images)} answers differ, at most {difference:.4f} of probability"
    )
    if size > MAX_BYTES or changed:
        sys.exit(1)


if __name__ == "__main__":
    main()
