import io
import itertools
import time

import pytest
import torch
from rich.console import Console

from ziffern.config.instantiate import build
from ziffern.experiment.run import trainer_parts
from ziffern.training.fast_steps.pace import steps_at_once
from ziffern.training.recorder import Recorder
from ziffern.training.trainer import make_trainer


def prepared(composed, tmp_path):
    cfg = composed()
    model, data = build(cfg.model, "model"), build(cfg.data, "data")
    data.setup()
    recorder = Recorder(tmp_path, cfg.monitor, Console(file=io.StringIO()))
    return model, data, make_trainer(*trainer_parts(cfg), recorder)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0001, 100), (0.002, 25), (0.04, 1), (0.2, 1)])
def test_the_shorter_the_steps_the_more_at_once(composed, tmp_path, monkeypatch, seconds, expected) -> None:
    model, data, trainer = prepared(composed, tmp_path)
    clock = itertools.count(0, seconds)  # looked at before and after each step
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert steps_at_once(model, data, trainer) == expected


def test_measuring_changes_neither_weights_nor_random_stream(composed, tmp_path) -> None:
    model, data, trainer = prepared(composed, tmp_path)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stream = torch.get_rng_state()
    steps_at_once(model, data, trainer)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_several_processes_agree(composed, tmp_path, monkeypatch) -> None:
    model, data, trainer = prepared(composed, tmp_path)
    monkeypatch.setattr(type(trainer), "world_size", 2)
    assert steps_at_once(model, data, trainer) == 20
