"""Run folders that somebody else wrote: nothing in them is executed, followed, or allowed to take all memory."""

import copy
import csv
import io
import json
import math
import os
import pickle
import random
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.support.runs import run_in

from ziffern.cli.compare import compare
from ziffern.errors import InputError
from ziffern.experiment.ensemble import ensemble
from ziffern.report.charts import drawing
from ziffern.report.run_page import page_context, write_report
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.text.language import Language

CALL = "oc.create:{_target_:pandas.read_pickle,filepath_or_buffer:x.pkl}"
USES: dict[str, Callable[[Run, Run], object]] = {
    "report": lambda run, other: write_report(run),
    "compare": lambda run, other: compare([str(run.folder), str(other.folder)], None, "en", 0.002),
    "ensemble": lambda run, other: ensemble([run.folder, other.folder], Path("both"), None),
    "load_model": lambda run, other: run.load_model(),
}


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


@pytest.fixture
def other(imperfect_folder: Path, tmp_path: Path) -> Run:
    """A second run on the same data."""
    return Run(Path(shutil.copytree(imperfect_folder, tmp_path / "other")))


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whether x.pkl in the working directory was unpickled shows in whether this folder exists."""
    monkeypatch.chdir(tmp_path)
    Path("x.pkl").write_bytes(pickle.dumps(Trap()))
    return tmp_path / "trapped"


@pytest.mark.usefixtures("sketched")
@pytest.mark.mostly_slow(fast=9)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("written", [f"${{{CALL}}}", f"\\${{{CALL}}}", f"\\\\${{{CALL}}}", f"\\\\\\${{{CALL}}}"])
@pytest.mark.parametrize("place", ["loss", "net", "fit_on"])
def test_an_interpolation_is_never_called(
    imperfect: Run, other: Run, trap: Path, use: str, written: str, place: str
) -> None:
    change_config(imperfect, place, written)
    try:
        USES[use](imperfect, other)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
    assert not trap.exists()


def change_config(run: Run, place: str, written: str) -> None:
    path = run.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    if place == "loss":
        config["model"]["loss"] = {"_target_": "torch.nn.CrossEntropyLoss", "reduction": written}
    elif place == "net":
        config["model"]["net"]["activation"] = written
    else:
        config["model"]["normalize"]["fit_on"] = written
    path.write_text(yaml.safe_dump(config))


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("backslashes", range(4))
def test_the_environment_is_not_shown(imperfect: Run, monkeypatch: pytest.MonkeyPatch, backslashes: int) -> None:
    monkeypatch.setenv("ZIFFERN_SECRET", "hunter2-hunter2")
    path = imperfect.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["extra"] = "\\" * backslashes + "${oc.env:ZIFFERN_SECRET}"
    path.write_text(yaml.safe_dump(config))
    page = write_report(imperfect).read_text()
    assert "hunter2" not in page
    assert "oc.env:ZIFFERN_SECRET" in page


def test_an_interpolation_that_is_left_builds_nothing(imperfect: Run) -> None:
    change_config(imperfect, "net", "${oc.env:HOME}")
    with pytest.raises(InputError, match=r"model\.net\.activation=.*write the value itself"):
        imperfect.load_model()


@pytest.mark.parametrize(
    "target", ["pytorch_lightning.loggers.CSVLogger", "pytorch_lightning.Trainer", "ziffern.data.sources.Local"]
)
def test_a_model_is_made_of_modules_alone(imperfect: Run, target: str) -> None:
    path = imperfect.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["loss"] = {"_target_": target}
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=rf"model\.loss\._target_={target} is not allowed"):
        imperfect.load_model()


def test_an_ensemble_downloads_nothing_to_a_folder_of_somebody_elses(imperfect: Run, other: Run, trap: Path) -> None:
    for run in (imperfect, other):
        path = run.folder / ".hydra/config.yaml"
        config = yaml.safe_load(path.read_text())
        config["data"] |= {"source": {"_target_": "ziffern.data.sources.Torchvision", "dataset": "mnist"}, "dir": "new"}
        config["data"] = {key: value for key, value in config["data"].items() if key not in READING}
        path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="is not downloaded: give its folder"):
        ensemble([imperfect.folder, other.folder], Path("both"), None)
    assert not Path("new").exists()
    assert not Path("both").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model: {a: &a [1, 1], b: &b [*a, *a]}\n",
        "model: {}\na0: xxxxxxxxxx\n" + "".join(f"a{i}: ${{a{i - 1}}}${{a{i - 1}}}\n" for i in range(1, 60)),
        "model: {}\na0: [1, 1]\n" + "".join(f"a{i}: ['${{a{i - 1}}}', '${{a{i - 1}}}']\n" for i in range(1, 60)),
        "model: {}\na: ${b}\nb: ${a}\n",
        "model: " + "[" * 50_000,
        "model: {}\n" + "x: 1\n" * 200_000,
    ],
    ids=["alias", "text", "nodes", "circle", "depth", "size"],
)
def test_a_configuration_that_doubles_is_one_line(imperfect: Run, text: str) -> None:
    (imperfect.folder / ".hydra/config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml: ") as error:
        _ = imperfect.config
    assert len(str(error.value)) < 500


def test_references_are_resolved_as_omegaconf_does(imperfect: Run) -> None:
    from omegaconf import OmegaConf

    text = (
        "model: {a: 3, b: {c: '${..a}', d: '${.c}x-${model.a}'}, l: [5, '${model.l[0]}'], m: '${.l[1]}'}\n"
        "q: ${model.b}\n"
    )
    (imperfect.folder / ".hydra/config.yaml").write_text(text)
    assert imperfect.config == OmegaConf.to_container(OmegaConf.create(text), resolve=True)


READING = ("label_column", "prepare", "polarity", "transpose", "preview")  # settings of data=local alone
FILES = ("metrics.json", "history.csv", "predictions.npz", "data.npz", ".hydra/config.yaml")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "hole"])
def test_what_is_no_plain_file_is_one_line(imperfect: Run, file: str, kind: str) -> None:
    path = imperfect.folder / file
    content = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        (imperfect.folder.parent / "elsewhere").write_bytes(content)
        path.symlink_to(imperfect.folder.parent / "elsewhere")
    else:
        with path.open("wb") as hole:
            hole.truncate(2**33)
    expected = {"pipe": "not a regular file", "hole": "8,589,934,592 bytes"}.get(kind, "is a symbolic link")
    with pytest.raises(InputError, match=expected):
        write_report(imperfect)


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("file", ["progress.jsonl", "environment.json", ".hydra/overrides.yaml"])
def test_a_file_that_nothing_rests_on_is_left_out(imperfect: Run, file: str) -> None:
    (imperfect.folder / file).unlink(missing_ok=True)
    os.mkfifo(imperfect.folder / file)
    assert write_report(imperfect).is_file()


def test_a_linked_folder_is_not_followed(imperfect: Run) -> None:
    there = (imperfect.folder / "checkpoints").rename(imperfect.folder.parent / "there")
    (imperfect.folder / "checkpoints").symlink_to(there)
    with pytest.raises(InputError, match="checkpoints is a symbolic link"):
        imperfect.load_model()


def zeros(path: Path, name: str, shape: tuple[int, ...], kind: int = zipfile.ZIP_DEFLATED) -> None:
    """Write an npz with one array of zeros."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", kind) as archive, archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        member.write(header.getvalue())
        for _ in range(4 * math.prod(shape) // 10**6):
            member.write(bytes(10**6))


def test_an_array_that_unpacks_to_far_more_is_not_unpacked(imperfect: Run) -> None:
    zeros(imperfect.folder / "predictions.npz", "probability", (400_000, 100))
    with pytest.raises(InputError, match=r"would unpack to 160,000,\d+ bytes"):
        _ = imperfect.predictions


def test_more_classes_than_a_page_can_show_are_refused(imperfect: Run) -> None:
    arrays = {
        "index": np.arange(1),
        "target": np.zeros(1, np.int64),
        "probability": np.eye(1, 40_000, dtype=np.float32),
    }
    np.savez_compressed(imperfect.folder / "predictions.npz", **arrays)
    with pytest.raises(InputError, match="40,000 classes, at most 256"):
        _ = imperfect.predictions
    with np.load(imperfect.folder / "data.npz") as file:
        arrays = dict(file)
    arrays |= {"class_names": np.array([f"c{k}" for k in range(20_000)]), "counts": np.ones((3, 20_000), np.int64)}
    np.savez_compressed(imperfect.folder / "data.npz", **arrays)
    with pytest.raises(InputError, match="20,000 classes, at most 256"):
        _ = imperfect.material


def rewrite(run: Run, change: Callable[[dict[str, Any]], None]) -> None:
    """Save the best checkpoint again, changed."""
    path = run.folder / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def test_a_compressed_record_is_refused(imperfect: Run) -> None:
    path = imperfect.folder / "checkpoints/best.ckpt"
    with zipfile.ZipFile(path) as source:
        records = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in records.items():
            target.writestr(name, content)
    with pytest.raises(InputError, match=r"records are compressed"):
        imperfect.load_model()


def test_a_tensor_of_more_values_than_the_file_holds_is_refused(imperfect: Run) -> None:
    rewrite(imperfect, lambda content: content.update(more=torch.zeros(1).expand(10**9, 10**6)))
    with pytest.raises(InputError, match="more values than the file holds"):
        imperfect.load_model()


def test_a_pickle_may_not_ask_for_memory(imperfect: Run) -> None:
    class Greedy:
        def __reduce__(self) -> tuple[Any, ...]:
            return bytearray, (10,)

    rewrite(imperfect, lambda content: content.update(more=Greedy()))
    with pytest.raises(InputError, match=r"pickled objects \(.*bytearray\), which are never loaded"):
        imperfect.load_model()


@pytest.mark.parametrize(
    "net",
    [
        {"_target_": "ziffern.models.MLP", "hidden": [10**9, 10**9]},
        {"_target_": "torch.nn.LSTM", "input_size": 4, "hidden_size": 4, "num_layers": 10**9},
    ],
)
def test_a_configuration_cannot_ask_for_more_than_the_weights(imperfect: Run, net: dict[str, object]) -> None:
    path = imperfect.folder / ".hydra/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["net"] = net
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="was one of them replaced"):
        imperfect.load_model()


@pytest.mark.usefixtures("sketched")
def test_escapes_do_not_reach_the_terminal(
    imperfect: Run, other: Run, trap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = imperfect.folder / "metrics.json"
    metrics = json.loads(path.read_text()) | {"model": "\x1b[31mnn\x1b]0;owned\x07", "data/note": "a\x1b[2Jb"}
    path.write_text(json.dumps(metrics))
    compare([str(imperfect.folder), str(other.folder)], None, "en", 0.002)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert r"\x1b[31mnn" in out


# Edited files: whatever is in them, reading ends with a page or with one line.

ODD = [
    *(None, True, -1, 0, 10**400, 1e308, "", "x" * 5000, "\ud800", "\x1b[31m", "1e999", "NaN"),
    *([], {}, [[]], {"a": {"b": []}}, 0.5, "\u202e"),
]


def edited_json(random: random.Random, text: str) -> str:
    lines = text.splitlines() if text.count('"event"') else [text]
    place = random.randrange(len(lines))
    content = json.loads(lines[place])
    for _ in range(random.randint(1, 3)):
        key = random.choice(list(content) or ["x"])
        match random.randrange(4):
            case 0:
                content.pop(key, None)
            case 1:
                content[key] = content
                content = copy.copy({**content, key: None})
            case 2:
                content[random.choice(["extra", key.upper(), "\ud800"])] = random.choice(ODD)
            case _:
                content[key] = random.choice(ODD)
    lines[place] = json.dumps(content)
    return "\n".join(lines)


def edited_csv(random: random.Random, text: str) -> str:
    rows = list(csv.reader(text.splitlines()))
    row = random.choice(rows)
    row[random.randrange(len(row))] = str(random.choice([*ODD, "nan", "inf", "-1", ",,", '"']))
    return "\n".join(",".join(row) for row in rows)


def edited_yaml(random: random.Random, text: str) -> str:
    content = yaml.safe_load(text)
    node, name = content, random.choice(list(content))
    while isinstance(node[name], dict) and node[name] and random.random() < 0.8:
        node = node[name]
        name = random.choice(list(node))
    match random.randrange(3):
        case 0:
            node.pop(name)
        case 1:
            node[name] = random.choice(["${a", "${}", "${x.y}", "${.}", "${model}", "???", "torch.nn.Linear"])
        case _:
            node[name] = random.choice([value for value in ODD if value != 10**400])
    return yaml.safe_dump(content)


def edited_arrays(random: random.Random, content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    name = random.choice(list(arrays))
    array = arrays[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = random.choice(["<f8", "<i2", "|b1", "<U3", "<c16", "<M8[s]", "|V4"])
        arrays[name] = random.choice(
            [
                lambda: np.atleast_1d(array)[:0],
                lambda: np.asarray(array)[None],
                lambda: np.full_like(array, random.choice([-1, 200] if array.dtype.kind in "if" else [0])),
                lambda: np.zeros(array.shape, kinds),
                lambda: np.array(float("nan")),
                array.ravel,
            ]
        )()
    if random.random() < 0.2:
        del arrays[name]
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def damaged(random: random.Random, content: bytes) -> bytes:
    """Return bytes cut off, or with some exchanged."""
    if random.random() < 0.3:
        return content[: random.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def edit(random: random.Random, folder: Path) -> str:
    """Edit one file of a run folder; return its name."""
    name = random.choice(
        [*FILES, "progress.jsonl", "environment.json", ".hydra/overrides.yaml", "checkpoints/best.ckpt"]
    )
    path = folder / name
    content = path.read_bytes()
    if random.random() < 0.25 or path.suffix == ".ckpt":
        path.write_bytes(damaged(random, content))
    elif path.suffix in (".json", ".jsonl"):
        path.write_text(edited_json(random, content.decode()), errors="surrogatepass")
    elif path.suffix == ".csv":
        path.write_text(edited_csv(random, content.decode()), errors="surrogatepass")
    elif name == ".hydra/config.yaml":
        path.write_text(edited_yaml(random, content.decode()))
    elif path.suffix == ".npz":
        path.write_bytes(edited_arrays(random, content))
    else:
        path.write_text(yaml.safe_dump([random.choice(ODD[:4]), "seed=1"]))
    return name


@pytest.fixture(scope="session")
def complete(digits_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with all files that a run can have, as Hydra leaves it."""
    from tests.support.runs import compose_config

    folder = tmp_path_factory.mktemp("trained") / "run"
    run_in(folder, compose_config(digits_npz, "trainer.max_epochs=3", "model.optimizer.lr=0.0003"))
    (folder / ".hydra/overrides.yaml").write_text("- model=nn\n")
    return folder


def fuzz(source: Path, folder: Path, seed: int, use: Callable[[Run], object]) -> str:
    """Edit a copy of a run and use it; return the name of what was edited."""
    shutil.rmtree(folder, ignore_errors=True)
    run = Run(Path(shutil.copytree(source, folder)))
    name = edit(random.Random(seed), folder)
    try:
        use(run)
    except InputError as error:
        message = str(error)
        assert "\n" not in message, (seed, name, message)
        assert message.isprintable(), (seed, name, message)
        assert len(message) < 1500, (seed, name, message)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {name}: {error!r}") from error
    return name


def read_all(run: Run) -> None:
    """Read whatever a report, a comparison and a prediction read."""
    page_context(Findings(run), Language("en"))
    run.load_model()


@pytest.mark.parametrize("seeds", [range(60), pytest.param(range(60, 250), marks=pytest.mark.slow)])
def test_edited_files_are_a_page_or_one_line(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range
) -> None:
    monkeypatch.setattr(drawing, "render", lambda *arguments, **more: "")  # drawing takes most of the time
    edited = {fuzz(complete, tmp_path / "run", seed, read_all) for seed in seeds}
    assert len(edited) == 9, "each file was among them"


@pytest.mark.slow
def test_edited_files_can_be_drawn(complete: Path, tmp_path: Path) -> None:
    for seed in range(1000, 1060):
        fuzz(complete, tmp_path / "run", seed, write_report)


def edited_checkpoint(random: random.Random, content: dict[str, Any]) -> None:
    """Exchange, remove or add one value somewhere in a checkpoint."""
    odd = [None, True, -1, 10**12, 1.5, "x", [], {}, [1], torch.zeros(3), torch.tensor(1), float("nan")]
    node: Any = content
    key = random.choice(list(content))
    while isinstance(node[key], dict | list) and node[key] and random.random() < 0.85:
        node = node[key]
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
    match random.randrange(4):
        case 0 if isinstance(node, dict):
            node.pop(key)
        case 1 if isinstance(node, dict):
            node[random.choice(["more", 7])] = random.choice(odd)
        case _:
            node[key] = random.choice(odd)


def resume(source: Path, folder: Path, seed: int, config: Any) -> None:
    """Continue from an edited copy of a checkpoint: it goes on, or says in one line why not."""
    content = torch.load(source, weights_only=True)
    edited_checkpoint(random.Random(seed), content)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    torch.save(content, folder / "edited.ckpt")
    config.ckpt_path = str(folder / "edited.ckpt")
    try:
        run_in(folder / "run", config)
    except InputError as error:
        assert str(error).isprintable(), (seed, str(error))  # noqa: PT017
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error!r}") from error


@pytest.mark.parametrize("change", ["shape", "order"])
def test_a_state_of_another_shape_never_reaches_a_kernel(halfway: Path, composed, tmp_path: Path, change: str) -> None:
    content = torch.load(halfway, weights_only=True)
    (state,) = content["optimizer_states"]
    if change == "shape":
        state["state"][0]["exp_avg"] = torch.zeros(3)
    else:
        state["param_groups"][0]["params"].reverse()
    torch.save(content, tmp_path / "edited.ckpt")
    with pytest.raises(InputError, match=r"a state of shape \(.*\) for a parameter of shape \("):
        run_in(tmp_path / "run", composed(*RICH, "trainer.max_epochs=2", f"ckpt_path={tmp_path}/edited.ckpt"))


@pytest.fixture(scope="session")
def halfway(digits_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of a run with a scheduler, an average and early stopping."""
    from tests.support.runs import compose_config

    folder = tmp_path_factory.mktemp("halfway") / "run"
    return run_in(folder, compose_config(digits_npz, *RICH, "trainer.max_epochs=1")).folder / "checkpoints/last.ckpt"


RICH = ("callbacks=ema", "model/scheduler=exponential", "callbacks.early_stopping.patience=3")


@pytest.mark.parametrize("seeds", [range(6), pytest.param(range(6, 25), marks=pytest.mark.slow)])
def test_an_edited_checkpoint_goes_on_or_is_one_line(halfway: Path, composed, tmp_path: Path, seeds: range) -> None:
    for seed in seeds:
        resume(halfway, tmp_path / "work", seed, composed(*RICH, "trainer.max_epochs=2"))


@pytest.mark.slow
def test_many_edited_checkpoints_go_on_or_are_one_line(halfway: Path, composed, tmp_path: Path) -> None:
    for seed in range(1000, 1150):
        resume(halfway, tmp_path / "work", seed, composed(*RICH, "trainer.max_epochs=2"))
