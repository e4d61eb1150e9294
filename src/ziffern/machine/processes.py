"""Which of several processes of one training this is, and what they agree on before any of them trains.

Decisions: the first process chooses a name and the others receive it, since names hold the time and a random part.
torchrun has a store for that, and all processes of a SLURM step share its number. Processes that Lightning starts get
the name on their command line. The tasks of a search (`srun python train.py -m hparams_search=tpe`) do not train
together: each one runs trials of its own, which the entry point declares by `set_trains_alone`.
"""

import os
from collections.abc import Callable
from datetime import timedelta

from ziffern.errors import InputError

MAX_WAIT = timedelta(seconds=120)  # for the first process, which may start later than the others
_trains_alone = False


def set_trains_alone(value: bool) -> None:
    """Declare whether this process trains alone, although SLURM may have started others beside it."""
    global _trains_alone  # noqa: PLW0603
    _trains_alone = value


def rank() -> int:
    """Return 0 for the first of the processes that train together, also where it is the only one."""
    if os.environ.get("RANK", "").isdecimal():  # torchrun
        return int(os.environ["RANK"])
    if _slurm():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("LOCAL_RANK", "0")) + int(os.environ.get("NODE_RANK", "0"))  # 0 for the first alone


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return rank() == 0


def launched() -> int:
    """Return how many processes torchrun or srun started for this training; 1 where neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ["SLURM_NTASKS"]) if _slurm() else 1


def agree(choose: Callable[[], str]) -> str:
    """Return what the first process chooses, in each of them.

    Raises:
        InputError: They have no way to exchange it.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _through_store(choose)
    if _slurm():  # a number for each srun, and for each restart by SLURM
        names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
        return "slurm-" + "-".join(os.environ.get(name, "0") for name in names)
    if not is_first():
        raise InputError("machine.processes.no_agreement")
    return choose()


def _slurm() -> bool:
    """Return whether srun started several processes for this training."""
    if _trains_alone:
        return False
    return int(os.environ.get("SLURM_NTASKS", "1")) > 1 and {"SLURM_PROCID", "SLURM_STEP_ID"} <= os.environ.keys()


def _through_store(choose: Callable[[], str]) -> str:
    from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

    key = f"ziffern/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    try:
        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=MAX_WAIT)
        if is_first():
            store.set(key, choose())
        return str(store.get(key).decode())
    except (DistError, KeyError, ValueError) as error:
        raise InputError("machine.processes.unreachable") from error
