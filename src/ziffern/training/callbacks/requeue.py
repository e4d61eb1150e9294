"""Under SLURM: before the time limit, saves the run, and puts the job back into the queue if its command continues it.

Decision: Lightning would save a checkpoint of its own, which does not hold the random streams and scores within an
epoch; here it is the run's `last.ckpt`, from which the same command continues to the weights of an uninterrupted run.
"""

import os
import signal
import subprocess
from typing import Any

import pytorch_lightning as pl

from ziffern.errors import InputError
from ziffern.training.callbacks.checkpoints import RunCheckpoints

EVERY = 10  # batches between two agreements of several processes
SIGNAL = signal.SIGUSR1  # as in `#SBATCH --signal=SIGUSR1@120`


class Requeue(pl.Callback):
    """After SIGUSR1, saves `last.ckpt` at the end of a step, and ends the process once the job is in the queue again.

    Args:
        checkpoints: Those of the run.
        job: The job's number, as scontrol takes it; None saves the run and leaves it to the user to continue.

    Raises:
        SystemExit: While training: the run is saved.
        InputError: While training: SLURM refused to put it back; the checkpoint is saved.
    """

    def __init__(self, checkpoints: RunCheckpoints, job: str | None) -> None:
        self._checkpoints, self._job = checkpoints, job
        self._is_due = False
        self.requeued_job: str | None = None  # once it is in the queue again

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handler."""
        signal.signal(SIGNAL, self._receive)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the run within the epoch; after its last step, the validation comes first."""
        every = trainer.accumulate_grad_batches * (EVERY if trainer.world_size > 1 else 1)  # gradients are not saved
        if trainer.is_last_batch or (batch_idx + 1) % every:
            return
        if trainer.strategy.broadcast(self._is_due):
            trainer.save_checkpoint(self._checkpoints.last_path)
            self._end(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the process between two epochs, the first of which is saved."""
        if trainer.strategy.broadcast(self._is_due):
            self._end(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the process before the test, if the last validation took too long."""
        if trainer.strategy.broadcast(self._is_due):
            self._end(trainer)

    def _receive(self, number: int, frame: object) -> None:
        self._is_due = True

    def _end(self, trainer: pl.Trainer) -> None:
        if trainer.is_global_zero and self._job is not None:
            try:
                subprocess.run(["scontrol", "requeue", self._job], check=True, capture_output=True, text=True)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = str(getattr(error, "stderr", "") or error).strip()
                raise InputError("training.slurm.not_requeued", job=self._job, reason=reason) from error
            self.requeued_job = self._job
        raise SystemExit(128 + SIGNAL)


def slurm_job() -> str | None:
    """Return the number of the SLURM job that this process runs in; None outside of SLURM."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}"
    return os.environ.get("SLURM_JOB_ID")
