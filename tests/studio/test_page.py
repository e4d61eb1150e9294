"""What the studio's page stands on, without Gradio: the form, the texts, the folders and the trainings."""

import base64
import fcntl
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image
from tests.support.data_files import CSV, IMAGES, PICTURES, table, write
from tests.support.texts import flat

import ziffern.studio
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError
from ziffern.files.atomic import write_json
from ziffern.studio import settings, workspace
from ziffern.studio.jobs import MOST_TRAININGS, Job, State, _workers, go_on, jobs, quoted, run_folder, start
from ziffern.studio.settings import LOSSES, MODELS, NUMBERS, PRESETS, can_be_shown, composed, form, overrides_of
from ziffern.studio.views import Words, data_view, decode, jobs_view, own_view
from ziffern.studio.workspace import MOST_UPLOADS, Workspace
from ziffern.text.language import LANGUAGES

FOLDER = Path(ziffern.studio.__file__).parent
TEXTS = {code: yaml.safe_load((FOLDER / f"texts/{code}.yaml").read_text(encoding="utf-8")) for code in LANGUAGES}
OUTSIDE = ("../x", "..", ".", "", "/etc", "a/b", "a\0b", "a\nb", "~", "-rf", ".hidden", "x" * 300)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workspace]:
    yield Workspace(tmp_path / "outputs")
    for worker in _workers:  # so that Python knows that they have ended
        worker.poll()


# Settings


def test_the_form_the_folders_and_the_server_need_no_gradio_and_the_worker_no_torch() -> None:
    names = "settings, ziffern.studio.workspace, ziffern.studio.views, ziffern.studio.server"
    for what, heavy in ((names, "gradio"), ("worker", "torch")):
        code = f"import sys, ziffern.studio.{what}; print({heavy!r} in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False", heavy


LONGER = "an2020_m7"  # its 150 epochs are more than the page asks for


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {LONGER}))
def test_an_unchanged_recipe_is_typed_by_its_name_alone(preset: str) -> None:
    values = form([f"experiment={preset}"])
    model = settings.model_of(preset)
    assert overrides_of(model, preset, [], values) == [f"experiment={preset}"]
    assert overrides_of(model, preset, ["data.dir=/d"], values) == [f"experiment={preset}", "data.dir=/d"]


def test_a_recipe_of_more_epochs_is_typed_with_those_of_the_page() -> None:
    values = form([f"experiment={LONGER}"]) | {"epochs": 100}
    assert overrides_of("m7", LONGER, [], values) == [f"experiment={LONGER}", "trainer.max_epochs=100"]


@pytest.mark.parametrize("preset", sorted({*PRESETS} - {LONGER}))
def test_what_a_recipe_fills_in_is_what_the_form_can_show(preset: str) -> None:
    values = form([f"experiment={preset}"])
    assert {field.name: field.problem(values[field.name]) for field in NUMBERS} == {f.name: "" for f in NUMBERS}
    assert values["optimizer"] in settings.OPTIMIZERS
    assert values["augment"] in settings.AUGMENTS
    assert values["split"] in settings.SPLITS
    assert set(values) == set(settings.FORM)


def test_a_recipe_names_its_model_and_data() -> None:
    assert {preset: settings.model_of(preset) for preset in PRESETS} == {
        "lin2024": "cnn",
        "gomez2025_nn": "nn",
        "gomez2025_dnn": "dnn",
        "fast": "fast",
        "champion": "champion",
        "an2020_m7": "m7",
    }
    assert {settings.data_of(preset) for preset in PRESETS} == {"mnist"}


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("epochs", 7, "trainer.max_epochs=7"),
        ("batch_size", 64, "data.batch_size=64"),
        ("rate", 0.0123, "model.optimizer.lr=0.0123"),
        ("rate", 0.000001, "model.optimizer.lr=1e-06"),
        ("l2", 0.01, "model.optimizer.weight_decay=0.01"),
        ("patience", 3, "callbacks.early_stopping.patience=3"),
        ("seed", 2**32 - 1, f"seed={2**32 - 1}"),
        ("dropout", "0.3", "model.net.dropout=0.3"),
        ("dropout", "0", "model.net.dropout=0"),
        ("augment", "affine", "model/augment=affine"),
        ("split", "official", "data.split=official"),
    ],
)
def test_only_what_was_changed_is_typed(name: str, value: float | str, typed: str) -> None:
    start = ["model=nn", "data=mnist5k"]
    assert overrides_of("nn", None, start[1:], {**form(start), name: value}) == [*start, typed]


def test_another_optimizer_keeps_the_rate_that_the_form_shows() -> None:
    start = ["model=nn", "data=mnist5k"]
    typed = overrides_of("nn", None, start[1:], {**form(start), "optimizer": "sgd"})
    assert composed(tuple(typed)).model.optimizer.lr == form(start)["rate"]
    assert form(typed)["optimizer"] == "sgd"


def test_what_the_form_leaves_out_is_what_the_recipe_has() -> None:
    assert overrides_of("nn", None, [], {}) == ["model=nn"]
    assert overrides_of("nn", None, [], {"optimizer": None, "dropout": "", "epochs": 3}) == [
        "model=nn",
        "trainer.max_epochs=3",
    ]


def test_early_stopping_is_switched_off_by_a_patience_of_none() -> None:
    values = form(["experiment=gomez2025_nn"])
    assert values["patience"] == 20
    typed = overrides_of("nn", "gomez2025_nn", [], {**values, "patience": 0})
    assert typed == ["experiment=gomez2025_nn", "callbacks.early_stopping.patience=null"]
    assert composed(tuple(typed)).callbacks.early_stopping.patience is None


@pytest.mark.parametrize("model", MODELS)
def test_a_changed_form_composes_to_what_it_says_with_every_model(model: str) -> None:
    wanted = {"epochs": 2, "batch_size": 33, "rate": 0.02, "l2": 0.003, "patience": 4, "seed": 5}
    values = {**wanted, "optimizer": "adamw", "augment": "affine", "split": "official", "dropout": "0.2"}
    typed = overrides_of(model, None, ["data=mnist5k"], {**values, "loss": "label_smoothing"})
    cfg = composed(tuple(typed))
    assert {field.name: OmegaConf.select(cfg, field.key) for field in NUMBERS} == wanted
    assert cfg.model.optimizer._target_ == "torch.optim.AdamW"
    assert cfg.model.augment is not None
    assert OmegaConf.to_container(cfg.model.loss) == LOSSES["label_smoothing"]
    assert cfg.data.split == "official"
    assert cfg.model.net.get("dropout", 0.2) == 0.2
    again = form(typed)
    assert {name: again[name] for name in values if name != "dropout"} == {
        name: value for name, value in values.items() if name != "dropout"
    }


def test_the_recipes_own_loss_is_not_typed() -> None:
    assert form(["experiment=champion"])["loss"] == "own"
    assert overrides_of("champion", "champion", [], {"loss": "own"}) == ["experiment=champion"]
    assert "model.loss=null" in overrides_of("champion", "champion", [], {"loss": "cross_entropy"})


@pytest.mark.parametrize("loss", sorted({*LOSSES} - {"own"}))
def test_every_loss_is_found_again(loss: str) -> None:
    typed = overrides_of("nn", None, [], {"loss": loss})
    assert form(typed)["loss"] == loss
    assert overrides_of("nn", None, [], form(typed)) == typed


def test_a_loss_can_be_taken_back_to_the_usual_one() -> None:
    typed = overrides_of("fast", "fast", [], {**form(["experiment=fast"]), "loss": "cross_entropy"})
    assert composed(tuple(typed)).model.loss is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("epochs", 0, ""),
        ("epochs", -1, "bounds"),
        ("epochs", 10**400, "bounds"),
        ("epochs", 2.5, "no_whole"),
        ("epochs", 2.0, ""),
        ("epochs", None, "empty"),
        ("epochs", "", "empty"),
        ("epochs", "5", "no_number"),
        ("epochs", True, "no_number"),
        ("epochs", [5], "no_number"),
        ("rate", 0, "bounds"),
        ("rate", 0.5, ""),
        ("rate", float("nan"), "bounds"),
        ("rate", float("inf"), "bounds"),
        ("batch_size", 1024, ""),
        ("batch_size", 1025, "bounds"),
    ],
)
def test_a_value_out_of_its_bounds_is_told_and_never_typed(name: str, value: object, problem: str) -> None:
    field = next(field for field in NUMBERS if field.name == name)
    assert field.problem(value) == problem
    if problem:
        with pytest.raises(InputError, match=re.escape(f"{field.key}=")):
            overrides_of("nn", None, [], {name: value})  # type: ignore[dict-item]


def test_a_wrong_override_is_one_line() -> None:
    with pytest.raises(InputError) as error:
        form(["model=nothing"])
    assert "\n" not in str(error.value)
    assert "nothing" in str(error.value)


# Texts


def test_studio_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    english, german = flat(TEXTS["en"]), flat(TEXTS["de"])
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert isinstance(text, str), key
        placeholders = [sorted(set(re.findall(r"{(\w+)}", each))) for each in (text, german[key])]
        assert placeholders[0] == placeholders[1], key


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_state_problem_field_and_choice_has_its_words(code: str) -> None:
    s = Words(code).s
    assert all(s(f"states.{state}") for state in State)
    assert all(s(f"problems.{name}", low=1, high=2) for name in ("empty", "no_number", "bounds", "no_whole"))
    assert all(s(f"fields.{name}.{what}") for name in settings.FORM[:-1] for what in ("name", "means"))
    assert all(s(f"presets.{name}") for name in PRESETS)
    assert all(s(f"models.{name}") for name in MODELS)


# Workspace


GOOD_FORM = {
    **dict.fromkeys(settings.FORM, 1),
    **{"source": "mnist5k", "preset": "fast", "models": ["nn", "fast"], "seed": None, "rate": 0.5},
    **{name: options[-1] for name, options in settings.CHOICES.items()},
    "extra": ["model.net.dropout=0.35"],
}


def test_form_is_kept_and_found_again(own: Workspace) -> None:
    assert own.kept_form() == {}
    own.keep_form(GOOD_FORM)
    assert own.kept_form() == GOOD_FORM
    assert can_be_shown(GOOD_FORM)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "another"},
        {"models": "nn"},
        {"models": ["nn", "another"]},
        {"models": [["nn"]]},
        {"seed": "1"},
        {"seed": 10**20},
        {"seed": 0.5},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"dropout": 0.3},
        {"optimizer": "lbfgs"},
        {"split": None},
        {"more": 1},
        {"extra": None},
        {"extra": [5]},
    ],
    ids=repr,
)
def test_kept_form_that_fits_the_page_no_more_is_not_shown(wrong: dict[str, Any]) -> None:
    assert not can_be_shown(GOOD_FORM | wrong)
    assert not can_be_shown({})


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '"text"', "\0", "[" * 100_000])
def test_damaged_file_of_a_form_is_no_form(own: Workspace, content: str) -> None:
    own.keep_form(GOOD_FORM)
    (file,) = own.root.rglob("form.json")
    file.write_text(content, encoding="utf-8")
    assert own.kept_form() == {}


def test_form_is_not_kept_where_nothing_can_be_written(own: Workspace) -> None:
    own.root.mkdir()
    (own.root / "studio").write_text("no folder")
    own.keep_form(GOOD_FORM)
    assert own.kept_form() == {}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_never_leaves_its_folder(own: Workspace, name: str) -> None:
    for folder in (own.runs_folder, own.jobs_folder, own.root / "studio/uploads"):
        folder.mkdir(parents=True)
    for look in (own.run, own.job_folder, own.remove_upload):
        with pytest.raises(InputError, match="reload the page"):
            look(name)
    assert own.runs_folder.is_dir()


def test_a_link_is_no_run(own: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret/.hydra").mkdir(parents=True)
    (tmp_path / "secret/.hydra/config.yaml").write_text("model: {}")
    own.runs_folder.mkdir(parents=True)
    (own.runs_folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="link: it is not here"):
        own.run("link")


@pytest.mark.parametrize("odd", ["my run", "versuch (2)", "größe"])
def test_every_run_that_is_listed_can_be_opened(own: Workspace, odd: str) -> None:
    for place, name in enumerate(("nn_1", odd)):
        (own.runs_folder / name / ".hydra").mkdir(parents=True)
        config = own.runs_folder / name / ".hydra/config.yaml"
        config.write_text("model: {}")
        os.utime(config, (place, place))
    (own.runs_folder / "no-run").mkdir()
    assert "nn_1" in own.run_names()
    assert "no-run" not in own.run_names()
    assert all(own.run(name).folder.name == name for name in own.run_names())


def test_the_newest_run_comes_first(own: Workspace) -> None:
    for name, when in (("old", 1), ("new", 3), ("middle", 2)):
        (own.runs_folder / name / ".hydra").mkdir(parents=True)
        (own.runs_folder / name / ".hydra/config.yaml").touch()
        os.utime(own.runs_folder / name / ".hydra/config.yaml", (when, when))
    assert own.run_names() == ["new", "middle", "old"]


def keras(path: Path) -> Path:
    labels = np.array([0, 1, 2, 3, 4], np.uint8)
    np.savez(path, x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    return path


@pytest.fixture(params=["zip", "pictures", "csv", "npz"])
def good(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    match request.param:
        case "zip":
            return write(CSV, tmp_path / "my digits.zip")
        case "pictures":
            return write(PICTURES, tmp_path / "p.zip")
        case "csv":
            (tmp_path / "a.csv").write_bytes(table(slice(None)))
            return tmp_path / "a.csv"
        case _:
            return keras(tmp_path / "b.npz")


def kept_files(own: Workspace) -> list[Path]:
    return [path for path in own.root.rglob("*") if path.is_file()]


def test_a_good_upload_is_kept_as_it_came(own: Workspace, good: Path) -> None:
    name = own.keep_upload(good, f"../../{good.name}")
    assert list(own.uploads()) == [name]
    path = own.uploads()[name]
    assert path.is_relative_to(own.root)
    assert kept_files(own) == [path]
    assert path.read_bytes() == good.read_bytes()
    assert len(read_local(path)) >= 5
    own.remove_upload(name)
    assert own.uploads() == {}


@pytest.mark.parametrize(
    "name",
    [
        "ä.csv",
        "数字.csv",
        "x" * 200 + ".csv",
        "a.CSV",
        "a b;$(c).csv",
        ".hidden.csv",
        "a" + "." * 58 + "b.csv",
    ],
)
def test_an_upload_of_any_name_can_be_chosen_and_removed(own: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_bytes(table(slice(None)))
    kept = own.keep_upload(tmp_path / "a.csv", name)
    assert list(own.uploads()) == [kept]
    own.remove_upload(kept)
    assert own.uploads() == {}


def entry(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.external_attr = mode << 16
    return info


def packed(path: Path, *more: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in (*PICTURES.items(), *more):
            target.writestr(name, content)
    return path


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "traversal": (lambda f: packed(f / "a.zip", (entry("../evil.png"), b"x")), "leads out"),
    "absolute": (lambda f: packed(f / "a.zip", (entry("/etc/evil.png"), b"x")), "leads out"),
    "link": (lambda f: packed(f / "a.zip", (entry("train/0/l.png", stat.S_IFLNK | 0o777), b"x")), "symbolic link"),
    "nested": (lambda f: packed(f / "a.zip", ("train/0/more.zip", b"PK\3\4")), "archive inside"),
    "bomb": (lambda f: packed(f / "a.zip", ("train/0/a.png", b"\0" * 50_000_000)), "a.zip"),
    "other": (lambda f: write({"a.txt": b"hi"}, f / "a.zip"), "no data set"),
    "no zip": (lambda f: write({"a.zip": b"hi"}, f / "folder") / "a.zip", "a.zip"),
    "table": (lambda f: write({"a.csv": b"a,b\n1,2\n"}, f / "folder") / "a.csv", "785"),
    "pickle": (lambda f: pickled(f / "a.npz"), "a.npz"),
}


def pickled(path: Path) -> Path:
    np.savez(path, x_train=np.array([{}], object), y_train=np.array([0]), allow_pickle=True)
    return path


@pytest.mark.parametrize("kind", BAD)
def test_a_dangerous_upload_is_refused_in_one_line_and_leaves_nothing(
    own: Workspace, tmp_path: Path, kind: str
) -> None:
    make, words = BAD[kind]
    with pytest.raises(InputError) as error:
        own.keep_upload(make(tmp_path), "a" + make(tmp_path).suffix)
    said = str(error.value)
    assert words in said
    assert said.isprintable()
    assert str(own.root) not in said  # nobody needs the server's folders
    assert kept_files(own) == []
    assert own.uploads() == {}


@pytest.mark.parametrize("name", ["a.exe", "a", "a.zip.txt", "", "..", "zip"])
def test_a_file_of_another_kind_is_refused(own: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(table(slice(None)))
    with pytest.raises(InputError, match="another kind"):
        own.keep_upload(tmp_path / "a", name)
    assert kept_files(own) == []


def test_so_many_uploads_and_no_more(own: Workspace, tmp_path: Path) -> None:
    folder = own.root / "studio/uploads"
    folder.mkdir(parents=True)
    for number in range(MOST_UPLOADS):
        (folder / f"{number}.csv").touch()
    with pytest.raises(InputError, match="remove one first"):
        own.keep_upload(write({"a.csv": table(slice(None))}, tmp_path / "f") / "a.csv", "a.csv")


def test_an_upload_that_is_not_checked_yet_cannot_be_chosen(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(workspace, "read_local", lambda path: seen.append(own.uploads()))
    own.keep_upload(write({"a.csv": b""}, tmp_path / "f") / "a.csv", "a.csv")
    assert seen == [{}]


def test_a_full_disk_leaves_no_half_upload(own: Workspace, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, to: Path) -> None:
        Path(to).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        own.keep_upload(good, good.name)
    assert kept_files(own) == []


def test_own_digits_come_back_and_are_data(own: Workspace) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for image, label in zip(images, (7, 0, 7), strict=True):
        own.keep_digit(image, label)
    found, labels = own.digits()
    assert labels.tolist() == [0, 7, 7]
    assert {image.tobytes() for image in found} == {image.tobytes() for image in images}
    np.testing.assert_array_equal(found[0], images[1])
    shown = own_view(Words("en"), own, [], tested=False)
    assert shown.count("<img") == 3
    own.remove_digits()
    assert len(own.digits()[0]) == 0


def test_own_digits_are_read_as_local_data(own: Workspace) -> None:
    for label in range(3):
        own.keep_digit(np.full((28, 28), 10 * label, np.uint8), label)
    train = own.root / "as_data/train"
    train.parent.mkdir()
    own.digits_folder.rename(train)  # a folder a class is what data=local calls train/
    data = read_local(train.parent)
    assert data.labels.tolist() == [0, 1, 2]
    assert data.images[2].max() == 20


def test_a_foreign_picture_among_own_digits_is_left_out(own: Workspace) -> None:
    own.keep_digit(np.zeros((28, 28), np.uint8), 3)
    Image.new("L", (40, 28)).save(own.digits_folder / "3/large.png")
    assert own.digits()[1].tolist() == [3]


@pytest.mark.parametrize("label", [-1, 10])
def test_a_digit_is_one_of_ten(own: Workspace, label: int) -> None:
    with pytest.raises(InputError, match="one of 0 to 9"):
        own.keep_digit(np.zeros((28, 28), np.uint8), label)


def test_so_many_digits_and_no_more(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MOST_DIGITS", 1)
    own.keep_digit(np.zeros((28, 28), np.uint8), 1)
    with pytest.raises(InputError, match="remove them first"):
        own.keep_digit(np.zeros((28, 28), np.uint8), 1)


# Views


def png(*size: int) -> bytes:
    raw = io.BytesIO()
    Image.new("L", size, 255).save(raw, "PNG")
    return raw.getvalue()


def test_a_picture_is_grey_on_white() -> None:
    raw = io.BytesIO()
    clear = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 0, 255))
    clear.save(raw, "PNG")
    found = decode(raw.getvalue())
    assert found.shape == (20, 30)
    assert found[0, 0] == 0
    assert found[5, 5] == 255


@pytest.mark.parametrize(
    "content", [b"", b"hi", png(30, 30)[:40], b"GIF89a", base64.b64encode(png(5, 5)), png(6001, 1)]
)
def test_what_is_no_picture_is_told(content: bytes) -> None:
    with pytest.raises(InputError, match="picture"):
        decode(content)


def test_data_are_shown_with_their_parts() -> None:
    shown = data_view(Words("en"), ["model=nn", "data=mnist5k", "data.split=resplit"])
    assert "5,000" in shown
    assert shown.count("<img") >= 30


# Jobs, from files alone


def job_of(own: Workspace, *overrides: list[str], name: str = "20260101-000000-aaaaaa") -> Job:
    folder = own.jobs_folder / name
    plan = [
        {"overrides": typed, "folder": str(run_folder(own, typed, name, number))}
        for number, typed in enumerate(overrides)
    ]
    write_json(folder / "job.json", {"trainings": plan})
    return Job(folder)


@contextmanager
def at_work(job: Job) -> Iterator[None]:
    with (job.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def states(job: Job) -> list[State]:
    return [training.state for training in Job(job.folder).trainings()]


NN = ["model=nn", "data=mnist5k"]


def test_a_lock_that_is_held_means_work(own: Workspace) -> None:
    job = job_of(own, NN)
    assert not job.is_at_work
    with at_work(job):
        assert job.is_at_work
        assert job.is_at_work  # asking does not take it
    assert not job.is_at_work


def test_trainings_run_one_after_the_other(own: Workspace) -> None:
    job = job_of(own, NN, NN, NN)
    write_json(job.folder / "0.json", {"state": "done", "reason": ""})
    (job.folder / "1.log").touch()
    with at_work(job):
        assert states(job) == [State.DONE, State.RUNNING, State.WAITING]
        (job.folder / "stop").touch()
        assert states(job) == [State.DONE, State.RUNNING, State.STOPPED]
    assert states(job) == [State.DONE, State.STOPPED, State.STOPPED]


def test_work_that_nobody_does_was_interrupted(own: Workspace) -> None:
    job = job_of(own, NN, NN)
    (job.folder / "0.log").touch()
    assert states(job) == [State.INTERRUPTED, State.INTERRUPTED]
    folder = job.trainings()[0].folder
    folder.mkdir(parents=True)
    (folder / "metrics.json").touch()
    assert states(job) == [State.DONE, State.INTERRUPTED]


def test_a_training_that_goes_on_elsewhere_is_not_offered_again(own: Workspace) -> None:
    old = job_of(own, NN)
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{old.folder.name}:0"]
    new = job_of(own, NN, name="20260102-000000-aaaaaa")
    write_json(new.folder / "job.json", {"trainings": old.plan})
    (new.folder / "0.log").touch()
    with at_work(new):
        assert jobs_view(Words("en"), own)[2] == []
        with pytest.raises(InputError):
            go_on(own, old.trainings()[0])


def test_a_failure_keeps_its_reason(own: Workspace) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "0.json", {"state": "failed", "reason": "data.batch_size=<b>: too large"})
    (training,) = job.trainings()
    assert (training.state, training.reason) == (State.FAILED, "data.batch_size=<b>: too large")
    shown, active, broken = jobs_view(Words("en"), own)
    assert "data.batch_size=&lt;b&gt;: too large" in shown
    assert (active, broken) == ([], [])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trainings": 3}', '{"trainings": [{}]}', "\udcff"])
def test_a_damaged_plan_is_an_empty_one(own: Workspace, content: str) -> None:
    job = job_of(own, NN)
    (job.folder / "job.json").write_bytes(content.encode(errors="surrogateescape"))
    assert Job(job.folder).trainings() == []


@pytest.mark.parametrize("content", ['{"state": "odd", "reason": ""}', '{"state": "done"}', "[]", "{"])
def test_a_damaged_end_does_not_hide_the_other_trainings(own: Workspace, content: str) -> None:
    job = job_of(own, NN)
    (job.folder / "0.json").write_text(content)
    assert len(states(job)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{"),
        ("metrics.json", "{}"),
        ("progress.jsonl", '{"event": "st{"event": "step", "epoch": 1}\n'),
        ("history.csv", "epoch,loss\n1,x\n"),
    ],
)
def test_a_damaged_run_does_not_hide_the_other_trainings(own: Workspace, name: str, content: str) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "0.json", {"state": "done", "reason": ""})
    folder = job.trainings()[0].folder
    folder.mkdir(parents=True)
    (folder / name).write_text(content)
    job_of(own, ["model=dnn"], name="20260101-000000-bbbbbb")
    assert "dnn" in jobs_view(Words("en"), own)[0]


def test_jobs_are_listed_newest_first_and_what_is_none_is_left_out(own: Workspace) -> None:
    assert jobs(own) == []
    for name in ("20260101-000000-a", "20260102-000000-a"):
        job_of(own, NN, name=name)
    (own.jobs_folder / "20260103-000000-a").mkdir()
    assert [job.folder.name for job in jobs(own)] == ["20260102-000000-a", "20260101-000000-a"]


def test_work_is_listed_however_many_jobs_came_later(own: Workspace) -> None:
    first = job_of(own, NN, name="20250101-000000-a")
    for number in range(20):
        job_of(own, NN, name=f"20260101-000000-{number:02}")
    with at_work(first):
        assert first.folder in [job.folder for job in jobs(own)]


def test_a_stop_reaches_a_training_that_has_no_folder_yet(own: Workspace) -> None:
    job = job_of(own, NN)
    (job.folder / "0.log").touch()
    with at_work(job):
        job.stop()
    assert (job.folder / "stop").exists()
    assert (job.trainings()[0].folder / "stop").exists()


def test_no_process_is_ended_where_nobody_works(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(own, NN)
    write_json(job.folder / "worker.json", {"pid": os.getpid()})
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("ended a process that is not its own"))
    job.stop_now()
    assert states(job) == [State.STOPPED]


def test_too_many_trainings_and_none_are_refused(own: Workspace) -> None:
    with pytest.raises(InputError, match="no model is chosen"):
        start(own, [])
    with pytest.raises(InputError, match=f"at most {MOST_TRAININGS}"):
        start(own, [NN] * (MOST_TRAININGS + 1))
    assert not own.jobs_folder.exists()


def test_the_command_is_what_can_be_typed(own: Workspace) -> None:
    job = job_of(own, ["model=nn", "data.dir=/a b/c"])
    assert job.trainings()[0].command == "ziffern train model=nn 'data.dir=/a b/c'"


@pytest.mark.parametrize("path", ["/a/b_c-d.e", "/with space/x", "/it's/a", "/a\\b", "/a,b=c/{d}", "/größe/[1]", "/$x"])
def test_any_path_survives_hydras_grammar(path: str) -> None:
    assert str(composed(("model=nn", f"data.dir={quoted(Path(path))}")).data.dir) == path


# Jobs that really train


def wait(done: Callable[[], bool], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def has_ended(job: Job) -> bool:
    ended = all((job.folder / f"{number}.json").exists() for number in range(len(job.plan)))
    return ended and not job.is_at_work


def epochs_of(job: Job, number: int = 0) -> int:
    path = Path(job.plan[number]["folder"]) / "progress.jsonl"
    return path.read_text().count('"event": "epoch"') if path.exists() else 0


@pytest.mark.slow
def test_a_job_that_has_only_begun_was_not_interrupted(own: Workspace) -> None:
    job = start(own, [["model=nothing"]])
    seen = set()

    def look() -> bool:
        seen.update(states(job))
        return has_ended(job)

    wait(look)
    assert seen <= {State.WAITING, State.RUNNING, State.FAILED}


@pytest.mark.slow
def test_a_training_comes_to_its_end_and_a_failure_does_not_stop_the_next(own: Workspace) -> None:
    job = start(
        own,
        [
            ["model=nothing"],
            [*NN, "data.batch_size=100000"],
            [*NN, "model.optimizer.lr=1e30", "trainer.max_epochs=1"],
            [*NN, "trainer.max_epochs=1"],
        ],
    )
    wait(lambda: has_ended(job))
    trainings = Job(job.folder).trainings()
    assert [training.state for training in trainings] == [State.FAILED, State.FAILED, State.FAILED, State.DONE]
    for training, word in zip(trainings, ("nothing", "batch_size", ""), strict=False):
        assert word in training.reason
        assert training.reason.strip()
        assert "\n" not in training.reason
    done = trainings[3]
    assert done.run.metrics["epochs"] == 1
    assert done.last_event["epoch"] == 1
    assert done.folder.name in own.run_names()
    shown, active, broken = jobs_view(Words("de"), own)
    assert "<svg" in shown
    assert (active, broken) == ([], [])
    assert not job.is_at_work


@pytest.mark.slow
def test_a_stop_ends_after_the_epoch_with_the_best_model_tested(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 1)
    assert states(job) == [State.RUNNING, State.WAITING]
    job.stop()
    wait(lambda: (job.folder / "0.json").exists() and not job.is_at_work)
    assert states(job) == [State.STOPPED, State.STOPPED]
    metrics = job.trainings()[0].run.metrics
    assert metrics["epochs"] < 500
    assert "test/acc" in metrics
    assert not job.trainings()[1].folder.exists()


@pytest.mark.slow
def test_a_stop_at_once_leaves_what_was_learned(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"]])
    wait(lambda: epochs_of(job) >= 2)
    job.stop_now()
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.STOPPED]
    assert (job.trainings()[0].folder / "checkpoints/last.ckpt").is_file()


@pytest.mark.slow
def test_a_shutdown_interrupts_what_runs_and_begins_nothing(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 2)
    os.killpg(json.loads((job.folder / "worker.json").read_text())["pid"], signal.SIGTERM)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED, State.INTERRUPTED]
    assert job.trainings()[0].reason == "SIGTERM"
    assert not (job.folder / "1.log").exists()
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{job.folder.name}:0", f"{job.folder.name}:1"]


@pytest.mark.slow
def test_a_training_that_was_killed_says_by_what_and_the_next_begins(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=500"], NN])
    wait(lambda: epochs_of(job) >= 2)
    worker = json.loads((job.folder / "worker.json").read_text())["pid"]
    (training,) = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    os.kill(int(training), signal.SIGKILL)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED, State.DONE]
    assert [each.reason for each in job.trainings()] == ["SIGKILL", ""]


def test_two_who_go_on_at_once_do_not_both(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    old = job_of(own, NN)
    (old.folder / "0.log").touch()
    (training,) = old.trainings()
    assert training.state is State.INTERRUPTED
    held: list[Any] = []

    class Working:  # in place of the worker: holds the job's lock as it does
        def __init__(self, command: list[str], pass_fds: tuple[int], **_: Any) -> None:
            held.append(os.dup(pass_fds[0]))
            self.pid = 1

        def poll(self) -> None:
            return None

    monkeypatch.setattr("ziffern.studio.jobs.subprocess.Popen", Working)
    monkeypatch.setattr("ziffern.studio.jobs._workers", [])
    refused = []

    def go() -> None:
        try:
            go_on(own, training)
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1
    assert len(refused) == 7
    os.close(held[0])


@pytest.mark.slow
def test_a_killed_training_is_found_again_and_goes_on(own: Workspace) -> None:
    job = start(own, [[*NN, "trainer.max_epochs=12"]])
    wait(lambda: epochs_of(job) >= 2)
    os.killpg(json.loads((job.folder / "worker.json").read_text())["pid"], signal.SIGKILL)
    wait(lambda: not job.is_at_work)
    assert states(job) == [State.INTERRUPTED]
    assert [name for _, name in jobs_view(Words("en"), own)[2]] == [f"{job.folder.name}:0"]
    again = go_on(own, job.trainings()[0])
    assert again.plan[0]["folder"] == job.plan[0]["folder"]
    wait(lambda: has_ended(again))
    assert states(again) == [State.DONE]
    assert states(job) == [State.DONE]
    rows = again.trainings()[0].run.history
    assert [int(row["epoch"]) for row in rows] == list(range(1, 13))
