"""Settings of a process: torch's CPU threads, and two that speed up training steps.

Decisions: the number of threads changes results, since it changes the order of summation, so a run always sets and
records it; `tune_cpu_process` changes no result. Its two parts save 5 to 15 % of a step (docs/benchmark.md).
"""

import ctypes
import functools
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
MAX_MMAP_THRESHOLD = 32 << 20  # bytes: malloc refuses more
MAX_INT = 2**31 - 1  # a threshold never reached


@functools.cache
def default_threads() -> int:
    """Return torch's own number of CPU threads, the cores or OMP_NUM_THREADS; call it before setting another number."""
    import torch

    return torch.get_num_threads()


def set_threads(count: int | None) -> None:
    """Set the CPU threads of torch; None restores torch's own number, even after an earlier run in this process."""
    import torch

    default = default_threads()
    torch.set_num_threads(default if count is None else count)


def tune_cpu_process() -> None:
    """Keep freed memory, and detect GPUs through the CUDA runtime instead of NVML.

    glibc returns large blocks to the system as soon as they are freed, so every step would allocate its activations
    again, page by page. Lightning makes torch detect GPUs through NVML, which is safe before a fork, but on a machine
    without NVML it is repeated in each optimizer step. The runtime caches its result.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, MAX_MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, MAX_INT)
