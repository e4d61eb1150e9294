import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ziffern.analysis.metrics import METRICS
from ziffern.errors import InputError
from ziffern.records import reader, schema, writer
from ziffern.records.convert import from_json, from_plain
from ziffern.records.schema import describe
from ziffern.runs.run import Run


def fields(file: str) -> set[str]:
    return {entry.field for entry in describe() if entry.file == file}


def test_the_documentation_has_each_field_of_a_run(imperfect: Run) -> None:
    folder = imperfect.folder
    assert json.loads((folder / "metrics.json").read_text()).keys() <= fields("metrics.json")
    assert json.loads((folder / "environment.json").read_text()).keys() == fields("environment.json")
    with (folder / "history.csv").open() as file:
        assert set(next(csv.reader(file))) == fields("history.csv")
    for name in ("predictions.npz", "data.npz"):
        with np.load(folder / name) as arrays:
            assert set(arrays) == fields(name)
    for line in (folder / "progress.jsonl").read_text().splitlines():
        event = json.loads(line)
        assert event.keys() <= fields(f"progress.jsonl, event {event['event']}")


def test_the_documentation_names_types_and_meaning() -> None:
    rows = {(entry.file, entry.field): entry for entry in describe()}
    assert all(entry.type and entry.description for entry in rows.values())
    assert rows["metrics.json", "val/acc"].type == "a number from 0 to 1"
    assert rows["metrics.json", "test/acc"].description == "Test accuracy"
    assert rows["predictions.npz", "probability"].type == "float (N, C)"


def test_metrics_json_has_each_registered_metric(imperfect: Run) -> None:
    unmeasured = {metric.key for metric in METRICS if metric.stage == "not_digit"}  # too few validation images
    assert {metric.key for metric in METRICS} - imperfect.metrics.keys() == unmeasured


def test_what_is_not_declared_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not declared in ziffern\.records\.schema: test/new"):
        writer.write_metrics(tmp_path, {"test/new": 1})
    with pytest.raises(ValueError, match="more"):
        writer.append_event(tmp_path, "trained", more=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_declared_is_not_read(imperfect: Run) -> None:
    path = imperfect.folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test/new": 1}))
    assert "test/new" not in reader.read_metrics(imperfect.folder)


def test_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [dict.fromkeys(schema.EPOCH, 0.5) | {"epoch": epoch, "step": 10 * epoch} for epoch in (1, 2)]
    writer.write_history(tmp_path, rows)
    assert reader.read_history(tmp_path) == rows


def test_an_error_is_in_the_language_of_the_page() -> None:
    with pytest.raises(InputError) as error:
        from_json('{"event": 3}', schema.Event)
    assert str(error.value) == "event=3 is not text"
    assert error.value.message.in_language("de") == "event=3 ist ungültig, erwartet: Text"
    with pytest.raises(InputError, match="event is missing"):
        from_plain({}, schema.Event)
