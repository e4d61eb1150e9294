"""The command line: what a mistake looks like, and how run folders are named."""

import json
import re
import shlex
from pathlib import Path

import pytest

SHORT = ("model=nn", "model.net.hidden=[16]", "trainer=cpu", "trainer.max_epochs=1", "logger=none")

MISTAKES = {  # arguments -> what the one line has to say
    "model.optimzer.lr=0.1": ["model.optimzer.lr: no such setting", "did you mean model.optimizer.lr?"],
    "data.batchsize=3": ["data.batchsize: no such setting", "did you mean data.batch_size?"],
    "modle=cnn": ["modle: no such setting", "did you mean model?"],
    "experiment=lin2024 data=mnist5k": ["a published recipe never runs on other data", "omit data="],
    "model=cnnn": [
        "model=cnnn: no such option",
        "did you mean cnn?",
        "Available: champion, cnn, dnn, fast, m3, m5, m7, nn",
    ],
    "model/optimizer=adma": ["did you mean adam?", "Available: adam, adamw, adamw_short, sgd"],
    "data.batch_size=0": ["data.batch_size=0", "at least 1"],
    "data.batch_size=271": ["data.batch_size=271", "270 images", "at most"],
    "data.batch_size=abc": ["data.batch_size=abc", "a whole number"],
    "data.batch_size=2.5": ["data.batch_size=2.5", "a whole number"],
    "model.optimizer.lr=-1": ["model.optimizer.lr=-1", "at least 0", "such as 0.001"],
    "model.optimizer.lr=fast": ["model.optimizer.lr=fast", "a number"],
    "data.fractions=[0.5,0.2,0.2]": ["data.fractions=[0.5, 0.2, 0.2]", "sum to 0.9"],
    "data.split=random": ["data.split=random", "resplit, stratified, official, kfold"],
    "data.split=kfold data.fold=5": ["data.fold=5", "between 0 and 4"],
    "trainer.max_epochs=-1": ["trainer.max_epochs=-1", "0 (no training) or more"],
    "trainer.precision=7": ["trainer", "7"],
    "trainer.micro_steps=0": ["trainer.micro_steps=0", "at least 1"],
    "trainer.micro_steps=5 +trainer.limit_train_batches=5": ["trainer.micro_steps=5", "limit_train_batches", "auto"],
    "trainer.gradient_clip_val=-1": ["trainer.gradient_clip_val=-1", "at least 0", "null"],
    "+trainer.max_steps=5": ["trainer.max_steps=5", "trainer.max_epochs"],
    "+model.net.foo=3": ["model.net.foo", "does not take foo"],
    "model.net.dropout=1.5": ["model.net.dropout=1.5", "below 1"],
    "model.net.activation=relux": ["model.net.activation=relux", "relu, sigmoid, tanh, gelu"],
    "model.normalize.kind=none": ["model.normalize.kind=none", "standardize, unit, symmetric"],
    "model.optimizer._target_=os.system": ["os.system is not allowed"],
    "model.loss=foo": ["model.loss=foo", "an object (with a _target_)"],
    "model.net=foo": ["model.net=foo"],
    "model.optimizer=foo": ["model.optimizer=foo"],
    "monitor=test/acc": ["monitor=test/acc", "validation score"],
    "model.net.num_classes=5": ["logits (2, 5)", "model.net.num_classes=10"],
    "+model.loss._target_=torch.nn.MSELoss": ["model.loss"],
    "model/scheduler=onecycle model.scheduler.pct_start=5": ["model.scheduler", "pct_start"],
    "seed=-1": ["seed=-1", "0 to 4294967295"],
    "threads=0": ["threads=0", "at least 1"],
    "test=no": ["test=no: must be true or false"],
    "test='false'": ["test=false: must be true or false"],
    "test=0": ["test=0: must be true or false"],
    "seed=true": ["error: seed=true: must be a whole number"],
    "threads=true": ["threads=true", "at least 1"],
    "threads=1.0": ["threads=1.0", "at least 1"],
    "trainer.max_epochs=true": ["trainer.max_epochs=true", "whole number"],
    "trainer.max_epochs=1.0": ["trainer.max_epochs=1.0", "whole number"],
    "trainer.micro_steps=true": ["trainer.micro_steps=true", "whole number"],
    "trainer.gradient_clip_val=true": ["trainer.gradient_clip_val=true", "number"],
    "+trainer.gradient_clip_algorithm=true": ["trainer.gradient_clip_algorithm=true", "text"],
    "+trainer.deterministic=no": ["trainer.deterministic=no", "true or false or warn or null"],
    "trainer.devices=true": ["trainer.devices=true", "list of whole numbers"],
    "+trainer.benchmark=off": ["trainer.benchmark=off", "true or false"],
    "+model.fuse=no": ["model.fuse=no", "true or false"],
    "+model.optimizer.amsgrad=no": ["model.optimizer.amsgrad=no", "true or false"],
    "+model.optimizer.betas=[true,0.9]": ["model.optimizer.betas=[True, 0.9]"],
    "logger=csv +logger.csv.flush_logs_every_n_steps=true": ["flush_logs_every_n_steps=true", "whole number"],
    "logger=tensorboard +logger.tensorboard.log_graph=no": ["logger.tensorboard.log_graph=no", "true or false"],
    "ckpt_path=nowhere.ckpt": ["ckpt_path=nowhere.ckpt", "no such file"],
    "callbacks.early_stopping.patience=0": ["patience=0", "at least 1 epoch"],
    "data.dir=/nowhere": ["/nowhere", "does not exist"],
    "just words": ["not a valid override", "key=value"],
    "data.num_classes=7": ["is out of range 0 to 6"],
}


@pytest.mark.mostly_slow(fast=10)
@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_one_line_with_the_fix(command_line, digits_npz: Path, tmp_path: Path, arguments: str) -> None:
    given = [arguments] if arguments == "just words" else arguments.split(" ")
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT, *given)
    assert code == 2
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1, errors
    for part in MISTAKES[arguments]:
        assert part in errors, errors
    assert not (tmp_path / "outputs").exists(), "nothing is left behind"


def test_a_gpu_that_is_not_there_is_said(command_line, digits_npz: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is a GPU")
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", "trainer=gpu")
    assert code == 2
    assert "trainer.accelerator=gpu" in errors
    assert "use trainer=cpu" in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_a_mistake_in_a_multirun_is_one_line(command_line, digits_npz: Path) -> None:
    code, _, errors = command_line("-m", "data=local", f"data.dir={digits_npz}", *SHORT, "model=nn,cnnn")
    assert code == 2
    assert "model=cnnn: no such option" in errors


def test_local_data_without_a_path_says_so(command_line) -> None:
    code, _, errors = command_line("data=local")
    assert code == 2
    assert "data.dir=PATH" in errors


def test_a_full_disk_is_one_line(command_line, digits_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere/metrics.json")

    monkeypatch.setattr("ziffern.records.writer.write_json", full)
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT)
    assert code == 2
    assert errors.splitlines()[-1].startswith("error: somewhere/metrics.json: No space left on device: free some")


def test_a_read_that_fails_names_what_was_read(command_line, digits_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "digits.npz")

    monkeypatch.setattr("ziffern.data.datamodule.ImageDataModule.setup", unreadable)
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT)
    assert (code, errors) == (
        2,
        "error: digits.npz: cannot be read (Permission denied): check that it exists and is readable\n",
    )


@pytest.mark.parametrize("folder", ["/dev/null/run", "/proc/run", "data.npz/run"])
def test_a_folder_that_cannot_be_written_is_one_line(command_line, digits_npz: Path, folder: str) -> None:
    Path("data.npz").touch()
    code, _, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT, f"hydra.run.dir={folder}")
    assert code == 2
    assert errors.startswith(f"error: {folder}: ")
    assert errors.endswith(": write elsewhere with hydra.run.dir=FOLDER\n")
    assert errors.count("\n") == 1


def test_a_name_that_the_locale_lacks_is_one_line(command_line) -> None:
    code, _, errors = command_line("data.dir=\udcc3\udca4.npz")
    assert code == 2
    assert errors.startswith("error: data.dir=\\udcc3\\udca4.npz: cannot be encoded in this locale")
    assert errors.count("\n") == 1


@pytest.mark.usefixtures("sketched")
@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("name", ["[bold]x[/bold]", ":smile:", "a b"])
def test_markup_in_a_path_is_text(command_line, digits_npz: Path, name: str) -> None:
    code, output, _ = command_line("data=local", f"data.dir={digits_npz}", *SHORT, f"hydra.run.dir='{name}'")
    assert code == 0
    assert f"\n{name}\n" in output
    assert re.search(rf"^Run folder +{re.escape(name)}$", output, re.MULTILINE)
    assert f"open {shlex.quote(f'{name}/report.html')}" in output


@pytest.mark.usefixtures("sketched")
def test_names_from_files_cannot_steer_the_terminal(command_line, digits_npz: Path) -> None:
    Path("\x1b[31m[bold]x.npz").write_bytes(digits_npz.read_bytes())
    place = "'data.dir=\x1b[31m[bold]x.npz'".replace("'data.dir=", "data.dir='")
    code, output, errors = command_line("data=local", place, *SHORT, "hydra.run.dir=run")
    assert code == 0, errors
    assert "\\x1b[31m[bold]x: 270 / 30 / 100 images" in output
    assert re.search(r"^Data +\\x1b\[31m\[bold\]x$", output, re.MULTILINE)
    _, _, errors = command_line("model=\x1b[31m")
    assert "\x1b" not in output + errors


def test_a_bug_of_ours_shows_its_traceback(command_line, digits_npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ziffern.experiment.run.run_experiment", broken)
    with pytest.raises(ZeroDivisionError):
        command_line("data=local", f"data.dir={digits_npz}")


def test_a_run_prints_what_came_out(command_line, digits_npz: Path, tmp_path: Path) -> None:
    code, output, errors = command_line("data=local", f"data.dir={digits_npz}", *SHORT)
    assert code == 0, errors
    for part in ("Test accuracy", "95% interval", "of 100", "Majority baseline", "Parameters", "train.py --help"):
        assert part in output
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert (folder / ".hydra" / "config.yaml").exists()
    assert str(folder.relative_to(tmp_path)) in output


@pytest.mark.usefixtures("sketched")
def test_the_data_that_was_really_used_has_its_name_everywhere(command_line, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ziffern.data.sources.source.download", _no_network)
    code, output, _ = command_line("data.dir=nothing", *SHORT, "data.batch_size=500")
    assert code == 0
    assert "NOTE: data=mnist is not in data.dir=nothing and cannot be downloaded" in output
    assert "mnist5k: 3,000 / 1,000 / 1,000 images" in output
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["data/name"] == "mnist5k"
    assert metrics["data/train"] == 3000
    assert not (tmp_path / "nothing").exists()


def test_an_experiment_never_trains_on_other_data(command_line, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("ziffern.data.sources.source.download", _no_network)
    # Not even where the recipe itself, or the user, allows it.
    code, _, errors = command_line("experiment=lin2024", "data.dir=nothing", "data.source.fallback=true")
    assert code == 2
    assert "give its folder with data.dir=FOLDER" in errors
    assert not (tmp_path / "outputs").exists()


def _no_network(*_: object) -> None:
    raise ConnectionError("no mirror answers")
