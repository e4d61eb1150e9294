"""Every printed command runs as pasted, whatever the folders are called."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import pytorch_lightning as pl

from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.training.callbacks.checkpoints import RunCheckpoints

SCRIPT = Path(__file__).parents[2] / "train.py"
NAME = "a=b, c ü (1)"
QUICK = ("model=nn", "model.net.hidden=[16]", "trainer=cpu", "logger=none", "threads=1")


@pytest.fixture
def folder(tmp_path: Path, digits_npz: Path) -> Path:
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / f"{NAME}.npz").write_bytes(digits_npz.read_bytes())
    return folder


@pytest.fixture
def command_there(command_line, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        path = f"data.dir='{NAME}.npz'" if "-m" in arguments else f"data.dir={NAME}.npz"  # a comma separates several
        return command_line("data=local", path, *QUICK, *arguments)

    return call


def pasted(command: str, folder: Path) -> str:
    """Run a command through bash, as if it were pasted; return its output."""
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def commands(output: str, *words: str) -> list[str]:
    """Return the indented lines of an output that contain some words, without the remarks at their ends."""
    lines = [line.strip() for line in output.splitlines() if line.startswith("  ")]
    return [line.partition("  #")[0] for line in lines if all(word in line for word in words)]


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_the_commands_of_an_interrupted_run(command_there, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = RunCheckpoints.on_train_epoch_end

    def interrupt(self: RunCheckpoints, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        save(self, trainer, pl_module)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunCheckpoints, "on_train_epoch_end", interrupt)
    code, output, _ = command_there("trainer.max_epochs=2", f"hydra.run.dir=runs/{NAME}", "report=null")
    assert code == 130
    (report,) = commands(output, "ziffern report")
    pasted(report, folder)
    assert (folder / "runs" / NAME / "report.html").is_file()
    shown = Findings(Run(folder / "runs" / NAME)).command  # on the report
    (resume,) = commands(output, "ckpt_path=")
    assert "Test accuracy" in pasted(resume, folder)
    assert Run(folder / "runs" / NAME).metrics["epochs"] == 2
    assert f"ckpt_path='\"'\"'{folder}/runs/{NAME}/checkpoints/last.ckpt'\"'\"'" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("sketched")
def test_the_commands_of_finished_runs(command_there, folder: Path) -> None:
    code, output, errors = command_there("trainer.max_epochs=1", "logger=tensorboard", f"hydra.run.dir={NAME}")
    assert code == 0, errors
    (train,) = commands(output, "--help")
    assert "GROUP=OPTION" in pasted(train, folder)
    (board,) = commands(output, "--logdir")
    pasted(f"test -d {board.partition('--logdir ')[2]}", folder)
    again = Findings(Run(folder / NAME)).command_with("trainer.max_epochs=0")
    again = again.replace("python train.py", shlex.join([sys.executable, str(SCRIPT)]))
    assert "Test accuracy" in pasted(again, folder)
    code, output, errors = command_there("-m", "trainer.max_epochs=0", "seed=0,1", f"hydra.sweep.dir='s {NAME}'")
    assert code == 0, errors
    assert "±" in output  # of the comparison
    (page,) = (line for line in output.splitlines() if line.endswith("comparison.html"))
    assert (folder / page).is_file()


@pytest.mark.slow
def test_the_commands_of_a_search(folder: Path) -> None:
    search = ("hydra/sweeper=ziffern", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=1", "seed=choice(1,2)")
    places = (f"data.dir='{NAME}.npz'", f"hydra.sweep.dir='{NAME}'")
    overrides = ("data=local", *QUICK, *search, *places, "trainer.max_epochs=1")
    output = pasted(shlex.join([sys.executable, str(SCRIPT), "-m", *overrides]), folder)
    (report,) = commands(output, "ziffern sweep report")
    pasted(report, folder)
    assert (folder / NAME / "sweep.html").is_file()
    (best,) = commands(output, "experiment=best")
    assert "Test accuracy" in pasted(best, folder)
