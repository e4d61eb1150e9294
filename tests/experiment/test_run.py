"""The settings of an experiment that can change a result."""

from omegaconf import OmegaConf

from ziffern.config.hyperparameters import hyperparameters, plain_config


def test_hyperparameters_leave_the_plumbing_out(composed) -> None:
    settings = hyperparameters(plain_config(composed("model.optimizer.lr=0.5")))
    assert settings["model.optimizer.lr"] == 0.5
    assert settings["seed"] == 0
    assert not [key for key in settings if key.startswith(("logger", "data.dir", "trainer.micro_steps", "ckpt_path"))]
    assert OmegaConf.is_config(OmegaConf.create(settings))
