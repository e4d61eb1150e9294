"""Images that a model was trained or selected on are recognized by their pixels, and through `init_from`."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from ziffern.experiment.evaluation import evaluate
from ziffern.experiment.seen_images import MAX_SOURCES, with_sources
from ziffern.report.run_page import write_report
from ziffern.runs.comparison import make_comparison
from ziffern.runs.run import Run

SHORT = ("trainer.max_epochs=1",)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def part_of_own(digits_npz: Path, tmp_path: Path) -> Path:
    """Another file: 100 of the run's images and 50 new ones."""
    with np.load(digits_npz) as data:
        images, labels = data["x_train"][:100], data["y_train"][:100]
    path = tmp_path / "part.csv"
    rows = [[label, *image.ravel()] for label, image in zip(labels, images, strict=True)]
    rows += [[label, *image.T.ravel()] for label, image in zip(labels[:50], images, strict=False)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [["label", *range(784)], *rows]))
    return path


def seen_of_the_first(run: Run, count: int) -> int:
    """How many of the first `count` images of its data a run has not tested."""
    return count - int((run.predictions.index < count).sum())


def test_the_same_images_in_another_file_are_recognized(trained, part_of_own: Path) -> None:
    run = trained(*SHORT)
    seen = seen_of_the_first(run, 100)
    assert 60 < seen < 100
    result = Run(evaluate(run, str(part_of_own)))
    assert result.metrics["data/leak"].startswith(f"the model was trained or selected on {seen} of these 150 images")
    assert not result.metrics["data/note"]


def test_training_data_that_cannot_be_read_are_reported(trained, part_of_own: Path) -> None:
    run = trained(*SHORT)
    path = run.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["dir"] = "gone.npz"
    path.write_text(yaml.safe_dump(config))
    result = Run(evaluate(Run(run.folder), str(part_of_own)))
    assert not result.metrics["data/leak"]
    assert "it was not checked whether the model was trained on some of these" in result.metrics["data/note"]


def test_changed_training_data_are_not_trusted(trained, part_of_own: Path, tmp_path: Path) -> None:
    run = trained(*SHORT)
    path = run.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["dir"] = str(shutil.copy(part_of_own, tmp_path / "own.csv"))
    path.write_text(yaml.safe_dump(config))
    assert "it was not checked" in Run(evaluate(Run(run.folder), str(part_of_own))).metrics["data/note"]


def test_images_of_the_run_whose_weights_it_started_from_are_seen(trained, run, digits_npz: Path) -> None:
    """They were forgotten with the second run, which has other data."""
    first = trained(*SHORT, folder="first")
    second = run(*SHORT, f"init_from={first.folder}", "data=mnist5k", folder="second")
    assert not second.metrics["data/leak"]
    result = Run(evaluate(second, str(digits_npz)))
    assert "on 320 of these 400 images" in result.metrics["data/leak"]
    third = run(*SHORT, f"init_from={second.folder}/checkpoints/best.ckpt", "data.split_seed=1", folder="third")
    assert "the weights of init_from were trained or selected on" in third.metrics["data/leak"]


def test_a_new_run_whose_test_images_its_weights_saw_is_marked_and_not_compared(
    trained, run, part_of_own: Path
) -> None:
    first = trained(*SHORT, folder="first")
    data = ("data=local", f"data.dir={part_of_own}", *SHORT)
    tuned = run(*data, f"init_from={first.folder}", folder="tuned")
    assert "of the 30 test images" in tuned.metrics["data/leak"]
    page = write_report(tuned).read_text()
    assert "the weights of init_from were trained or selected on" in page
    assert "are also the" not in page  # of a split that validates on the test part
    assert "They also selected the epoch" not in page
    result = make_comparison([tuned, run(*data, folder="plain")], margin=0.002)
    assert [recipe.first.run.folder.name for recipe in result.compared] == ["plain"]


def test_a_source_that_names_itself_ends(trained) -> None:
    run = trained(*SHORT)
    path = run.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "init_from": str(run.folder)}))
    assert len(list(with_sources(Run(run.folder)))) == MAX_SOURCES
