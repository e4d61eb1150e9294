"""The garbage collector while torch is imported."""

import gc
import subprocess
import sys

from ziffern.machine.imports import heavy_imports

COLD = """
import gc, sys
from ziffern.machine.imports import heavy_imports
try:
    with heavy_imports():
        assert not gc.isenabled()
        raise OSError
except OSError:
    assert gc.isenabled() and gc.get_freeze_count() > 0
gc.unfreeze()
gc.disable()
with heavy_imports():
    assert not gc.isenabled()
assert not gc.isenabled() and gc.get_freeze_count() == 0
"""


def test_a_new_process_imports_without_the_collector_and_has_it_afterwards() -> None:
    subprocess.run([sys.executable, "-c", COLD], check=True)


def test_a_process_that_has_torch_keeps_its_collector() -> None:
    import torch  # noqa: F401

    frozen = gc.get_freeze_count()
    with heavy_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
