"""Configurations that are composed in Python, as in the tests of lightning-hydra-template."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from ziffern.config import conf_folder
from ziffern.errors import InputError
from ziffern.experiment.run import run_experiment
from ziffern.runs.run import Run
from ziffern.training.fast_steps.steps import FastSteps
from ziffern.training.trainer import Trainer


@pytest.fixture
def cfg_train(digits_npz: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    chosen = ["data=local", f"data.dir={digits_npz}", "model=nn", "trainer=cpu", "trainer.max_epochs=1"]
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


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_is_not_overwritten(cfg_train: DictConfig, tmp_path: Path) -> None:
    run_experiment(cfg_train, tmp_path / "run", "nn")
    before = files(tmp_path)
    last = tmp_path / "run/checkpoints/last.ckpt"
    for change in ({}, {"seed": 1}, {"ckpt_path": str(last)}):  # the same, another, one that would go on there
        cfg = OmegaConf.merge(cfg_train, change, {"trainer": {"max_epochs": 2}})
        with pytest.raises(
            InputError, match=r"run: already holds a finished run: choose another .* with folder=FOLDER"
        ):
            run_experiment(cfg, tmp_path / "run", "nn")
    assert files(tmp_path) == before
    with open_dict(cfg_train):
        cfg_train.seed = 1
    run_experiment(cfg_train, folder=tmp_path / "other", name="nn")  # as the message advises
    assert Run(tmp_path / "other").metrics["seed"] == 1


def test_an_unfinished_run_is_only_continued(cfg_train: DictConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_experiment(cfg_train, folder, "nn")
    (folder / "metrics.json").unlink()  # as if it had been stopped before its test
    before = files(folder)
    with pytest.raises(InputError, match=r"holds an unfinished run: continue it with ckpt_path=.*last.ckpt") as error:
        run_experiment(cfg_train, folder, "nn")
    assert error.value.code == "experiment.folder.unfinished"
    cfg_train.ckpt_path = str(folder / "checkpoints/last.ckpt")
    cfg_train.trainer.max_epochs = 2
    with pytest.raises(InputError, match="has seed=0 and this run seed=1"):
        run_experiment(OmegaConf.merge(cfg_train, {"seed": 1}), folder, "nn")
    assert files(folder) == before, "neither the run nor its configuration"
    run_experiment(cfg_train, folder, "nn")
    run = Run(folder)
    assert (run.metrics["epochs"], run.config["trainer"]["max_epochs"]) == (2, 2)


def test_a_folder_has_one_run_at_a_time(cfg_train: DictConfig, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / ".lock"), pytest.raises(InputError, match="another process is training there"):
        run_experiment(cfg_train, folder, "nn")
    run_experiment(cfg_train, folder, "nn")
    assert not (folder / ".lock").exists()


def test_a_refused_run_leaves_no_folder(cfg_train: DictConfig, tmp_path: Path) -> None:
    cfg_train.model.loss = {"reduction": "sum"}
    with pytest.raises(InputError, match="sum"):
        run_experiment(cfg_train, tmp_path / "run", "nn")
    assert not (tmp_path / "run").exists()


def test_the_trainer_of_version_0_1_0_takes_its_steps(run) -> None:
    assert run("trainer._target_=pytorch_lightning.Trainer", "trainer.micro_steps=4").metrics["epochs"] == 2
