"""Progress in the terminal: one line per finished trial."""

import math
import os
import shlex
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from optuna.trial import FrozenTrial, TrialState

from hydra_study.errors import printable
from hydra_study.queue import Queue

LARGE, HUGE = 1e3, 1e15  # whole numbers in this range are written with thousands separators
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def best_first(queue: Queue, trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Return the completed trials, the best first; with several directions the Pareto front comes first.

    Trials with an infinite score come last, whatever the direction.
    """
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    signs = [1 if direction == "minimize" else -1 for direction in queue.directions]

    def losses(trial: FrozenTrial) -> tuple[float, ...]:
        return tuple(sign * value for sign, value in zip(signs, trial.values, strict=True))

    def is_infinite(trial: FrozenTrial) -> bool:
        return any(math.isinf(value) for value in trial.values)

    if len(signs) == 1:
        return sorted(done, key=lambda trial: (is_infinite(trial), losses(trial), trial.number))

    front = {trial.number for trial in queue.study.best_trials}
    return sorted(done, key=lambda trial: (trial.number not in front, is_infinite(trial), losses(trial)))


class Progress:
    """Prints the progress of a sweep.

    Args:
        queue: The study.
        folder: The sweep folder.
    """

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.queue, self.folder = queue, folder
        self._is_shown = False
        self.is_watched = False
        self._out: TextIO | None = None  # print's own

    def watch(self) -> None:
        """Show running trials, too, if this is a terminal; the output of the jobs is redirected meanwhile."""
        if sys.stdout.isatty():
            self.is_watched = True
            self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def print(self, line: str) -> None:
        """Print a line."""
        self.clear()
        print("\n".join(map(printable, line.split("\n"))), file=self._out, flush=True)

    def running(self, number: int, seconds: float, params: dict[str, Any]) -> None:
        """Show on a terminal that a trial is running; the next line replaces this one."""
        if not self.is_watched:
            return
        text = printable(f"trial {number:3d}  running for {_clock(seconds)}  {shown(params)}")
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:<{width}}", end="", file=self._out, flush=True)
        self._is_shown = True

    def clear(self) -> None:
        """Erase the line that `running` has printed."""
        if self._is_shown:
            print(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r", end="", file=self._out, flush=True)
            self._is_shown = False

    def start(self) -> None:
        """Print the plan of the sweep, and its folder."""
        trials = self.queue.trials()
        ended = sum(trial.state in ENDED for trial in trials)
        names = ", ".join(dict.fromkeys(parameter.name for parameter in self.queue.space.parameters()))
        kind = "the grid of" if self.queue.points is not None else "a search of"
        went = f", {min(ended, self.queue.total)} of them done before" if ended else ""
        count = "1 trial" if self.queue.total == 1 else f"{self.queue.total} trials"
        goal = " and ".join(f"{d} {name}" for d, name in zip(self.queue.directions, self._names(), strict=True))
        self.print(f"study {self.queue.name}: {count}{went}; {kind} {names} to {goal}")
        self._print_about()
        if self.queue.note:
            self.print(f"  {self.queue.note}")
        self.print(f"  in {self.folder}; the output of a trial is in logs/NUMBER.log there")

    def finished(self, trials: list[FrozenTrial], number: int) -> None:
        """Print how one trial ended, and the progress of the study."""
        self.clear()
        if sum(trial.state in ENDED for trial in trials) == 1:
            self._print_about()
        trial = trials[number]
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        how = "failed"
        if trial.state == TrialState.COMPLETE:
            how = self._scores(trial.values)
        elif trial.state == TrialState.PRUNED:
            how = "pruned" if trial.last_step is None else f"pruned at {trial.last_step}"
        parts = [f"trial {number:3d}", f"{how:<12}", f"{_clock(seconds):>6}", self._best(trials), shown(trial.params)]
        if trial.state != TrialState.COMPLETE and trial.user_attrs.get("error"):
            parts.append(f"({printable(trial.user_attrs['error'])}: logs/{number}.log)")
        parts.append(self._left(trials))
        self.print("  ".join(part for part in parts if part))

    def _print_about(self) -> None:
        """Print what the application stored about the study, if anything."""
        if about := self.queue.study.user_attrs.get("about"):
            self.print(f"  {printable(about)}")

    def end(self, trials: list[FrozenTrial], exported: dict[int, str]) -> None:
        """Print the result, its cost, and the command that uses it."""
        counts = {state: sum(trial.state == state for trial in trials) for state in TrialState}
        duration = sum((trial.duration for trial in trials if trial.duration), timedelta())
        endings = [f"{count} {state.name.lower()}" for state, count in counts.items() if count]
        self.print(
            f"\nstudy {self.queue.name}: {', '.join(endings)}; {_clock(duration.total_seconds())} of computing time"
        )
        for number, command in exported.items():
            trial = trials[number]
            self.print(f"trial {number}: {self._scores(trial.values)}  {shown(trial.params, full=True)}\n  {command}")
        hint = self.queue.settings["hint"]
        if hint:
            self.print(f"  {hint.replace('{folder}', shlex.quote(str(self.folder)))}")
        if not exported:
            self.print("no trial was completed, so there is no best trial")

    def _best(self, trials: list[FrozenTrial]) -> str:
        best = best_first(self.queue, trials)
        if not best:
            return ""
        if len(self.queue.directions) > 1:
            return f"front of {len(self.queue.study.best_trials)}"
        return f"best {self._scores(best[0].values)} ({best[0].number})"

    def _names(self) -> list[str]:
        """Return the names of the scores."""
        count = len(self.queue.directions)
        names = self.queue.study.metric_names or (
            ["the score"] if count == 1 else [f"score {k + 1}" for k in range(count)]
        )
        return [printable(name) for name in names]

    def _scores(self, values: list[float]) -> str:
        texts = [f"{v:,.0f}" if v.is_integer() and LARGE <= abs(v) < HUGE else f"{v:.5g}" for v in values]
        if len(texts) == 1:
            return texts[0]
        return "  ".join(f"{name} {text}" for name, text in zip(self._names(), texts, strict=True))

    def _left(self, trials: list[FrozenTrial]) -> str:
        ended = [trial for trial in trials if trial.state in ENDED]
        total = self.queue.total + sum("retry_of" in trial.user_attrs for trial in trials)
        if len(ended) >= total:
            return f"{len(ended)}/{total}"
        seconds = [trial.duration.total_seconds() for trial in ended if trial.duration]
        running = 1 + sum(trial.state == TrialState.RUNNING for trial in trials)
        left = (total - len(ended)) * sum(seconds) / len(seconds) / running
        return f"{len(ended)}/{total}, about {_clock(left)} left"


def shown(params: dict[str, Any], full: bool = False) -> str:
    """Return parameters as name=value, without the path of each name unless `full`."""
    text = " ".join(
        f"{name if full else name.rpartition('.')[2]}={f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in params.items()
    )
    return printable(text)


def _clock(seconds: float) -> str:
    """Return 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
