"""The number of classes comes from the data, and everything that a run leads to uses the recorded number."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from tests.support.digits import synthetic_digits

from ziffern.data.datamodule import ImageDataModule
from ziffern.data.sources.from_dataset import FromDataset
from ziffern.errors import InputError
from ziffern.experiment.evaluation import evaluate
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run


def write(path: Path, classes: tuple[int, ...], names: tuple[object, ...] = (), **more: int) -> Path:
    images, labels = synthetic_digits(400, seed=2)
    chosen = np.isin(labels, classes)
    given = dict(zip(classes, names or classes, strict=True))
    images, labels = images[chosen], np.array([given[label] for label in labels[chosen].tolist()])
    half = len(images) // 2
    np.savez(path, x_train=images[:half], y_train=labels[:half], x_test=images[half:], y_test=labels[half:])
    return path


def test_labels_with_gaps_are_trained_evaluated_and_recorded(run: Callable[..., Run], tmp_path: Path) -> None:
    path = write(tmp_path / "some.npz", (3, 8))
    kappa = "torchmetrics.classification.MulticlassCohenKappa"
    metric = f"+metrics.kappa={{_target_: {kappa}, num_classes: '${{data.num_classes}}'}}"
    finished = run(f"data.dir={path}", "data.num_classes=null", metric)
    assert finished.config["data"]["num_classes"] == 2
    assert finished.material is not None
    assert finished.material.class_names == ("3", "8")
    again = Run(evaluate(finished, output=tmp_path / "again"))
    assert again.metrics["test/acc"] == pytest.approx(finished.metrics["test/acc"])
    eights = write(tmp_path / "eights.npz", (8,))
    assert Run(evaluate(finished, data=str(eights), output=tmp_path / "eights")).metrics["data/name"] == "eights"
    with pytest.raises(InputError, match="have the label '8'"):
        run(f"data.dir={eights}", "data.num_classes=null", folder="refused")


def test_a_model_of_ten_digits_reads_a_set_of_sevens(imperfect: Run, tmp_path: Path) -> None:
    sevens = write(tmp_path / "sevens.npz", (7,))
    result = Run(evaluate(imperfect, data=str(sevens), output=tmp_path / "result"))
    assert result.predictions.target.tolist() == [7] * len(result.predictions.target)


def test_a_run_without_duplicates_is_evaluated_without_them(run: Callable[..., Run], tmp_path: Path) -> None:
    images, labels = synthetic_digits(120, seed=2)
    path = tmp_path / "twice.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:40], y_test=labels[:40])
    finished = run(f"data.dir={path}", "data.split=auto", "data.drop_duplicates=true")
    assert finished.metrics["data/train"] + finished.metrics["data/val"] == 80
    assert finished.metrics["data/split"].endswith("without duplicates")
    assert any(note.startswith("40 images were left out") for note in finished.metrics["data/notes"])
    again = Run(evaluate(finished, output=tmp_path / "again"))
    assert again.metrics["test/acc"] == finished.metrics["test/acc"]
    assert not again.metrics["data/leak"]
    everything = Run(evaluate(finished, part="all", output=tmp_path / "all"))
    assert everything.metrics["data/test"] == 120


def test_datasets_of_torch_need_no_number_of_classes() -> None:
    images, labels = synthetic_digits(90, seed=2)
    items = [(np.asarray(image).squeeze(), int(label) % 3) for image, label in zip(images, labels, strict=True)]
    data = ImageDataModule(FromDataset(items, name="items"), "data")  # type: ignore[arg-type]
    data.setup()
    assert data.num_classes == 3


def test_a_data_set_of_ones_own_needs_no_number_of_classes() -> None:
    base = OmegaConf.load(Path(__file__).parents[2] / "conf/data/_base.yaml")
    assert base.num_classes is None
    for path in (Path(__file__).parents[2] / "conf/data").glob("[!_]*.yaml"):
        assert "num_classes" in OmegaConf.load(path)


def test_misread_pictures_are_shown_with_the_names_of_their_files(run: Callable[..., Run], tmp_path: Path) -> None:
    images, _ = synthetic_digits(40, seed=3)
    for place, image in enumerate(images):
        path = tmp_path / f"photos/{'ab'[place % 2]}/<IMG> {place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    finished = run(
        f"data.dir={tmp_path / 'photos'}", "data.num_classes=null", "data.batch_size=8", "trainer.max_epochs=1"
    )
    predictions = finished.predictions
    names = predictions.mistake_name.tolist()
    assert names
    for name, place in zip(names, predictions.mistake, strict=True):
        assert (tmp_path / f"photos/{'ab'[predictions.target[place]]}/{name}").is_file()
    assert f"<small>{names[0].replace('<', '&lt;').replace('>', '&gt;')}</small>" in write_report(finished).read_text()
