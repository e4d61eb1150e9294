"""What a process sets once, so that a training step on the CPU costs what the model costs.

Both were found by profiling, and take 5 to 15 % off a step (docs/benchmark.md). Neither changes a result.
"""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # bytes: more is refused
NEVER = 2**31 - 1


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
