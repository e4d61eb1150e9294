"""The content of the page as HTML: blocks of the reports and of this package's own templates, without Gradio."""

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import with_channels
from ziffern.errors import InputError
from ziffern.records.contents import Material
from ziffern.report import comparison_page, run_page
from ziffern.report.charts import run as charts
from ziffern.report.page import as_seen, environment, render_block
from ziffern.runs.comparison import make_comparison
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.studio.failures import read_failure
from ziffern.studio.jobs import ACTIVE, Job, State, Training, jobs
from ziffern.studio.settings import composed
from ziffern.studio.workspace import Workspace
from ziffern.text.catalog import Message, os_reason
from ziffern.text.language import Language
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from ziffern.data.dataset import LabeledImages
    from ziffern.data.split import Split
    from ziffern.models.normalization import Normalize
    from ziffern.training.module import ImageClassifier

FOLDER = Path(__file__).parent
MAX_DIGITS = 60  # pictures at once
MAX_SIDE = 6000  # pixels of an uploaded picture
MAX_DATA = 3  # data sets in memory
MAX_STAMPED = 100_000  # files: more than a data set of 70,000 pictures
MARGIN = 0.002  # as `ziffern compare`: a larger model must be better by so much
PARTS = ("summary", "curves", "published", "data", "classes", "confusion", "sure", "again")
BY_SOMEBODY = ("SIGINT", "SIGTERM")  # signals from people or a shutdown; others may mean a lack of memory
UNSURE = 0.5  # a less probable answer is called a guess


@dataclass(frozen=True)
class Words:
    """The texts of a language: `t` those of the reports, `s` those of the studio."""

    code: str

    @cached_property
    def t(self) -> Language:
        """The reports' texts."""
        return Language(self.code)

    @cached_property
    def s(self) -> Language:
        """The studio's texts."""
        return Language(self.code, FOLDER / "texts")

    @cached_property
    def _templates(self) -> "Environment":
        return environment(self.t, FOLDER / "templates")

    def render(self, template: str, block: str, **context: Any) -> str:
        """Return a block of one of this package's templates."""
        page = self._templates.get_template(template)
        return _sendable("".join(page.blocks[block](page.new_context({"s": self.s, **context}))))

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


Loaded = tuple["LabeledImages", "Split", str, "Normalize"]
_data: dict[tuple[object, ...], Loaded] = {}  # by overrides and the state of the files; the oldest first
_data_lock = Lock()


def _loaded(overrides: tuple[str, ...]) -> Loaded:
    """Return data, parts, the split's name, mean and deviation; reloaded where a file has changed.

    Fallback data is not cached, so that the requested data is loaded as soon as the network is back.
    """
    from ziffern.config.instantiate import build
    from ziffern.data.datamodule import ImageDataModule
    from ziffern.models.normalization import Normalize

    cfg = composed(overrides)
    data: ImageDataModule = build(cfg.data, "data", ImageDataModule)
    known = (overrides, _stamp(data.dir))
    with _data_lock:
        if known in _data:
            return _data[known]
    data.setup()
    normalize: Normalize = build(cfg.model.normalize, "model.normalize", Normalize)
    normalize.fit(data.dataset.images, data.parts.train)
    loaded = data.dataset, data.parts, data.split_name, normalize
    if not data.dataset.note:
        with _data_lock:
            _data[overrides, _stamp(data.dir)] = loaded  # as it is now: loading may have downloaded it
            while len(_data) > MAX_DATA:
                del _data[next(iter(_data))]
    return loaded


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
    dataset, parts, split, normalize = _loaded(tuple(overrides))
    material = Material.of(dataset, parts, normalize)
    sizes = {f"data/{name}": len(part) for name, part in zip(("train", "val", "test"), parts.indices, strict=True)}
    context = {
        "heading": words.s("data.heading"),
        "about": {"data/name": dataset.name, "data/split": split, "data/leak": words.text(parts.leak or ""), **sizes},
        "material": material,
        "seen": [as_seen(image, material.mean, material.std) for image in material.example_image],
        "charts": {"shares": charts.share_chart(material.counts.sum(0), material.class_names, words.t)},
    }
    labels = dataset.labels
    chosen = np.random.default_rng(0).choice(len(labels), min(30, len(labels)), replace=False)
    samples = [(dataset.images[place], dataset.class_names[labels[place]]) for place in np.sort(chosen)]
    more = words.render(
        "data.html",
        "samples",
        samples=samples,
        count=len(labels),
        note=words.text(dataset.note or ""),
        leak=words.text(parts.leak or ""),
    )
    return f'<div class="zf">{more}{render_block("run.html", "data", words.t, context)}</div>'


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
    try:
        return _readable_training(words, job, training, pictured)
    except (InputError, KeyError, TypeError, ValueError, OSError) as error:
        return _blank(training) | {"title": training.folder.name, "reason": words.text(error)}


def _blank(training: Training) -> dict[str, Any]:
    blank = {"share": None, "line": "", "reason": "", "charts": None}
    return {**blank, "state": training.state.value, "command": training.command}


def _readable_training(words: Words, job: Job, training: Training, pictured: bool) -> dict[str, Any]:
    s, t, event, run = words.s, words.t, training.last_event, training.run
    shown = _blank(training) | {"title": title(run, training.overrides)}
    if training.state is State.RUNNING:
        shown["line"] = s("train.starting")
        shown["share"] = 0.0
        if event:
            epochs = run.description.get("max_epochs", "?")
            scores = [
                s(f"train.{part}", acc=t.percent(event[f"{part}/acc"]), loss=t.number(event[f"{part}/loss"], 4))
                for part in ("train", "val")
                if f"{part}/acc" in event
            ]
            left = s("train.left", time=t.duration(event.get("eta_seconds")))
            shown["line"] = " · ".join([s("train.epoch", epoch=event["epoch"], of=epochs), *scores, left])
            shown["share"] = min(1.0, event["step"] / max(1, event["steps"]))
            if run.is_finished or event["learned"]:
                shown["line"] = " · ".join([s("train.testing"), *scores])
        if job.is_stopping:
            shown["line"] = f"{s('train.stopping')} {shown['line']}"
    elif training.state in (State.DONE, State.STOPPED) and run.is_finished:
        metrics = run.metrics
        shown["line"] = s(
            "train.done",
            acc=t.percent(metrics.get("test/acc", metrics["val/acc"])),
            epochs=metrics["epochs"],
            time=t.duration(metrics["train_seconds"]),
        )
    elif training.state is State.FAILED:
        shown["reason"] = s("train.failed", reason=read_failure(training.failure_file, words.code) or training.reason)
    elif training.state is State.INTERRUPTED and training.reason:
        text = "interrupted" if training.reason in BY_SOMEBODY else "killed"
        shown["line"] = s(f"train.{text}", reason=training.reason)
    elif training.state is State.STOPPED and not (job.folder / f"{training.number}.log").exists():
        shown["line"] = s("train.not_begun")
    elif training.state in (State.INTERRUPTED, State.STOPPED):
        shown["line"] = s(f"train.{training.state.value}")
    if pictured and (training.folder / "history.csv").is_file():
        stamp = (training.folder / "history.csv").stat().st_mtime_ns
        shown["charts"] = _curves(training.folder, stamp, words.code)
    return shown


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
    is_shown = {
        "published": bool(context["published"]),
        **dict.fromkeys(("classes", "confusion", "sure"), findings.outcome is not None),
        "data": findings.run.material is not None,
    }
    notes = "".join(words.message(note) for note in context["notes"])
    parts = {
        part: f'<div class="zf">{render_block("run.html", part, words.t, context)}</div>'
        if is_shown.get(part, True)
        else ""
        for part in PARTS
    }
    return {part: _sendable(text) for part, text in {**parts, "summary": notes + parts["summary"]}.items()}


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
    comparison = make_comparison(runs, MARGIN)
    context = comparison_page.page_context(comparison, words.t)
    blocks = ["which", "all", *(["pairs"] if context["pair_rows"] else [])]
    shown = "".join(render_block("comparison.html", block, words.t, context) for block in blocks)
    notes = "".join(words.message(note) for note in context["notes"])
    return _sendable(f'{notes}<div class="zf">{shown}</div>')


@lru_cache(maxsize=12)
def _model(folder: Path, stamp: int) -> "ImageClassifier":
    return Run(folder).load_model()


def model_of(run: Run) -> "ImageClassifier":
    """Return the best model of a run; reloaded where its checkpoint has changed.

    Raises:
        InputError: It has none, or it is damaged.
    """
    path = run.folder / "checkpoints/best.ckpt"
    return _model(run.folder, path.stat().st_mtime_ns if path.exists() else 0)


def probabilities(run: Run, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the probabilities (N, K) that the best model of a run gives for gray images (N, H, W)."""
    import torch

    from ziffern.data.conversion import converted

    model = model_of(run)
    pixels = converted(with_channels(images), model.normalize.image, str(run.folder))
    with torch.inference_mode():
        logits = model(torch.from_numpy(pixels))
    shares: NDArray[np.float32] = logits.float().softmax(1).numpy()
    return shares


def answers_view(words: Words, image: NDArray[np.uint8], runs: Sequence[Run]) -> str:
    """Return the answers of models for one image (28, 28), side by side."""
    s, t, answers = words.s, words.t, []
    for run in runs:
        shares = probabilities(run, image[None])[0]
        names = run.material.class_names if run.material else tuple(map(str, range(len(shares))))
        best = int(shares.argmax())
        sure = "sure" if shares[best] >= 0.9 else "likely" if shares[best] >= UNSURE else "guess"  # noqa: PLR2004
        answers.append(
            {
                "name": title(run),
                "label": names[best],
                "words": s(f"try.{sure}", share=t.percent(float(shares[best]), 1)),
                "shares": [(name, float(share)) for name, share in zip(names, shares, strict=True)],
            }
        )
    predicted = {answer["label"] for answer in answers}
    agreement = ""
    if len(answers) > 1:
        agreement = s("try.agree", label=next(iter(predicted))) if len(predicted) == 1 else s("try.disagree")
    return words.render(
        "parts.html",
        "answers",
        image=image,
        answers=answers,
        agreement=agreement,
        problem="" if runs else s("try.no_model"),
    )


def own_view(words: Words, workspace: Workspace, runs: Sequence[Run], tested: bool) -> str:
    """Return the person's own digits and, where `tested`, how many of them each model reads correctly."""
    images, labels = workspace.digits()
    scores = []
    if tested and len(images):
        for run in runs:
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
