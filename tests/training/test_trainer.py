"""The callbacks of a trainer."""

from pathlib import Path

import pytest

from ziffern.errors import InputError
from ziffern.experiment.run import run_experiment, trainer_parts
from ziffern.training.trainer import used_callbacks


def test_early_stopping_that_is_off_costs_nothing(composed) -> None:
    assert used_callbacks(trainer_parts(composed())[1]) == {}
    assert list(used_callbacks(trainer_parts(composed("callbacks.early_stopping.patience=1"))[1])) == ["early_stopping"]


def test_only_our_early_stopping_is_left_out_without_patience(composed) -> None:
    other = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/acc, patience: null}"
    config = composed(f"+callbacks.other={other}")
    assert list(used_callbacks(trainer_parts(config)[1])) == ["other"]
    with pytest.raises(InputError, match=r"callbacks\.other\.patience=null: EarlyStopping expects a whole number"):
        run_experiment(config, Path("unused"), "nn")
