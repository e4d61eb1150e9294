"""Measure the effect of each part of a recipe: remove it, or replace it.

    python scripts/ablation.py data.dir=FOLDER [--epochs 20] [--seeds 0 1]

Test digits are never used: runs end with their validation score. Existing rows are not measured again, so the same
command completes a stopped study; docs/results.md is written again after each row.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from reproduce import ROOT, SEEDS
from results_page import render
from ziffern.files.atomic import write_json
from ziffern.runs.run import Run

EXPERIMENT = "champion"
VALIDATION = ["data.val_share=0.16666667"]  # 10,000 of the 60,000
CHANGES: dict[str, list[str]] = {
    "the recipe": [],
    "one view of each digit in evaluation": ["model.net.pixels=0"],
    "no bending": ["model.augment.elastic=0"],
    "no augmentation": ["model/augment=none"],
    "no label smoothing": ["model.loss.label_smoothing=0"],
    "a constant rate": ["model/scheduler=none"],
    "a rate a third as high": ["model.optimizer.lr=0.003"],
    "an average of the weights": ["callbacks=ema"],
    "32 bits": ["trainer.precision=32-true"],
}


def measure(change: str, seed: int, epochs: int, overrides: list[str]) -> dict[str, object]:
    """Return one row: a run without test."""
    with tempfile.TemporaryDirectory() as folder:
        typed = [f"experiment={EXPERIMENT}", f"seed={seed}", f"data.split_seed={seed}", *VALIDATION, *overrides]
        more = [f"trainer.max_epochs={epochs}", "threads=1", "test=false", "report=null", f"hydra.run.dir='{folder}'"]
        call = [sys.executable, str(ROOT / "train.py"), *typed, *more, *CHANGES[change]]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        metrics = Run(Path(folder)).metrics
    count = metrics["data/val"]
    wrong = round((1 - metrics["val/acc"]) * count)
    figures = {"wrong": wrong, "loss": metrics["val/loss"], "seconds": metrics["train_seconds"], "val": count}
    return {"change": change, "overrides": CHANGES[change], "seed": seed, **figures}


def main() -> None:
    """Measure every change with every seed, two runs at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="such as data.dir=FOLDER")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    path = options.docs / "results" / "ablation.json"
    study = {"experiment": EXPERIMENT, "epochs": options.epochs, "val": 0, "error": 0.0, "rows": []}
    if path.exists():
        study = json.loads(path.read_text())
        if study["epochs"] != options.epochs:
            parser.error(f"{path} holds rows of {study['epochs']} epochs: remove it, or use --epochs {study['epochs']}")
    rows = study["rows"]
    assert isinstance(rows, list)
    done = {(row["change"], row["seed"]) for row in rows}
    wanted = [(change, seed) for seed in options.seeds for change in CHANGES if (change, seed) not in done]
    order = {change: place for place, change in enumerate(CHANGES)}
    failed = 0
    pool = ThreadPoolExecutor(2)
    try:
        tasks = {pool.submit(measure, *one, options.epochs, options.overrides): one for one in wanted}
        for number, task in enumerate(as_completed(tasks), 1):
            if task.exception() is not None:  # the others continue
                failed += 1
                print(f"{number} of {len(tasks)}: {tasks[task]}: {task.exception()}", file=sys.stderr, flush=True)
                continue
            rows.append(task.result())
            study["val"] = rows[-1].pop("val")
            rows.sort(key=lambda row: (order.get(row["change"], len(order)), row["seed"]))
            study["error"] = math.sqrt(max(1, rows[0]["wrong"]))
            write_json(path, study)
            render(options.docs, list(SEEDS))
            print(f"{number} of {len(tasks)}: {tasks[task]}", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no other one begins
    if failed:
        sys.exit(f"error: {failed} of {len(wanted)} trainings failed: the same command runs them again")


if __name__ == "__main__":
    main()
