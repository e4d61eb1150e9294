"""What the engine for SLURM submits through submitit, and with which settings.

Decision: submitit unpickles whatever lies in its folder, which is therefore one that only the user can open, and not
in the sweep folder, which may come from somebody else.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submitit import AutoExecutor, JobEnvironment
from submitit.core.utils import DelayedSubmission
from submitit.local.local import LOCAL_REQUEUE_RETURN_CODE

from hydra_study.engines import Job
from hydra_study.errors import SweepError
from hydra_study.job import assist, receive, run
from hydra_study.signals import received

GENERIC = ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "nodes", "tasks_per_node")  # for any cluster
RESERVED = {"name", "job_name", "dependency", "srun_args"}


class Attempt:
    """One attempt at a job; submitit calls it, and calls `checkpoint` before it puts the SLURM job back into the queue.

    Args:
        setup: See `make_engine`.
        job: The job.
    """

    def __init__(self, setup: bytes, job: Job) -> None:
        self._setup, self._job, self._path, self._is_requeued = setup, job, sys.path.copy(), False

    def __call__(self) -> None:
        """Run the job; its outcome is what it leaves in the sweep folder."""
        sys.path[:] = self._path
        environment = JobEnvironment()
        preempted = getattr(signal, f"SIG{environment.USR_SIG}")
        os.register_at_fork(after_in_child=lambda: signal.signal(preempted, signal.SIG_IGN))  # SLURM signals them, too
        if environment.cluster == "local":
            os.setpgid(0, 0)  # to be killed with all that the job has started
        receive(self._setup)
        if environment.global_rank:
            assist(self._job)
        elif run(self._job).kind == "interrupted":
            sys.exit(LOCAL_REQUEUE_RETURN_CODE if self._is_requeued else 1)  # ends the other tasks

    def checkpoint(self) -> DelayedSubmission:
        """Return the same attempt, which finds the job's own checkpoints in its folder."""
        received.append(signal.SIGUSR2)  # the job is interrupted, whatever it raises now
        self._is_requeued = True
        return DelayedSubmission(Attempt(self._setup, self._job))


def make_executor(cluster: str, settings: Mapping[str, Any], folder: Path, name: str) -> AutoExecutor:
    """Return submitit's executor for one job.

    Args:
        cluster: `slurm` or `local`.
        settings: By the names of submitit's `SlurmExecutor` and, in GENERIC, its `AutoExecutor`.
        folder: For submitit's files.
        name: Of the job; SLURM starts no job of a name before the former one has ended.

    Raises:
        SweepError: A setting is unknown or wrong.
    """
    if reserved := RESERVED & settings.keys():
        raise SweepError(f"hydra.sweeper.engine.parameters.{min(reserved)}: the engine sets this: leave it out")
    cpus, tasks = settings.get("cpus_per_task"), (settings.get("nodes") or 1) * (settings.get("tasks_per_node") or 1)
    arguments = [f"--cpus-per-task={cpus}"] if cpus else []  # which srun no longer takes from sbatch
    arguments += ["--kill-on-bad-exit=1"] if tasks > 1 else []
    named = {key if key in GENERIC else f"slurm_{key}": value for key, value in settings.items()}
    named |= {f"{either}_setup": settings.get("setup") or None for either in ("slurm", "local")}
    named["slurm_additional_parameters"] = {"requeue": True, **(settings.get("additional_parameters") or {})}
    try:
        executor = AutoExecutor(folder, cluster=cluster)
        executor.update_parameters(name=name, slurm_dependency="singleton", slurm_srun_args=arguments, **named)
    except (NameError, AssertionError, ValueError, TypeError) as error:
        raise SweepError(f"hydra.sweeper.engine: {str(error).splitlines()[0]}") from error
    return executor


def private_folder() -> Path:
    """Return the folder for submitit's files, which the nodes must see.

    Raises:
        SweepError: Others could write to it, and thereby run code as the user.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hydra-study"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise SweepError(f"{folder}: must be a folder that only you can open: chmod 700 it, or set XDG_CACHE_HOME")
    return folder
