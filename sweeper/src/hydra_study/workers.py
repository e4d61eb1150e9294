"""How many jobs run at once on this machine, and what each of their processes finds in its environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

AUTO = "auto"
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def count_workers(settings: Mapping[str, Any], threads: int | None, jobs: int) -> int:
    """Return the number of workers: `n_jobs`, or for `auto` as many as GPUs or cores, memory and jobs allow.

    Args:
        settings: `hydra.sweeper`.
        threads: CPU threads of a job, if the command chooses them.
        jobs: That remain to be run.
    """
    if settings["n_jobs"] != AUTO:
        return int(settings["n_jobs"])
    gpus, each = len(visible_gpus()), settings["gpus"]
    count = gpus // (1 if each == AUTO else each) if gpus and each else cores() // (threads or 1)
    memory = int(_memory() / (settings["memory"] * 2**30))
    return max(1, min(count, memory, jobs))


def threads_of(workers: int) -> int:
    """Return the CPU threads of each of several workers."""
    return max(1, cores() // workers)


def environments(workers: int, settings: Mapping[str, Any], threads: int | None) -> list[dict[str, str]]:
    """Return the variables of each worker: several share out the CPU threads and the GPUs."""
    count = str(threads or threads_of(workers))
    limits = {name: os.environ.get(name, count) for name in THREAD_LIMITS} if workers > 1 else {}
    gpus, each = visible_gpus(), settings["gpus"]
    if len(gpus) <= 1 or each == 0 or workers == 1:
        return [dict(limits) for _ in range(workers)]
    width = 1 if each == AUTO else each
    chosen = ([gpus[(k * width + i) % len(gpus)] for i in range(width)] for k in range(workers))
    return [{**limits, VISIBLE: ",".join(dict.fromkeys(ids))} for ids in chosen]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the names of NVIDIA GPUs that CUDA would use, without loading it."""
    if (given := os.environ.get(VISIBLE)) is not None:
        return [item.strip() for item in given.split(",") if item.strip() not in ("", "-1")]
    devices = Path("/dev").glob("nvidia*")
    return sorted((match[1] for d in devices if (match := re.fullmatch(r"nvidia(\d+)", d.name))), key=int)


def _memory() -> float:
    """Return the bytes of memory that are available to this process, or else those of the machine."""
    known = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    for path, pattern, unit in (
        ("/proc/meminfo", r"MemAvailable:\s+(\d+) kB", 1024),
        ("/sys/fs/cgroup/memory.max", r"(\d+)", 1),
    ):
        try:
            if match := re.search(pattern, Path(path).read_text()):
                known.append(float(match[1]) * unit)
        except OSError:
            continue
    return min(known)
