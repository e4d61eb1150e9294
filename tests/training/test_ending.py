"""How a run ends that does not come to its end."""

import signal
import sys
from pathlib import Path

import pytest

from ziffern.experiment.run import run_experiment
from ziffern.training.module import ImageClassifier


def test_a_sigterm_during_the_test_is_no_success(
    composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(ImageClassifier, "on_test_start", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        run_experiment(composed("data.eval_batch_size=20"), tmp_path / "run", "nn")
    assert ended.value.code == 128 + signal.SIGTERM
    assert not (tmp_path / "run/metrics.json").exists()
    assert "stopped after epoch 2; continue with" in capsys.readouterr().out


def test_an_exit_of_a_callback_keeps_its_code(composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageClassifier, "on_train_epoch_start", lambda _: sys.exit(3))
    with pytest.raises(SystemExit) as ended:
        run_experiment(composed(), tmp_path / "run", "nn")
    assert ended.value.code == 3
