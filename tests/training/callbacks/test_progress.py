import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from ziffern.records.writer import append_event
from ziffern.training.callbacks.progress import ProgressReport, clock


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_time_that_remains_is_that_of_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ziffern.training.callbacks.progress.time.monotonic", lambda: now[0])
    report = ProgressReport(tmp_path, Console(file=io.StringIO()))
    report._began, report._first, report._total = 100.0, 50, 250  # resumed at step 50 of 250
    trainer = SimpleNamespace(global_step=50)
    assert report.eta(trainer) is None
    now[0], trainer.global_step = 110.0, 150  # 100 steps in 10 s, 100 to go
    assert report.eta(trainer) == pytest.approx(10.0)


def test_events_are_appended_one_json_object_a_line(tmp_path: Path) -> None:
    for number in range(2):
        append_event(tmp_path, "failed", reason=f"zwölf {number}")
    lines = (tmp_path / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["reason"] for line in lines] == ["zwölf 0", "zwölf 1"]
    assert json.loads(lines[0])["time"].endswith("+00:00")


def test_a_terminal_sees_a_bar_and_a_file_sees_lines(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(terminal: bool) -> str:
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
        monkeypatch.setattr("ziffern.experiment.run.Console", lambda **_: console)
        monkeypatch.setattr(ProgressReport.__init__, "__defaults__", (0.0, 0.0))  # show every step
        run(folder=str(terminal))
        return text.getvalue()

    bar, lines = shown(terminal=True), shown(terminal=False)
    assert "━" in bar
    assert "━" not in lines
    for text in (bar, lines):
        assert "epoch 2 of 2 · train loss" in text
        assert "ETA 0:0" in text


def test_steps_are_reported_as_they_happen(run) -> None:
    finished = run("trainer.log_every_n_steps=5", "trainer.micro_steps=1")
    events = [json.loads(line) for line in (finished.folder / "progress.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [5, 10, 15, 20, 25, 30]
    assert {"epoch", "steps", "train/loss", "train/acc", "eta_seconds"} <= steps[0].keys()


def test_a_file_stop_ends_the_training_after_the_epoch_with_the_best_model_tested(run, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    folder.mkdir()
    (folder / "stop").touch()
    finished = run("trainer.max_epochs=4", folder=str(folder))
    assert finished.metrics["epochs"] == 1
    assert finished.is_tested
    assert not (finished.folder / "stop").exists()
