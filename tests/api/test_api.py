"""The Python interface, used as its docstrings and docs/how-to/python.md show it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image
from tests.support.digits import synthetic_digits

import ziffern as zf
from ziffern.errors import InputError

IMAGES, LABELS = synthetic_digits(40, seed=9)  # (40, 28, 28)


@pytest.fixture
def run(trained) -> zf.TrainedRun:
    return zf.load_run(trained().folder)


def test_importing_is_quick_and_imports_nothing_heavy() -> None:
    code = "import sys, ziffern; dir(ziffern); print(sorted({'torch', 'numpy', 'hydra', 'pandas'} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_every_public_name_exists_and_others_do_not() -> None:
    assert all(getattr(zf, name) for name in zf.__all__)
    assert set(dir(zf)) == set(zf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'pridict'"):
        _ = zf.pridict


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES[:, None],
        IMAGES[..., None],
        IMAGES / 255,
        (IMAGES / 255).astype(np.float32)[:, None],
        torch.from_numpy(IMAGES),
        torch.from_numpy(IMAGES)[:, None].float() / 255,
        [Image.fromarray(image) for image in IMAGES],
        list(IMAGES),
    ],
    ids=["NHW", "NCHW", "NHWC", "shares", "float32", "tensor", "float tensor", "PIL", "list"],
)
def test_the_same_images_in_any_form_get_the_same_answers(run: zf.TrainedRun, images: object) -> None:
    with torch.inference_mode():
        logits = run.load_model()(torch.from_numpy(IMAGES)[:, None])
    expected = (logits / run.load_inference().temperature).softmax(1).numpy()
    predictions = run.predict(images)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-5)
    assert predictions.labels == [str(place) for place in expected.argmax(1)]
    assert len(predictions) == 40


def test_no_image_is_a_mistake(run: zf.TrainedRun) -> None:
    with pytest.raises(InputError, match="pass at least one"):
        run.predict([])


def test_one_image_is_a_set_of_one(run: zf.TrainedRun) -> None:
    assert run.predict(IMAGES[3]).labels == run.predict(IMAGES).labels[3:4]


def test_files_are_named_and_give_a_table(run: zf.TrainedRun, tmp_path: Path) -> None:
    for place in range(3):
        Image.fromarray(IMAGES[place]).save(tmp_path / f"{place}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    predictions = run.predict(tmp_path)
    assert [problem is None for problem in predictions.problems] == [True, True, True, False]
    assert "notes.txt" in str(predictions.notes[0])
    assert repr(predictions) == "Predictions(3 answered, 1 unreadable)"
    frame = predictions.to_frame()
    assert frame["name"].tolist() == ["0.png", "1.png", "2.png", "broken.png"]
    assert frame["status"].tolist()[-1] == "unreadable"
    assert frame["probability"].isna().tolist() == [False, False, False, True]
    assert frame["label"].tolist() == [*run.predict(IMAGES[:3]).labels, ""]
    assert list(frame.columns) == ["name", "label", "probability", "second", "second_probability", "status"]


def test_a_promise_needs_enough_labeled_images(run: zf.TrainedRun) -> None:
    with pytest.raises(InputError, match="80 validation images, which also chose the epoch, are too few"):
        run.predict(IMAGES, max_error=0.001)
    for value in (0, 1, -0.5, 7):
        with pytest.raises(InputError, match="share between 0 and 1"):
            run.predict(IMAGES, max_error=value)


def test_a_promise_from_labeled_images_of_ones_own(run: zf.TrainedRun, tmp_path: Path) -> None:
    images, labels = synthetic_digits(400, seed=11)
    np.savez(tmp_path / "checked.npz", x=images, y=labels)
    predictions = run.predict(IMAGES, max_error=0.3, labeled=tmp_path / "checked.npz")
    confidence = predictions.probabilities.max(1)
    rejected = np.array(predictions.status) == "review"
    assert not rejected.any() or confidence[rejected].max() < confidence[~rejected].min()
    np.savez(tmp_path / "unlabeled.npz", x=images)
    with pytest.raises(InputError, match="no labels"):
        run.predict(IMAGES, max_error=0.3, labeled=tmp_path / "unlabeled.npz")


def test_training_from_python_records_a_run_like_the_command_line(
    digits_npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ("data=local", f"data.dir={digits_npz}", "model=nn", "trainer.max_epochs=1", "logger=none")
    run = zf.train(*settings)
    assert run.folder.parent == Path("outputs/runs")
    assert run.metrics["model"] == "nn"
    assert run.overrides == list(settings)
    assert len(run.history) == 1
    again = zf.train(*settings, folder=tmp_path / "mine")
    assert again.metrics["test/acc"] == run.metrics["test/acc"]
    assert run.predictions.to_frame()["is_correct"].sum() == run.metrics["test/correct"]
    assert "<svg" in run._repr_html_()
    assert "<img" in run.predict(IMAGES)._repr_html_()
    comparison = zf.compare([run, again.folder])
    assert comparison.to_frame()["test_acc"].tolist() == [run.metrics["test/acc"]]
    assert "<table" in comparison._repr_html_()
    assert run.report() == run.folder / "report.html"


@pytest.mark.parametrize("override", ["model=cmn", "trainer.max_epochs=many", "modle=nn", "model="])
def test_a_mistake_in_an_override_is_one_line(override: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        zf.train(override, "data=mnist5k")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        zf.load_run(tmp_path / "none")
    with pytest.raises(InputError, match="not a run folder"):
        zf.load(tmp_path)


def test_the_packaged_model_reads_real_digits_and_knows_that_letters_are_none() -> None:
    from ziffern.data.embedded import embedded_digits
    from ziffern.data.negatives import make_negatives

    images, labels = embedded_digits()
    images, labels = images[::10], labels[::10]
    run = zf.load("builtin")
    predictions = run.predict(images)
    right = [label == str(truth) for label, truth in zip(predictions.labels, labels, strict=True)]
    assert np.mean(right) > 0.98
    flagged = np.array(predictions.status) == "not a digit"
    assert flagged.mean() < 0.05
    negatives = run.predict(make_negatives(images, 200, seed=4))
    assert (np.array(negatives.status) == "not a digit").mean() > 0.4
    careful = run.predict(images, max_error=0.005)
    accepted = np.array(careful.status) == "accepted"
    assert accepted.mean() > 0.7


@pytest.mark.parametrize("runs", [[], 1])
def test_fewer_than_two_runs_cannot_be_compared(run: zf.TrainedRun, runs: object) -> None:
    with pytest.raises(InputError, match="at least two"):
        zf.compare(run.folder if runs else [])


def test_wrong_arguments_are_refused_in_one_line(run: zf.TrainedRun) -> None:
    image = np.zeros((16, 16), np.uint8)
    for values, code in (
        ({"max_error": "0.1"}, "runs.predict.max_error"),
        ({"checkpoint": "../best"}, "runs.checkpoint"),
    ):
        with pytest.raises(InputError) as caught:
            run.predict(image, **values)
        assert caught.value.code == code
    with pytest.raises(InputError):
        zf.train(["model=nn"])  # type: ignore[arg-type]


def test_an_initialized_hydra_does_not_disturb_and_stays(tmp_path: Path) -> None:
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        with pytest.raises(InputError, match="no such option"):
            zf.train("model=unknown")
        assert GlobalHydra.instance().is_initialized()
