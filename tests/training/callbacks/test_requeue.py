"""SLURM's signal: the run is saved, the job is put back, and the same command goes on."""

import os
import signal
from pathlib import Path

import pytest
import pytorch_lightning as pl
from tests.support.weights import same, weights

from ziffern.errors import InputError
from ziffern.training.callbacks.history import History

SCONTROL = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\nexit {code}\n'


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A SLURM job whose scontrol ends with a code, and which gets the signal after some steps."""
    before = signal.getsignal(signal.SIGUSR1)

    def prepare(step: int, code: int = 0, continues: bool = True) -> Path:
        monkeypatch.setattr("ziffern.experiment.run.continues_by_command", lambda: continues)
        programs = tmp_path / "programs"
        programs.mkdir(exist_ok=True)
        (programs / "scontrol").write_text(SCONTROL.format(code=code))
        (programs / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_JOB_ID", "7")

        def signalled(self: History, trainer: pl.Trainer, *_: object) -> None:
            if trainer.global_step >= step:
                os.kill(os.getpid(), signal.SIGUSR1)

        monkeypatch.setattr(History, "on_train_batch_end", signalled)
        return programs / "calls"

    yield prepare
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(("step", "micro_steps"), [(20, 1), (18, 4), (30, 4)])  # within an epoch, and after its end
def test_a_job_that_was_put_back_goes_on_to_the_same_weights(
    run, slurm, monkeypatch, capsys, step, micro_steps
) -> None:
    settings = ("trainer.max_epochs=4", "model.net.dropout=0.3", f"trainer.micro_steps={micro_steps}")
    straight = run(*settings, folder="straight")
    with monkeypatch.context():
        calls = slurm(step)
        with pytest.raises(SystemExit) as ended:
            run(*settings, folder="job")
    assert ended.value.code == 128 + signal.SIGUSR1
    assert calls.read_text() == "requeue 7\n"
    output = capsys.readouterr().out
    assert "job 7 is in the queue again and will continue it" in output
    assert "continue with" not in output
    monkeypatch.undo()
    folder = straight.folder.parent / "job"
    resumed = run(*settings, f"ckpt_path={folder}/checkpoints/last.ckpt", folder="job")
    for name in ("best", "last"):
        assert same(weights(straight.folder, name), weights(resumed.folder, name))
    assert [row["train/loss"] for row in resumed.history] == [row["train/loss"] for row in straight.history]


def test_gradients_that_wait_for_their_step_are_not_lost(run, slurm, monkeypatch) -> None:
    settings = ("trainer.max_epochs=3", "+trainer.accumulate_grad_batches=4", "trainer.micro_steps=1")
    straight = run(*settings, folder="straight")
    slurm(4)  # with the first step of the second epoch, whose batches 2 to 4 belong to the next one
    with pytest.raises(SystemExit):
        run(*settings, folder="job")
    monkeypatch.undo()
    folder = straight.folder.parent / "job"
    resumed = run(*settings, f"ckpt_path={folder}/checkpoints/last.ckpt", folder="job")
    assert same(weights(straight.folder, "last"), weights(resumed.folder, "last"))


def test_a_job_whose_command_would_begin_anew_is_saved_and_not_put_back(run, slurm, capsys) -> None:
    calls = slurm(20, continues=False)
    with pytest.raises(SystemExit):
        run("trainer.micro_steps=1", "trainer.max_epochs=4")
    assert not calls.exists()
    assert "continue with" in capsys.readouterr().out


def test_a_job_that_slurm_does_not_put_back_is_one_line(run, slurm) -> None:
    slurm(5, code=1)
    with pytest.raises(InputError, match="SLURM did not put job 7 back") as caught:
        run("trainer.micro_steps=1")
    assert caught.value.code == "training.slurm.not_requeued"


@pytest.mark.slow
def test_the_same_command_in_the_same_folder_goes_on(command_line, monkeypatch) -> None:
    arguments = ["model=nn", "data=mnist5k", "trainer=cpu", "trainer.max_epochs=2", "logger=none", "report=null"]
    arguments += ["model.net.hidden=[8]", "hydra.run.dir=fixed"]
    with monkeypatch.context() as patch:

        def stop(self: History, trainer: pl.Trainer, *_: object) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

        patch.setattr(History, "on_train_batch_end", stop)
        code, _, _ = command_line(*arguments)
    assert code == 130
    code, output, errors = command_line(*arguments)
    assert (code, errors) == (0, "")
    assert "continuing after epoch 1" in output
    code, _, errors = command_line(*arguments)
    assert code == 2
    assert "already holds a finished run" in errors
