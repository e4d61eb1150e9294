"""Smoke runs, and what marks a run: name, tags, and that it is not a result."""

import csv
import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.support.runs import run_in

from ziffern.cli.compare import compare
from ziffern.config import conf_folder
from ziffern.config.instantiate import build
from ziffern.config.targets import allowed_class
from ziffern.errors import InputError
from ziffern.experiment.ensemble import ensemble
from ziffern.experiment.evaluation import evaluate
from ziffern.experiment.naming import run_folder
from ziffern.experiment.run import run_experiment
from ziffern.experiment.settings import debug_options
from ziffern.report.run_page import write_report
from ziffern.runs.run import Run
from ziffern.training import loggers as module
from ziffern.training.labels import Labels
from ziffern.training.loggers import build_logger


@pytest.fixture
def debugged(digits_npz: Path, tmp_path: Path):
    """Run an option of `debug` with its own number of epochs."""

    def run(option: str, *overrides: str) -> Run:
        GlobalHydra.instance().clear()
        small = ["data=local", f"data.dir={digits_npz}", "trainer=cpu", "logger=none", "model=nn"]
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            return run_in(tmp_path / option, compose("train", [*small, f"debug={option}", *overrides]))

    return run


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("option", debug_options())
def test_a_debug_run_is_marked(debugged, capsys: pytest.CaptureFixture[str], option: str) -> None:
    finished = debugged(option, "data.batch_size=100")
    out = capsys.readouterr().out
    assert out.count(f"NOTE: debug={option}: this run only tests whether everything works") == 2
    assert finished.is_debug
    assert finished.metrics["debug"].startswith(f"debug={option}")
    assert "ist kein Ergebnis" in Path(write_report(finished, language="de")).read_text()
    assert finished.metrics["epochs"] == {"limit": 3, "overfit": 20}.get(option, 1)


def test_a_fast_run_takes_one_batch(debugged) -> None:
    finished = debugged("fdr", "data.batch_size=20")
    assert [finished.metrics[f"data/{part}"] for part in ("train", "val", "test")] == [20, 1, 1]
    assert finished.history[-1]["step"] == 1


def test_overfitting_reaches_a_low_loss(debugged) -> None:
    finished = debugged("overfit", "data.batch_size=8", "model.optimizer.lr=0.01")
    assert finished.history[-1]["train/loss"] < 0.05 < finished.history[0]["train/loss"]
    assert "24 of the" in finished.metrics["data/limit"]


def test_the_profiler_writes_a_table(run) -> None:
    folder = run("debug=profiler").folder
    assert "run_training_epoch" in (folder / "fit-profile.txt").read_text()


@pytest.mark.parametrize("limit", [1, 50, 10_000])
def test_a_limit_keeps_so_many_images_of_each_part(composed, limit: int) -> None:
    data = build(composed(f"data.limit={limit}", "data.batch_size=30").data, "data")
    whole = build(composed().data, "data")
    for part in ("train", "val", "test"):
        images, everything = getattr(data.parts, part), getattr(whole.parts, part)
        assert len(images) == min(max(limit, 30) if part == "train" else limit, len(everything))
        assert set(images) <= set(everything)
    assert data.split_name != whole.split_name


def test_the_name_of_a_split_tells_which_images_a_limit_keeps(composed) -> None:
    """A limit below the batch size keeps a whole batch, so equal names would stand for other parts."""
    names = [build(composed("data.limit=8", f"data.batch_size={size}").data, "data").split_name for size in (4, 16, 32)]
    assert [name.partition("split_seed 0, ")[2] for name in names] == [
        "at most 8 of each part",
        "at most 16 of train and 8 of val and test",
        "at most 32 of train and 8 of val and test",
    ]


def test_a_limit_of_no_image_is_refused(composed, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.limit=0: must be at least 1"):
        run_experiment(composed("data.limit=0"), tmp_path, "nn")


def test_a_debug_run_is_not_compared(run, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        run(f"seed={seed}", "trainer.max_epochs=1", folder=f"runs/{seed}")
    run("debug=fdr", folder="runs/debug")
    capsys.readouterr()
    comparison = compare(["runs"], None, "en", 0.002)
    assert [len(recipe.runs) for recipe in comparison.recipes] == [2]
    assert "runs/debug is a debug run, not a result, so it is left out." in capsys.readouterr().out
    with pytest.raises(InputError, match="cannot be compared: train without debug="):
        compare(["runs/debug", "runs/0"], None, "en", 0.002)
    with pytest.raises(InputError, match="cannot be a member of an ensemble"):
        ensemble([Path("runs/debug"), Path("runs/0")], None, None)


def test_a_search_of_debug_runs_is_refused(composed, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a search compares its trials"):
        run_experiment(composed("debug=fdr"), tmp_path, "nn", is_trial=True)


def test_a_debug_run_is_not_continued_as_a_result(run, composed, tmp_path: Path) -> None:
    checkpoint = run("debug=default").folder / "checkpoints/last.ckpt"
    with pytest.raises(InputError, match="has debug=default"):
        run_in(tmp_path / "other", composed(f"ckpt_path={checkpoint}", "+trainer.detect_anomaly=true"))


@pytest.mark.slow
def test_several_runs_of_debug_suggest_no_comparison(command_line, digits_npz: Path) -> None:
    small = ("data=local", f"data.dir={digits_npz}", "trainer=cpu", "logger=none", "report=null", "debug=fdr")
    code, out, errors = command_line("-m", "model=glob([nn,dnn])", *small, "hydra.sweep.dir=sweep")
    assert not code, errors
    assert "ziffern compare sweep " not in out
    assert [Run(Path(f"sweep/{job}")).is_debug for job in (0, 1)] == [True, True]


def test_name_and_tags_change_no_result(run, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run("trainer.max_epochs=1", folder="runs/0")
    run("trainer.max_epochs=1", "name=wide", "tags=[baseline,2]", "seed=1", folder="runs/1")
    capsys.readouterr()
    assert len(compare(["runs"], None, "en", 0.002).recipes) == 1
    assert "wide [baseline, 2]" in capsys.readouterr().out
    assert "wide [baseline, 2]" in Path("runs/comparison.html").read_text()


def test_name_and_tags_reach_tensorboard_and_csv(run, tmp_path: Path) -> None:
    boards = [f"logger.{name}.save_dir={tmp_path / 'logs'}" for name in ("tensorboard", "csv")]
    run("logger=many", "name=wide", "tags=[a,b]", "trainer.max_epochs=1", *boards)
    folder = tmp_path / "logs/tensorboard/run"  # the run folder's name, since logs is shared by runs
    events = EventAccumulator(str(folder)).Reload()
    data = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"wide" in data
    assert b"a, b" in data
    assert "name: wide" in (folder / "hparams.yaml").read_text()
    with (tmp_path / "logs/csv/run/metrics.csv").open() as file:
        assert list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("WandbLogger", {"name": "run", "tags": ["a", "debug=fdr"]}),
        ("MLFlowLogger", {"run_name": "run", "tags": {"a": "a", "debug=fdr": "debug=fdr"}}),
        ("CometLogger", {"name": "run", "tags": ["a", "debug=fdr"]}),
        ("AimLogger", {"run_name": "run"}),
    ],
)
def test_services_receive_the_folders_name_and_the_tags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, expected: dict[str, object]
) -> None:
    kind, built = type(name, (Logger,), {}), {}
    monkeypatch.setattr(module, "allowed_class", lambda *_: kind)
    monkeypatch.setattr(module, "build", lambda node, *_: built.update(node))
    build_logger({"_target_": name}, "logger.x", tmp_path / "run", Labels("n", ("a",), "fdr"))
    assert {key: value for key, value in built.items() if key != "_target_"} == expected
    own = dict.fromkeys(expected, "own")
    build_logger({"_target_": name, **own}, "logger.x", tmp_path / "run", Labels("n", ("a",)))
    assert {key: value for key, value in built.items() if key != "_target_"} == own


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("tags=a", "experiment.tags.not_a_list"),
        ("tags=[[a]]", "experiment.tags.not_a_list"),
        ("tags=['']", "experiment.tags.not_a_list"),
        ("name=' '", "experiment.name.length"),
        (f"name={'x' * 101}", "experiment.name.length"),
        ("metrics=[1]", "experiment.metrics.no_mapping"),
    ],
)
def test_unusable_labels_are_refused(composed, tmp_path: Path, override: str, code: str) -> None:
    key, _, value = override.partition("=")
    config = composed()
    config[key] = OmegaConf.create(f"x: {value}").x
    with pytest.raises(InputError) as caught:
        run_experiment(config, tmp_path, "nn")
    assert caught.value.code == code


def test_name_and_tags_are_in_the_name_of_the_folder() -> None:
    choices, tags = OmegaConf.create({"model": "cnn"}), OmegaConf.create(["a", "b c"])
    given = OmegaConf.create(["seed=1", "tags=[a,b c]", "name=My run/1"])
    assert re.match(r"outputs/runs/My-run-1_a_b-c_\d{8}-", run_folder(choices, given, "My run/1", tags))
    assert re.match(r"outputs/runs/cnn_seed-1_a_b-c_\d{8}-", run_folder(choices, given, None, tags))


HITS = "+metrics.hits={_target_: torchmetrics.classification.MulticlassAccuracy, num_classes: 10, average: micro}"


def test_own_metrics_are_logged_and_recorded(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = run("logger=csv", f"logger.csv.save_dir={tmp_path / 'run'}", HITS, "data.eval_batch_size=13")
    assert finished.metrics["own_metrics"]["test/hits"] == pytest.approx(finished.metrics["test/acc"])
    with (tmp_path / "run/csv/metrics.csv").open() as file:
        rows = [row["val/hits"] for row in csv.DictReader(file) if row.get("val/hits")]
    assert [float(value) for value in rows] == pytest.approx([row["val/acc"] for row in finished.history], abs=1e-6)
    assert "test/hits" in capsys.readouterr().out
    assert "test/hits" in Path(write_report(finished)).read_text()


@pytest.mark.parametrize(
    ("override", "code"),
    [
        (HITS.replace("hits", "acc"), "training.metric.name"),
        (HITS.replace("Accuracy", "ConfusionMatrix").replace(", average: micro", ""), "training.metric.not_a_number"),
        (HITS.replace("num_classes: 10", "num_classes: 3"), "training.metric.failed"),
        ("+metrics.x._target_=torchmetrics.text.BLEUScore", "config.target.other_package"),
    ],
)
def test_a_metric_that_cannot_be_used_is_refused(composed, tmp_path: Path, override: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "run", composed(override))
    assert caught.value.code == code
    assert not (tmp_path / "run/progress.jsonl").exists()


def test_a_metric_is_allowed_as_a_metric_alone() -> None:
    name = "torchmetrics.classification.MulticlassAccuracy"
    assert allowed_class(name, "metrics.x._target_").__name__ == "MulticlassAccuracy"
    with pytest.raises(InputError, match="is not allowed"):
        allowed_class(name, "model.net._target_")


def test_an_evaluation_of_a_debug_run_is_marked(run, tmp_path: Path) -> None:
    run("debug=fdr")
    assert Run(evaluate(tmp_path / "run", output=tmp_path / "evaluated")).is_debug
