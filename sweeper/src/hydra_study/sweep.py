"""One launch of a sweep: this process is the worker, or the supervisor of several that run the same command.

Trials are assigned through the study, so no process needs to know of another.
"""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from difflib import get_close_matches
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial, TrialState
from yaml import AliasEvent, YAMLError

from hydra_study.conf import StudyConf
from hydra_study.errors import SweepError
from hydra_study.export import export
from hydra_study.identity import is_excepted, job_settings
from hydra_study.job import finished_study_checks
from hydra_study.objects import ignored_options
from hydra_study.progress import Progress
from hydra_study.queue import AUTO, Queue
from hydra_study.signals import interruptible, received, undisturbed
from hydra_study.space import Space, parse_space
from hydra_study.storage import Storage, patiently
from hydra_study.worker import Worker

WORKER = "HYDRA_OPTUNA_QUEUE_WORKER"  # for the supervisor's processes: when it was launched, and their pipe to it
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CONFIG = "multirun.yaml"
MAX_CONFIG = 2**20  # bytes
ANOTHER_FOLDER = "name another folder by hydra.sweep.dir, or remove this one"
DONE, MORE, FAILED = b"d", b"m", b"f"  # a worker's final status; MORE: it ran only one trial, and there may be others
MAX_CRASHES = 50  # workers that died and were replaced, before the supervisor gives up
MINIMUMS = {
    "n_trials": 1,
    "n_jobs": 1,
    "max_failures": 1,
    "max_attempts": 1,
    "grace_period": 1,
    "keep_best": 0,
}
SWITCHES = ("isolate", "retry_failed", "show_output")
MAY_BE_NULL = ("max_failures", "keep_best")


def sweep(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    settings: dict[str, Any],
    arguments: list[str],
) -> None:
    """Run a study to its end, alone or together with other processes.

    Raises:
        SweepError: A setting is wrong, too many trials failed, or the storage stayed out of reach.
    """
    launched, _, pipe = os.environ.pop(WORKER, "").partition(" ")  # not inherited by processes that the jobs start
    if pipe:
        os.set_inheritable(int(pipe), False)
    status = FAILED
    try:
        with interruptible():
            more = _sweep(hydra_context, task_function, config, settings, arguments, launched)
        status = MORE if more else DONE
    except KeyboardInterrupt:
        if not launched:
            print("stopped: the same command continues from here", flush=True)
        sys.exit(128 + (received or [signal.SIGINT])[-1])
    except OSError as error:
        raise SweepError(f"{error}: fix this; the same command continues from here") from error
    finally:
        if pipe:
            with suppress(OSError):  # the supervisor is gone
                os.write(int(pipe), status)


def _sweep(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    settings: dict[str, Any],
    arguments: list[str],
    launched: str,
) -> bool:
    """Implement `sweep`; return whether this is an isolated worker that has run its trial."""
    for name in ("optuna", "sqlalchemy"):  # the line of the error has all that matters
        logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = {key: _plain(value) for key, value in settings.items()}
    _check(settings)
    loader = hydra_context.config_loader

    def configured(name: str) -> Any:
        chosen = config.hydra.runtime.choices.get(name)
        return OmegaConf.select(config, name) if chosen is None else chosen

    space = parse_space(settings["params"] or {}, settings["when"] or {}, arguments, loader, configured)
    name = settings["study_name"] or _name(str(config.hydra.job.name), space, settings["may_differ"])
    folder = _settle(config, name)
    storage = Storage(settings["storage"], folder, settings["grace_period"])
    started = datetime.fromisoformat(launched) if launched else datetime.now()
    if not launched:
        _check_folder(folder, config)
        _check_links(folder, storage, settings)
    examples = [loader.load_sweep_config(config, overrides) for overrides in space.examples()]
    job = _job(examples, space, settings["may_differ"])  # a job that cannot be composed must not begin a study
    queue = patiently(
        lambda: Queue(storage, name, space, settings, started, job), settings["patience"] if launched else 0
    )
    progress = Progress(queue, folder)

    def work(supervisor: int | None = None) -> bool:
        """Run trials in this process; return whether it is an isolated one that has run its trial."""
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        return Worker(queue, launcher, folder, settings, progress, arguments).work(supervisor)

    if launched:
        queue.extra = _threads_override(settings)
        return work(supervisor=os.getppid())
    if not queue.trials() and any(path.name.isdigit() for path in folder.glob("[0-9]*")):
        raise SweepError(f"{folder} holds the trials of a study that no longer exists: {ANOTHER_FOLDER}")
    if not queue.left(queue.trials()):  # no trial will run the application's own comparison
        for check in finished_study_checks:
            check(queue.study, examples[0])
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / CONFIG)
    _raise_if_stopped(queue, queue.trials())
    progress.start()
    for kind in ("sampler", "pruner"):
        if names := ignored_options(settings[kind], f"{kind}s"):
            progress.print(f"  the {kind} has no option {', '.join(names)}: ignored")
    if settings["n_jobs"] > 1 or settings["isolate"]:
        _supervise(settings, started)
    else:
        progress.watch()
        work()
    trials = patiently(queue.trials, settings["patience"])
    progress.end(trials, export(queue, trials, folder, settings, loader, config.hydra.runtime.choices))
    _raise_unless_done(queue, trials)
    return False


def _job(examples: Sequence[DictConfig], space: Space, may_differ: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the jobs that belong to the study's identity."""
    searched = {parameter.name for parameter in space.parameters()}
    return job_settings(examples, lambda name: name in searched or is_excepted(name, may_differ))


def _check_folder(folder: Path, config: DictConfig) -> None:
    """Raise SweepError if the sweep folder holds the trials of another study."""
    if not (folder / CONFIG).is_file():
        return
    try:
        was, now = (_raw(source) for source in (_load(folder / CONFIG), config))
    except (YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise SweepError(
            f"{folder / CONFIG}: cannot be read, perhaps because it was edited: {ANOTHER_FOLDER}"
        ) from error
    for key in ("study_name", "storage"):
        if was.get(key, now[key]) != now[key]:
            difference = f"hydra.sweeper.{key}={was[key] or 'null'}, now it is {now[key] or 'null'}"
            raise SweepError(
                f"{folder} belongs to the study with {difference}: continue that study, or {ANOTHER_FOLDER}"
            )


def _load(path: Path) -> Any:
    """Return a YAML file; raise ValueError or YAMLError if it is too large, or if aliases could multiply it."""
    if path.stat().st_size > MAX_CONFIG:
        raise ValueError(f"more than {MAX_CONFIG:,} bytes")
    text = path.read_text(encoding="utf-8")
    if any(isinstance(event, AliasEvent) for event in yaml.parse(text)):  # Hydra writes none
        raise YAMLError("an alias")
    return OmegaConf.load(StringIO(text))


def _check_links(folder: Path, storage: Storage, settings: dict[str, Any]) -> None:
    """Raise SweepError if the sweep or Hydra would write to a link or a pipe: the folder may come from anyone.

    Other files in the trials' folders belong to the job.
    """
    export_folder = folder / PurePosixPath(settings["export"]).parent
    trials = [path / ".hydra" for path in folder.glob("[0-9]*")]
    places = (folder, folder / "logs", export_folder, *trials)
    inside = [path for place in places if place.is_dir() for path in place.iterdir()]
    for path in (*trials, *inside, storage.lock_file, storage.workers):
        if path.is_symlink():
            raise SweepError(f"{path}: a symbolic link, and a sweep does not write through one: remove it")
        if path.exists() and not path.is_file() and not path.is_dir():
            raise SweepError(f"{path}: neither a file nor a folder, in a folder that a sweep writes to: remove it")


def _raw(config: Any) -> dict[Any, Any]:
    """Return the sweeper's settings unresolved: with `${oc.env:NAME}` and not with a password."""
    node = OmegaConf.select(config, "hydra.sweeper", throw_on_missing=False)
    raw = OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else {}
    return raw if isinstance(raw, dict) else {}


def _raise_if_stopped(queue: Queue, trials: list[FrozenTrial]) -> None:
    if reason := queue.stopped(trials):
        raise SweepError(reason)


def _raise_unless_done(queue: Queue, trials: list[FrozenTrial]) -> None:
    """Raise SweepError if the study is unfinished, or if all its trials failed."""
    _raise_if_stopped(queue, trials)
    ended = [trial for trial in trials if trial.state.is_finished()]
    if ended and all(trial.state == TrialState.FAIL for trial in ended):
        error = ended[-1].user_attrs.get("error", "unknown")
        raise SweepError(f"study {queue.name}: every trial failed; the last: {error}")
    if left := queue.left(trials):
        raise SweepError(f"study {queue.name}: trials left: {left}; the same command continues from here")


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _check(settings: dict[str, Any]) -> None:
    known = {field.name for field in fields(StudyConf)} - {"defaults", "_target_", "_recursive_"}
    for key in settings:
        if key not in known:
            meant = "".join(f": did you mean {near}?" for near in get_close_matches(key, known, 1))
            raise SweepError(f"hydra.sweeper.{key}: no such setting{meant}")
    for key in SWITCHES:
        if not isinstance(settings[key], bool):
            raise SweepError(f"hydra.sweeper.{key}={settings[key]}: must be true or false")
    for key, minimum in MINIMUMS.items():
        value = settings[key]
        if key == "max_failures" and value == AUTO:
            continue
        if not (value is None and key in MAY_BE_NULL) and (type(value) is not int or value < minimum):
            null = ", or null" if key in MAY_BE_NULL else ""
            raise SweepError(f"hydra.sweeper.{key}={value}: must be a whole number of at least {minimum}{null}")
    if settings["max_failure_rate"] is not None and settings["max_failures"] != AUTO:
        raise SweepError(
            f"hydra.sweeper.max_failures={settings['max_failures']} beside "
            f"max_failure_rate={settings['max_failure_rate']}: use one of the two"
        )
    if not 0 <= (settings["max_failure_rate"] or 0) <= 1:
        raise SweepError(f"hydra.sweeper.max_failure_rate={settings['max_failure_rate']}: must be from 0 to 1")
    for key in ("discard", "export"):
        path = PurePosixPath(str(settings[key]))
        if path.is_absolute() or ".." in path.parts or len(path.parts) < (2 if key == "export" else 1):
            form = "GROUP/NAME" if key == "export" else "a name"
            raise SweepError(f"hydra.sweeper.{key}={settings[key]}: must be {form} below the folder, without ..")


def _name(job: str, space: Space, may_differ: Sequence[str]) -> str:
    signature = space.signature(without=may_differ)
    return f"{job}-{hashlib.sha256(json.dumps(signature, sort_keys=True).encode()).hexdigest()[:8]}"


def _settle(config: DictConfig, name: str) -> Path:
    """Give every job, in whatever process, this study's name and sweep folder; return the folder.

    A folder with the time of day in its name would be a different one at each launch.
    """
    raw = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(raw, dict)
    timed = "${now:" in str(raw["dir"])
    if timed:
        with read_write(config), open_dict(config):
            config.hydra.sweep.dir = str(raw["dir"]).split("${now:")[0].rstrip("/-_") or "multirun"
    folder = Path(str(config.hydra.sweep.dir), *([name] if timed else []))
    settled = {"hydra.sweep.dir": str(folder.absolute()), "hydra.sweeper.study_name": name}
    with read_write(config), open_dict(config):
        for key, value in settled.items():
            OmegaConf.update(config, key, value)
            config.hydra.overrides.hydra.append(f"{key}={_quoted(value)}")
        # Child processes of a job (DDP) are given this as their run folder.
        config.hydra.overrides.hydra.append("hydra.run.dir='${hydra.sweep.dir}/${hydra.sweep.subdir}'")
    return folder


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _threads(n_jobs: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // n_jobs)


def _threads_override(settings: dict[str, Any]) -> list[str]:
    """Return the override that makes a trial's threads part of its configuration, so that it can be repeated."""
    if not settings["threads_key"] or settings["n_jobs"] == 1:
        return []
    return [f"{settings['threads_key']}={_threads(settings['n_jobs'])}"]


class _Process:
    """A worker, and the pipe to which it writes its final status, unless it is killed."""

    def __init__(self, settings: dict[str, Any], started: datetime) -> None:
        self._pipe, writing = os.pipe()
        os.set_blocking(self._pipe, False)
        limits = dict.fromkeys(THREAD_LIMITS, str(_threads(settings["n_jobs"]))) if settings["n_jobs"] > 1 else {}
        environment = limits | os.environ | {WORKER: f"{started.isoformat()} {writing}"}
        command = [sys.executable, *sys.orig_argv[1:]]
        self.process = subprocess.Popen(command, env=environment, pass_fds=[writing])
        os.close(writing)

    def final_status(self) -> bytes:
        """Return its final status; empty if it was killed."""
        try:
            return os.read(self._pipe, 1)
        except BlockingIOError:  # a child of the worker is alive, and no status was written
            return b""
        finally:
            os.close(self._pipe)


def _supervise(settings: dict[str, Any], started: datetime) -> None:
    """Run `n_jobs` processes of this very command until they end; replace those that were killed."""
    workers = [_Process(settings, started) for _ in range(settings["n_jobs"])]
    crashes = 0
    try:
        while workers:
            time.sleep(0.05)
            for worker in [worker for worker in workers if worker.process.poll() is not None]:
                workers.remove(worker)
                status = worker.final_status()
                crashes += status == b""
                if status == MORE or (status == b"" and crashes <= MAX_CRASHES):
                    workers.append(_Process(settings, started))
    except KeyboardInterrupt:
        _wait(workers, 3)  # the terminal has interrupted them, too
        raise
    finally:
        with undisturbed():  # a second interrupt would leave some of them behind
            for worker in workers:
                worker.process.terminate()
            _wait(workers, 5)
            for worker in workers:
                worker.process.kill()
                worker.process.wait()


def _wait(workers: Sequence[_Process], seconds: float) -> None:
    """Wait until processes have ended, but no longer than `seconds`."""
    end = time.monotonic() + seconds
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(0.0, end - time.monotonic()))
