"""Configurations that are composed in Python, as in the tests of lightning-hydra-template."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from ziffern.config import conf_folder
from ziffern.config.foreign import checked_configs
from ziffern.errors import InputError
from ziffern.experiment.evaluation import evaluate
from ziffern.experiment.run import run_experiment
from ziffern.records.checkpoint import read_checkpoint
from ziffern.runs.run import Run
from ziffern.training.fast_steps.steps import FastSteps
from ziffern.training.trainer import Trainer


@pytest.fixture
def cfg_train(digits_npz: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    data = ["data=local", f"data.dir={digits_npz}", "data.num_classes=10"]
    chosen = [*data, "model=nn", "trainer=cpu", "trainer.max_epochs=1"]
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


# What the tests of lightning-hydra-template check of training, evaluation and data.


@pytest.mark.parametrize("batch_size", [32, 128])
def test_the_data_are_loaded_by_setup_in_batches(cfg_train: DictConfig, batch_size: int) -> None:
    cfg_train.data.batch_size = batch_size
    data = instantiate(cfg_train.data)
    data.prepare_data()
    data.setup()
    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    assert sum(len(labels) for loader in loaders[1:] for _, labels in loader) == len(data.parts.val) + len(
        data.parts.test
    )
    assert len(data.parts.train) + len(data.parts.val) + len(data.parts.test) == 400
    images, labels = next(iter(loaders[0]))
    assert (images.shape, labels.shape) == ((batch_size, 1, 28, 28), (batch_size,))
    assert images.dtype == torch.uint8, "levels, which the model normalizes itself"
    assert labels.dtype == torch.int64


def test_one_batch_of_each_part(cfg_train: DictConfig, tmp_path: Path) -> None:
    with open_dict(cfg_train):
        cfg_train.trainer.fast_dev_run = True
    with pytest.raises(InputError, match=r"trainer.fast_dev_run=true: not possible here.*: use debug=fdr"):
        run_experiment(cfg_train, tmp_path / "run", "nn")
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        cfg = compose("train.yaml", overrides=["model=nn", "data=mnist5k", "trainer=cpu", "debug=fdr"])
    run_experiment(cfg, tmp_path / "run", "nn")
    assert Run(tmp_path / "run").is_debug


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning: of short forms, and of float16 on a CPU
@pytest.mark.parametrize("precision", [16, "16-mixed", 64, "bf16"])
def test_an_epoch_in_another_precision(cfg_train: DictConfig, tmp_path: Path, precision: object) -> None:
    cfg_train.trainer.precision = precision
    run_experiment(cfg_train, tmp_path / "run", "nn")
    assert Run(tmp_path / "run").metrics["epochs"] == 1


@pytest.mark.parametrize(
    ("setting", "fix"),
    [({"val_check_interval": 0.5}, "omit it"), ({"strategy": "ddp_spawn", "devices": 2}, "trainer=ddp_sim")],
)
def test_what_the_template_allows_and_we_do_not(cfg_train, tmp_path: Path, setting: dict, fix: str) -> None:
    with open_dict(cfg_train):
        cfg_train.trainer.update(setting)
    with pytest.raises(InputError, match=fix):
        run_experiment(cfg_train, tmp_path / "run", "nn")
    assert not (tmp_path / "run").exists()


def test_one_epoch_then_another(cfg_train: DictConfig, tmp_path: Path) -> None:
    cfg_train.model.optimizer.lr = 1e-4  # so that there is something left to learn
    run_experiment(cfg_train, tmp_path / "first", "nn")
    checkpoints = tmp_path / "first/checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert read_checkpoint(checkpoints / "last.ckpt")["epoch"] == 0
    cfg_train.ckpt_path = str(checkpoints / "last.ckpt")
    cfg_train.trainer.max_epochs = 2
    run_experiment(cfg_train, tmp_path / "second", "nn")  # a finished run keeps its folder
    first, second = Run(tmp_path / "first"), Run(tmp_path / "second")
    assert read_checkpoint(second.folder / "checkpoints/last.ckpt")["epoch"] == 1
    assert (first.metrics["epochs"], second.metrics["epochs"]) == (1, 2)
    for name in ("train/acc", "val/acc"):
        assert first.metrics[name] < second.metrics[name]


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_training_then_evaluation_gives_the_same_accuracy(cfg_train, tmp_path: Path, checkpoint: str) -> None:
    run_experiment(cfg_train, tmp_path / "run", "nn")
    run = Run(tmp_path / "run")
    again = Run(evaluate(run, checkpoint=checkpoint, output=tmp_path / "evaluation"))
    assert again.metrics["test/acc"] == run.metrics["test/acc"] > 0
    assert again.metrics["test/loss"] == pytest.approx(run.metrics["test/loss"])


def test_the_trainer_of_version_0_1_0_takes_its_steps(run) -> None:
    assert run("trainer._target_=pytorch_lightning.Trainer", "trainer.micro_steps=4").metrics["epochs"] == 2


@pytest.mark.parametrize("override", ["experiment=null", "debug=null", "logger=null", "callbacks=null"])
def test_null_is_an_option_in_python_too(override: str) -> None:
    GlobalHydra.instance().clear()
    with checked_configs(), initialize_config_dir(str(conf_folder()), version_base="1.3"):
        cfg = compose("train", overrides=[override, "data=mnist5k"])
    assert cfg.get(override.partition("=")[0]) in (None, {})
