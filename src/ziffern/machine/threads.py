"""What a process sets for its trainings: the CPU threads of torch, and what makes a training step cost less.

Decisions: the number of threads changes results, as sums are rounded in another order, so a run always sets it and
records it; `tune_cpu_process` changes no result. Both of its parts were found by profiling, and take 5 to 15 % off a
step (docs/benchmark.md).
"""

import ctypes
import functools
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes: more is refused
NEVER = 2**31 - 1


@functools.cache
def default_threads() -> int:
    """Return torch's own number of CPU threads: that of cores, or OMP_NUM_THREADS; call it before setting another."""
    import torch

    return torch.get_num_threads()


def set_threads(count: int | None) -> None:
    """Set the CPU threads of torch; None is torch's own number, whatever an earlier run of this process set."""
    import torch

    own = default_threads()
    torch.set_num_threads(own if count is None else count)


def tune_cpu_process() -> None:
    """Keep freed memory, and ask the CUDA runtime whether there is a GPU.

    glibc gives large blocks back to the system as soon as they are freed, so that every step gets its activations
    anew, page by page. And Lightning has torch look for a GPU by loading NVML, which is safe before a fork; where
    there is none to find, each optimizer step looks again. The runtime keeps its answer.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)
