from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ziffern.config.hyperparameters import hyperparameters, plain_config
from ziffern.errors import InputError
from ziffern.experiment.run import clipping, lightning_settings, micro_steps, run_experiment, wanted_callbacks


def test_several_steps_a_training_step_unless_something_counts_them(composed) -> None:
    assert micro_steps(composed()) == "auto"
    assert micro_steps(composed("trainer.micro_steps=3")) == 3
    assert micro_steps(composed("callbacks.early_stopping.patience=3")) == "auto"


def test_clipping_is_done_where_the_steps_are_taken(composed) -> None:
    fast, plain = (composed("trainer.gradient_clip_val=1", f"trainer.micro_steps={k}") for k in ("auto", 1))
    assert clipping(fast.trainer) == {"gradient_clip_val": 1}
    assert "gradient_clip_val" not in lightning_settings(fast)
    assert lightning_settings(plain).gradient_clip_val == 1
    assert clipping(composed().trainer) == {}


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
    assert micro_steps(composed(setting)) == 1


def test_early_stopping_that_is_off_costs_nothing(composed) -> None:
    assert wanted_callbacks(composed()) == []
    assert [name for name, _ in wanted_callbacks(composed("callbacks.early_stopping.patience=1"))] == ["early_stopping"]


def test_only_our_early_stopping_is_left_out_without_patience(composed) -> None:
    other = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val/acc, patience: null}"
    config = composed(f"+callbacks.other={other}")
    assert [name for name, _ in wanted_callbacks(config)] == ["other"]
    with pytest.raises(InputError, match=r"callbacks\.other\.patience=null: EarlyStopping takes a whole number"):
        run_experiment(config, Path("unused"), "nn")


def test_hyperparameters_leave_the_plumbing_out(composed) -> None:
    settings = hyperparameters(plain_config(composed("model.optimizer.lr=0.5")))
    assert settings["model.optimizer.lr"] == 0.5
    assert settings["seed"] == 0
    assert not [key for key in settings if key.startswith(("logger", "data.dir", "trainer.micro_steps", "ckpt_path"))]
    assert OmegaConf.is_config(OmegaConf.create(settings))
