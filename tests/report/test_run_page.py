import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from tests.support.console import call
from tests.support.pages import Page

from ziffern.errors import InputError
from ziffern.report.charts.drawing import short
from ziffern.report.page import as_seen
from ziffern.report.run_page import write_report
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run

ONE_MISTAKE = {"mistake_image": np.zeros((1, 28, 28), np.uint8), "mistake_name": np.array([""])}


def report(run: Run, language: str = "en") -> Page:
    return Page(write_report(Run(run.folder), language=language))


@pytest.mark.usefixtures("sketched")
def test_the_command_names_the_threads(run) -> None:
    assert "threads=1" in Findings(run(folder="a")).command.split()
    typed = run("threads=2", folder="b")
    (typed.folder / ".hydra/overrides.yaml").write_text("[threads=null, seed=0]")
    words = Findings(Run(typed.folder)).command.split()
    assert [word for word in words if word.startswith("threads")] == ["threads=2"]
    assert "CPU threads: 2" in report(typed).text


def change(run: Run, **arrays: np.ndarray) -> None:
    """Rewrite arrays of predictions.npz."""
    path = run.folder / "predictions.npz"
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **(content | arrays))


def test_a_finished_run_is_told_in_both_languages(imperfect: Run) -> None:
    outcome = imperfect.predictions.outcome
    assert 0 < outcome.correct < outcome.total
    english, german = report(imperfect), report(imperfect, "de")
    for page, decimal in ((english, "."), (german, ",")):
        assert f"{100 * outcome.accuracy:.2f}".replace(".", decimal) in page.text
        assert f"{100 * outcome.interval[0]:.2f}".replace(".", decimal) in page.text
        true, predicted, count = outcome.confusions[0]
        assert f"{true}→{predicted} ({count}×)" in page.text
        assert page.source.count("<svg") == 5
        assert page.source.count('src="data:image/png') >= 10 + min(60, outcome.total - outcome.correct)
        assert "model.optimizer.lr" in page.text
    assert '<html lang="en">' in english.source
    assert '<html lang="de">' in german.source
    assert "Verwechslungsmatrix" in german.text
    assert "Confusion matrix" in english.text


def test_the_same_run_gives_the_same_page(imperfect: Run) -> None:
    assert report(imperfect).source == report(imperfect).source


def test_the_misread_digits_are_those_of_the_data(imperfect: Run, digits_npz: Path) -> None:
    with np.load(digits_npz) as file:
        images = np.concatenate([file["x_train"], file["x_test"]])
    said = imperfect.predictions
    assert np.array_equal(said.mistake, said.outcome.mistakes)
    assert np.array_equal(said.mistake_image, images[said.index[said.mistake], None])
    confidences = [digit.confidence for digit in Findings(imperfect).mistakes]
    assert confidences == sorted(confidences, reverse=True)


def test_what_it_was_trained_on_is_recorded(imperfect: Run) -> None:
    material = imperfect.material
    assert material is not None
    assert material.class_names == tuple("0123456789")
    assert material.counts.sum(1).tolist() == [imperfect.metrics[f"data/{part}"] for part in ("train", "val", "test")]
    assert len(set(material.example_label.tolist())) == 5


@pytest.mark.usefixtures("sketched")
def test_a_moved_run_needs_nothing_else(imperfect: Run, tmp_path: Path) -> None:
    moved = Run(imperfect.folder.rename(tmp_path / "elsewhere"))
    assert "elsewhere" in report(moved).text


@pytest.mark.usefixtures("sketched")
def test_a_run_killed_half_way_is_told_as_far_as_it_came(imperfect: Run) -> None:
    (imperfect.folder / "metrics.json").unlink()
    (imperfect.folder / "predictions.npz").unlink()
    page = report(imperfect)
    assert "is incomplete. Completed epochs: 1 of 1." in page.text
    assert f"ckpt_path={imperfect.folder}/checkpoints/last.ckpt" in page.text
    assert "Confusion matrix" not in page.text
    assert page.source.count("<svg") == 3


@pytest.mark.usefixtures("sketched")
def test_a_run_killed_in_its_first_epoch_is_not_trained(imperfect: Run) -> None:
    for name in ("metrics.json", "predictions.npz", "history.csv"):
        (imperfect.folder / name).unlink()
    shutil.rmtree(imperfect.folder / "checkpoints")
    assert "not trained" in report(imperfect).text


@pytest.mark.usefixtures("sketched")
def test_an_untrained_and_an_untested_run(run) -> None:
    untrained = report(run("trainer.max_epochs=0", folder="untrained"))
    assert "not trained" in untrained.text
    assert "trainer.max_epochs=5" in untrained.text
    untested = report(run("test=false", folder="untested"))
    assert "was not tested" in untested.text
    assert "Validation accuracy" in untested.text


@pytest.mark.usefixtures("sketched")
def test_a_class_without_test_digits_has_a_dash(imperfect: Run) -> None:
    said = imperfect.predictions
    kept = np.flatnonzero(said.target != 3)
    arrays = {name: getattr(said, name)[kept] for name in ("index", "target", "probability")}
    no_mistakes = {"mistake": np.zeros(0, np.int64), "mistake_image": np.zeros((0, 28, 28), np.uint8)}
    change(imperfect, **arrays, **no_mistakes, mistake_name=np.zeros(0, np.str_))
    page = report(imperfect)
    row = re.search(
        r'<tr><th scope="row">3</th><td>([^<]*)</td><td>([^<]*)</td><td>([^<]*)</td><td>0</td>', page.source
    )
    assert row is not None
    assert row[2] == row[3] == "–"
    assert "contradicts the other files" in page.text


@pytest.mark.usefixtures("sketched")
def test_a_perfect_run_has_no_mistakes_to_show(imperfect: Run) -> None:
    said = imperfect.predictions
    change(
        imperfect,
        probability=np.eye(10, dtype=np.float32)[said.target],
        mistake=np.zeros(0, np.int64),
        mistake_image=np.zeros((0, 28, 28), np.uint8),
        mistake_name=np.zeros(0, np.str_),
    )
    assert "every test image was classified correctly" in report(imperfect).text


@pytest.mark.usefixtures("sketched")
def test_a_figure_changed_by_hand_is_noticed(imperfect: Run) -> None:
    path = imperfect.folder / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps(metrics | {"test/acc": 0.9999}))
    page = report(imperfect)
    assert "contradicts the other files of this run (test/acc)" in page.text
    assert "99.99%" not in page.text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"test/acc": "high"}, "test/acc='high' is not a number from 0 to 1"),
        ({"val/acc": 1.2}, "val/acc=1.2 is not a number from 0 to 1"),
        ({"params": 1.5}, "params=1.5 is not a whole number"),
        ({"params": True}, "params=True is not a whole number from 0"),
        ({"train_seconds": None}, "train_seconds=None is not a number"),
        ({"data/name": 3}, "data/name=3 is not text"),
        ({"params": 10**400}, "params=1000"),
        ({"train_seconds": 1e300}, "train_seconds=1e+300 is not a number"),
    ],
)
def test_a_metric_of_another_kind_is_named(imperfect: Run, change: dict[str, object], named: str) -> None:
    path = imperfect.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=re.escape(named)):
        write_report(Run(imperfect.folder))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("history.csv", "epoch,train/loss\n1,2\n", "step is missing"),
        (
            "history.csv",
            "epoch,step,train/loss,train/acc,val/loss,val/acc,seconds\n1,1,inf,0,0,0,0\n",
            "train/loss='inf' is not a number",
        ),
        (
            "history.csv",
            "epoch,step,train/loss,train/acc,val/loss,val/acc,seconds\n1,1,1,50,0,0,0\n",
            "train/acc='50' is not a number from 0 to 1",
        ),
        ("metrics.json", "[" * 100_000, "not valid JSON"),
        ("metrics.json", "{}", "model is missing"),
        (".hydra/config.yaml", "model: x\n", "not the configuration of a run"),
        (".hydra/config.yaml", "model: {a: 1}\nmonitor: ${x}\n", "cannot be read"),
        ("data.npz", "no archive", "delete it to do without"),
        ("predictions.npz", "no archive", "test the run again"),
    ],
)
def test_a_damaged_file_is_one_line(imperfect: Run, name: str, content: str, line: str) -> None:
    (imperfect.folder / name).write_text(content)
    with pytest.raises(InputError, match=re.escape(line)):
        write_report(Run(imperfect.folder))


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("content", ["a word", "[1, 2]", "{source: 3}", "{source: x, test/acc: high, params: []}"])
def test_published_figures_of_other_kinds_are_left_out(imperfect: Run, content: str) -> None:
    path = imperfect.folder / ".hydra/config.yaml"
    path.write_text(f"{path.read_text()}\npublished: {content}\n")
    report(imperfect)


@pytest.mark.usefixtures("sketched")
def test_another_s_run_cannot_read_the_environment(imperfect: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    path = imperfect.folder / ".hydra/config.yaml"
    path.write_text(f"{path.read_text()}\nevil: ${{oc.env:SECRET}}\nword: oc.env\nworse: ${{${{word}}:SECRET}}\n")
    page = report(imperfect)
    assert "hunter2" not in page.text
    assert "${oc.env:SECRET}" in page.text


def test_the_kept_epoch_is_the_monitored_one(run) -> None:
    for monitor, best in (("val/loss", np.argmin), ("val/acc", np.argmax)):
        found = Findings(run(f"monitor={monitor}", "trainer.max_epochs=3", folder=monitor.replace("/", "-")))
        assert found.kept_epoch == found.run.metrics["best_epoch"] == best(found.history[monitor]) + 1
        assert found.contradictions == []


def test_curves_and_pictures_are_not_mixed_up(
    imperfect: Run, monkeypatch: pytest.MonkeyPatch, digits_npz: Path
) -> None:
    drawn = []
    monkeypatch.setattr("ziffern.report.charts.run.learning_curve", lambda *values: drawn.append(values) or "")
    write_report(imperfect)
    history = Findings(imperfect).history
    assert [curves[:2] for curves in drawn] == [
        (history["train/acc"], history["val/acc"]),
        (history["train/loss"], history["val/loss"]),
    ]
    with np.load(digits_npz) as file:
        images, labels = (np.concatenate([file[f"{name}_train"], file[f"{name}_test"]]) for name in "xy")
    for digit, place in zip(Findings(imperfect).mistakes, imperfect.predictions.mistake, strict=True):
        index = imperfect.predictions.index[place]
        assert np.array_equal(digit.image, images[None, index])
        assert digit.true == str(labels[index])


@pytest.mark.usefixtures("sketched")
def test_the_share_that_may_be_answered_is_that_of_the_surest(imperfect: Run) -> None:
    said = imperfect.predictions
    ranked = said.outcome.hit[np.argsort(-said.outcome.confidence, kind="stable")]
    right = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    expected = max((place + 1 for place, share in enumerate(right) if share >= 0.99), default=0) / len(ranked)
    assert f"{100 * expected:.1f}%" in report(imperfect).text


def test_few_of_many_mistakes_are_kept(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ziffern.records.writer.MAX_MISTAKES", 3)
    said = run("trainer.max_epochs=0").predictions
    assert said.mistake.tolist() == said.outcome.mistakes[:3].tolist()


def test_the_normalisation_is_that_of_the_model(imperfect: Run) -> None:
    model, material = imperfect.load_model(), imperfect.material
    assert (material.mean, material.std) == pytest.approx((float(model.normalize.mean), float(model.normalize.std)))


@pytest.mark.usefixtures("sketched")
def test_a_leak_is_not_called_unseen(trained) -> None:
    page = report(trained("data.split=official", "data.val_from=test"))
    assert "not used for training or selection" not in page.text
    assert "also selected the epoch" in page.text


def test_the_command_is_that_of_this_run_alone(imperfect: Run) -> None:
    (imperfect.folder / ".hydra/overrides.yaml").write_text("- model=nn\n- seed=1\n- ckpt_path=old.ckpt\n")
    environment = imperfect.folder / "environment.json"
    environment.write_text(json.dumps({"command": "python train.py -m model=nn,dnn seed=0,1"}))
    assert Findings(Run(imperfect.folder)).command == "python train.py model=nn seed=1 threads=1"
    environment.write_text(json.dumps({"command": "ziffern train 'unbalanced"}))
    (imperfect.folder / "metrics.json").unlink()
    last = imperfect.folder / "checkpoints/last.ckpt"
    assert Findings(Run(imperfect.folder)).command == f"ziffern train model=nn seed=1 threads=1 ckpt_path={last}"


@pytest.mark.usefixtures("sketched")
def test_a_folder_whose_name_is_no_text(imperfect: Run, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    report(Run(imperfect.folder.rename(odd)))


def test_a_missing_metric_is_named(imperfect: Run) -> None:
    path = imperfect.folder / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in metrics.items() if key != "params"}))
    with pytest.raises(InputError, match="params is missing"):
        write_report(Run(imperfect.folder))


@pytest.mark.parametrize(
    "arrays",
    [
        {"target": np.zeros(3, np.int64)},
        {"target": np.full(80, 10)},
        {"probability": np.full((80, 10), np.nan, np.float32)},
        {"probability": np.full((80, 10), 0.5, np.float32)},
        {"mistake": np.array([80]), **ONE_MISTAKE},
        {"mistake": np.array([-1]), **ONE_MISTAKE},
        {"target": np.zeros(80)},
        {"probability": np.tile(np.array([[2, -1, 0, 0, 0, 0, 0, 0, 0, 0]], np.float32), (80, 1))},
    ],
)
def test_predictions_that_do_not_fit_are_refused(imperfect: Run, arrays: dict[str, np.ndarray]) -> None:
    change(imperfect, **arrays)
    with pytest.raises(InputError, match=r"predictions\.npz: no predictions can be read"):
        write_report(Run(imperfect.folder))


def test_text_from_data_and_config_is_escaped(imperfect: Run) -> None:
    evil = "<script>alert(1)</script>&$x$"
    with np.load(imperfect.folder / "data.npz") as file:
        content = dict(file)
    names = np.array([f"{evil}{number}" for number in range(10)])
    np.savez(imperfect.folder / "data.npz", **(content | {"class_names": names}))
    path = imperfect.folder / ".hydra/config.yaml"
    config = OmegaConf.load(path)
    OmegaConf.update(config, "data.dir", evil, force_add=True)
    OmegaConf.update(config, "published", {"source": evil, "test/acc": 0.5}, force_add=True)
    OmegaConf.update(config, "model.evil", evil, force_add=True)
    OmegaConf.save(config, path)
    metrics = imperfect.folder / "metrics.json"
    metrics.write_text(
        json.dumps(json.loads(metrics.read_text()) | {"data/note": evil, "model": evil, "data/name": evil})
    )
    environment = imperfect.folder / "environment.json"
    environment.write_text(json.dumps({"command": f"python train.py {evil}", "processor": evil}))
    page = report(imperfect)  # fails on a script element
    assert page.text.count(evil) > 20


@pytest.mark.usefixtures("sketched")
def test_a_damaged_environment_is_left_out(imperfect: Run) -> None:
    (imperfect.folder / "environment.json").write_text("[")
    assert "python train.py" in report(imperfect).text


def test_normalised_pictures_show_zero_as_middle_grey() -> None:
    image, one = np.array([[[0, 51, 255]]], np.uint8), np.ones(1)
    # The lowest value lies a quarter as far from 0.
    assert as_seen(image, 51 * one, 100 * one).tolist() == [[[96, 128, 255]]]
    assert as_seen(image, 127.5 * one, 127.5 * one).tolist()[0][0][::2] == [0, 255]
    color = as_seen(np.repeat(image, 3, 0), np.array([51.0, 51, 51]), np.array([100.0, 100, 200]))
    assert color[:, 0].tolist() == [[96, 128, 255], [96, 128, 255], [112, 128, 191]]  # in the units of all three


@pytest.mark.usefixtures("sketched")
def test_one_bad_folder_does_not_keep_the_others_from_their_reports(imperfect: Run, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "report", "nowhere", str(imperfect.folder)) == 2
    assert capsys.readouterr().out == f"{imperfect.folder / 'report.html'}\n"


@pytest.mark.usefixtures("sketched")
def test_the_command_writes_into_the_run_or_where_it_is_told(imperfect: Run, monkeypatch, tmp_path, capsys) -> None:
    assert call(monkeypatch, "report", imperfect.folder) == 0
    assert capsys.readouterr().out == f"{imperfect.folder / 'report.html'}\n"
    elsewhere = tmp_path / "new/page.html"
    assert call(monkeypatch, "report", imperfect.folder, "--output", elsewhere, "--language", "de") == 0
    assert "Testgenauigkeit" in Page(elsewhere).text


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("report", "nowhere"), "nowhere: this folder does not exist"),
        (("report", "{run}", "--language", "fr"), "fr: no reports in this language: use one of en, de"),
        (("report", "{run}", "{run}", "--output", "x.html"), "one file cannot hold 2 reports"),
        (("report", "{run}", "--output", "/proc/x.html"), "/proc/x.html: "),
        (("report", "{run}", "--output", "."), "--output .: this is a folder"),
    ],
)
def test_a_mistake_is_one_line(imperfect: Run, monkeypatch, capsys, arguments, line: str) -> None:
    given = [argument.replace("{run}", str(imperfect.folder)) for argument in arguments]
    assert call(monkeypatch, *given) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert line in errors
    assert errors.count("\n") == 1


def test_training_leaves_a_report(command_line, digits_npz: Path) -> None:
    small = ("data=local", f"data.dir={digits_npz}", "model=nn", "trainer=cpu", "trainer.max_epochs=1", "logger=none")
    code, out, _ = command_line(*small, "report=de", "hydra.run.dir=told")
    assert code == 0
    assert "told/report.html" in out
    assert "Testgenauigkeit" in Page(Path("told/report.html")).text
    assert command_line(*small, "report=null", "hydra.run.dir=untold")[0] == 0
    assert not Path("untold/report.html").exists()
    code, _, errors = command_line(*small, "report=fr", "hydra.run.dir=never")
    assert code == 2
    assert "en, de" in errors
    assert not Path("never/metrics.json").exists()


def test_a_run_is_not_lost_over_its_report(command_line, digits_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ziffern.report.run_page.write_report", fail)
    small = ("data=local", f"data.dir={digits_npz}", "model=nn", "trainer=cpu", "trainer.max_epochs=1", "logger=none")
    code, out, _ = command_line(*small, "hydra.run.dir=kept")
    assert code == 0
    assert "NOTE: no report was written" in out
    assert Path("kept/metrics.json").exists()


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("model.optimizer.lr", "model.optimizer.lr"),
        ("model.optimizer.weight_decay=0.0001", "…weight_decay=0.0001"),
        ("a_setting_without_any_group=0.125", "…ing_without_any_group=0.125"),
    ],
)
def test_a_long_name_is_cut_before_its_value(name: str, cut: str) -> None:
    assert short(name) == cut
