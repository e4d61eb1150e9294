"""What a process on the CPU sets once."""

import os
import subprocess
import sys

import pytest

from ziffern.machine import tune_cpu_process

FAULTS = """
import resource, sys
from ziffern.machine import tune_cpu_process
if sys.argv[1] == "tuned":
    tune_cpu_process()
import torch
for _ in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.zeros(2_000_000) for _ in range(5)]  # 8 MB each
    del blocks
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


def test_torch_asks_the_runtime_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    tune_cpu_process()
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_freed_memory_is_kept() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert faults("tuned") < 100 < faults("as it was")
