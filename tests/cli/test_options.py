"""Options and overrides in any order, `~`, hydra.job.chdir, conf/local and .env, as users of Hydra type them."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from tests.support.runs import run_in

from ziffern.errors import InputError
from ziffern.runs.run import Run

SHORT = ("model=nn", "model.net.hidden=[16]", "trainer=cpu", "trainer.max_epochs=1", "report=null")

MISTAKES = {  # arguments -> what the one line has to say
    "-m model=cnn,nn --cfg job": ["-m cannot be combined with --cfg"],
    "--run -m seed=1": ["--run cannot be combined with -m"],
    "data.split=kfold data.fold=all": ["python train.py -m data.split=kfold data.fold=all"],
    "-m data.fold=all": ["data.fold=all trains one run per fold"],
    "-m data.split=kfold data.fold=all data.folds=0": ["data.fold=all trains one run per fold"],  # 0 runs, exit 0
    "-m data.split=kfold data.fold=all data.fold=1": ["data.fold=all trains one run per fold"],
    "--resolve": ["--resolve needs --cfg job"],
    "--package model": ["--package needs --cfg job"],
    "--cfg jobb": ["invalid choice: 'jobb'", "see --help"],
    "--foo": ["unrecognized arguments: --foo"],
    "model=null": ["model=null: this group needs an option"],
    "local=foo": ["local=foo: local/foo.yaml exists neither in"],
    "-m experiment=glob(*) modell=3": ["modell: no such setting; did you mean model?"],
    "-m experiment=glob(*) model.optimizer.lrr=3": ["did you mean model.optimizer.lr?"],
    "-m model=nn,dnn model.net.dropoutt=3": ["did you mean model.net.dropout?"],
    "callbacks.early_stopping.monitor=foo": ["callbacks.early_stopping.monitor=foo", "val/acc, val/loss"],
    "model.monitor=foo": ["model.monitor=foo", "val/acc, val/loss"],
    "+callbacks.x={_target_:pytorch_lightning.callbacks.ModelCheckpoint,monitor:foo}": ["callbacks.x.monitor=foo"],
    "+callbacks.x={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:foo}": ["callbacks.x.monitor=foo"],
    "trainer.strategy=ddp_spawn": ["trainer.strategy=ddp_spawn", "use trainer.strategy=ddp"],
    "trainer.strategy=ddp_notebook": ["trainer.strategy=ddp_notebook", "use trainer.strategy=ddp"],
    "trainer.strategy=ddp_fork_find_unused_parameters_true": ["use trainer.strategy=ddp"],
}


@pytest.mark.mostly_slow(fast=6)
@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_one_line_with_the_fix(command_line, digits_npz: Path, tmp_path: Path, arguments: str) -> None:
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT, *arguments.split(" "))
    assert code == 2
    line = errors.splitlines()[-1]  # Hydra prints one before it that names a job of several
    assert line.startswith("error: ")
    assert errors.count("\n") == 1 or "-m" in arguments, errors
    for part in MISTAKES[arguments]:
        assert part in line, errors


@pytest.mark.slow
def test_options_stand_anywhere(command_line, digits_npz: Path, tmp_path: Path) -> None:
    local = ("data=local", f"data.dir={digits_npz}")
    code, output, errors = command_line("model=nn", "--cfg", "job", "seed=3")
    assert code == 0, errors
    assert "\nseed: 3\n" in f"\n{output}"
    code, _, errors = command_line(*local, *SHORT, "logger=none", "trainer.max_epochs=0", "-m", "seed=0,1")
    assert code == 0, errors
    assert len(list(tmp_path.glob("outputs/sweeps/*/*/metrics.json"))) == 2


def test_null_is_an_option_of_experiment(command_line) -> None:
    code, output, errors = command_line("experiment=null", "--cfg", "job")
    assert (code, errors) == (0, "")
    assert "\nseed: 0\n" in f"\n{output}"


@pytest.mark.slow
def test_null_and_a_recipe_are_two_runs(command_line, digits_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[str] = []
    monkeypatch.setattr("ziffern.experiment.run.run_experiment", lambda cfg, *_: models.append(cfg.model.net._target_))
    code, _, errors = command_line("-m", "experiment=null,fast", "data.dir=x", "hydra/sweeper/engine=inline")
    assert (code, errors) == (0, "")
    assert len(set(models)) == 2


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("quoted", [False, True])
def test_home_is_the_home_folder(command_line, digits_npz: Path, tmp_path: Path, monkeypatch, quoted: bool) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    shutil.copy(digits_npz, tmp_path / "home/digits.npz")
    data, run, sweep = (f"'~/{x}'" if quoted else f"~/{x}" for x in ("digits.npz", "run", "sweep"))
    local = ("data=local", f"data.dir={data}", *SHORT, "logger=none")
    assert command_line(*local, f"hydra.run.dir={run}")[0] == 0
    last = f"ckpt_path={run[:-1]}/checkpoints/last.ckpt'" if quoted else f"ckpt_path={run}/checkpoints/last.ckpt"
    code, _, errors = command_line(*local, last, "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/more")
    assert code == 0, errors
    assert Run(tmp_path / "more").metrics["epochs"] == 2
    assert command_line("-m", *local, "seed=1", f"hydra.sweep.dir={sweep}")[0] == 0
    assert (tmp_path / "home/sweep/0/metrics.json").is_file()
    assert not (tmp_path / "~").exists()


def test_paths_begin_where_the_command_was_typed(command_line, digits_npz: Path, tmp_path: Path) -> None:
    shutil.copy(digits_npz, tmp_path / "digits.npz")
    local = ("data=local", "data.dir=digits.npz", *SHORT, "hydra.job.chdir=true")
    code, output, errors = command_line(*local, "logger=csv", "+logger.csv.prefix=x", "hydra.run.dir=run")
    assert code == 0, errors
    assert "\nrun\n" in output
    assert (tmp_path / "run/csv/metrics.csv").is_file()
    more = ("logger=none", "ckpt_path=run/checkpoints/last.ckpt", "trainer.max_epochs=2", "hydra.run.dir=more")
    code, _, errors = command_line(*local, *more)
    assert code == 0, errors
    assert Path.cwd() == tmp_path


def test_an_own_machines_settings_and_environment(command_line, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    (tmp_path / "own/local").mkdir(parents=True)
    (tmp_path / "own/local/default.yaml").write_text("seed: 7\n")
    (tmp_path / ".env").write_text("MY_DATA=here\n")
    code, output, errors = command_line("--config-dir", "own", "data.dir='${oc.env:MY_DATA}'", "--cfg", "job")
    assert code == 0, errors
    assert "\nseed: 7\n" in f"\n{output}"
    assert os.environ["MY_DATA"] == "here"


@pytest.mark.parametrize("precision", ["16", "bf16", "bf16-mixed"])
@pytest.mark.filterwarnings("ignore")  # Lightning prefers the long forms, and bf16 on the CPU
def test_short_forms_of_precision_can_be_clipped(run, precision: str) -> None:
    finished = run(f"trainer.precision={precision}", "trainer.gradient_clip_val=0.5", "trainer.max_epochs=1")
    assert finished.metrics["epochs"] == 1


BATCH_NORM = ("model=m3", "model.net.channels=[4]")  # its last layer sees one value per image and class


@pytest.mark.parametrize("steps", [1, 2, 4, "auto"])
def test_a_last_batch_of_one_image_joins_the_one_before(run, steps: int | str) -> None:
    finished = run(*BATCH_NORM, "data.batch_size=239", f"trainer.micro_steps={steps}", "trainer.max_epochs=1")
    assert finished.history[-1]["step"] == 1
    assert torch.isfinite(torch.tensor(finished.history[-1]["train/loss"]))


def test_single_images_are_refused_where_the_net_needs_two(composed, run, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run_in(tmp_path / "refused", composed(*BATCH_NORM, "data.batch_size=1"))
    assert caught.value.code == "experiment.net.single_image"
    assert not (tmp_path / "refused").exists()
    assert run("data.batch_size=1", "trainer.max_epochs=1").history[-1]["step"] == 240
