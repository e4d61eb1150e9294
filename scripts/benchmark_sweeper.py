"""Measure the sweeper: trials per second, the study's side of a trial, and the resume of a long study.

    python scripts/benchmark_sweeper.py [--official PYTHON] [--former PYTHON]     # writes docs/benchmark_sweeper.md

PYTHON is the interpreter of an environment with hydra-optuna-sweeper, which cannot be installed beside this one, or
with a former version of this sweeper.

Decisions: a sweep is a process of its own, and the slope between a short and a long one is reported, without the start
of the process; the arms take turns within each round; reported is the median of the rounds, with its range. The
study's side is measured in this process, with an engine that ends each job at once.
"""

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ziffern.training.recorder import processor_name

APP = """
import hydra


@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    return cfg.x


main()
"""
SHORT, LONG = 20, 100
NINE = 9  # jobs of a plain multirun
OWN = ["hydra/sweeper=optuna", "hydra.sweep.dir=sweep"]
SAMPLERS = {"grid": "+x=range(0,N)", "tpe": "+x=interval(0,1)", "random": "+x=interval(0,1)"}
BASIC = "Hydra's basic sweeper"
ARMS = {  # arguments added to `app.py -m`, where N is the number of trials
    BASIC: ["+x=range(0,N)"],
    **{
        f"{sampler}, workers: {workers}": [
            *(*OWN, f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.n_trials=N", f"hydra.sweeper.n_jobs={workers}"),
            space,
        ]
        for workers in (1, 2, 8)
        for sampler, space in SAMPLERS.items()
    },
}
OFFICIAL = {
    "official plugin, TPE, in memory": [
        *("hydra/sweeper=optuna", "hydra.sweep.dir=sweep", "hydra.sweeper.n_trials=N"),
        *("hydra.sweeper.n_jobs=1", "+x=interval(0,1)"),
    ],
}
MULTIRUN = {BASIC: ["+x=range(0,N)"], "multirun": ["hydra/sweeper=multirun", "hydra.sweep.dir=sweep", "+x=range(0,N)"]}
STUDY = 10_000  # trials
WINDOW = 500  # trials, the first and the last of the study


def seconds(python: str, arguments: list[str], trials: int) -> float:
    """Return how long a sweep takes in an empty folder."""
    arguments = [item.replace("N", str(trials)) for item in arguments]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "app.py").write_text(APP)
        began = time.perf_counter()
        subprocess.run([python, "app.py", "-m", *arguments], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - began


class Instant:
    """An engine that runs nothing: each job returns its number at once."""

    slots = 2
    threads: int | None = None

    def __init__(self) -> None:
        self.times: list[float] = []

    def submit(self, job: Any) -> "Future[Any]":
        """End a job."""
        from hydra_study.engines import Outcome

        self.times.append(time.perf_counter())
        future: Future[Any] = Future()
        future.set_result(Outcome(job.number, job.attempt, "returned", float(job.number), seconds=0.1))
        return future

    def place(self, future: "Future[Any]") -> str:
        """Return the only place."""
        return "0"

    def attach(self, job: Any) -> None:
        """Return None."""

    cancel: Callable[..., None] = attach

    def close(self) -> None:
        """Do nothing."""


def measure_study(trials: int) -> tuple[float, float, float]:
    """Return milliseconds per trial of the first and of the last WINDOW trials, and the seconds of a resume."""
    import optuna
    from hydra import initialize
    from hydra.core.global_hydra import GlobalHydra

    from hydra_study import conf
    from hydra_study.driver import Driver
    from hydra_study.progress import Progress
    from hydra_study.report import SearchReport
    from hydra_study.space import parse_space
    from hydra_study.study import Study

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with initialize(version_base="1.3", config_path=None):
        loader = GlobalHydra.instance().config_loader()
        space = parse_space(
            {}, {}, ["x=interval(0,1)", "y=interval(0,1)", "z=choice(1,2,3)"], loader, lambda name: None
        )
    settings = {field.name: getattr(conf.StudyConf, field.name, None) for field in fields(conf.StudyConf)}
    settings |= {"sampler": conf.SAMPLERS["random"], "pruner": conf.PRUNERS["none"], "may_differ": []}
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder, engine = Path(name), Instant()

        def opened(count: int) -> Study:
            study = Study(folder, "study", space, settings | {"n_trials": count}, datetime.now())
            study.open()
            return study

        study, progress = opened(trials), Progress(folder)
        study.on_end = SearchReport(study, progress).ended
        Driver(study, engine, progress, folder, 10, None, None).run()
        began = time.perf_counter()
        again = opened(trials + 1)
        again.unfinished()
        again.take()
        resume = time.perf_counter() - began
    times, ms = engine.times, 1000 / (WINDOW - 1)
    return (times[WINDOW - 1] - times[0]) * ms, (times[-1] - times[-WINDOW]) * ms, resume


def shown(values: list[float], form: str) -> str:
    """Return the median of several values and their range."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", metavar="PYTHON", help="an interpreter that has hydra-optuna-sweeper")
    parser.add_argument("--former", metavar="PYTHON", help="an interpreter that has a former version of this sweeper")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--study", type=int, default=STUDY, help="trials of the long study; 0 leaves it out")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the names of the arms to run")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmark_sweeper.md"))
    options = parser.parse_args()
    arms = [(name, sys.executable, more) for name, more in ARMS.items()]
    if options.official:
        arms += [(name, options.official, more) for name, more in OFFICIAL.items()]
    if options.former:
        arms += [(f"former: {name}", options.former, more) for name, more in ARMS.items() if name != BASIC]
    arms = [arm for arm in arms if any(part in arm[0] for part in options.only)]
    rates: dict[str, list[float]] = {name: [] for name, _, _ in arms}
    nine: dict[str, list[float]] = {name: [] for name in MULTIRUN}
    for number in range(1, options.rounds + 1):
        for name, python, more in arms:
            short, long = (seconds(python, more, count) for count in (SHORT, LONG))
            rates[name].append((LONG - SHORT) / (long - short))
        for name, more in MULTIRUN.items():
            nine[name].append(seconds(sys.executable, more, NINE))
        print(f"round {number} of {options.rounds}", file=sys.stderr)
    lines = ["| sweeper | trials per second (range) |", "|---|---:|"]
    lines += [f"| {name} | {shown(values, '.1f')} |" for name, values in rates.items()]
    lines += ["", f"| {NINE} empty jobs of a plain multirun | seconds from start to end (range) |", "|---|---:|"]
    lines += [f"| {name} | {shown(values, '.1f')} |" for name, values in nine.items()]
    if options.study:
        first, last, resume = measure_study(options.study)
        lines += [
            "",
            f"The study's side of a trial, with the random sampler and no real jobs: {first:.1f} ms for the first "
            f"{WINDOW} trials, {last:.1f} ms for the last {WINDOW} of {options.study:,}; the resume of that study: "
            f"{resume:.1f} s.",
        ]
    packages = ", ".join(f"{name} {version(name)}" for name in ("hydra-core", "optuna", "loky"))
    text = (
        f"# The sweeper's overhead\n\nFor a job that does nothing: the slope between {SHORT} and {LONG} trials. The "
        f"arms take turns; median of {options.rounds} rounds.\n\n"
        + "\n".join(lines)
        + f"\n\n{processor_name()}, {len(os.sched_getaffinity(0))} cores, {packages}, "
        f"{date.today()}.\n\nCommand: `python scripts/benchmark_sweeper.py`\n"
    )
    print(text)
    options.out.write_text(text)


if __name__ == "__main__":
    main()
