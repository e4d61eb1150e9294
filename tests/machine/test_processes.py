"""Which of several processes writes, and how they agree on a name."""

import pytest

from ziffern.errors import InputError
from ziffern.machine.processes import agree, is_first, launched, rank

VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_PROCID")
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "1"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch):
    """Pretend to be a process that has these variables."""

    def by(**variables: str) -> None:
        for name in (*VARIABLES, "SLURM_STEP_ID", "SLURM_JOB_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return by


@pytest.mark.parametrize(
    ("variables", "expected", "count"),
    [
        ({}, 0, 1),
        ({"LOCAL_RANK": "1"}, 1, 1),  # a process that Lightning started
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 1, 1),
        ({**TORCHRUN, "RANK": "2", "LOCAL_RANK": "0"}, 2, 4),  # the first of the second machine
        ({**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0"}, 0, 4),
        ({**SLURM, "SLURM_PROCID": "3"}, 3, 4),
        ({**SLURM, "SLURM_PROCID": "0"}, 0, 4),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 0, 1),  # the batch script itself
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}, 0, 1),  # one of an array
    ],
)
def test_only_the_first_process_writes(started, variables: dict[str, str], expected: int, count: int) -> None:
    started(**variables)
    assert rank() == expected
    assert is_first() == (expected == 0)
    assert launched() == count


def test_the_tasks_of_a_slurm_step_agree(started) -> None:
    names = []
    for number in "0123":
        started(**SLURM, SLURM_PROCID=number)
        names.append(agree(lambda: "chosen"))
    assert set(names) == {"slurm-77-1"}  # also after a restart by SLURM, which continues in the same folder


def test_processes_that_cannot_agree_say_so(started) -> None:
    started(NODE_RANK="1")
    with pytest.raises(InputError, match=r"name one with hydra\.run\.dir=FOLDER"):
        agree(lambda: "chosen")
    started()
    assert agree(lambda: "chosen") == "chosen"
