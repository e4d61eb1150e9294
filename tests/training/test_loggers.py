"""Loggers of services, without network: the runs they record, how these end, and what is in them."""

import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning.loggers import Logger

from ziffern.errors import InputError
from ziffern.training import loggers as module
from ziffern.training.labels import Labels
from ziffern.training.loggers import build_logger

pytestmark = pytest.mark.filterwarnings("ignore")  # of these packages themselves
DIVERGING = ("model/optimizer=sgd", "model.optimizer.lr=1e30")


@pytest.fixture
def two_runs(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Train two runs in this process with a logger, the second of which fails."""
    monkeypatch.chdir(tmp_path)

    def train(*settings: str) -> None:
        first = run(*settings, "tags=[a,b]", "trainer.max_epochs=1", folder="first")
        assert first.metrics["test/acc"] > 0
        with pytest.raises(InputError, match="diverged"):
            run(*settings, *DIVERGING, "tags=[a,b]", "trainer.max_epochs=1", folder="second")

    return train


def records(path: Path) -> Iterator[bytes]:
    """Yield the records of an offline run of W&B: LevelDB's log format after a header of 7 bytes."""
    content, place, parts = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield parts
            parts = b""


def wandb_run(path: Path) -> dict[str, Any]:
    from wandb.proto import wandb_internal_pb2

    result: dict[str, Any] = {}
    for content in records(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.HasField("run"):
            result |= {"name": record.run.display_name, "run_tags": list(record.run.tags)}
        for part in (record.run.config, record.config, record.summary):
            result |= {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in part.update}
        if record.HasField("exit"):
            result["exit"] = record.exit.exit_code
    return result


@pytest.mark.slow
def test_wandb_has_a_run_of_its_own_for_each(two_runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = "{_target_: pytorch_lightning.loggers.WandbLogger, project: ziffern, offline: true, save_dir: %s}"
    two_runs(f"+logger.wandb={logger % tmp_path}")
    contents = [wandb_run(path) for path in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    runs = {content["name"]: content for content in contents}
    assert sorted(runs) == ["first", "second"]
    first, second = runs["first"], runs["second"]
    assert (first["exit"], second["exit"]) == (0, 1)
    assert first["run_tags"] == ["a", "b"]
    assert first["hp/test_acc"] > 0
    assert first["model.optimizer.lr"] == 0.001
    assert second["model.optimizer.lr"] == 1e30


@pytest.mark.slow
def test_mlflow_has_a_run_of_its_own_for_each(two_runs, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    two_runs("logger=mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    (experiment,) = [item for item in client.search_experiments() if item.name == "ziffern"]
    runs = {item.info.run_name: item for item in client.search_runs([experiment.experiment_id])}
    assert {name: item.info.status for name, item in runs.items()} == {"first": "FINISHED", "second": "FAILED"}
    first = runs["first"].data
    assert first.metrics["hp/test_acc"] > 0
    assert (first.params["seed"], first.params["model.optimizer.lr"]) == ("0", "0.001")
    assert {"a", "b"} <= first.tags.keys()


@pytest.mark.slow
def test_comet_has_an_archive_of_its_own_for_each(two_runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("comet_ml")
    monkeypatch.setenv("COMET_START_ONLINE", "0")
    two_runs("logger=comet", f"+logger.comet.offline_directory={tmp_path}/comet")
    tags = []
    for path in (tmp_path / "comet").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            tags.append(sorted(json.loads(archive.read("experiment.json"))["tags"]))
    assert sorted(tags) == [["a", "b"], ["a", "b", "failed"]]


def test_comet_that_would_record_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "allowed_class", lambda *_: type("CometLogger", (Logger,), {}))
    with pytest.raises(InputError, match="COMET_START_ONLINE=0") as error:
        build_logger({"_target_": "x", "online": False}, "logger.comet", tmp_path / "run", Labels())
    assert error.value.code == "training.logger.comet_offline"


@pytest.mark.parametrize(("status", "expected"), [("success", ["finish 0"]), ("failed", ["finish 1"])])
def test_the_end_of_a_run_is_that_of_its_experiment(status: str, expected: list[str]) -> None:
    calls: list[str] = []

    class Experiment:
        def finish(self, exit_code: int) -> None:
            calls.append(f"finish {exit_code}")

    kind = type("WandbLogger", (), {"_experiment": Experiment(), "finalize": lambda self, status: None})
    module.close_loggers([kind()], status)
    assert calls == expected
