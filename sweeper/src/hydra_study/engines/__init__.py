"""What a driver asks of an engine, which runs jobs somewhere: in processes, on Ray, or on SLURM."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from hydra_study.attempt import Job, Outcome

__all__ = ["KINDS", "Engine", "Job", "Outcome", "WorkerLostError", "make_engine"]
KINDS = ("local", "inline", "ray", "slurm")


class Engine(Protocol):
    """Runs jobs."""

    @property
    def slots(self) -> int:
        """How many jobs it runs at once; the driver asks again, since a cluster grows and shrinks."""
        ...

    threads: int | None
    """CPU threads of a job, where the engine reserves cores."""

    def submit(self, job: Job) -> "Future[Outcome]":
        """Start a job.

        The future is running once the job is, and raises WorkerLostError if its process or its machine died.
        """
        ...

    def cancel(self, future: "Future[Outcome]") -> None:
        """End a job at once; its future raises."""
        ...

    def attach(self, job: Job) -> "Future[Outcome] | None":
        """Return the future of a job that an earlier driver submitted, if it still runs or has an outcome."""
        ...

    def place(self, future: "Future[Outcome]") -> str:
        """Return which worker runs a job, for people."""
        ...

    def close(self) -> None:
        """End all workers and what they run; at the latest after a few seconds by force."""
        ...


class WorkerLostError(Exception):
    """The process or the machine that ran a job died."""


def make_engine(
    options: Mapping[str, Any], setup: Any, folder: Path, environments: Sequence[Mapping[str, str]]
) -> Engine:
    """Return the engine of `hydra/sweeper/engine`.

    Args:
        options: Its settings; `kind` is one of KINDS.
        setup: A `hydra_study.job.Setup`, which every worker needs once.
        folder: The sweep folder.
        environments: Variables of each local worker, set before its process starts.

    Raises:
        SweepError: It cannot be reached, or cannot use a setting.
    """
    kind, settings = options.get("kind"), {str(key): value for key, value in options.items() if key != "kind"}
    if kind == "local":
        from hydra_study.engines.local import Local

        return Local(setup.pickled(), folder, environments, **settings)
    if kind == "inline":
        from hydra_study.engines.inline import Inline

        return Inline(setup, **settings)
    if kind == "ray":
        from hydra_study.engines.ray import Ray

        return Ray(setup.pickled(), folder, **settings)
    if kind == "slurm":
        from hydra_study.engines.slurm import Slurm

        return Slurm(setup.pickled(), folder, **settings)
    raise AssertionError(kind)  # the settings have been checked
