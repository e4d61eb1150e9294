"""What the page shows, as HTML: blocks of the reports, and of this package's own templates. No Gradio here."""

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
from ziffern.report import charts, comparison_page, run_page
from ziffern.report.page import environment, render_block
from ziffern.report.pictures import as_seen
from ziffern.runs.comparison import make_comparison
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.studio.jobs import ACTIVE, Job, State, Training, jobs
from ziffern.studio.settings import composed
from ziffern.studio.workspace import Workspace
from ziffern.text.catalog import Message
from ziffern.text.language import Language
from ziffern.text.messages import translated
from ziffern.text.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment

    from ziffern.data.dataset import LabelledImages
    from ziffern.data.split import Split
    from ziffern.models.normalization import Normalize
    from ziffern.text.catalog import Message
    from ziffern.training.module import ImageClassifier

FOLDER = Path(__file__).parent
MOST_DIGITS = 60  # pictures at once
MAX_DATA = 3  # data sets in memory
MAX_STAMPED = 100_000  # files: more than a data set of 70,000 pictures
MARGIN = 0.002  # as `ziffern compare`: a larger model must be better by so much
PARTS = ("summary", "curves", "published", "data", "classes", "confusion", "sure", "again")
ASKED = ("SIGINT", "SIGTERM")  # of somebody's doing, and no lack of memory
UNSURE = 0.5  # an answer less probable than this is told to be a guess


@dataclass(frozen=True)
class Words:
    """A language: `t` has the reports' texts, `s` the studio's."""

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
        found = self._templates.get_template(template)
        return _sendable("".join(found.blocks[block](found.new_context({"s": self.s, **context}))))

    def told(self, error: Exception | str) -> str:
        """Return what an error says; of the operating system's without its path, which is the server's."""
        if isinstance(error, OSError):
            reason = error.strerror or type(error).__name__
            return self.s("problems.system", reason=translated(reason, self.code))
        return _sendable(translated(str(error), self.code))

    def note(self, note: "Message | None") -> str:
        """Return a note in the language of the page; nothing for None."""
        return _sendable(note.in_language(self.code)) if note else ""

    def message(self, text: Exception | str) -> str:
        """Return one line, or what an error says, as HTML."""
        return self.render("parts.html", "message", text=self.told(text) if isinstance(text, Exception) else text)


def _sendable(text: str) -> str:
    """Return a text without lone surrogates, which JSON for a browser cannot hold; foreign files may have some."""
    return text.encode("utf-8", "backslashreplace").decode()


Loaded = tuple["LabelledImages", "Split", str, "Normalize"]
_data: dict[tuple[object, ...], Loaded] = {}  # by overrides and the state of the files; the oldest first
_data_lock = Lock()


def _loaded(overrides: tuple[str, ...]) -> Loaded:
    """Return data, parts, the split's name, mean and deviation; loaded anew where a file has changed.

    Fallback data are not cached, so that the wanted ones are loaded as soon as the network is back.
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
    found = data.dataset, data.parts, data.split_name, normalize
    if not data.dataset.note:
        with _data_lock:
            _data[overrides, _stamp(data.dir)] = found  # as it is now: loading may have downloaded it
            while len(_data) > MAX_DATA:
                del _data[next(iter(_data))]
    return found


def _stamp(path: Path) -> int:
    """Return a number that changes with any file of a data set: names, sizes and times of up to MAX_STAMPED."""
    paths = [path, *islice(path.rglob("*"), MAX_STAMPED)] if path.is_dir() else [path]
    found: list[tuple[str, int, int, int]] = []
    for file in paths:
        with suppress(OSError):  # gone meanwhile
            status = file.stat()
            found.append((str(file), status.st_size, status.st_mtime_ns, status.st_ino))
    return hash(tuple(sorted(found)))


def data_view(words: Words, overrides: Sequence[str]) -> str:
    """Return what data are made of: parts, shares, samples, and what the normalisation does.

    Raises:
        InputError: They cannot be loaded.
    """
    dataset, parts, split, normalize = _loaded(tuple(overrides))
    material = Material.of(dataset, parts, normalize)
    sizes = {f"data/{name}": len(part) for name, part in zip(("train", "val", "test"), parts.indices, strict=True)}
    context = {
        "heading": words.s("data.heading"),
        "about": {"data/name": dataset.name, "data/split": split, "data/leak": words.note(parts.leak), **sizes},
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
        note=words.note(dataset.note),
        leak=words.note(parts.leak),
    )
    return f'<div class="zf">{more}{render_block("run.html", "data", words.t, context)}</div>'


def title(run: Run, overrides: Sequence[str] = ()) -> str:
    """Return what people call a run: its model or recipe, and its data."""
    typed = dict(item.partition("=")[::2] for item in (run.overrides or overrides))
    about = run.description if (run.folder / "progress.jsonl").is_file() else {}
    model = typed.get("experiment") or about.get("model") or typed.get("model", "cnn")
    data = about.get("data/name") or typed.get("data", "mnist")
    return printable(f"{model} · {data}")


def jobs_view(words: Words, workspace: Workspace) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the trainings as HTML, and the names of jobs that can be stopped, and of trainings that can go on."""
    shown, active, broken = [], [], []
    seen: set[Path] = set()  # a run that a newer job took up is that job's
    for place, job in enumerate(jobs(workspace)):
        trainings = [training for training in job.trainings() if training.folder not in seen]
        seen |= {training.folder for training in trainings}
        for training in trainings:
            # Pictures of what is at work, and of what was started last.
            shown.append(_training(words, job, training, pictured=place == 0 or training.state in ACTIVE))
            if training.state is State.INTERRUPTED:
                broken.append((f"{shown[-1]['title']} · {job.began}", f"{job.folder.name}:{training.number}"))
        if any(training.state in ACTIVE for training in trainings):
            titles = [each["title"] for each in shown[-len(trainings) :]]
            active.append((f"{', '.join(titles)} · {job.began}", job.folder.name))
    return words.render("jobs.html", "jobs", shown=shown), active, broken


def _training(words: Words, job: Job, training: Training, pictured: bool) -> dict[str, Any]:
    """Return what is shown of a training; of one whose files were damaged, why it cannot be read."""
    try:
        return _readable_training(words, job, training, pictured)
    except (InputError, KeyError, TypeError, ValueError, OSError) as error:
        found = {
            "title": training.folder.name,
            "state": training.state.value,
            "share": None,
            "line": "",
            "charts": None,
        }
        return {**found, "reason": words.told(error), "command": training.command}


def _readable_training(words: Words, job: Job, training: Training, pictured: bool) -> dict[str, Any]:
    s, t, event, run = words.s, words.t, training.last_event, training.run
    found: dict[str, Any] = {"title": title(run, training.overrides), "state": training.state.value, "share": None}
    found |= {"line": "", "reason": "", "charts": None, "command": training.command}
    if training.state is State.RUNNING:
        found["line"] = s("train.starting")
        found["share"] = 0.0
        if event:
            epochs = run.description.get("max_epochs", "?")
            scores = [
                s(f"train.{part}", acc=t.percent(event[f"{part}/acc"]), loss=t.number(event[f"{part}/loss"], 4))
                for part in ("train", "val")
                if f"{part}/acc" in event
            ]
            left = s("train.left", time=t.duration(event.get("eta_seconds")))
            found["line"] = " · ".join([s("train.epoch", epoch=event["epoch"], of=epochs), *scores, left])
            found["share"] = min(1.0, event["step"] / max(1, event["steps"]))
            if run.is_finished or event["learned"]:
                found["line"] = " · ".join([s("train.testing"), *scores])
        if job.is_stopping:
            found["line"] = f"{s('train.stopping')} {found['line']}"
    elif training.state in (State.DONE, State.STOPPED) and run.is_finished:
        metrics = run.metrics
        found["line"] = s(
            "train.done",
            acc=t.percent(metrics.get("test/acc", metrics["val/acc"])),
            epochs=metrics["epochs"],
            time=t.duration(metrics["train_seconds"]),
        )
    elif training.state is State.FAILED:
        found["reason"] = s("train.failed", reason=words.told(training.reason))
    elif training.state is State.INTERRUPTED and training.reason:
        told = "interrupted" if training.reason in ASKED else "killed"
        found["line"] = s(f"train.{told}", reason=training.reason)
    elif training.state is State.STOPPED and not (job.folder / f"{training.number}.log").exists():
        found["line"] = s("train.not_begun")
    elif training.state in (State.INTERRUPTED, State.STOPPED):
        found["line"] = s(f"train.{training.state.value}")
    if pictured and (training.folder / "history.csv").is_file():
        stamp = (training.folder / "history.csv").stat().st_mtime_ns
        found["charts"] = _curves(training.folder, stamp, words.code)
    return found


@lru_cache(maxsize=64)
def _curves(folder: Path, stamp: int, code: str) -> dict[str, str] | None:
    """Return the learning curves of a run so far; drawn anew when its history has changed, which `stamp` says."""
    try:
        found = Findings(Run(folder))
        if not found.epochs:
            return None
        history, t = found.history, Language(code)
        return {
            name: charts.learning_curve(
                history[f"train/{name}"], history[f"val/{name}"], found.kept_epoch, name == "acc", t
            )
            for name in ("acc", "loss")
        }
    except InputError:
        return None


def run_views(words: Words, run: Run) -> dict[str, str]:
    """Return the parts of a run's report, by the names of PARTS; empty where there is nothing to show.

    Raises:
        InputError: The folder is no run, or a file in it was changed or is damaged.
    """
    found = Findings(run)
    context = run_page.page_context(found, words.t)
    there = {
        "published": bool(context["published"]),
        **dict.fromkeys(("classes", "confusion", "sure"), found.outcome is not None),
        "data": found.run.material is not None,
    }
    notes = "".join(words.message(note) for note in context["notes"])
    parts = {
        part: f'<div class="zf">{render_block("run.html", part, words.t, context)}</div>'
        if there.get(part, True)
        else ""
        for part in PARTS
    }
    return {part: _sendable(text) for part, text in {**parts, "summary": notes + parts["summary"]}.items()}


def mistakes_view(words: Words, run: Run, true: str | None, predicted: str | None) -> str:
    """Return the misclassified digits of one true and one predicted class; None is any."""
    found = Findings(run)
    if found.outcome is None:
        return words.message(Message("runs.note.test_skipped").in_language(words.code))
    kept = [d for d in found.mistakes if true in (None, d.true) and predicted in (None, d.predicted)]
    return words.render("parts.html", "mistakes", shown=kept[:MOST_DIGITS], count=len(kept))


def comparison_view(words: Words, runs: Sequence[Run]) -> str:
    """Return the comparison of runs, with its recommendation.

    Raises:
        InputError: Fewer than two came to their end.
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
    """Return the best model of a run; loaded anew where its checkpoint has changed.

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
    found: NDArray[np.float32] = logits.float().softmax(1).numpy()
    return found


def answers_view(words: Words, image: NDArray[np.uint8], runs: Sequence[Run]) -> str:
    """Return what models say of one image (28, 28), side by side."""
    s, t, answers = words.s, words.t, []
    for run in runs:
        shares = probabilities(run, image[None])[0]
        names = run.material.class_names if run.material else tuple(map(str, range(len(shares))))
        best = int(shares.argmax())
        sure = "sure" if shares[best] >= 0.9 else "likely" if shares[best] >= UNSURE else "guess"  # noqa: PLR2004
        answers.append(
            {
                "name": title(run),
                "said": names[best],
                "words": s(f"try.{sure}", share=t.percent(float(shares[best]), 1)),
                "shares": [(name, float(share)) for name, share in zip(names, shares, strict=True)],
            }
        )
    said = {answer["said"] for answer in answers}
    agreement = ""
    if len(answers) > 1:
        agreement = s("try.agree", said=next(iter(said))) if len(said) == 1 else s("try.disagree")
    return words.render(
        "parts.html",
        "answers",
        image=image,
        answers=answers,
        agreement=agreement,
        problem="" if runs else s("try.no_model"),
    )


def own_view(words: Words, workspace: Workspace, runs: Sequence[Run], tested: bool) -> str:
    """Return the digits of one's own, and where `tested`, how many of them each model reads."""
    images, labels = workspace.digits()
    scores = []
    if tested and len(images):
        for run in runs:
            said = probabilities(run, images).argmax(1)
            scores.append((title(run), int((said == labels).sum())))
    pictures = [(image, int(label)) for image, label in zip(images[-MOST_DIGITS:], labels[-MOST_DIGITS:], strict=True)]
    return words.render("parts.html", "own", count=len(images), pictures=pictures, scores=scores)


def decode(content: bytes) -> NDArray[np.uint8]:
    """Return a picture (H, W) in grey levels, transparent places white.

    Raises:
        InputError: It is no picture, or too large a one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF", "BMP")) as picture:
            if max(picture.size) > 6000:  # noqa: PLR2004
                raise InputError(f"a picture of {picture.size[0]} by {picture.size[1]} pixels: at most 6000 each way")
            picture.thumbnail((1024, 1024))
            ground = Image.new("RGBA", picture.size, "white")
            ground.alpha_composite(picture.convert("RGBA"))
            return np.asarray(ground.convert("L"), np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError("this is no picture that can be read: use PNG, JPEG or WebP") from error
