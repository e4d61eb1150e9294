"""The rank of this process among those of one training, and agreement on a name before training.

Decisions: the first process chooses a name and the others receive it, since names contain the time and a random
part. They exchange it through torchrun's store, or derive it from the number of their SLURM step; processes started by
Lightning get it on their command line.
"""

import os
from collections.abc import Callable
from datetime import timedelta

from ziffern.errors import InputError

MAX_WAIT = timedelta(seconds=120)  # for the first process, which may start later than the others


def rank() -> int:
    """Return this process's number among those that train together, from 0; 0 if it is the only one."""
    if os.environ.get("RANK", "").isdecimal():  # torchrun
        return int(os.environ["RANK"])
    if _slurm():
        return int(os.environ["SLURM_PROCID"])
    return int(os.environ.get("LOCAL_RANK", "0")) + int(os.environ.get("NODE_RANK", "0"))  # 0 only for the first


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return rank() == 0


def launched() -> int:
    """Return the number of processes that torchrun or srun started for this training; 1 without either."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ["SLURM_NTASKS"]) if _slurm() else 1


def agree(choose: Callable[[], str], per_restart: bool = False) -> str:
    """Return the first process's choice, in every process; with `per_restart`, another one if SLURM restarts the job.

    Raises:
        InputError: The processes have no way to exchange it, or cannot reach each other.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _through_store(choose)
    if _slurm():  # unique per srun
        names = ("SLURM_JOB_ID", "SLURM_STEP_ID", *(["SLURM_RESTART_COUNT"] if per_restart else []))
        return "slurm-" + "-".join(os.environ.get(name, "0") for name in names)
    if not is_first():
        raise InputError("machine.processes.no_agreement")
    return choose()


def _slurm() -> bool:
    """Return whether srun started several processes for this training."""
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
