"""How a run that ends early exits: the reason is recorded, and how it continues is printed."""

import contextlib
import signal
from collections.abc import Iterator

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.utilities.exceptions import SIGTERMException

from ziffern.config.command import is_multirun, quoted, relative, start_words, this_command, tool
from ziffern.records.writer import append_event
from ziffern.text.catalog import Message
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable
from ziffern.training.callbacks.requeue import Requeue
from ziffern.training.recorder import Recorder


@contextlib.contextmanager
def shell_exit_codes() -> Iterator[None]:
    """Exit with the codes that shells expect after an interrupt or a SIGTERM; Lightning's are 1 and 0."""
    try:
        yield
    except SIGTERMException as error:
        raise SystemExit(128 + signal.SIGTERM) from error
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):  # a callback's own
            raise
        raise SystemExit(128 + signal.SIGINT) from error


def ended_early(trainer: pl.Trainer, recorder: Recorder) -> Message | None:
    """Return why training ended before `trainer.max_epochs`; None if it did not."""
    epochs = len(recorder.history.rows)
    if not epochs or epochs >= (trainer.max_epochs or 0):
        return None
    if recorder.progress.was_stopped:
        return Message("training.ended.stop_file", count=epochs)
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by its connector
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.wait_count >= callback.patience:
            monitor, patience = str(callback.monitor), callback.patience
            return Message("training.ended.patience", count=patience, epoch=epochs, monitor=monitor)
    return Message("training.ended.callback", count=epochs)


def record_ending(recorder: Recorder, error: BaseException) -> None:
    """Record why the run ended early; after an interrupt, print how it continues."""
    event = "pruned" if type(error).__name__ == "TrialPruned" else "failed"  # Optuna is imported only in a search
    is_interrupt = isinstance(error, SystemExit)
    reason = f"exit code {error}" if is_interrupt else str(error) or type(error).__name__
    with contextlib.suppress(OSError):  # the disk may be what failed
        append_event(recorder.folder, event, reason=reason)
    jobs = [callback.requeued_job for callback in recorder.callbacks if isinstance(callback, Requeue)]
    if any(jobs):
        recorder.console.print(terminal_words()("stopped.requeued", job=jobs[0]), soft_wrap=True)
    elif is_interrupt:
        print_resume_command(recorder)


def print_resume_command(recorder: Recorder) -> None:
    """Print the commands that resume and report on the run; in a multirun, only a missing checkpoint is mentioned."""
    words, last = terminal_words(), recorder.checkpoints.last_path
    if not last.exists():
        recorder.console.print(words("stopped.without_checkpoint"))
    elif not is_multirun():
        # A run that was resumed and stopped again in its first epoch has written no checkpoint itself.
        epochs = recorder.checkpoints.epochs or len(recorder.history.rows)
        resume = printable(this_command(start_words(), ckpt_path=relative(last)))
        report = f"{tool('ziffern')} report {quoted(recorder.folder)}"
        for line in (words("stopped.resume", epochs=epochs), f"  {resume}", words("stopped.report"), f"  {report}"):
            recorder.console.print(line, soft_wrap=True)
