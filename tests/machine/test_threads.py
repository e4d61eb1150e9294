"""What a process on the CPU sets once."""

import ctypes
import os
import subprocess
import sys

import pytest

from ziffern.machine.threads import tune_cpu_process

BLOCKS = """
import ctypes, sys
from ziffern.machine.threads import tune_cpu_process

class Mallinfo2(ctypes.Structure):  # of glibc's malloc.h; the fourth number counts blocks outside the heap
    _fields_ = [(str(number), ctypes.c_size_t) for number in range(10)]

if sys.argv[1] == "tuned":
    tune_cpu_process()
libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.malloc.argtypes = Mallinfo2, ctypes.c_void_p, [ctypes.c_size_t]
before = getattr(libc.mallinfo2(), "3")
libc.malloc(8 << 20)
print(getattr(libc.mallinfo2(), "3") - before)
"""


def test_torch_asks_the_runtime_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    tune_cpu_process()
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc's")
def test_large_blocks_lie_in_the_heap_which_is_kept() -> None:
    def outside(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", BLOCKS, how], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert (outside("tuned"), outside("as it was")) == (0, 1)
