"""The trial of the running job: what is left of Optuna's in the process of a job."""

import json
import os
import warnings
from typing import Any

from hydra_study.attempt import Job
from hydra_study.channel import Line

MARK = "HYDRA_STUDY_TRIAL"  # the trial's number, inherited by the processes that the job starts


class Attributes:
    """The attributes of the whole study, as far as a job needs them."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The study's user attributes now; empty if there is no driver."""
        return dict(self._line.ask(ask="study") or {})

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store a value, which JSON must be able to hold, with the study."""
        _tell(self._line, ask="set", of="study", key=key, value=value)


class Trial:
    """The trial of a job.

    Attributes:
        number: Its number, which is also that of the job and of its folder.
        params: The searched settings, by name.
        study: The attributes of the whole study.
    """

    def __init__(self, job: Job, line: Line) -> None:
        self.number, self.params, self.study = job.number, dict(job.params), Attributes(line)
        self.user_attrs: dict[str, Any] = {}
        self._line, self._who = line, {"number": job.number, "attempt": job.attempt}
        self._prune = False

    def report(self, value: float, step: int) -> None:
        """Report the score after a step, from 0; one that was reported before the job was killed is kept.

        Raises:
            TypeError or ValueError: It is not a number, or the step is negative.
            RuntimeError: The search has several objectives, or the driver could not store the score.
        """
        value, step = float(value), int(step)
        if step < 0:
            raise ValueError(f"step={step}: must be 0 or more")
        answer = self._line.ask(ask="report", value=value, step=step, **self._who)
        if answer is None:
            warnings.warn(f"the driver does not answer: the score of step {step} is not reported", stacklevel=2)
        elif answer.get("error"):
            raise RuntimeError(answer["error"])
        self._prune = bool(answer and answer["prune"])

    def should_prune(self) -> bool:
        """Return whether the job should stop now, by raising `optuna.TrialPruned`."""
        return self._prune

    def set_constraint(self, key: str, value: float) -> None:
        """Store a constraint, which is violated if its value is positive."""
        _tell(self._line, ask="constrain", key=key, value=float(value), **self._who)

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store a value, which JSON must be able to hold, with the trial."""
        json.dumps(value)
        self.user_attrs[key] = value
        _tell(self._line, ask="set", of="trial", key=key, value=value, **self._who)


def _tell(line: Line, **message: Any) -> None:
    """Send a message; raise RuntimeError if the driver refuses it."""
    answer = line.ask(**message)
    if answer and answer.get("error"):
        raise RuntimeError(answer["error"])


_running: tuple[int, Trial] | None = None  # the process, and its trial


def set_current_trial(trial: Trial | None) -> None:
    """Set the trial of this process."""
    global _running  # noqa: PLW0603
    _running = None if trial is None else (os.getpid(), trial)
    if trial is None:
        os.environ.pop(MARK, None)
    else:
        os.environ[MARK] = str(trial.number)


def current_trial() -> Trial | None:
    """Return the trial of the running Hydra job; None outside of a search, and in child processes of a job."""
    return _running[1] if _running and _running[0] == os.getpid() else None


def is_trial() -> bool:
    """Return whether this process runs a trial, or was started by one."""
    return MARK in os.environ
