"""A job in the process that runs it: everything that a worker does for the driver."""

import contextlib
import errno
import importlib.machinery
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_study.attempt import Job, Outcome
from hydra_study.channel import Contact, Line
from hydra_study.compose import Composer
from hydra_study.errors import SweepError
from hydra_study.folder import check_place
from hydra_study.signals import SIGNALS, interruptible, received
from hydra_study.trial import MARK, Trial, set_current_trial

ENDED_FROM_OUTSIDE = tuple(128 + number for number in SIGNALS)
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # not the job's fault
ENDED = ("returned", "pruned", "failed")  # kinds of outcomes that are recorded
MAX_ERROR = 500  # characters
MAX_TEXT = 10_000  # characters of a text that a job returned
MAX_RETURNED = 100  # characters of anything else that a job returned
MAX_OUTCOME = 2**20  # bytes
_prepared: dict[int, "tuple[Setup, Composer, Line | None]"] = {}


@dataclass
class Setup:
    """What a worker needs once to run any job of a sweep.

    Attributes:
        context: Hydra's.
        config: Hydra's configuration of the sweep.
        task: The application's function.
        singletons: Hydra's state.
        folder: The sweep folder, absolute.
        argv: The command line of a job, without its overrides.
        main: The driver's `__main__.__spec__` by name, which Lightning's DDP starts again.
        shows_output: Whether output goes to the terminal instead of `logs/NUMBER.log`.
        contact: How to reach the driver.
        is_search: Whether the jobs are trials.
    """

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    singletons: Any
    folder: str
    argv: Sequence[str]
    main: str | None
    shows_output: bool
    contact: Contact | None
    is_search: bool

    def pickled(self) -> bytes:
        """Return it as bytes.

        Raises:
            SweepError: The application's function cannot be sent to another process.
        """
        try:
            return bytes(cloudpickle.dumps(self))
        except Exception as error:  # whatever an object's own pickling raises
            raise SweepError(
                f"the job cannot be sent to a worker process ({type(error).__name__}: {error}): move such globals to a "
                "module that the script imports, or add hydra/sweeper/engine=inline"
            ) from error


def receive(setup: bytes) -> None:
    """Prepare this process for jobs; once."""
    digest = hash(setup)
    if digest not in _prepared:
        prepare(cloudpickle.loads(setup), digest)


def prepare(ready: Setup, digest: int = 0) -> None:
    """Make this process one that runs the jobs of a sweep."""
    _prepared.clear()
    composer = Composer(ready.context.config_loader, ready.config)
    _prepared[digest] = ready, composer, Line(ready.contact) if ready.contact else None
    setup_globals()
    Singleton.set_state(ready.singletons)
    # Lightning's DDP starts this module again, and it must be the application's, not that of a process pool.
    main = sys.modules["__main__"]
    main.__spec__ = importlib.machinery.ModuleSpec(ready.main, None) if ready.main else None


def run(job: Job) -> Outcome:
    """Run a job in this process, which `receive` has prepared; whatever the job raises becomes its outcome."""
    ((setup, composer, line),) = _prepared.values()
    folder = Path(setup.folder)
    log, kept = folder / "logs" / f"{job.number}.log", outcome_file(folder, job.number)
    with contextlib.suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
    began = time.monotonic()
    try:
        with interruptible(), _as_single_run(setup, job), _output(None if setup.shows_output else log):
            outcome = _run(setup, job, composer, line)
    except BaseException as error:  # of the log, or one that no job should raise, such as CancelledError
        outcome = Outcome(job.number, job.attempt, **_failure(error))
    outcome = replace(outcome, seconds=round(time.monotonic() - began, 3))
    if received and outcome.kind != "stop":  # whatever the job raised instead: a clean-up may raise an error of its own
        outcome = Outcome(job.number, job.attempt, "interrupted")
    with contextlib.suppress(OSError):  # the driver is told nevertheless
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(asdict(outcome)))
        new.replace(kept)
    return outcome


def outcome_file(folder: Path, number: int) -> Path:
    """Return where a job leaves its outcome, for a driver that was killed before it received it."""
    return folder / "logs" / f"{number}.json"


def has_process_group() -> bool:
    """Return whether a job has left a process group of torch.distributed, so that no other one can run here."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())


def assist(job: Job) -> None:
    """Run a job in a process of a rank above 0, which answers for nothing: it trains with the one of rank 0."""
    ((setup, composer, _),) = _prepared.values()
    if setup.is_search:
        os.environ[MARK] = str(job.number)
    with interruptible(), _as_single_run(setup, job):
        result = _run_hydra(setup, job, composer)
    if result.status != JobStatus.COMPLETED:
        sys.exit(_failure(result._return_value).get("error"))


def read_outcome(folder: Path, job: Job, kinds: Sequence[str] = ENDED) -> Outcome | None:
    """Return the outcome that an attempt left in the sweep folder, which may come from anyone; None without one."""
    path = outcome_file(folder, job.number)
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_OUTCOME:
            return None
        outcome = Outcome(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = (outcome.kind, outcome.error, outcome.folder)
    is_same = (outcome.number, outcome.attempt) == (job.number, job.attempt)
    is_right = is_same and all(isinstance(t, str) for t in texts) and isinstance(outcome.seconds, float)
    if not is_right or not math.isfinite(outcome.seconds) or outcome.kind not in kinds:
        return None
    return replace(outcome, number=job.number, attempt=job.attempt, error=outcome.error[:MAX_ERROR])


def _run(setup: Setup, job: Job, composer: Composer, line: Line | None) -> Outcome:  # noqa: PLR0911 # one for each way to end
    def ended(kind: str, **more: Any) -> Outcome:
        return Outcome(job.number, job.attempt, kind, **more)

    if line and line.ask(ask="begin", number=job.number, attempt=job.attempt) is False:
        return ended("interrupted")  # an attempt that a driver, killed while it submitted it, does not know
    trial = Trial(job, line) if line and setup.is_search else None
    set_current_trial(trial)
    try:
        result = _run_hydra(setup, job, composer)
    except KeyboardInterrupt:
        return ended("interrupted")
    except SystemExit as error:
        if error.code in ENDED_FROM_OUTSIDE:
            return ended("interrupted")
        return ended("failed", error=f"the job ended the process: exit code {error.code or 0}")
    except Exception as error:  # before the job has started
        return ended(**_failure(error))
    finally:
        set_current_trial(None)
    place = ""
    if result.hydra_cfg is not None:
        place = os.path.relpath(result.hydra_cfg.hydra.runtime.output_dir, setup.folder)
    if result.status == JobStatus.COMPLETED:
        return ended("returned", value=_plain(result.return_value), folder=place)
    return ended(**_failure(result._return_value), folder=place)  # `return_value` would print and raise it


def _run_hydra(setup: Setup, job: Job, composer: Composer) -> JobReturn:
    config = composer.compose(list(job.overrides))
    with open_dict(config):
        config.hydra.job.id, config.hydra.job.num = f"job_id_for_{job.number}", job.number
    HydraConfig.instance().set_config(config)
    place = Path(setup.folder) / str(OmegaConf.select(config, "hydra.sweep.subdir"))
    check_place(place, f"{config.hydra.job.name}.log")
    return run_job(
        hydra_context=setup.context,
        task_function=setup.task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _failure(error: BaseException) -> dict[str, Any]:
    """Return the outcome of a job that raised an error, and print the error to its log."""
    name = f"{type(error).__module__}.{type(error).__name__}"
    if name == "optuna.exceptions.TrialPruned":
        return {"kind": "pruned"}
    if isinstance(error, SweepError):  # the job stops the sweep
        return {"kind": "stop", "error": str(error)}
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return {"kind": "stop", "error": f"{error}: fix this; the same command continues from here"}
    with contextlib.suppress(Exception):
        traceback.print_exception(error)
    try:
        text = " ".join(str(error).encode(errors="backslashreplace").decode().split())
    except Exception:  # of the job's own class
        text = ""
    return {"kind": "failed", "error": f"{type(error).__name__}: {text}"[:MAX_ERROR]}


def _plain(returned: Any) -> Any:
    """Return what a job returned as a number, a list of numbers, None or a text, else as a short text."""
    several = isinstance(returned, list | tuple)
    try:
        values = [float(value) for value in (returned if several else [returned])]
    except Exception:  # whatever the object's own __float__ raises
        is_plain = returned is None or (isinstance(returned, str) and len(returned) <= MAX_TEXT)
        return returned if is_plain else f"{returned!r:.{MAX_RETURNED}}"
    return values if several else values[0]


@contextlib.contextmanager
def _as_single_run(setup: Setup, job: Job) -> Iterator[None]:
    """Make this process look like a single run of the job, to the job and to processes that it starts.

    Lightning's DDP starts `sys.argv` again, which would otherwise be the sweep.
    """
    before, sys.argv = sys.argv, [*setup.argv, *job.overrides]
    folder, handlers = Path.cwd(), {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        sys.argv = before
        os.chdir(folder)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _output(log: Path | None) -> Iterator[None]:
    """Redirect the output of the job and its child processes to a file, if there is one."""
    if log is None:
        yield
        return
    saved = os.dup(1), os.dup(2)
    with log.open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as file:
        try:
            for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
                stream.flush()
                os.dup2(file.fileno(), descriptor)
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            for descriptor, original in zip((1, 2), saved, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
