"""Configurations that are composed in Python, as in the tests of lightning-hydra-template."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from ziffern.config import conf_folder
from ziffern.config.foreign import checked_configs
from ziffern.errors import InputError
from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run
from ziffern.training.fast_steps.steps import FastSteps
from ziffern.training.trainer import Trainer


@pytest.fixture
def cfg_train(digits_npz: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    chosen = ["data=local", f"data.dir={digits_npz}", "data.num_classes=10", "model=nn", "trainer=cpu", "trainer.max_epochs=1"]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        cfg = compose("train.yaml", return_hydra_config=True, overrides=chosen)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    HydraConfig().set_config(cfg)
    yield cfg
    GlobalHydra.instance().clear()


@pytest.mark.filterwarnings("ignore")  # Lightning's notes on few workers and small data
@pytest.mark.parametrize("setting", [{}, {"fast_dev_run": True}, {"limit_train_batches": 0.2}, {"micro_steps": 3}])
def test_the_parts_are_instantiated_and_train(cfg_train: DictConfig, setting: dict) -> None:
    data, model = instantiate(cfg_train.data), instantiate(cfg_train.model)
    callbacks = [instantiate(node) for node in cfg_train.callbacks.values()]
    more = {"enable_progress_bar": False, "logger": False, "gradient_clip_val": 0.5, "callbacks": callbacks}
    trainer = instantiate(cfg_train.trainer, **more, **setting)
    assert isinstance(trainer, pl.Trainer)
    trainer.fit(model=model, datamodule=data)
    assert trainer.callback_metrics["val/acc"] > 0.05
    if not setting:
        trainer.test(model=model, datamodule=data, ckpt_path=trainer.checkpoint_callback.best_model_path)
        assert trainer.callback_metrics["test/acc"] > 0.5
    assert model.normalize.mean > 0, "fitted to the training part"


class Other(pl.LightningModule):
    """A module of somebody else's."""


def test_other_modules_keep_their_steps() -> None:
    trainer = Trainer(accelerator="cpu", logger=False, gradient_clip_val=1, max_epochs=1)
    (fast,) = (callback for callback in trainer.callbacks if isinstance(callback, FastSteps))
    module = Other()
    for callback in trainer.callbacks:
        callback.setup(trainer, module, "fit")
    assert not fast.is_active
    assert module.automatic_optimization
    assert trainer.gradient_clip_val == 1


def test_a_run_from_python_is_complete(cfg_train: DictConfig, tmp_path: Path) -> None:
    with open_dict(cfg_train):
        cfg_train.model.net.hidden = [16]
    run_experiment(cfg_train, tmp_path / "run", "nn")
    run = Run(tmp_path / "run")
    assert run.config["model"]["net"]["hidden"] == [16]
    assert "hydra" not in run.config
    assert "model=nn" in (run.overrides or [])
    assert list(run.folder.glob("tensorboard/events*"))
    assert cfg_train.logger.tensorboard._get_node("save_dir")._value() == "${hydra:runtime.output_dir}", (
        "left as it was"
    )


def test_the_trainer_of_version_0_1_0_takes_its_steps(run) -> None:
    assert run("trainer._target_=pytorch_lightning.Trainer", "trainer.micro_steps=4").metrics["epochs"] == 2


def test_a_finished_run_is_not_overwritten(cfg_train: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    Path("finished").mkdir()
    Path("finished/metrics.json").write_text("{}")
    with pytest.raises(InputError, match="already holds a finished run"):
        run_experiment(cfg_train, Path("finished"), "nn")
    assert Path("finished/metrics.json").read_text() == "{}"


@pytest.mark.parametrize("override", ["experiment=null", "debug=null", "logger=null", "callbacks=null"])
def test_null_is_an_option_in_python_too(override: str) -> None:
    GlobalHydra.instance().clear()
    with checked_configs(), initialize_config_dir(str(conf_folder()), version_base="1.3"):
        cfg = compose("train", overrides=[override, "data=mnist5k"])
    assert cfg.get(override.partition("=")[0]) in (None, {})
