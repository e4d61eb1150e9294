"""Run the published grid, and searches that should beat it in half of its training time.

    python scripts/searches.py [--seeds 4 5 6] [--n-jobs 2] [-- data.dir=FOLDER OVERRIDE ...]

The grid of lin2024 and one TPE + Hyperband search per seed, each by its own command, and then the best setting of each
once more, with a test; ten minutes on two cores. Finished parts are not repeated. The number of trials was chosen with
seeds 1 to 3, so these are others. The figures go to docs/results/searches.json, and docs/results.md is written again.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from reproduce import HARDWARE, ROOT, SEEDS, published_overrides, split
from results_page import render
from ziffern.files.atomic import write_json
from ziffern.runs.run import Run
from ziffern.search.study import open_study

SWEEPS = Path("outputs/sweeps")


def searches(seeds: list[int], n_jobs: int) -> dict[str, list[str]]:
    """Return the overrides of each search, by the name of its study."""
    workers = f"hydra.sweeper.n_jobs={n_jobs}"
    overrides = {"lin2024-grid": ["hparams_search=lin2024_grid", workers]}
    for seed in seeds:
        search = ["hparams_search=tpe", "model=cnn", f"hydra.sweeper.sampler.seed={seed}"]
        overrides[f"tpe-cnn-{seed}"] = [*search, f"hydra.sweeper.study_name=tpe-cnn-{seed}", workers]
    return overrides


def run(*arguments: str) -> None:
    """Run train.py; raise an exception if it fails."""
    subprocess.run([sys.executable, str(ROOT / "train.py"), *arguments], check=True)


def collect(name: str, given: list[str], best: Path) -> dict[str, Any]:
    """Return the figures of a finished search and of the training of its best setting."""
    folder = SWEEPS / name
    trials = open_study(folder).get_trials()
    rows = [row(folder, trial) for trial in trials]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    chosen = max(complete, key=lambda trial: (trial.value or 0.0, -trial.number))
    ends = [trial.datetime_complete for trial in trials if trial.datetime_complete]
    starts = [trial.datetime_start for trial in trials if trial.datetime_start]
    metrics = Run(best).metrics
    return {
        "command": " ".join(["python train.py -m", *without_paths(given)]),
        "train_seconds": round(sum(item["seconds"] for item in rows), 1),
        "wall_seconds": round((max(ends) - min(starts)).total_seconds(), 1),
        "best": chosen.number,
        "again": {key: metrics[key] for key in ("val/acc", "test/acc", "test/correct", "test/total", "train_seconds")},
        "trials": rows,
    }


def without_paths(overrides: list[str]) -> list[str]:
    """Return overrides without the data folder of this machine."""
    return [item for item in overrides if not item.startswith("data.dir=")]


def row(folder: Path, trial: FrozenTrial) -> dict[str, Any]:
    """Return the figures of a trial; its seconds are those of training and validation."""
    history = list(csv.DictReader((folder / str(trial.number) / "history.csv").read_text().splitlines()))
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "val/acc": trial.value,
        "epochs": len(history),
        "seconds": round(sum(float(epoch["seconds"]) for epoch in history), 2),
        "params": trial.params,
    }


def main() -> None:
    """Run, collect, and write the page."""
    arguments, overrides = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[4, 5, 6])
    parser.add_argument("--n-jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    docs = ROOT / "docs" if not published_overrides(overrides) else Path("outputs/docs")
    figures: dict[str, Any] = {}
    for name, given in searches(options.seeds, options.n_jobs).items():
        run("-m", *given, *overrides)
        best = SWEEPS / name / "best"
        if not (best / "metrics.json").exists():
            data = [item for item in overrides if item.startswith("data.dir=")]
            run("--config-dir", str(SWEEPS / name), "experiment=best", f"hydra.run.dir={best}", *data)
        figures[name] = collect(name, [*given, *overrides], best)
        environment = json.loads((best / "environment.json").read_text())
        facts = {key: environment.get(key) for key in HARDWARE}
        facts |= {key: environment["versions"].get(key) for key in ("torch", "pytorch-lightning")}
        write_json(docs / "results" / "searches.json", {"hardware": facts, "searches": figures})
        render(docs, list(SEEDS))


if __name__ == "__main__":
    main()
