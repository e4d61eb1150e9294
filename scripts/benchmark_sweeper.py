"""Measure the sweeper's overhead per trial against Hydra's own and the official Optuna plugin, with an empty job.

    python scripts/benchmark_sweeper.py [--official PYTHON]     # some minutes; writes docs/benchmark_sweeper.md

PYTHON is the interpreter of an environment with hydra-optuna-sweeper, which cannot be installed beside this one.

Decisions: a sweep is a process of its own, and the slope between a short and a long one is reported, without the start
of the process; the arms take turns within each round; reported is the median of the rounds, with its range.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

from ziffern.training.recorder import processor_name

APP = """
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    return cfg.x


main()
"""
SHORT, LONG = 5, 65
AIM = 0.2  # additional seconds per trial over Hydra's own sweeper
QUEUE = ["hydra/sweeper=optuna", "hydra.sweep.dir=sweep"]
ARMS = {  # arguments added to `app.py -m`, where N is the number of trials
    "Hydra's basic sweeper": ["+x=range(0,N)"],
    "grid, journal": [*QUEUE, "hydra/sweeper/sampler=grid", "+x=range(0,N)"],
    "TPE, journal": [*QUEUE, "hydra.sweeper.n_trials=N", "+x=interval(0,1)"],
    "TPE, sqlite": [
        *(*QUEUE, "hydra.sweeper.n_trials=N", "+x=interval(0,1)"),
        "hydra.sweeper.storage=sqlite:///study.db",
    ],
}
OFFICIAL = {
    "official plugin, TPE, in memory": [
        *("hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.n_trials=N"),
        *("hydra.sweeper.n_jobs=1", "+x=interval(0,1)"),
    ],
}


def seconds(python: str, arguments: list[str], trials: int) -> float:
    """Return how long a sweep takes in an empty folder."""
    arguments = [item.replace("N", str(trials)) for item in arguments]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP)
        began = time.perf_counter()
        subprocess.run([python, "app.py", "-m", *arguments], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - began


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", metavar="PYTHON", help="an interpreter that has hydra-optuna-sweeper")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark_sweeper.md"))
    options = parser.parse_args()
    arms = [(name, sys.executable, more) for name, more in ARMS.items()]
    if options.official:
        arms += [(name, options.official, more) for name, more in OFFICIAL.items()]
    cost: dict[str, list[float]] = {name: [] for name, _, _ in arms}
    for number in range(1, options.rounds + 1):
        for name, python, more in arms:
            short, long = (seconds(python, more, count) for count in (SHORT, LONG))
            cost[name].append((long - short) / (LONG - SHORT))
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    base = cost["Hydra's basic sweeper"]
    lines = [
        "| sweeper | milliseconds per trial (range) | more than Hydra's own (range) | aim |",
        "|---|---:|---:|---|",
    ]
    for name, values in cost.items():
        more_than = [1000 * (own - other) for own, other in zip(values, base, strict=True)]
        own = [1000 * value for value in values]
        extra, aim = "", ""
        if values is not base:
            extra = f"{statistics.median(more_than):.0f} ({min(more_than):.0f} to {max(more_than):.0f})"
            aim = "" if name in OFFICIAL else f"at most {1000 * AIM:.0f}"
        lines.append(f"| {name} | {statistics.median(own):.0f} ({min(own):.0f} to {max(own):.0f}) | {extra} | {aim} |")
    packages = ", ".join(f"{name} {version(name)}" for name in ("hydra-core", "optuna"))
    text = (
        f"# The sweeper's overhead\n\nFor a job that does nothing: the slope between {SHORT} and {LONG} trials. The "
        f"arms take turns; median of {options.rounds} rounds.\n\n"
        + "\n".join(lines)
        + f"\n\n{processor_name()}, {packages}, "
        f"{date.today()}.\n\nCommand: `python scripts/benchmark_sweeper.py --official PYTHON`\n"
    )
    print(text)
    options.out.write_text(text)


if __name__ == "__main__":
    main()
