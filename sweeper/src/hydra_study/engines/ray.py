"""Jobs as Ray tasks: on this machine, or in a cluster that grows and shrinks.

Decisions: Ray retries nothing, the driver does. A process is used again, and keeps what its first job has imported; but
a job with a GPU has a fresh one, since CUDA stays on the GPU where it was started, and so have all jobs after one
that left a process group behind, as DDP does. An autoscaler acts on tasks that wait, so that a cluster gets more jobs
than fit. Ray's terminal output is switched off: the driver says what became of a job.
"""

import contextlib
import logging
import math
import os
import signal
import socket
from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import ray
import ray._private.worker
from ray.exceptions import RayTaskError, RuntimeEnvSetupError, TaskUnschedulableError

from hydra_study.engines import Job, Outcome, WorkerLostError
from hydra_study.errors import SweepError
from hydra_study.job import MAX_ERROR, has_process_group, receive, run
from hydra_study.signals import handled

AUTO, HERE = "auto", "local"
GRACE = 3.0  # seconds for interrupted jobs
TIMEOUT = 5.0  # seconds for a cluster to accept a connection; Ray itself would try for minutes
ROUNDING = 1e-6  # 1 CPU has room for ten times 0.1
INIT: tuple[str, ...] = (
    "runtime_env",
    "namespace",
    "num_cpus",
    "num_gpus",
    "resources",
    "labels",
    "object_store_memory",
)
INIT += ("include_dashboard", "dashboard_host", "dashboard_port", "_temp_dir", "_node_ip_address", "_node_name")
HOPELESS = (RayTaskError, RuntimeEnvSetupError, TaskUnschedulableError)  # as every other job would end


class Ray:
    """Runs jobs as Ray tasks.

    Args:
        setup: See `make_engine`.
        folder: The sweep folder.
        address: Of a cluster: HOST:PORT or `auto`. None: that in RAY_ADDRESS; without one, Ray is started here.
        num_cpus: Cores of a job; fractions are possible, as for GPUs and other resources.
        num_gpus: GPUs of a job; auto: one if there are any.
        memory: Of a job, in GiB; None: not limited.
        resources: Other resources of a job.
        waiting: Jobs that a cluster gets besides those that fit.
        isolate: Run each job in a fresh process.
        init: More arguments of `ray.init`, of those in INIT.

    Raises:
        SweepError: A setting is wrong, or Ray cannot be reached.
    """

    def __init__(
        self,
        setup: bytes,
        folder: Path,
        address: str | None = None,
        num_cpus: float = 1,
        num_gpus: Any = AUTO,
        memory: float | None = None,
        resources: Mapping[str, float] | None = None,
        waiting: int = 1,
        isolate: bool = False,
        init: Mapping[str, Any] | None = None,
    ) -> None:
        where, more = address or os.environ.get("RAY_ADDRESS") or HERE, dict(init or {})
        given = {"num_cpus": num_cpus, "num_gpus": 0 if num_gpus == AUTO else num_gpus, "memory": memory or 0}
        given |= {f"resources.{name}": value for name, value in (resources or {}).items()} | {"waiting": waiting}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise SweepError(f"hydra.sweeper.engine.{name}={value}: must be a number of at least 0")
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _start(where, more)
        gpus = float(any("GPU" in node for node in _resources())) if num_gpus == AUTO else num_gpus
        size = int((memory or 0) * 2**30)
        options: dict[str, Any] = {"num_cpus": num_cpus, "num_gpus": gpus, "memory": size, "resources": resources}
        needs = {"CPU": num_cpus, "GPU": gpus, "memory": size, **(resources or {})}
        self._needs = {name: need for name, need in needs.items() if need}
        self._waiting, self._isolate = 0 if where == HERE else int(waiting), isolate or gpus > 0
        self.threads: int | None = max(1, int(num_cpus))
        self._given = ray.put(setup), None if "working_dir" in (more.get("runtime_env") or {}) else Path.cwd()
        self._ref: WeakKeyDictionary[Future[Outcome], Any] = WeakKeyDictionary()
        self._node: WeakKeyDictionary[Future[Outcome], str] = WeakKeyDictionary()
        try:
            self._tasks = [ray.remote(max_calls=calls, max_retries=0, **options)(_run) for calls in (0, 1)]
            self._check_fit(where)
        except (ValueError, SweepError) as error:
            self.close()
            raise SweepError(f"hydra.sweeper.engine: {error}") from error

    def _check_fit(self, where: str) -> None:
        if not self._needs:
            raise SweepError("a job must take something: set num_cpus, num_gpus, memory or resources")
        if not self._fitting():
            needs = ", ".join(f"{name} {need:g}" for name, need in self._needs.items())
            if where == HERE:
                has = ", ".join(f"{name} {_resources()[0].get(name, 0):g}" for name in self._needs)
                raise SweepError(f"a job takes {needs}, and this machine has {has}")
            print(f"  no node has room for a job, which takes {needs}: waiting for one", flush=True)

    def _fitting(self) -> int:
        needs = self._needs.items()
        return sum(min(int(node.get(name, 0) / need + ROUNDING) for name, need in needs) for node in _resources())

    @property
    def slots(self) -> int:
        """How many jobs fit into the nodes that are alive, and some to wait; at least one."""
        return max(1, self._fitting() + self._waiting)

    def submit(self, job: Job) -> "Future[Outcome]":
        """Give Ray a job."""
        mine: Future[Outcome] = Future()
        ref = self._tasks[self._isolate].remote(*self._given, job)

        def end(future: "Future[tuple[Outcome, str, bool]]") -> None:
            try:
                outcome, self._node[mine], has_left = future.result()
            except HOPELESS as error:
                lines = str(error).strip().splitlines() or [type(error).__name__]
                reason = f"Ray cannot run the job: {lines[-1][:MAX_ERROR]}"
                mine.set_result(Outcome(job.number, job.attempt, "stop", error=reason))
            except BaseException as error:  # of Ray; CancelledError among them
                mine.set_exception(WorkerLostError(type(error).__name__))
            else:
                self._isolate = self._isolate or has_left
                mine.set_result(outcome)

        self._ref[mine] = ref
        ref.future().add_done_callback(end)
        return mine

    def cancel(self, future: "Future[Outcome]") -> None:
        """Kill the process of a job."""
        ray.cancel(self._ref[future], force=True)

    def attach(self, job: Job) -> None:
        """Return None: Ray ends the jobs of a driver that has died."""

    def place(self, future: "Future[Outcome]") -> str:
        """Return the name of a job's node, if the job has ended."""
        node = self._node.get(future)
        return next((str(n["NodeName"]) for n in _nodes() if n["NodeID"] == node), "")

    def close(self) -> None:
        """Interrupt running jobs, then kill them; stop Ray if it was started here."""
        running = [future for future in self._ref if not future.done()]
        for future in running:
            ray.cancel(self._ref[future])
        wait(running, GRACE)
        for future in running:
            self.cancel(future)
        if self._is_ours:
            ray.shutdown()


def _nodes() -> list[dict[str, Any]]:
    return list(ray.nodes())  # type: ignore[no-untyped-call]


def _resources() -> list[dict[str, float]]:
    """Return the resources of each node that is alive."""
    return [node["Resources"] for node in _nodes() if node["Alive"]]


def _start(address: str, more: dict[str, Any]) -> None:
    """Start Ray, or connect to a cluster."""
    for name in more.keys() - set(INIT):
        raise SweepError(f"hydra.sweeper.engine.init.{name}: must be one of {', '.join(INIT)}")
    host, _, port = address.rpartition(":")
    if "://" in address or not (address in (HERE, AUTO) or (host and port.isdigit())):
        raise SweepError(f"hydra.sweeper.engine.address={address}: must be HOST:PORT of a cluster, auto or null")
    ray._private.worker.listen_error_messages = lambda *_: None  # it prints whatever log_to_driver says
    try:
        if host:
            socket.create_connection((host.strip("[]"), int(port)), TIMEOUT).close()
        with handled(signal.getsignal(signal.SIGTERM), signal.SIGTERM):  # Ray sets its own
            ray.init(
                address, log_to_driver=False, logging_level=logging.CRITICAL, **{"include_dashboard": False} | more
            )
    except Exception as error:  # ConnectionError, RuntimeError, ValueError, or what a runtime environment raises
        hint = "; for a cluster with tokens, set RAY_AUTH_MODE=token" if type(error) is ConnectionError else ""
        raise SweepError(f"Ray at address={address}: {type(error).__name__}: {error}{hint}") from error


def _run(setup: bytes, cwd: Path | None, job: Job) -> tuple[Outcome, str, bool]:
    """Return a job's outcome, its node, and whether the process cannot run another job."""
    if has_process_group():
        os._exit(1)  # the driver runs the job again
    if cwd:
        with contextlib.suppress(OSError):  # a node may lack it
            os.chdir(cwd)
    receive(setup)
    with handled(lambda *_: os._exit(1), signal.SIGTERM):  # Ray's own handler would look like an exit of the job
        outcome = run(job)
    return outcome, ray.get_runtime_context().get_node_id(), has_process_group()
