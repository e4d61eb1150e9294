"""Settings of a process: torch's CPU threads, and two that make a training step cheaper.

Decisions: the number of threads changes results, since sums are rounded in another order, so a run always sets and
records it; `tune_cpu_process` changes no result. Its two parts save 5 to 15 % of a step (docs/benchmark.md).
"""

import ctypes
import functools
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
MAX_MMAP_THRESHOLD = 32 << 20  # bytes: malloc refuses more
MAX_INT = 2**31 - 1  # a threshold that is never reached


@functools.cache
def default_threads() -> int:
    """Return torch's own number of CPU threads, the cores or OMP_NUM_THREADS; call it before setting another number."""
    import torch

    return torch.get_num_threads()


def set_threads(count: int | None) -> None:
    """Set the CPU threads of torch; None restores torch's own number, whatever an earlier run in this process set."""
    import torch

    default = default_threads()
    torch.set_num_threads(default if count is None else count)


def tune_cpu_process() -> None:
    """Keep freed memory, and let the CUDA runtime answer whether there is a GPU.

    glibc returns large blocks to the system as soon as they are freed, so every step would allocate its activations
    again, page by page. And Lightning makes torch look for a GPU through NVML, which is safe before a fork; on a
    machine without NVML each optimizer step would look again. The runtime caches its answer.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, MAX_MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, MAX_INT)
