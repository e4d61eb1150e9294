import pytest
from omegaconf import OmegaConf

from ziffern.experiment import hyperparameters, micro_steps, wanted_callbacks


def test_several_steps_a_training_step_unless_something_counts_them(composed) -> None:
    assert micro_steps(composed()) == 20
    assert micro_steps(composed("trainer.micro_steps=3")) == 3
    assert micro_steps(composed("callbacks.early_stopping.patience=3")) == 20


@pytest.mark.parametrize(
    "setting",
    [
        "trainer.gradient_clip_val=1.0",
        "+trainer.accumulate_grad_batches=2",
        "+trainer.limit_train_batches=5",
        "+trainer.overfit_batches=1",
        "+trainer.val_check_interval=0.5",
        "+trainer.profiler=simple",
        "+callbacks.average={_target_: pytorch_lightning.callbacks.StochasticWeightAveraging, swa_lrs: 0.1}",
    ],
)
def test_lightnings_own_steps_where_something_counts_them(composed, setting: str) -> None:
    assert micro_steps(composed(setting)) == 1


def test_early_stopping_that_is_off_costs_nothing(composed) -> None:
    assert wanted_callbacks(composed()) == []
    assert [name for name, _ in wanted_callbacks(composed("callbacks.early_stopping.patience=1"))] == ["early_stopping"]


def test_hyperparameters_leave_the_plumbing_out(composed) -> None:
    settings = hyperparameters(composed("model.optimizer.lr=0.5"))
    assert settings["model.optimizer.lr"] == 0.5
    assert settings["seed"] == 0
    assert not [key for key in settings if key.startswith(("logger", "data.dir", "trainer.micro_steps", "ckpt_path"))]
    assert OmegaConf.is_config(OmegaConf.create(settings))
