"""Find the early stopping rule that explains the published epochs of Gómez López and Ulubas (2025).

    python scripts/patience.py data.dir=FOLDER      # about 15 minutes; writes docs/results/patience.json

Decisions: both nets train 60 epochs without early stopping, five seeds each, and the rule of the early stopping
callback is simulated on their histories, so one training serves every patience and both scores; the test part is never
used. The chosen pair of score and patience has the least sum of squared relative deviations of the mean stop epoch
from the published one. A run that a rule would not have stopped counts as stopped at its last epoch, and the row
counts such runs. Finished runs are not repeated.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ziffern.files.atomic import write_json
from ziffern.runs.run import Run
from ziffern.training.optimizers import monitor_mode

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = {"gomez2025_nn": 37, "gomez2025_dnn": 25}
MONITORS, PATIENCES = ("val/acc", "val/loss"), range(1, 31)
EPOCHS, SEEDS = 60, range(5)


def stop_epoch(scores: Sequence[float], mode: str, patience: int) -> int | None:
    """Return the epoch, from 1, after which `patience` epochs brought no strict improvement; None if there is none."""
    best, waited = float("inf"), 0
    for epoch, score in enumerate(scores, 1):
        loss = score if mode == "min" else -score
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited >= patience:
            return epoch
    return None


def simulate(histories: dict[str, list[list[dict[str, float]]]]) -> list[dict[str, Any]]:
    """Return one row per rule, the best first: the stop epoch of each run, their means, and the deviation."""
    rows = []
    for monitor in MONITORS:
        for patience in PATIENCES:
            row: dict[str, Any] = {"monitor": monitor, "patience": patience, "deviation": 0.0, "unstopped": 0}
            for net, runs in histories.items():
                epochs = [
                    stop_epoch([epoch[monitor] for epoch in run], monitor_mode(monitor), patience) for run in runs
                ]
                stops = [stop or len(run) for stop, run in zip(epochs, runs, strict=True)]
                row["unstopped"] += epochs.count(None)
                row["deviation"] += (mean(stops) / PUBLISHED[net] - 1) ** 2
                row[net] = {"mean": mean(stops), "stops": stops}
            rows.append(row | {"deviation": round(row["deviation"], 5)})
    return sorted(rows, key=lambda row: float(row["deviation"]))


def train(net: str, seed: int, folder: Path, overrides: list[str]) -> None:
    """Train one net for all epochs, unless that was done already."""
    if (folder / "metrics.json").exists():
        return
    run = [f"experiment={net}", f"seed={seed}", "threads=1", "test=false", "logger=none", f"hydra.run.dir={folder}"]
    run += ["callbacks.early_stopping.patience=null", f"trainer.max_epochs={EPOCHS}"]
    last = folder / "checkpoints" / "last.ckpt"
    run += [f"ckpt_path={last}"] if last.exists() else []
    subprocess.run([sys.executable, str(ROOT / "train.py"), *run, *overrides], check=True)


def hardware(folder: Path) -> str:
    """Return the hardware and the versions that the run in `folder` was trained with."""
    facts = json.loads((folder / "environment.json").read_text())
    versions = ", ".join(f"{name} {facts['versions'][name]}" for name in ("torch", "pytorch-lightning"))
    return f"{facts['processor']}, threads={facts['threads']}, on {facts['device']}, {versions}"


def main() -> None:
    """Train the missing runs, and write the result after each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="such as data.dir=FOLDER")
    parser.add_argument("--folder", type=Path, default=Path("outputs/patience"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/patience.json"))
    options = parser.parse_args()
    histories: dict[str, list[list[dict[str, float]]]] = {net: [] for net in PUBLISHED}
    for seed in SEEDS:
        for net, histories_of_net in histories.items():
            folder = options.folder / net / f"seed{seed}"
            print(f"{net} seed {seed}, of {len(SEEDS)} seeds", flush=True)
            train(net, seed, folder, options.overrides)
            histories_of_net.append(Run(folder).history)
        rules = simulate(histories)
        content = {"published": PUBLISHED, "epochs": EPOCHS, "seeds": seed + 1, "hardware": hardware(folder)}
        write_json(options.out, content | {"chosen": rules[0], "rules": rules})
    print(json.dumps(rules[:5], indent=2))


if __name__ == "__main__":
    main()
