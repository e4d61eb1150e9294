"""Which images a model has seen: those that it, or the run whose weights it started from, was trained or selected on.

Decisions: images are compared by their pixels, so that the same images are recognized in another file or data set; data
that can no longer be read are reported, since nothing is known about them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ziffern.config.instantiate import build, refuse_interpolations
from ziffern.data.datamodule import ImageDataModule
from ziffern.data.dataset import LabeledImages
from ziffern.data.split import Indices
from ziffern.errors import InputError
from ziffern.experiment.run_data import data_of_run
from ziffern.runs.run import Run
from ziffern.text.catalog import Message

MAX_SOURCES = 20  # runs that started from each other's weights


def with_sources(run: Run) -> Iterator[Run]:
    """Yield a run, the run whose weights it started from, and so on; a source may no longer exist."""
    for _ in range(MAX_SOURCES):
        yield run
        try:
            source = run.config.get("init_from")
        except InputError:
            return
        if not isinstance(source, str):
            return
        run = source_run(source)


def source_run(source: str) -> Run:
    """Return the run that a value of `init_from` names: its folder, or a checkpoint in it."""
    path = Path(source).expanduser()
    return Run(path.parent.parent if path.parent.name == "checkpoints" else path)


def mark_seen(data: ImageDataModule, runs: Sequence[Run], place: str) -> None:
    """Record a leak if some run has seen images of the test part, and a note if the data of one cannot be read.

    `place`, evaluation or init_from, chooses their wording.
    """
    parts, dataset = data.parts, data.dataset
    count, unknown = seen_images(runs, dataset, parts.test)
    if count:
        leak = Message(f"experiment.seen.{place}", images=count, total=len(parts.test))
        data.parts = replace(parts, leak=_combined(parts.leak, leak))
    if unknown:
        note = Message(f"experiment.not_checked.{place}", runs=unknown)
        data.dataset = replace(dataset, note=_combined(dataset.note, note))


def seen_images(runs: Sequence[Run], dataset: LabeledImages, index: Indices) -> tuple[int, list[Path]]:
    """Return how many images of `dataset` at `index` (N,) some run has seen, and the runs whose data are unreadable."""
    seen, unknown = np.zeros(len(index), np.bool_), []
    for run in runs:
        try:
            fingerprint, node = run.description.get("data/fingerprint"), {**data_of_run(run), "batch_size": 1}
            refuse_interpolations(node, "data")
            data = build(node, "data", ImageDataModule)
            if fingerprint == dataset.fingerprint:
                data.dataset = dataset
            if data.dataset.fingerprint != fingerprint:
                unknown.append(run.folder)
                continue
            known = np.concatenate([data.parts.train, data.parts.val])
        except (InputError, OSError):
            unknown.append(run.folder)
            continue
        if data.dataset is dataset:
            seen |= np.isin(index, known)
        else:
            seen |= np.isin(_digests(dataset.images[index]), _digests(data.dataset.images[known]))
    return int(seen.sum()), unknown


def _combined(first: Message | None, second: Message) -> Message:
    return Message("experiment.seen.both", first=first, second=second) if first else second


def _digests(images: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return a digest (N,) of each image (N, C, H, W)."""
    return np.array([hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images], "S32")
