"""The content of the page as HTML: blocks of the reports and of this package's own templates, without Gradio.

The parts are in one file, since most are a function of a few lines that share the texts and the cached models.
"""

import io
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import with_channels
from ziffern.errors import InputError
from ziffern.records.arrays import Material
from ziffern.report import comparison_page, run_page
from ziffern.report.charts import run as charts
from ziffern.report.page import as_seen, environment
from ziffern.runs.builtin import BUILTIN, find_run
from ziffern.runs.comparison import MARGIN, make_comparison
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.studio.jobs import ACTIVE, Job, State, Training, jobs
from ziffern.studio.settings import composed
from ziffern.studio.workspace import Workspace
from ziffern.text.catalog import Message, os_reason
from ziffern.text.language import Language
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.models.normalization import Normalize
    from ziffern.runs.predictor import Predictor

FOLDER = Path(__file__).parent
MAX_DIGITS = 60  # pictures at once
MAX_SIDE = 6000  # pixels of an uploaded picture
MAX_DATA = 3  # data sets in memory
MAX_STAMPED = 100_000  # files: more than a data set of 70,000 pictures
PARTS = ("summary", "curves", "published", "data", "classes", "confusion", "sure", "again")
BY_SOMEBODY = ("SIGINT", "SIGTERM")  # signals from people or a shutdown; others may mean a lack of memory


class Words:
    """The texts of the language `code`: `t` those of the reports, `s` those of the studio."""

    def __init__(self, code: str) -> None:
        self.code, self.t, self.s = code, Language(code), Language(code, FOLDER / "texts")
        self._templates = environment(self.t, FOLDER / "templates")
        self._templates.globals["s"] = self.s

    def render(self, template: str, block: str, **context: Any) -> str:
        """Return a block of one of this package's templates, or of the reports'."""
        page = self._templates.get_template(template)
        return _sendable("".join(page.blocks[block](page.new_context(context))))

    def text(self, value: Exception | Message | str) -> str:
        """Return the text of an error or a message; of the operating system's errors without the server's path."""
        if isinstance(value, OSError):
            return self.s("problems.system", reason=self.text(os_reason(value)))
        if isinstance(value, InputError):
            value = value.message
        return _sendable(value.in_language(self.code) if isinstance(value, Message) else str(value))

    def message(self, value: Exception | Message | str) -> str:
        """Return a text, or that of an error or a message, as HTML."""
        return self.render("parts.html", "message", text=value if isinstance(value, str) else self.text(value))


def _sendable(text: str) -> str:
    """Return a text without lone surrogates, which JSON for a browser cannot hold; foreign files may have some."""
    return text.encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=MAX_DATA)
def _loaded(overrides: tuple[str, ...], stamp: int) -> tuple["ImageDataModule", "Normalize"]:
    """Return data and its normalization; `stamp` changes with its files, so that it is loaded again."""
    from ziffern.config.instantiate import build
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.models.normalization import Normalize

    cfg = composed(overrides)
    data: ImageDataModule = build(cfg.data, "data", ImageDataModule)
    data.setup()
    normalize: Normalize = build(cfg.model.normalize, "model.normalize", Normalize)
    normalize.fit(data.dataset.images, data.parts.train)
    return data, normalize


def _stamp(path: Path) -> int:
    """Return a number that changes with any file of a data set: names, sizes and times of up to MAX_STAMPED."""
    paths = [path, *islice(path.rglob("*"), MAX_STAMPED)] if path.is_dir() else [path]
    stamps: list[tuple[str, int, int, int]] = []
    for file in paths:
        with suppress(OSError):  # gone meanwhile
            status = file.stat()
            stamps.append((str(file), status.st_size, status.st_mtime_ns, status.st_ino))
    return hash(tuple(sorted(stamps)))


def data_view(words: Words, overrides: Sequence[str]) -> str:
    """Return what a data set consists of: parts, shares, samples, and the effect of the normalization.

    Raises:
        InputError: It cannot be loaded.
    """
    given = tuple(overrides)
    data, normalize = _loaded(given, _stamp(Path(composed(given).data.dir).expanduser()))
    dataset, parts, labels = data.dataset, data.parts, data.dataset.labels
    if dataset.note:  # fallback data, which must not remain when the network is back
        _loaded.cache_clear()
    material = Material.of(dataset, parts, normalize)
    sizes = {f"data/{name}": len(part) for name, part in zip(("train", "val", "test"), parts.indices, strict=True)}
    note, leak = (words.text(text or "") for text in (dataset.note, parts.leak))
    notes = [note, leak, *map(words.text, data.notes)]
    chosen = np.random.default_rng(0).choice(len(labels), min(30, len(labels)), replace=False)
    samples = [(dataset.images[place], dataset.class_names[labels[place]]) for place in np.sort(chosen)]
    *_, height, width = dataset.images.shape
    size = {"count": len(labels), "height": height, "width": width}
    above = words.render("data.html", "samples", samples=samples, notes=notes, **size)
    below = words.render(
        "run.html",
        "data",
        heading=words.s("data.heading"),
        about={"data/name": dataset.name, "data/split": data.split_name, "data/leak": leak, **sizes},
        material=material,
        seen=[as_seen(image, material.mean, material.std) for image in material.example_image],
        charts={"shares": charts.share_chart(material.counts.sum(0), material.class_names, words.t)},
    )
    return _block(above + below)


def _block(content: str) -> str:
    return f'<div class="zf">{content}</div>' if content else ""


def title(run: Run, overrides: Sequence[str] = ()) -> str:
    """Return the title of a run: its model or recipe, and its data."""
    typed = dict(item.partition("=")[::2] for item in (run.overrides or overrides))
    about = run.description if (run.folder / "progress.jsonl").is_file() else {}
    model = typed.get("experiment") or about.get("model") or typed.get("model", "cnn")
    data = about.get("data/name") or typed.get("data", "mnist")
    return printable(f"{model} · {data}")


def jobs_view(words: Words, workspace: Workspace) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the trainings as HTML, the names of jobs that can be stopped, and those of trainings that can continue."""
    shown, active, broken = [], [], []
    seen: set[Path] = set()  # a run that a newer job continues belongs to that job
    for place, job in enumerate(jobs(workspace)):
        trainings = [training for training in job.trainings() if training.folder not in seen]
        seen |= {training.folder for training in trainings}
        for training in trainings:
            # Charts only of what is running, and of what was started last.
            shown.append(_training(words, job, training, pictured=place == 0 or training.state in ACTIVE))
            if training.state is State.INTERRUPTED:
                broken.append((f"{shown[-1]['title']} · {job.began}", f"{job.folder.name}:{training.number}"))
        if any(training.state in ACTIVE for training in trainings):
            titles = [each["title"] for each in shown[-len(trainings) :]]
            active.append((f"{', '.join(titles)} · {job.began}", job.folder.name))
    return words.render("jobs.html", "jobs", shown=shown), active, broken


def _training(words: Words, job: Job, training: Training, pictured: bool) -> dict[str, Any]:
    """Return what is shown of a training, or why its files cannot be read."""
    blank = {"title": training.folder.name, "state": training.state.value, "command": training.command}
    shown: dict[str, Any] = {**blank, "line": "", "reason": "", "charts": None, "share": None}
    is_running = training.state is State.RUNNING
    try:
        more: dict[str, Any] = _progress(words, training) if is_running else {"line": _ending(words, job, training)}
        if is_running and job.is_stopping:
            more["line"] = f"{words.s('train.stopping')} {more['line']}"
        if training.state is State.FAILED:
            more["reason"] = words.s("train.failed", reason=training.failure(words.code) or training.reason)
        history = training.folder / "history.csv"
        if pictured and history.is_file():
            more["charts"] = _curves(training.folder, history.stat().st_mtime_ns, words.code)
        return shown | more | {"title": title(training.run, training.overrides)}
    except (InputError, KeyError, TypeError, ValueError, OSError) as error:
        return shown | {"reason": words.text(error)}


def _progress(words: Words, training: Training) -> dict[str, Any]:
    """Return what is shown of a training that is running."""
    s, t, event = words.s, words.t, training.last_event
    if not event:
        return {"line": s("train.starting"), "share": 0.0}
    epoch = s("train.epoch", epoch=event["epoch"], of=training.run.description.get("max_epochs", "?"))
    scores = [
        s(f"train.{part}", acc=t.percent(event[f"{part}/acc"]), loss=t.number(event[f"{part}/loss"], 4))
        for part in ("train", "val")
        if f"{part}/acc" in event
    ]
    parts = [epoch, *scores, s("train.left", time=t.duration(event.get("eta_seconds")))]
    if training.run.is_finished or event["learned"]:
        parts = [s("train.testing"), *scores]
    return {"line": " · ".join(parts), "share": min(1.0, event["step"] / max(1, event["steps"]))}


def _ending(words: Words, job: Job, training: Training) -> str:
    """Return how a training that is not running ended; empty if it waits or has failed."""
    s, t, run, state, reason = words.s, words.t, training.run, training.state, training.reason
    if state in (State.DONE, State.STOPPED) and run.is_finished:
        metrics = run.metrics
        score, seconds = metrics.get("test/acc", metrics["val/acc"]), metrics["train_seconds"]
        return s("train.done", acc=t.percent(score), epochs=metrics["epochs"], time=t.duration(seconds))
    if state is State.INTERRUPTED and reason:
        return s("train.interrupted" if reason in BY_SOMEBODY else "train.killed", reason=reason)
    if state is State.STOPPED and not (job.folder / f"{training.number}.log").exists():
        return s("train.not_begun")
    return s(f"train.{state.value}") if state in (State.INTERRUPTED, State.STOPPED) else ""


@lru_cache(maxsize=64)
def _curves(folder: Path, stamp: int, code: str) -> dict[str, str] | None:
    """Return the learning curves of a run so far; `stamp` changes with its history, so that they are drawn again."""
    try:
        findings = Findings(Run(folder))
        if not findings.epochs:
            return None
        history, t = findings.history, Language(code)
        return {
            name: charts.learning_curve(
                history[f"train/{name}"], history[f"val/{name}"], findings.kept_epoch, name == "acc", t
            )
            for name in ("acc", "loss")
        }
    except InputError:
        return None


def run_views(words: Words, run: Run) -> dict[str, str]:
    """Return the parts of a run's report, by the names of PARTS; empty where there is nothing to show.

    Raises:
        InputError: The folder is not a run, or a file in it was changed or is damaged.
    """
    findings = Findings(run)
    context = run_page.page_context(findings, words.t)
    is_tested = findings.outcome is not None
    is_shown = dict.fromkeys(PARTS, True) | dict.fromkeys(("classes", "confusion", "sure"), is_tested)
    is_shown |= {"published": bool(context["published"]), "data": run.material is not None}
    parts = {part: _block(words.render("run.html", part, **context)) if is_shown[part] else "" for part in PARTS}
    notes = "".join(words.message(note) for note in context["notes"])
    return parts | {"summary": notes + parts["summary"]}


def mistakes_view(words: Words, run: Run, true: str | None, predicted: str | None) -> str:
    """Return the misclassified digits of one true and one predicted class; None is any."""
    findings = Findings(run)
    if findings.outcome is None:
        return words.message(Message("runs.note.test_skipped"))
    kept = [d for d in findings.mistakes if true in (None, d.true) and predicted in (None, d.predicted)]
    return words.render("parts.html", "mistakes", shown=kept[:MAX_DIGITS], count=len(kept))


def comparison_view(words: Words, runs: Sequence[Run]) -> str:
    """Return the comparison of runs, with its recommendation.

    Raises:
        InputError: Fewer than two are finished.
    """
    comparison = make_comparison(runs, MARGIN, with_speed=True)
    context = comparison_page.page_context(comparison, words.t)
    blocks = ["which", "all", *(["pairs"] if context["pair_rows"] else [])]
    notes = "".join(words.message(note) for note in context["notes"])
    return notes + _block("".join(words.render("comparison.html", block, **context) for block in blocks))


@lru_cache(maxsize=12)
def _predictor(folder: Path, stamp: int) -> "Predictor":
    """Return the predictor of a run; `stamp` changes with its checkpoint, so that it is loaded again.

    Raises:
        InputError: The run has no checkpoint, or it is damaged.
    """
    from ziffern.runs.predictor import Predictor

    return Predictor.of(Run(folder))


def probabilities(run: Run, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the calibrated probabilities (N, K) that the best model of a run gives for gray images (N, H, W)."""
    from ziffern.data.conversion import converted

    path = run.folder / "checkpoints/best.ckpt"
    predictor = _predictor(run.folder, path.stat().st_mtime_ns if path.exists() else 0)
    return predictor.predict(converted(with_channels(images), predictor.shape, str(run.folder))).probability


def answers_view(words: Words, image: NDArray[np.uint8], runs: Sequence[Run]) -> str:
    """Return the answers of models for one gray image (H, W), side by side; of the packaged model without any."""
    answers = []
    for run in runs or [Run(find_run(BUILTIN))]:
        shares = probabilities(run, image[None])[0]
        names = run.material.class_names if run.material else tuple(map(str, range(len(shares))))
        best = int(shares.argmax())
        answers.append((title(run), names[best], float(shares[best]), list(zip(names, shares.tolist(), strict=True))))
    labels = {label for _, label, *_ in answers}
    return words.render("parts.html", "answers", image=image, answers=answers, labels=labels, is_builtin=not runs)


def own_view(words: Words, workspace: Workspace, runs: Sequence[Run], tested: bool) -> str:
    """Return the person's own digits and, where `tested`, how many of them each model reads correctly."""
    images, labels = workspace.digits()
    scores = []
    if tested and len(images):
        for run in runs or [Run(find_run(BUILTIN))]:
            predicted = probabilities(run, images).argmax(1)
            scores.append((title(run), int((predicted == labels).sum())))
    pictures = [(image, int(label)) for image, label in zip(images[-MAX_DIGITS:], labels[-MAX_DIGITS:], strict=True)]
    return words.render("parts.html", "own", count=len(images), pictures=pictures, scores=scores)


def decode(content: bytes) -> NDArray[np.uint8]:
    """Return a picture (H, W) uint8 in gray levels, transparent pixels white.

    Raises:
        InputError: It is not a picture, or it is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP")) as picture:
            if max(picture.size) > MAX_SIDE:
                width, height = picture.size
                raise InputError("studio.picture.too_large", width=width, height=height, limit=MAX_SIDE)
            picture.thumbnail((1024, 1024))
            ground = Image.new("RGBA", picture.size, "white")
            ground.alpha_composite(picture.convert("RGBA"))
            return np.asarray(ground.convert("L"), np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError("studio.picture.unreadable") from error
