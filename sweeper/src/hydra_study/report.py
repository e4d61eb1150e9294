"""The lines that a search and a multirun print: their plan, each job that ends, and the result."""

import shutil

from optuna.trial import TrialState

from hydra_study.errors import printable
from hydra_study.progress import Progress, clock, hint, numbers, shown
from hydra_study.study import Study

STATES = {TrialState.FAIL: "failed"}  # in words; others by their names


class SearchReport:
    """Prints the progress of a study, and removes what is large from all but its best trials."""

    def __init__(self, study: Study, progress: Progress) -> None:
        self._study, self._progress, self._is_about_shown = study, progress, False
        given = study.metric_names
        count = len(study.directions)
        names = given or (["the score"] if count == 1 else [f"score {k + 1}" for k in range(count)])
        self._names = [printable(name) for name in names]
        self._discarded: set[int] = set()

    def start(self) -> None:
        """Print the plan of the search, and its folder."""
        study, line = self._study, self._progress.print
        names = ", ".join(dict.fromkeys(parameter.name for parameter in study.space.parameters()))
        kind = "the grid of" if study.points is not None else "a search of"
        done = study.goal - study.left
        went = f", {done} of them done before" if done else ""
        count = "1 trial" if study.goal == 1 else f"{study.goal} trials"
        goal = " and ".join(f"{d} {name}" for d, name in zip(study.directions, self._names, strict=True))
        line(f"study {study.name}: {count}{went}; {kind} {names or 'repeated runs of the same settings'} to {goal}")
        if study.note:
            line(f"  {study.note}")
        line(f"  in {study.folder}; the output of a trial is in logs/NUMBER.log there")
        self._about()

    def nothing_left(self) -> None:
        """Print that no trial is left to run."""
        finished = max((t.datetime_complete for t in self._study.trials() if t.datetime_complete), default=None)
        when = f", the last on {finished:%Y-%m-%d %H:%M}" if finished else ""
        self._progress.print(
            f"  nothing left to run: all trials were done before{when}; to start over, add {self._study.another()}"
        )

    def ended(self, number: int) -> None:
        """Print how one trial ended, and the progress of the study."""
        study = self._study
        trial = study.trial(number)
        self._about()
        seconds = float(trial.user_attrs.get("seconds", 0.0))
        how = "failed"
        if trial.state == TrialState.COMPLETE:
            how = numbers(trial.values, self._names)
        elif trial.state == TrialState.PRUNED:
            how = "pruned" if trial.last_step is None else f"pruned at {trial.last_step}"
        parts = [f"trial {number:3d}", f"{how:<12}", f"{clock(seconds):>6}", self._best(), shown(trial.params)]
        if trial.state != TrialState.COMPLETE and trial.user_attrs.get("error"):
            parts.append(f"({printable(trial.user_attrs['error'])}: logs/{number}.log)")
        self._progress.job(parts, seconds, study.left, study.goal)
        self._discard(number)

    def _best(self) -> str:
        best = self._study.ranked
        if not best:
            return ""
        if len(self._study.directions) > 1:
            return f"front of {len(best)}"
        number = best[0][-1]
        return f"best {numbers(self._study.trial(number).values, self._names)} ({number})"

    def _about(self) -> None:
        """Print what the application stored about the study, if anything, once."""
        about = self._study.study.user_attrs.get("about")
        if about and not self._is_about_shown:
            self._progress.print(f"  {printable(about)}")
            self._is_about_shown = True

    def _discard(self, number: int) -> None:
        """Remove `discard` from the trials that have ended and are not among the best."""
        study, keep = self._study, self._study.settings["keep_best"]
        if keep is None:
            return
        worse = study.best[keep : keep + 1 if self._discarded else None]  # at first also those of earlier launches
        for other in {number, *worse} - set(study.best[:keep]) - self._discarded:
            self._discarded.add(other)
            place = str(study.trial(other).user_attrs.get("folder", other))
            path = study.folder / place / study.settings["discard"]
            # The job ran elsewhere, or another program has changed the folder's name in the study.
            if not path.parent.resolve().is_relative_to(study.folder.resolve()):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def result(self, exported: dict[int, str]) -> None:
        """Print the result, its cost, and the command that uses it."""
        study, line = self._study, self._progress.print
        endings = [f"{count} {STATES.get(state, state.name.lower())}" for state, count in study.counts().items()]
        line(f"\nstudy {study.name}: {', '.join(endings)}; {clock(study.seconds)} of compute time")
        for number, command in exported.items():
            trial = study.trial(number)
            line(f"trial {number}: {numbers(trial.values, self._names)}  {shown(trial.params, full=True)}\n  {command}")
        if more := hint(study.settings["hint"], study.folder):
            line(more)
        if not exported:
            line("no trial was completed, so there is no best trial")
