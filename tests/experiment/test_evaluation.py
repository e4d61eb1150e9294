"""A finished checkpoint is tested again: its scores, on its own and on other data, and what is refused."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.support.digits import synthetic_digits

from ziffern.cli import evaluate as command
from ziffern.cli.compare import compare
from ziffern.cli.main import main as cli
from ziffern.errors import InputError
from ziffern.experiment.ensemble import ensemble
from ziffern.experiment.evaluation import evaluate
from ziffern.report.run_page import write_report
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run

WEAK = ("trainer.max_epochs=1", "model.optimizer.lr=0.0005")
FIXTURES = Path(__file__).parents[1] / "fixtures/runs_0_1_0"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weak(trained) -> Run:
    return trained(*WEAK)


def write_csv(path: Path, labels: list[int]) -> Path:
    images, _ = synthetic_digits(len(labels), seed=5)
    rows = [",".join(map(str, [label, *image.ravel()])) for label, image in zip(labels, images, strict=True)]
    path.write_text("\n".join([",".join(["label", *(f"pixel{n}" for n in range(784))]), *rows]))
    return path


def test_the_test_part_again_gives_the_scores_and_predictions_of_the_run(weak: Run) -> None:
    result = Run(evaluate(weak))
    assert result.folder.parent == Path("outputs/evaluations")
    for key in ("test/acc", "test/loss", "test/acc_low", "baseline/acc", "data/split", "val/acc", "params"):
        assert result.metrics[key] == pytest.approx(weak.metrics[key], abs=1e-6), key
    assert np.array_equal(result.predictions.probability, weak.predictions.probability)
    assert not result.metrics["data/leak"]
    assert not Findings(result).contradictions


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_the_validation_part_gives_the_scores_of_the_history(trained, checkpoint: str) -> None:
    run = trained("trainer.max_epochs=3", "model.optimizer.lr=0.02")
    row = run.history[-1] if checkpoint == "last" else max(run.history, key=lambda row: row["val/acc"])
    result = Run(evaluate(run.folder, part="val", checkpoint=checkpoint))
    metrics = result.metrics
    assert metrics["test/acc"] == metrics["val/acc"] == row["val/acc"]
    assert metrics["test/loss"] == pytest.approx(row["val/loss"], abs=2e-6)
    assert metrics["data/split"].startswith("val of resplit")
    assert not Findings(result).contradictions


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize(("part", "total", "seen"), [("train", 240, 240), ("val", 80, 80), ("all", 400, 320)])
def test_images_of_training_are_a_leak_wherever_it_is_shown(weak: Run, part: str, total: int, seen: int) -> None:
    result = Run(evaluate(weak, part=part))
    assert result.metrics["test/total"] == total
    assert f"{seen} of these {total} images" in result.metrics["data/leak"]
    page = write_report(result).read_text()
    assert "The model was trained or selected on some of them" in page
    assert f"An evaluation of the run run (checkpoint best) on tiny. Tested part: {part}." in page
    assert "not trained" not in page.lower()
    assert "auf einigen davon wurde es trainiert" in write_report(result, language="de").read_text().lower()


def test_a_comparison_never_takes_an_evaluation_for_the_ordinary_test(trained, tmp_path: Path) -> None:
    runs = [trained(*WEAK, f"seed={seed}", folder=str(seed)) for seed in (0, 1)]
    every = [evaluate(run, part="all") for run in runs]
    result = compare([str(path) for path in (*(run.folder for run in runs), *every)], tmp_path / "c.html", "en", 0)
    assert [len(recipe.runs) for recipe in result.recipes] == [2, 2]
    assert result.compared == (result.recipes[0],)
    assert any("it is left out of the tests" in str(note) for note in result.notes)


@pytest.mark.slow
def test_evaluations_of_several_seeds_on_new_data_are_one_recipe(trained, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "new.csv", [0, 1, 2, 3] * 10)
    folders = []
    for size in (8, 16):
        runs = [trained(*WEAK, f"model.net.hidden=[{size}]", f"seed={n}", folder=f"{size}-{n}") for n in (0, 1)]
        folders += [evaluate(run, str(data)) for run in runs]
    result = compare([str(folder) for folder in folders], tmp_path / "c.html", "en", 0)
    assert [len(recipe.runs) for recipe in result.recipes] == [2, 2]
    assert result.compared == result.recipes
    assert not result.notes


def test_own_data_is_tested_as_a_whole(weak: Run, tmp_path: Path) -> None:
    result = Run(evaluate(weak, str(write_csv(tmp_path / "new.csv", [0, 1, 2] * 4)), settings={"trainer": "cpu"}))
    assert result.metrics["test/total"] == 12
    assert result.metrics["data/split"] == "all images"
    assert result.metrics["data/name"] == "new"
    assert not result.metrics["data/leak"]
    assert Run(evaluate(weak, "mnist5k", part="test")).metrics["test/total"] == 1000
    split = {"data.fractions": [0.7, 0.2, 0.1]}  # which chooses a part, and was ignored
    assert Run(evaluate(weak, "mnist5k", settings=split)).metrics["test/total"] == 500


def test_other_pictures_are_prepared_as_the_runs_own(trained, tmp_path: Path) -> None:
    images, labels = synthetic_digits(40, seed=6)
    large = 255 - np.kron(images, np.ones((1, 2, 2), np.uint8))
    np.savez(tmp_path / "large.npz", x_train=large, y_train=labels, x_test=large[:10], y_test=labels[:10])
    run = trained(*WEAK, "data.prepare=resize", "data.polarity=dark_on_light")
    own = Run(evaluate(run.folder, str(tmp_path / "large.npz"))).metrics
    assert any(note.startswith("50 pictures were resized") for note in own["data/notes"])


def test_the_runs_own_data_is_recognized_under_another_path(weak: Run, digits_npz: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(digits_npz, tmp_path / "elsewhere.npz"))
    for arguments in ({"data": str(moved)}, {"data": "local", "settings": {"data.dir": str(moved)}}):
        assert Run(evaluate(weak, **arguments)).metrics["test/acc"] == weak.metrics["test/acc"]
    with pytest.raises(InputError, match="not the data of"):
        evaluate(weak, settings={"data.dir": str(write_csv(tmp_path / "other.csv", [0, 1]))})


def test_classes_are_matched_by_name(trained, tmp_path: Path) -> None:
    """A model of cats and dogs is tested on pictures whose folders are sorted otherwise."""
    images, _ = synthetic_digits(90, seed=0)

    def pictures(folder: Path, names: list[str]) -> Path:
        for number, image in enumerate(images):
            path = folder / f"train/{names[number % len(names)]}/{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(image)).save(path)
        return folder

    data = pictures(tmp_path / "pets", ["cat", "dog", "emu"])
    run = trained(f"data.dir={data}", "data.num_classes=3", *WEAK)
    result = Run(evaluate(run, str(pictures(tmp_path / "more", ["emu", "dog"]))))
    assert set(result.predictions.target) == {1, 2}
    assert result.material is not None
    assert result.material.class_names == ("cat", "dog", "emu")
    with pytest.raises(InputError, match="has the class fox"):
        evaluate(run, str(pictures(tmp_path / "wrong", ["cat", "fox"])))
    with pytest.raises(InputError, match="has 10 classes that"):
        evaluate(run, "mnist5k")


def test_a_run_on_the_fallback_is_evaluated_on_it(trained) -> None:
    run = trained("data=mnist5k", "trainer.max_epochs=0")
    text = (run.folder / ".hydra/config.yaml").read_text()
    source = "_target_: ziffern.data.sources.Torchvision\n    dataset: mnist\n    kind: MNIST\n    files: [x]"
    (run.folder / ".hydra/config.yaml").write_text(text.replace("_target_: ziffern.data.sources.Embedded", source))
    assert Run(evaluate(Run(run.folder))).metrics["test/total"] == 1000


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("name", ["finished_cnn", "finished_nn", "killed_nn"])
def test_runs_of_version_0_1_0(name: str) -> None:
    run = Run(FIXTURES / name)
    result = Run(evaluate(run))
    assert result.metrics["test/total"] == 1000
    if run.is_finished:
        assert result.metrics["test/acc"] == run.metrics["test/acc"]
    write_report(result)


def test_data_that_cannot_be_downloaded_is_not_replaced(weak: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was the score on mnist5k, under a note that something is trained on it."""

    def unreachable(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr("ziffern.data.sources.source.download", unreachable)
    with pytest.raises(InputError, match=r"data=mnist is not in data\.dir=nowhere"):
        evaluate(weak, "mnist", settings={"data.dir": "nowhere"})


def test_an_evaluation_has_no_checkpoint_to_evaluate(weak: Run) -> None:
    with pytest.raises(InputError, match=r"this is an evaluation.*: name the folder of the run run instead"):
        evaluate(evaluate(weak))


def test_an_ensemble_is_evaluated(trained, tmp_path: Path) -> None:
    folders = [trained(*WEAK, f"seed={seed}", folder=str(seed)).folder for seed in (0, 1)]
    run = Run(ensemble(folders, tmp_path / "both", None))
    assert Run(evaluate(run)).metrics["test/acc"] == run.metrics["test/acc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "tset"}, "--split tset: must be one of train, val, test, all"),
        ({"checkpoint": "first"}, "--checkpoint first: must be one of best, last"),
        ({"data": "nowhere.zip"}, "nowhere.zip: neither a data set nor an existing path"),
        ({"data": "local"}, "set data.dir=PATH"),
        ({"settings": {"trainer": "ddp"}}, "trainer=ddp: must be one of auto, cpu, gpu, mps"),
        ({"settings": {"data.batch_size": 3}}, "data.batch_size: has no effect"),
        ({"settings": {"data.image": [1, 14, 14]}}, "data.image: has no effect"),
        ({"settings": {"data.num_classes": 5}}, "data.num_classes: has no effect"),
        ({"part": "all", "settings": {"data.fold": 1}}, "data.fold: has no effect if all images are tested"),
        ({"settings": {"model.net.hidden": [3]}}, "model.net.hidden: has no effect"),
        ({"settings": {"data.splt": "kfold"}}, "did you mean split"),
        ({"output": Path("run")}, "--output run: already exists"),
    ],
)
def test_what_is_refused_leaves_nothing(weak: Run, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(weak, **arguments)
    assert message in str(caught.value)
    assert not Path("outputs").exists()


@pytest.mark.parametrize("key", ["dir", "split", "num_classes"])
def test_nothing_in_a_foreign_configuration_is_resolved(weak: Run, monkeypatch, key: str) -> None:
    monkeypatch.setenv("SECRET", "kfold")
    path = weak.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"][key] = "${oc.env:SECRET}"
    path.write_text(yaml.safe_dump(config))
    for data in (None, "mnist5k"):
        with pytest.raises(InputError, match="SECRET"):
            evaluate(Run(weak.folder), data)


def test_nothing_of_a_foreign_run_is_called(weak: Run) -> None:
    path = weak.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["source"] = {"_target_": "os.system", "command": "touch pwned"}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="system"):
        evaluate(Run(weak.folder))
    assert not Path("pwned").exists()


def test_a_failure_leaves_nothing(weak: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ziffern.training.metrics.tested", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(weak, output=Path("out"))
    assert not Path("out").exists()


def test_the_command_prints_the_accuracy_and_writes_the_page(weak: Run, monkeypatch, capsys) -> None:
    options = ["--split", "val", "trainer=cpu", "--output", "out"]
    monkeypatch.setattr(sys, "argv", ["ziffern", "evaluate", str(weak.folder), "data.eval_batch_size=7", *options])
    cli()
    out = capsys.readouterr().out
    correct = Run(Path("out")).metrics["test/correct"]
    assert f"; {correct} of 80)" in out
    assert "NOTE: DATA LEAK: the model was trained or selected on 80 of these 80 images" in out
    assert Path("out/report.html").is_file()


def test_what_was_assumed_about_the_data_is_printed_before_the_result(weak: Run, tmp_path: Path, capsys) -> None:
    (tmp_path / "emnist").mkdir()
    data = write_csv(tmp_path / "emnist/letters.csv", [0, 1, 2, 3])
    command.evaluate_run(weak.folder, {}, data=str(data))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("data: please check: the names contain emnist")
    assert [line.startswith("data: ") for line in lines].index(False) == lines.index(
        next(line for line in lines if line.startswith("Test accuracy"))
    )


def test_eval_py_takes_the_settings_of_the_template(weak: Run, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "a=b, c ü (1)"
    shutil.copytree(weak.folder, folder)
    command.main([f"ckpt_path='{folder}/checkpoints/best.ckpt'", "trainer=cpu", "report=de"])
    assert "Testgenauigkeit" in capsys.readouterr().out


def test_eval_py_has_help(capsys) -> None:
    command.main(["--help"])
    assert "eval.py ckpt_path=RUN/checkpoints/best.ckpt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "add ckpt_path=RUN/checkpoints/best.ckpt"),
        (["ckpt_path=some.ckpt"], "expected a checkpoint in a run folder"),
        (["ckpt_path"], "not a valid override"),
        (["ckpt_path=run/checkpoints/best.ckpt", "model=cnn"], "model: has no effect"),
    ],
)
def test_eval_py_refuses_in_one_line(weak: Run, arguments: list[str], message: str, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("wrong", "code", "advice", "fixed"),
    [
        ({"part": "tset"}, "unknown", "test", {"part": "test"}),
        ({"checkpoint": "first"}, "unknown", "best, last", {"checkpoint": "last"}),
        ({"settings": {"data.preview": True}}, "setting", "omit it", {}),
        ({"settings": {"model.lr": 1}}, "setting", "trainer.precision", {"settings": {"trainer.precision": "64-true"}}),
        ({"data": "nowhere"}, "no_data", "or the path of your data", {"data": "new.csv"}),
        ({"data": "nowhere"}, "no_data", "mnist5k", {"data": "mnist5k"}),
        ({"data": "other"}, "other_classes", "rename it to one of 0, 1", {"data": "renamed"}),
        ({"data": "other"}, "other_classes", "or remove its images", {"data": "removed"}),
        ({"part": "all", "settings": {"data.fold": 1}}, "no_split", "omit it", {"part": "all"}),
        (
            {"part": "all", "settings": {"data.fractions": [0.6, 0.2, 0.2]}},
            "no_split",
            "--split test",
            {"part": "test", "settings": {"data.fractions": [0.6, 0.2, 0.2]}},
        ),
    ],
)
def test_the_advice_of_a_refusal_works(weak: Run, tmp_path: Path, wrong, code: str, advice: str, fixed) -> None:
    write_csv(tmp_path / "new.csv", [0, 1, 2])
    for folder, classes in (("other", ("1", "2", "11")), ("renamed", ("1", "2", "0")), ("removed", ("1", "2"))):
        for place, name in enumerate(classes):
            (tmp_path / folder / name).mkdir(parents=True)
            Image.fromarray(synthetic_digits(3, seed=1)[0][place]).save(tmp_path / folder / name / "a.png")
    (tmp_path / "removed/11").mkdir()  # its images are gone
    with pytest.raises(InputError) as error:
        evaluate(weak, **wrong)
    assert error.value.code == f"experiment.evaluation.{code}"
    assert advice in str(error.value)
    assert Run(evaluate(weak, **fixed)).metrics["test/total"]


def test_the_run_that_a_refused_evaluation_names_can_be_tested(weak: Run) -> None:
    with pytest.raises(InputError) as error:
        evaluate(evaluate(weak))
    assert error.value.code == "experiment.evaluation.of_evaluation"
    assert f"name the folder of the run {weak.folder.name} instead" in str(error.value)
    assert Run(evaluate(weak.folder)).metrics["test/total"]
