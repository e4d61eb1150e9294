"""When steps are taken fast, and when Lightning takes them."""

from typing import Any

import pytest
from omegaconf import DictConfig

from ziffern.experiment.run import trainer_parts
from ziffern.training.fast_steps.choice import lightning_settings, micro_steps, step_callbacks
from ziffern.training.fast_steps.steps import ClipGradients, FastSteps
from ziffern.training.trainer import used_callbacks


def parts(config: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    trainer, callbacks, _ = trainer_parts(config)
    return trainer, used_callbacks(callbacks)


def test_steps_are_fast_unless_something_counts_them(composed) -> None:
    assert micro_steps(*parts(composed())) == "auto"
    assert micro_steps(*parts(composed("trainer.micro_steps=3"))) == 3
    assert micro_steps(*parts(composed("callbacks.early_stopping.patience=3"))) == "auto"


def test_gradients_are_clipped_where_the_steps_are_taken(composed) -> None:
    fast, plain = (parts(composed("trainer.gradient_clip_val=1", f"trainer.micro_steps={k}")) for k in ("auto", 1))
    clip = [each for each in step_callbacks(*fast) if isinstance(each, ClipGradients)]
    assert [each._settings for each in clip] == [{"gradient_clip_val": 1}]
    assert "gradient_clip_val" not in lightning_settings(*fast)
    assert lightning_settings(*plain)["gradient_clip_val"] == 1
    for config in (plain, parts(composed())):
        assert not [each for each in step_callbacks(*config) if isinstance(each, ClipGradients)]


def test_without_epochs_nothing_is_measured(composed) -> None:
    callbacks = step_callbacks(*parts(composed("trainer.max_epochs=0")))
    assert not [each for each in callbacks if isinstance(each, FastSteps)]


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
def test_lightnings_own_steps_where_something_counts_them(composed, setting: str) -> None:
    assert micro_steps(*parts(composed(setting))) == 1
