"""An ensemble of runs is a run: its scores, what report and compare make of it, and what it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.cli.compare import compare
from ziffern.cli.main import main as cli
from ziffern.errors import InputError
from ziffern.experiment.ensemble import ensemble
from ziffern.files.atomic import write_atomically
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run

WEAK = ("trainer.max_epochs=1", "model.optimizer.lr=0.0005")


@pytest.fixture
def run(trained):
    """Runs are put together here, and may be copies."""
    return trained


@pytest.fixture
def members(run) -> list[Run]:
    """Two models of different architecture and normalization that both make mistakes."""
    return [
        run(*WEAK, "seed=1", folder="a"),
        run(*WEAK, "model.net.hidden=[8]", "model.normalize.kind=symmetric", "seed=2", folder="b"),
    ]


def test_it_answers_with_the_mean_probability(members, tmp_path: Path) -> None:
    made = Run(ensemble([each.folder for each in members], tmp_path / "both", None))
    mean = np.mean([each.predictions.probability for each in members], axis=0)
    np.testing.assert_allclose(made.predictions.probability, mean, atol=1e-5)
    assert np.array_equal(made.predictions.index, members[0].predictions.index)
    metrics = made.metrics
    assert metrics["test/correct"] == int((mean.argmax(1) == made.predictions.target).sum())
    assert metrics["params"] == sum(each.metrics["params"] for each in members)
    assert metrics["train_seconds"] == pytest.approx(sum(each.metrics["train_seconds"] for each in members))
    assert 0 < metrics["val/acc"] <= 1
    assert made.members == ["a", "b"]


def test_validation_chose_among_the_epochs_of_each_member(run, tmp_path: Path) -> None:
    folders = [run("trainer.max_epochs=2", f"seed={seed}", folder=str(seed)).folder for seed in (0, 1)]
    assert Run(ensemble(folders, tmp_path / "both", None)).candidates == 2 * 2


def test_it_needs_its_members_no_more(members, tmp_path: Path) -> None:
    folder = ensemble([each.folder for each in members], tmp_path / "both", None)
    images = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)
    mean = sum(each.load_model()(images).softmax(1) for each in members) / 2
    for each in members:
        shutil.rmtree(each.folder)
    torch.testing.assert_close(Run(folder).load_model()(images).softmax(1), mean, atol=1e-5, rtol=0)


def test_report_and_comparison_read_it(members, tmp_path: Path) -> None:
    folders = [each.folder for each in members]
    made = ensemble(folders, tmp_path / "both", None)
    page = write_report(Run(made), None, "en").read_text()
    assert "An ensemble of 2 runs" in page
    assert "was changed by hand" not in page
    assert "Nothing was trained. Train for a few epochs" not in page
    found = compare([str(folder) for folder in (*folders, made)], tmp_path / "c.html", "en", 0.002)
    assert len(found.recipes) == 3
    assert not found.notes
    assert len(found.compared) == 3


def test_an_ensemble_of_ensembles(members, run, tmp_path: Path) -> None:
    both = ensemble([each.folder for each in members], tmp_path / "both", None)
    third = run(*WEAK, "seed=3", folder="c")
    assert Run(ensemble([both, third.folder], tmp_path / "all", None)).metrics["test/total"] == 80


@pytest.mark.parametrize(
    ("setting", "message"),
    [("data.split_seed=1", "data/split"), ("data.split=official", "data/split")],
)
def test_members_share_data_and_split(run, tmp_path: Path, setting: str, message: str) -> None:
    one, other = run(*WEAK, folder="a"), run(*WEAK, setting, folder="b")
    with pytest.raises(InputError, match=message):
        ensemble([one.folder, other.folder], tmp_path / "both", None)
    assert not (tmp_path / "both").exists()


def test_what_is_refused(members, tmp_path: Path) -> None:
    folders = [each.folder for each in members]
    with pytest.raises(InputError, match="an ensemble needs at least two runs"):
        ensemble([folders[0], folders[0]], None, None)
    with pytest.raises(InputError, match="already exists"):
        ensemble(folders, folders[0], None)
    with pytest.raises(InputError, match="this folder does not exist"):
        ensemble([folders[0], tmp_path / "none"], tmp_path / "both", None)
    with pytest.raises(InputError, match="nowhere"):
        ensemble(folders, tmp_path / "both", str(tmp_path / "nowhere"))
    assert not (tmp_path / "both").exists()
    (folders[1] / "metrics.json").unlink()
    with pytest.raises(InputError, match="the run stopped before it was written"):
        ensemble(folders, tmp_path / "both", None)


def test_a_full_disk_leaves_nothing(members: list[Run], tmp_path: Path, monkeypatch, capsys) -> None:
    def full(self: object, *_: object) -> None:
        raise OSError(28, "No space left on device")

    def save(self: object, checkpoint: object, path: str, **_: object) -> None:
        write_atomically(Path(path), full)

    monkeypatch.setattr("ziffern.training.callbacks.atomic_io.AtomicCheckpointIO.save_checkpoint", save)
    folders = [str(member.folder) for member in members]
    monkeypatch.setattr("sys.argv", ["ziffern", "ensemble", *folders, "--output", str(tmp_path / "both")])
    with pytest.raises(SystemExit) as stop:
        cli()
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "best.ckpt: No space left on device: free some space, or write elsewhere with --output FOLDER" in line
    assert not (tmp_path / "both").exists()
