"""Settings at the root, and blocks of callbacks and loggers: each has an effect, or is refused."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from ziffern.config.hyperparameters import hyperparameters
from ziffern.config.parts import complete_parts
from ziffern.config.root import check_root
from ziffern.errors import InputError

QUICK = ("model=nn", "model.net.hidden=[8]", "trainer=cpu", "trainer.max_epochs=1", "report=null", "hydra.run.dir=run")


@pytest.mark.parametrize(
    ("overrides", "code", "part"),
    [
        (["+foo=1"], "config.root.unknown", "foo: no such setting"),
        (["+train=false"], "config.root.train", "train=false: a run is always trained"),
        (["+train=true"], "config.root.unknown", "train: no such setting"),
        (["+task_name=x"], "config.elsewhere.replaced", "use name"),
        (["+a={x: '${b.y}'}", "+b={y: 1, z: '${a.x}'}"], "config.root.unknown", "a: no such setting"),
        (["+foo={a: 1, b: '${foo.a}'}"], "config.root.unknown", "foo: no such setting"),
    ],
)
def test_a_root_setting_without_effect_is_refused(composed, overrides: list[str], code: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        check_root(composed(*overrides))
    assert caught.value.code == code
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["+width=16", "+extra={w: '${width}'}", "model.net.hidden=['${extra.w}']"],
        ["+lr=0.1", "model.optimizer.lr=${oc.select:lr,0.2}"],
        ["+lr=0.1", "model.optimizer.lr=${.....lr}"],
    ],
)
def test_a_root_setting_that_another_refers_to_is_allowed(composed, overrides: list[str]) -> None:
    check_root(composed(*overrides))


def test_hydra_may_refer_to_a_root_setting(composed) -> None:
    check_root(composed("+place=x"), {"run": {"dir": "runs/${place}"}})


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("override", ["train=false", "+train=false", "+foo=1", "+debug=fdr", "+logger.foo=1"])
def test_the_command_line_refuses_in_one_line(command_line, digits_npz: Path, override: str) -> None:
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *QUICK, override)
    assert code == 2
    assert errors.count("\n") == 1
    assert not Path("run/progress.jsonl").exists()


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("override", ["logger=[]", "~logger", "logger=null", "callbacks=null", "~callbacks"])
def test_groups_can_be_turned_off(command_line, digits_npz: Path, override: str) -> None:
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *QUICK, override)
    assert not code, errors
    assert Path("run/metrics.json").is_file()
    assert Path("run/tensorboard").is_dir() == ("logger" not in override)


def test_null_chooses_no_option(command_line) -> None:
    given = ("logger=null", "experiment=null", "ckpt_path=null", "debug=null", "model=nn")
    code, output, errors = command_line(*given, "--cfg", "job")
    assert (code, errors) == (0, "")
    assert yaml.safe_load(output)["logger"] in (None, {})
    code, _, errors = command_line("model=null", "--cfg", "job")
    assert code == 2
    assert errors.startswith("error: model=null: this group needs an option")


@pytest.mark.parametrize("content", [None, [], {}, {"early_stopping": None}])
def test_no_callbacks_are_no_setting(composed, content: object) -> None:
    config = composed()
    expected = hyperparameters(OmegaConf.to_container(composed("callbacks=none"), resolve=False))
    config.callbacks = content
    complete_parts(config)
    assert {key for key in hyperparameters(OmegaConf.to_container(config, resolve=False)) if "early" not in key} == set(
        expected
    )


def test_a_block_without_target_completes_the_option(composed) -> None:
    config = composed("+logger={wandb: {tags: [a]}}", "+callbacks.ema.decay=0.9")
    complete_parts(config)
    assert config.logger.wandb._target_ == "pytorch_lightning.loggers.WandbLogger"
    assert config.logger.wandb.offline
    assert config.logger.wandb.tags == ["a"]
    assert config.callbacks.ema == {"_target_": "ziffern.training.callbacks.ema.EMA", "decay": 0.9}


@pytest.mark.parametrize(
    ("override", "code"),
    [
        ("+logger.foo=1", "config.part.no_mapping"),
        ("+logger.foo=[1]", "config.part.no_mapping"),
        ("+logger.foo.x=1", "config.part.no_target"),
        ("+callbacks.model_checkpoint.monitor=val/acc", "config.elsewhere.checkpoints"),
        ("+callbacks.own.monitor=val/acc", "config.part.no_target"),
        ("callbacks=text", "config.part.no_mapping"),
    ],
)
def test_other_blocks_are_refused(composed, override: str, code: str) -> None:
    config = composed() if override == "callbacks=text" else composed(override)
    if override == "callbacks=text":
        config.callbacks = "text"
    with pytest.raises(InputError) as caught:
        complete_parts(config)
    assert caught.value.code == code
