"""What the page's form keeps of a run, which number a text means, and which thing a button is about."""

from __future__ import annotations

import base64
import errno
import gc
import io
import os
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from tests.support.data_files import table
from tests.support.digits import synthetic_digits
from tests.support.runs import run_in

from ziffern.config.command import quoted_value
from ziffern.data.dataset import LabeledImages
from ziffern.errors import InputError
from ziffern.studio import settings
from ziffern.studio.extra import check_extra, with_tip
from ziffern.studio.jobs import THREADS, Job, resume, start, with_threads
from ziffern.studio.numbers import as_number, as_text
from ziffern.studio.server import Options
from ziffern.studio.settings import composed, overrides_of
from ziffern.studio.views import Words, data_view
from ziffern.studio.workspace import Workspace

if TYPE_CHECKING:
    from ziffern.studio.page import Page

DIGITS = table(slice(None))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    pytest.importorskip("gradio")
    from ziffern.studio.page import Page, Studio

    studio = Studio(tmp_path_factory.mktemp("form"), None, is_shared=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gradio deprecates things that it uses itself
        built = {code: Page(studio, Words(code)) for code in ("en", "de")}
        for page in built.values():
            page.build()
        gc.collect()
    return built


@pytest.fixture
def page(pages: dict[str, Page], tmp_path: Path) -> Page:
    pages["en"].studio.output, pages["en"].studio.is_shared = tmp_path, False
    return pages["en"]


def workspace(page: Page) -> Workspace:
    return Workspace(page.studio.output)


def run_of(page: Page, overrides: list[str]) -> str:
    folder = workspace(page).runs_folder / "earlier" / ".hydra"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("model: {}")
    OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")
    return "earlier"


def taken(page: Page, overrides: list[str], tip: str) -> list[Any]:
    """Return the values of the form after a suggestion was taken."""
    _, *updates = page.take_tip(0, [run_of(page, overrides), tip], None)
    return [update["value"] for update in updates]


# Suggestions

RUNS = [
    ["model=nn"],
    [],
    ["model=cnn", "model/scheduler=onecycle", "data=mnist5k"],
    ["model=nn", "model.net.hidden=[32,16]", "model.net.dropout=0.35", "data=mnist5k"],
    ["model=cnn", "model/augment=elastic", "trainer.precision=bf16-mixed"],
    ["model=cnn", "model/augment=affine", "model.augment.degrees=3", "data.fractions=[0.5,0.25,0.25]"],
    ["model=nn", "trainer.gradient_clip_val=0.5", "threads=2", "seed=7"],
    ["model=nn", "model/optimizer=adamw_short", "model.optimizer.lr=0.0123"],
    ["model=nn", "model.optimizer._target_=torch.optim.RMSprop"],
    ["model=nn", "model.loss={_target_:torch.nn.CrossEntropyLoss,label_smoothing:0.2}"],
    ["model=nn", "trainer.max_epochs=500", "callbacks.early_stopping.patience=null", "data.split=kfold"],
    ["model=nn", "+trainer.limit_train_batches=5", "callbacks=ema"],
    ["experiment=fast", "trainer.max_epochs=3", "model.optimizer.lr=0.01"],
    ["experiment=champion", "data=fashion_mnist"],
    ["experiment=an2020_m3", "trainer.max_epochs=2"],
    ["experiment=fast", "model=cnn"],
    ["model=nn", "data=local", "data.dir=/some/folder"],
]
TIPS = ["model.net.dropout=0.25", "model/augment=affine", "trainer.max_epochs=40"]


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("overrides", "tip"), [*((run, TIPS[2]) for run in RUNS), *((RUNS[0], tip) for tip in TIPS[:2]), (RUNS[3], TIPS[1])]
)
def test_suggestion_starts_the_run_as_it_was_but_for_the_suggestion(page: Page, overrides: list[str], tip: str) -> None:
    wanted = with_tip(overrides, tip)
    expected = composed(tuple(with_threads(wanted)))
    (typed,) = page.read(taken(page, overrides, tip), None)
    assert OmegaConf.to_container(composed(tuple(typed))) == OmegaConf.to_container(expected), typed


def test_suggestion_for_an_upload_keeps_it(page: Page, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(DIGITS)
    name = workspace(page).keep_upload(tmp_path / "a.csv", "a.csv")
    where = f"data.dir={quoted_value(workspace(page).uploads()[name])}"
    form = taken(page, ["model=nn", "data=local", where], TIPS[2])
    assert (form[0], form[-1]) == (f"upload:{name}", [])
    (typed,) = page.read(form, None)
    assert typed[:3] == ["model=nn", "data=local", where]


def test_what_the_form_cannot_show_stands_in_the_command_is_kept_and_can_be_removed(page: Page) -> None:
    form = taken(page, ["model=nn", "model/scheduler=onecycle", "seed=4"], TIPS[0])
    assert form[-1] == ["model/scheduler=onecycle", TIPS[0]]
    assert "model/scheduler=onecycle" in page.show_command(None, *form)[1]  # type: ignore[arg-type]
    page.save_form(None, *form)  # type: ignore[arg-type]
    kept = [update["value"] for update in page.restore("mnist5k", None)[3:]]  # type: ignore[arg-type]
    assert [form[0], *kept] == form
    without = [*form[:-1], [TIPS[0]]]
    assert "scheduler" not in page.show_command(None, *without)[1]  # type: ignore[arg-type]


def test_suggestion_belongs_to_the_run_that_was_shown_with_it(page: Page) -> None:
    shown = run_of(page, ["model=dnn"])
    assert page.take_tip(0, [shown, TIPS[2]], None)[3]["value"] == ["dnn"]  # type: ignore[arg-type]


def test_recipe_chosen_anew_takes_nothing_over(page: Page) -> None:
    for preset in ("", "fast"):
        assert page.take_preset(preset)[-1]["value"] == []


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=/x",
        "hydra/job_logging=stdout",
        "ckpt_path=/x",
        "data.source._target_=pandas.read_pickle",
        "data.root=/x",
        "callbacks.checkpoint.dirpath=/x",
        "trainer.default_root_dir=/x",
        "model.net.dropout=${oc.env:SECRET}",
        "data.val_from=$\\{oc.env:SECRET\\}",
        "--config-dir=/x",
        "logger=wandb",
        "modelx=1",
        "seed=" + "1" * 400,
        "\x1b[2J",
        "",
    ],
)
def test_settings_that_say_where_things_lie_are_refused(override: str) -> None:
    with pytest.raises(InputError, match="train with it in a terminal") as error:
        check_extra([override], may_name_data=True)
    assert str(error.value).isprintable()


def test_folders_of_data_are_named_by_the_only_person_alone() -> None:
    assert check_extra(["data.dir=/x"], may_name_data=True) == ["data.dir=/x"]
    with pytest.raises(InputError):
        check_extra(["data.dir=/x"], may_name_data=False)
    with pytest.raises(InputError, match="at most 40"):
        check_extra(["seed=1"] * 41, may_name_data=True)


# Threads


def test_threads_are_in_every_command_that_is_shown_and_in_none_by_load(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_of = taken(page, ["model=nn"], TIPS[2])
    for load in (0.0, 50.0):
        monkeypatch.setattr("os.getloadavg", lambda load=load: (load,) * 3)
        monkeypatch.setattr("os.cpu_count", lambda load=load: int(load) + 1)
        (typed,) = page.read(start_of, None)
        assert typed[-1] == THREADS
        assert composed(tuple(typed)).threads == 1


def test_threads_of_the_shown_command_are_those_of_the_job_and_stay(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoWorker:
        pid = 1

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("ziffern.studio.jobs.subprocess.Popen", NoWorker)
    own = workspace(page)
    for given, wanted in ((["model=nn"], THREADS), (["model=nn", "threads=2"], "threads=2")):
        job = start(own, [given])
        (job.folder / "0.log").touch()
        (training,) = Job(job.folder).trainings()
        assert training.overrides == ("model=nn", wanted)
        assert resume(own, training).plan[0]["overrides"] == ["model=nn", wanted]


def test_worker_changes_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ziffern.studio import worker

    seen: list[dict[str, Any]] = []

    class Ended:
        def __init__(self, command: list[str], **how: Any) -> None:
            seen.append({"command": command, **how})

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(worker.subprocess, "Popen", Ended)
    worker.Worker(Job(tmp_path), 0)._train(0, ["model=nn", THREADS])
    assert seen[0].get("env") is None
    assert THREADS in seen[0]["command"]


# Numbers


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        ("0.01", 0.01, 0.01),
        ("0,01", "0,01", 0.01),
        (",5", ",5", 0.5),
        ("1,5", "1,5", 1.5),
        ("0.001", 0.001, 0.001),
        ("0,001", "0,001", 0.001),
        ("1.000", 1, 1000),
        ("1,000", 1000, 1),
        ("4.294.967.295", "4.294.967.295", 4294967295),
        ("4,294,967,295", 4294967295, "4,294,967,295"),
        ("1.234,5", "1.234,5", 1234.5),
        ("1,234.5", 1234.5, "1,234.5"),
        ("12", 12, 12),
        (" 12 ", 12, 12),
        ("-1", -1, -1),
        ("1e-3", 0.001, 0.001),
        ("2.50", 2.5, 2.5),
        ("", "", ""),
        ("abc", "abc", "abc"),
        ("1 000", "1 000", "1 000"),
        ("nan", "nan", "nan"),
        ("1_000", "1_000", "1_000"),
        ("0x10", "0x10", "0x10"),
        ("٣", "٣", "٣"),
        (None, None, None),
    ],
)
def test_number_is_read_as_the_pages_language_writes_it(text: Any, english: Any, german: Any) -> None:
    assert [as_number(text, code) for code in ("en", "de")] == [english, german]


@pytest.mark.parametrize("value", [0.001, 0.000001, 1, 1000, 2**32 - 1, 0.1, 0.35, 12.5])
@pytest.mark.parametrize("code", ["en", "de"])
def test_number_that_is_shown_is_read_again(value: float, code: str) -> None:
    assert as_number(as_text(value, code), code) == value
    assert "e" not in as_text(value, code)


@pytest.mark.parametrize(("code", "said"), [("de", "model.optimizer.lr=0.01"), ("en", "must be a number")])
def test_comma_is_a_decimal_on_the_german_page_and_told_on_the_english_one(
    pages: dict[str, Page], code: str, said: str
) -> None:
    values = settings.form(["model=nn", "data=mnist5k"]) | {"rate": "0,01"}
    form = ["mnist5k", "", ["nn"], *(values[name] for name in settings.FORM), []]
    assert said in pages[code].show_command(None, *form)[1].replace("This must", "must")  # type: ignore[arg-type]
    updates = pages[code]._field_updates({**settings.form(["model=nn"]), "extra": []})
    assert updates[settings.FORM.index("rate")]["value"] == {"en": "0.001", "de": "0,001"}[code]


# Which digit, which file, which training


def drawing(value: int = 0) -> str:
    picture = np.full((100, 100), 255, np.uint8)
    picture[20:80, 40 + value : 60 + value] = 0
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_digit_is_kept_under_what_was_chosen_for_it_and_not_before(page: Page) -> None:
    assert page.truth.value is None
    said, truth = page.keep_digit(drawing(), None, None)  # type: ignore[arg-type]
    assert "First choose the intended digit." in said
    assert len(workspace(page).digits()[1]) == 0
    said, truth = page.keep_digit(drawing(), "7", None)  # type: ignore[arg-type]
    assert workspace(page).digits()[1].tolist() == [7]
    assert truth is None  # the next one is another
    assert page.ask_anew(drawing(5), [], None)[1] is None  # type: ignore[arg-type]


def test_digit_that_is_kept_is_the_one_on_the_canvas(page: Page) -> None:
    page.ask_anew(drawing(), [], None)  # type: ignore[arg-type]
    assert "Draw a digit" in page.keep_digit("", "7", None)[0]  # type: ignore[arg-type]
    assert len(workspace(page).digits()[1]) == 0


@pytest.fixture
def uploads(page: Page, tmp_path: Path) -> list[str]:
    (tmp_path / "a.csv").write_bytes(DIGITS)
    return [workspace(page).keep_upload(tmp_path / "a.csv", name) for name in ("one.csv", "two.csv")]


def test_button_names_the_upload_that_it_removes(page: Page, uploads: list[str]) -> None:
    choice, button, split = page.follow_source(f"upload:{uploads[0]}", "resplit")
    assert split["value"] == "auto"
    assert (choice["value"], button["value"]) == (uploads[0], f"Remove this file: {uploads[0]}")
    page.remove_upload(choice["value"], button["value"], "mnist5k", None)  # type: ignore[arg-type]
    assert list(workspace(page).uploads()) == uploads[1:]


def test_upload_that_the_button_does_not_name_is_not_removed(page: Page, uploads: list[str]) -> None:
    label = page.name_removal(uploads[0])["value"]
    said, _, choice, button = page.remove_upload(uploads[1], label, "mnist5k", None)  # type: ignore[arg-type]
    assert "Nothing was removed" in said
    assert list(workspace(page).uploads()) == uploads
    assert button["value"].endswith(choice["value"])


def test_training_that_has_just_ended_is_not_replaced_by_another_under_the_button(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = [("nn · 10:00", "job1"), ("dnn · 10:05", "job2")]
    monkeypatch.setattr("ziffern.studio.views.jobs_view", lambda *_: ("", active, []))
    assert page.tick("", "job1", None, None)[1]["value"] == "job1"  # type: ignore[arg-type]
    assert page.tick("", None, None, None)[1]["value"] == "job1"  # type: ignore[arg-type]
    del active[0]
    after = page.tick("", "job1", None, None)[1]  # type: ignore[arg-type]
    assert (after["value"], after["visible"]) == (None, True)
    assert "no longer exists" in page.end(None, False, None)[0]  # type: ignore[arg-type]


def test_overrides_beside_the_form_win_over_its_fields() -> None:
    values = settings.form(["model=nn", "data=mnist5k"]) | {"epochs": 3, "augment": "affine"}
    extra = ["model/augment=elastic", "trainer.max_epochs=500"]
    assert overrides_of("nn", None, ["data=mnist5k"], values, extra) == ["model=nn", "data=mnist5k", *extra]


# Data that were looked at


def look(folder: Path) -> str:
    return data_view(Words("en"), ["model=nn", "data=mnist", f"data.dir={quoted_value(folder)}"])


def test_data_that_stood_in_are_forgotten_when_the_network_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ziffern.data.sources import source as sources

    def no_network(*_: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(sources, "download", no_network)
    assert "instead of 70,000" in look(tmp_path)
    images, labels = synthetic_digits(200, seed=1)
    real = LabeledImages("mnist", images.reshape(-1, 1, 28, 28), labels.astype(np.int64), 160)
    monkeypatch.setattr(sources, "download", lambda *_: None)
    monkeypatch.setattr(sources.Torchvision, "read", lambda *_: real)
    assert "instead of 70,000" not in look(tmp_path)


def test_data_that_have_changed_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(DIGITS)
    overrides = ["model=nn", "data=local", f"data.dir={quoted_value(path)}", "data.batch_size=1"]
    before = data_view(Words("en"), overrides)
    stamp = path.stat().st_mtime_ns
    assert data_view(Words("en"), overrides) == before
    head, *lines = DIGITS.splitlines()
    path.write_bytes(b"\n".join([head, *lines, *lines]))
    os.utime(path, ns=(stamp, stamp))
    assert data_view(Words("en"), overrides) != before


# What foreign files and a full disk do


def test_names_of_a_foreign_run_do_not_break_the_page(page: Page) -> None:
    name = run_of(page, ["model=\ud800\x1b[2Jnn"])
    ((label, value),) = page.runs(None, False)  # type: ignore[arg-type]
    assert value == name
    assert label.isprintable()
    label.encode()
    page.words.message(InputError("studio.choice.gone", name="\udcff")).encode()
    page.words.message("\udcff: damaged").encode()


def test_full_disk_is_told_as_such_where_the_page_cannot_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    from ziffern.studio.server import serve

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ziffern.studio.server.tempfile.TemporaryDirectory", full)
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR=FOLDER"):
        serve(Options(browser=False))


def test_full_disk_is_told_where_an_upload_is_kept(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/somebody/outputs")

    (tmp_path / "a.csv").write_bytes(DIGITS)
    monkeypatch.setattr("ziffern.studio.workspace.shutil.copyfile", full)
    said = page.take_upload(str(tmp_path / "a.csv"), "mnist5k", None)[0]  # type: ignore[arg-type]
    assert "No space left on device" in said
    assert "somebody" not in said
    assert workspace(page).uploads() == {}


def test_upload_of_class_folders_named_by_words_is_shown_and_trained(page: Page, tmp_path: Path) -> None:
    path, images = tmp_path / "animals.zip", synthetic_digits(90, seed=3)[0]
    with zipfile.ZipFile(path, "w") as file:
        for place, image in enumerate(images):
            picture = io.BytesIO()
            Image.fromarray(np.asarray(image).squeeze()).save(picture, "PNG")
            folder = ("Katze", "Hund", "Vögel")[place % 3]
            for name in (f"{place}.png", f"{place} copy.png")[: 2 if place < 3 else 1]:
                file.writestr(f"{folder}/{name}", picture.getvalue())
    notice, source, *_, split = page.take_upload(str(path), "mnist5k", None)  # type: ignore[arg-type]
    assert "animals_" in notice
    assert split["value"] == "auto"
    assert page.follow_source("mnist", "auto")[2]["value"] == "resplit"
    shown = page.show_data(source["value"], split["value"], None)  # type: ignore[arg-type]
    for text in ("Katze", "Hund", "Vögel", "data.drop_duplicates=true"):
        assert text in shown
    data = page.studio.data_overrides(workspace(page), source["value"])
    values = settings.form(["model=nn", "data=mnist5k"]) | {"epochs": 1, "split": split["value"]}
    overrides = settings.overrides_of("nn", None, data, values)
    assert not any(item.startswith("data.split=") for item in overrides)
    fast = ("trainer=cpu", "logger=none", "model.net.hidden=[8]")
    run = run_in(tmp_path / "run", settings.composed((*overrides, *fast)))
    assert run.material is not None
    assert run.material.class_names == ("Hund", "Katze", "Vögel")
    assert run.config["data"]["num_classes"] == 3


def test_an_upload_is_looked_up_in_the_workspace_and_no_other_unknown_name_is_taken() -> None:
    gr = pytest.importorskip("gradio")
    from ziffern.studio import page

    radio = page.Sources(["mnist5k"], value="mnist5k")
    assert radio.preprocess("upload:mine.zip") == "upload:mine.zip"
    assert radio.preprocess("mnist5k") == "mnist5k"
    assert radio.get_block_name() == "radio"
    with pytest.raises(gr.Error, match="not in the list of choices"):
        radio.preprocess("local")
    assert not list(Path(page.__file__).parent.glob("*.pyi"))
