"""When steps are taken fast, and when Lightning takes them."""

import io

import pytest
import pytorch_lightning as pl
from rich.console import Console

from ziffern.errors import InputError
from ziffern.experiment.run import trainer_parts
from ziffern.training.fast_steps.steps import ClipGradients, FastSteps
from ziffern.training.recorder import Recorder
from ziffern.training.trainer import make_trainer


@pytest.fixture
def trainer_of(composed, tmp_path):
    def trainer(*overrides: str) -> pl.Trainer:
        recorder = Recorder(tmp_path, "val/acc", Console(file=io.StringIO()))
        return make_trainer(*trainer_parts(composed(*overrides)), recorder)

    return trainer


def kinds(trainer: pl.Trainer) -> list[type]:
    return [type(callback) for callback in trainer.callbacks]


def test_steps_are_fast_unless_something_counts_them(trainer_of) -> None:
    for overrides, steps in (
        ((), None),
        (("trainer.micro_steps=3",), 3),
        (("callbacks.early_stopping.patience=3",), None),
    ):
        (fast,) = (each for each in trainer_of(*overrides).callbacks if isinstance(each, FastSteps))
        assert fast.micro_steps == steps


def test_gradients_are_clipped_where_the_steps_are_taken(trainer_of) -> None:
    fast, plain = (trainer_of("trainer.gradient_clip_val=1", f"trainer.micro_steps={k}") for k in ("auto", 1))
    assert ClipGradients in kinds(fast)
    assert plain.gradient_clip_val == 1
    for trainer in (plain, trainer_of()):
        assert ClipGradients not in kinds(trainer)


def test_without_epochs_nothing_is_measured(trainer_of) -> None:
    assert FastSteps not in kinds(trainer_of("trainer.max_epochs=0"))


@pytest.mark.parametrize(
    "setting",
    [
        "+trainer.accumulate_grad_batches=2",
        "+trainer.limit_train_batches=5",
        "+trainer.overfit_batches=1",
        "+trainer.val_check_interval=0.5",
        "+trainer.profiler=simple",
        "+callbacks.average={_target_: pytorch_lightning.callbacks.StochasticWeightAveraging, swa_lrs: 0.1}",
    ],
)
def test_lightnings_own_steps_where_something_counts_them(trainer_of, setting: str) -> None:
    assert FastSteps not in kinds(trainer_of(setting))
    with pytest.raises(InputError) as caught:
        trainer_of(setting, "trainer.micro_steps=2")
    assert caught.value.code == "training.micro_steps.needs_plain_steps"
