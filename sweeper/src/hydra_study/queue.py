"""The study as a queue: trials are assigned to processes under one lock.

The holder of the lock sees a consistent study, in which each running trial has an owner. So a trial without an owner,
or with a dead one, is taken over in place, with its number and its parameters, and the total stays exact.
"""

import json
import math
import re
import secrets
import socket
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from hydra_study.errors import SweepError
from hydra_study.identity import difference
from hydra_study.objects import is_grid, make_pruner, make_sampler, options
from hydra_study.space import Space
from hydra_study.storage import Storage
from hydra_study.trial import PatientTrial

LOCK_NAME = re.compile(r"[0-9a-f]{32}\.lock")
AUTO, MAX_FAILURES = "auto", 5
ROUNDING = 1e-9  # 0.29 of 100 is 29
LAST_WAIT = 2  # seconds that a process that is ending waits for the study's lock


class Owner:
    """Shows others that this process is alive: it holds a file lock until it ends, however it ends."""

    def __init__(self, storage: Storage) -> None:
        storage.workers.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(storage.workers / f"{uuid.uuid4().hex}.lock")
        self._lock.acquire()
        self.plain = {"host": socket.gethostname(), "lock": Path(self._lock.lock_file).name}

    def close(self) -> None:
        """Release the lock, and remove its file."""
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)


def is_alive(owner: dict[str, Any], storage: Storage) -> bool | None:
    """Return whether a trial's owner is alive; None if this host cannot find out.

    A local storage is used by one machine, whatever its present name, and the locks lie beside it.
    """
    if "lock" not in owner:
        return False  # it died between taking the trial and recording itself as the owner
    path = _lock_file(owner["lock"], storage)
    if not storage.is_local and (path is None or owner.get("host") != socket.gethostname() or not path.exists()):
        return None
    if path is None or not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    path.unlink(missing_ok=True)
    return False


def _lock_file(name: object, storage: Storage) -> Path | None:
    """Return an owner's lock file in the study's own folder; None if the name is not of the form that `Owner` uses.

    The name comes from the storage, which others may have written to, and the file is opened and removed. Earlier
    versions stored its whole path.
    """
    name = Path(str(name)).name
    path = storage.workers / name
    links = storage.workers.is_symlink() or path.is_symlink()
    return path if LOCK_NAME.fullmatch(name) and not links else None


@dataclass(frozen=True)
class Claim:
    """A trial that this process has to run."""

    trial: optuna.Trial
    overrides: list[str]


class Queue:
    """One study.

    Args:
        storage: Its storage.
        name: Its name.
        space: The search space.
        settings: `hydra.sweeper`, as plain values.
        launched: Failures before this moment may be retried.
        job: The composed job configuration, flat; compared with that of the study if given.

    Raises:
        SweepError: The study has another search space, direction, sampler, pruner or configuration.
    """

    def __init__(
        self,
        storage: Storage,
        name: str,
        space: Space,
        settings: dict[str, Any],
        launched: datetime,
        job: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.space, self.settings, self.launched, self.job = name, space, settings, launched, job
        self.note = ""  # about settings that cannot be compared with the study's
        self.storage = storage
        self.extra: list[str] = []  # overrides added to this process's trials, unless the command sets them
        given = settings["direction"]
        self.directions: list[Any] = list(given) if isinstance(given, list) else [given]
        for direction in self.directions or ["nothing"]:
            if direction not in ("minimize", "maximize"):
                raise SweepError(
                    f"hydra.sweeper.direction={direction}: must be minimize or maximize, or a list of them"
                )
        names = settings["metric_names"]
        count = len(self.directions)
        if names is not None and len([names] if isinstance(names, str) else names) != count:
            raise SweepError(f"hydra.sweeper.metric_names={names}: must be as many as the directions, {count}")
        self.points = space.grid() if is_grid(settings["sampler"]) else None
        self.pruner = make_pruner(settings["pruner"])
        make_sampler(settings["sampler"], 0, 0)
        self._backend = storage.open()
        with self._locked():
            self.study = optuna.create_study(
                study_name=name,
                storage=self._backend,
                directions=list(self.directions),
                pruner=self.pruner,
                load_if_exists=True,
            )
            self._check_same()
        self._study_id = self._backend.get_study_id_from_name(name)

    def _locked(self, max_seconds: int | None = None) -> Any:
        return self.storage.lock(f"study {self.name}", max_seconds)

    def _check_same(self) -> None:
        """Raise SweepError if the study is not the one that the command describes."""
        plan = self.study.user_attrs.get("plan")
        directions = [direction.name.lower() for direction in self.study.directions]
        if plan is None:
            if self.trials() or directions != self.directions:
                raise SweepError(f"study {self.name} belongs to another program: start your own with {self._another()}")
            self._begin()
            return
        if not isinstance(plan, dict) or not _is_seed(self.study.user_attrs.get("seed")):
            raise SweepError(f"study {self.name}: its record is damaged: start another study with {self._another()}")
        fix = f"use the former value, or start another study with {self._another()}"
        if directions != self.directions:
            raise SweepError(f"study {self.name} was begun with direction {directions}, now {self.directions}: {fix}")
        for was, now in (*self._other_space(plan), *self._other_settings(plan)):
            raise SweepError(f"study {self.name} was begun with {was}, now {now}: {fix}")

    def _another(self) -> str:
        """Return the overrides that start another study, with its folder if that does not follow from the name."""
        folder = self.storage.folder
        elsewhere = "" if folder.name == self.name else f" hydra.sweep.dir={folder}-2"
        return f"hydra.sweeper.study_name={self.name}-2{elsewhere}"

    def _begin(self) -> None:
        """Store the description of the search."""
        seed = self.settings["sampler"].get("seed")
        self.study.set_user_attr("seed", secrets.randbits(32) if seed is None else int(seed))
        names = self.settings["metric_names"]
        if names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names([names] if isinstance(names, str) else list(names))
        self.study.set_user_attr("plan", self._space_now() | self._settings_now())

    def _space_now(self) -> dict[str, Any]:
        return self.space.signature(without=self.settings["may_differ"]) | {"grid": self.points is not None}

    def _settings_now(self) -> dict[str, Any]:
        """Return what determines the search besides its space, as flat mappings; a grid has no sampler to compare."""
        sampler = self.settings["sampler"]
        drawn = {} if self.points is not None else options(sampler, "samplers") | {"seed": sampler.get("seed")}
        now = {"sampler": drawn, "pruner": options(self.settings["pruner"], "pruners")}
        return now if self.job is None else now | {"job": self.job}

    def _other_space(self, plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the former and the present search space, part by part, where they differ."""
        for part, now in self._space_now().items():
            was = plan.get(part)
            if was == now:
                continue
            if part == "when":
                yield "other conditions (hydra.sweeper.when)", "these"
            elif part == "grid":
                yield ("a grid", "a search") if was else ("a search", "a grid")
            elif isinstance(was, dict):
                key = next(key for key in [*was, *now] if was.get(key) != now.get(key))
                yield _described(was, key), _described(now, key)
            else:
                yield f"another {part}", "this one"

    def _other_settings(self, plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the setting that differs, before and now; note the parts that an earlier version did not store."""
        missing = []
        for part, now in self._settings_now().items():
            if not isinstance(was := plan.get(part), dict):
                missing.append("job configuration" if part == "job" else part)
                continue
            if (
                part == "sampler"
                and "seed" in was
                and was["seed"] is None
                and now["seed"] == self.study.user_attrs["seed"]
            ):
                now = now | {"seed": None}  # noqa: PLW2901 # the command names the seed that was drawn then
            changed = difference(was, now, "" if part == "job" else f"hydra.sweeper.{part}.")
            if changed:
                yield changed
        if missing:
            self.note = f"started by an earlier version, which did not record the {', '.join(missing)}: not compared"

    @property
    def total(self) -> int:
        """The number of trials of the study, not counting retries."""
        return len(self.points) if self.points is not None else int(self.settings["n_trials"])

    @property
    def max_failures(self) -> int | None:
        """The number of failed trials that stops the sweep; None if there is no limit."""
        share, count = self.settings.get("max_failure_rate"), self.settings["max_failures"]
        if share is None:
            return MAX_FAILURES if count == AUTO else count
        return None if share >= 1 else math.floor(share * self.total + ROUNDING) + 1

    def trials(self) -> list[FrozenTrial]:
        """Return all trials, by number."""
        return self.study.get_trials(deepcopy=False)

    def left(self, trials: list[FrozenTrial]) -> int:
        """Return how many trials have not ended."""
        again = sum("retry_of" in trial.user_attrs for trial in trials)
        ended = sum(trial.state.is_finished() and "double_of" not in trial.user_attrs for trial in trials)
        return max(0, self.total + again - ended)

    def failures(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return the failed trials that count against `max_failures`."""
        again = {trial.user_attrs.get("retry_of") for trial in trials}
        failed = [t for t in trials if t.state == TrialState.FAIL and "double_of" not in t.user_attrs]
        return [trial for trial in failed if trial.number not in again and not self._to_retry(trial)]

    def stopped(self, trials: list[FrozenTrial]) -> str:
        """Return why the sweep must stop, or an empty string."""
        failed, maximum = self.failures(trials), self.max_failures
        if maximum is None or len(failed) < maximum:
            return ""
        last, count = failed[-1], "1 trial" if len(failed) == 1 else f"{len(failed)} trials"
        share = self.settings.get("max_failure_rate")
        limit = f"max_failures={maximum}" if share is None else f"max_failure_rate={share}"
        return (
            f"study {self.name}: {count} failed ({limit}); the last, {last.number}: "
            f"{last.user_attrs.get('error', 'unknown')}: fix the cause, and add hydra.sweeper.retry_failed=true"
        )

    def _to_retry(self, trial: FrozenTrial) -> bool:
        ended = trial.datetime_complete
        return bool(self.settings["retry_failed"]) and ended is not None and ended < self.launched

    def claim(self, owner: Owner) -> Claim | bool:
        """Take a trial to run; return True if only others run trials, which may come back, and False at the end."""
        with self._locked() as check:
            self._take_back(
                owner
            )  # who claims runs no trial: those it owns remain from a claim in which the storage failed
            self._drop_doubles(self.trials())
            trials = self.trials()
            if self.stopped(trials):
                return False
            waiting = [trial for trial in trials if trial.state == TrialState.WAITING]
            check()
            if not waiting:
                if not self._enqueue_next(trials):
                    return any(trial.state == TrialState.RUNNING for trial in trials)
                waiting = [trial for trial in self.trials() if trial.state == TrialState.WAITING]
                check()
            return self._take(waiting[0].number, owner)

    def _enqueue_next(self, trials: list[FrozenTrial]) -> bool:
        """Enqueue a retry, a point of the grid, or a trial without parameters; return False if none is left."""
        again = {trial.user_attrs.get("retry_of") for trial in trials}
        for trial in trials:
            is_double = "double_of" in trial.user_attrs
            if trial.state == TrialState.FAIL and self._to_retry(trial) and trial.number not in again and not is_double:
                self.study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})
                return True
        first = [trial for trial in trials if not {"retry_of", "double_of"} & trial.user_attrs.keys()]
        if self.points is None:
            if len(first) >= self.total:
                return False
            self.study.enqueue_trial({})
            return True
        existing = set(map(_point, first))
        # Points are enqueued in order, so the next one is nearly always the first that is checked.
        for point in (*self.points[len(first) :], *self.points[: len(first)]):
            if json.dumps(point, sort_keys=True) not in existing:
                self.study.enqueue_trial(point)
                return True
        return False

    def _drop_doubles(self, trials: list[FrozenTrial]) -> None:
        """Fail waiting duplicates of grid points: a lost lock may have let another process add one."""
        if self.points is None or not any(trial.state == TrialState.WAITING for trial in trials):
            return
        seen: dict[str, int] = {}
        for trial in trials:
            if "retry_of" in trial.user_attrs:
                continue
            twin = seen.setdefault(_point(trial), trial.number)
            if twin != trial.number and trial.state == TrialState.WAITING:
                self._set(trial.number, "double_of", twin)
                self._set(trial.number, "error", f"the same point as trial {twin}")
                self._backend.set_trial_state_values(self._id(trial.number), TrialState.FAIL)

    def _take(self, number: int, owner: Owner) -> Claim:
        """Start the trial, record its owner, and draw its parameters, under the lock so that others see them."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                warnings.filterwarnings("ignore", "Clip non-finite values")  # of the GP sampler; a job may return inf
                warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with Study.optimize")
                self.study.sampler = make_sampler(self.settings["sampler"], self.study.user_attrs["seed"], number)
                trial = self.study.ask()
                self.beat(trial.number)
                attempt = owner_of(trial).get("attempt", 0) + 1
                trial.set_user_attr("owner", {**owner.plain, "attempt": attempt})
                overrides = self.space.overrides(lambda parameter: parameter.suggest(trial))
        except (TypeError, ValueError) as error:  # settings that Optuna rejects only when it uses them
            raise SweepError(f"study {self.name}: {error}") from error
        keys = {line.partition("=")[0].lstrip("+") for line in overrides}
        overrides += [line for line in self.extra if line.partition("=")[0] not in keys]
        trial.set_user_attr("overrides", overrides)
        return Claim(PatientTrial(trial, self.settings["patience"]), overrides)

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        alive = is_alive(owner_of(trial), self.storage)
        if alive is not None:
            return not alive
        stale = getattr(self._backend, "_get_stale_trial_ids", None)  # of databases; Optuna has no public name for it
        return stale is not None and self._id(trial.number) in stale(self._study_id)

    def _give_up_or_requeue(self, trial: FrozenTrial, is_death: bool) -> None:
        attempt = owner_of(trial).get("attempt", 0)
        if is_death and attempt >= self.settings["max_attempts"]:
            self._set(trial.number, "error", f"its process died {self.settings['max_attempts']} times")
            self._backend.set_trial_state_values(self._id(trial.number), TrialState.FAIL)
        else:
            self._set(trial.number, "owner", {"attempt": attempt if is_death else attempt - 1})
            self._backend.set_trial_state_values(self._id(trial.number), TrialState.WAITING)

    def release(self, owner: Owner) -> None:
        """Put this process's unfinished trials back into the queue.

        Raises:
            OSError or SQLAlchemyError: Others hold the study's lock for longer than LAST_WAIT.
        """
        with self._locked(LAST_WAIT):
            self._take_back(owner)

    def _take_back(self, owner: Owner) -> None:
        """Put running trials of this owner, of dead owners and of none back into the queue; the lock must be held."""
        for trial in self.trials():
            if trial.state == TrialState.RUNNING:
                is_own = owner_of(trial).get("lock") == owner.plain["lock"]
                if is_own or self._is_abandoned(trial):
                    self._give_up_or_requeue(trial, is_death=not is_own)

    def beat(self, number: int) -> None:
        """Record a heartbeat of the trial's worker, if the storage supports heartbeats."""
        record = getattr(self._backend, "record_heartbeat", None)
        if record is not None:
            record(self._id(number))

    @property
    def beat_interval(self) -> float | None:
        """Seconds between heartbeats; None if the storage does not support them."""
        interval = getattr(self._backend, "get_heartbeat_interval", lambda: None)()
        return None if interval is None else float(interval)

    def tell(self, claim: Claim, values: list[float] | None, state: TrialState, error: str = "") -> None:
        """Record how a trial ended."""
        if error:
            self._set(claim.trial.number, "error", error)
        self.study.tell(claim.trial, values, state=state, skip_if_finished=True)

    def _id(self, number: int) -> int:
        return self._backend.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _set(self, number: int, key: str, value: Any) -> None:
        self._backend.set_trial_user_attr(self._id(number), key, value)


def _point(trial: FrozenTrial) -> str:
    """Return the point of the grid that a trial stands for, whether it has started or not."""
    return json.dumps(trial.system_attrs.get("fixed_params", trial.params), sort_keys=True)


def owner_of(trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
    """Return the owner of a trial and its number of attempts; without an owner, at most that number."""
    owner = trial.user_attrs.get("owner")
    if not isinstance(owner, dict):
        return {}
    attempt = owner.get("attempt", 0)
    return owner | {"attempt": attempt if isinstance(attempt, int) else 0}


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _described(part: dict[str, Any], key: str) -> str:
    value = part.get(key)
    if value is None:
        return f"no {key}"
    if isinstance(value, dict) and {"name", "attributes"} <= value.keys():
        return f"{key}: {value['name']} {value['attributes']}"
    return value if isinstance(value, str) else f"{key}: {value}"
