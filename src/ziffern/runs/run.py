"""A finished or killed run as a value: the content of its folder, and its model, loaded on demand.

Nothing in a run folder is trusted: `ziffern.records` checks each file against its declaration and limits; no pickle is
loaded, no link followed, and the configuration is built through the same allow list as any other.
"""

import glob
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ziffern.data.dataset import DIGITS
from ziffern.data.spec import MNIST_SHAPE, image_shape
from ziffern.errors import InputError
from ziffern.records import reader
from ziffern.records.convert import from_plain
from ziffern.records.schema import Ensemble, Evaluation, models

if TYPE_CHECKING:
    from ziffern.records.inference import Inference
    from ziffern.training.module import ImageClassifier


Content = TypeVar("Content")


def _content(read: Callable[[Path], Content]) -> "cached_property[Content]":
    """Return a property that reads a file of the run folder when it is first used."""
    return cached_property(lambda run: read(run.folder))


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        InputError: From each property: the file, which the message names, is missing or damaged.
    """

    folder: Path

    config = _content(reader.read_configuration)
    """The composed configuration as plain containers; resolver calls in it remain text."""
    overrides = _content(reader.read_overrides)
    """The overrides of this run as typed; None if they are unknown."""
    metrics = _content(reader.read_metrics)
    """The final metrics of a complete run."""
    material = _content(reader.read_material)
    """A summary of its data; None if the run stopped before it was written."""
    environment = _content(reader.read_environment)
    """Versions, machine and command; empty if the file is missing or damaged."""
    predictions = _content(reader.read_predictions)
    """The predictions on the test part."""

    @cached_property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The flat settings that can change a result, and `model`, the name of its option."""
        from ziffern.config.hyperparameters import hyperparameters

        return hyperparameters(self.config) | {"model": str(self.description.get("model", ""))}

    @cached_property
    def published(self) -> dict[str, Any]:
        """Published figures of the recipe and their `source`; empty if there are none or they are invalid."""
        try:
            figures = from_plain(self.config.get("published"), models().published)
        except ValueError:
            return {}
        return {key: value for key, value in figures.items() if value is not None}

    @cached_property
    def members(self) -> list[str]:
        """The names of the members of an ensemble; empty for any other run."""
        try:
            return from_plain(self.config.get("ensemble"), Ensemble)["members"]
        except ValueError:
            return []

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """The run, the checkpoint and the part of data of an evaluation; None for any other run."""
        try:
            return from_plain(self.config.get("evaluation"), Evaluation)
        except ValueError:
            return None

    @property
    def is_finished(self) -> bool:
        """Whether the run is complete."""
        return reader.has(self.folder, "metrics.json")

    @cached_property
    def description(self) -> dict[str, Any]:
        """Model, data and settings, from the metrics or the event `start`; empty without both."""
        return self.metrics if self.is_finished else reader.read_start(self.folder)

    @property
    def is_debug(self) -> bool:
        """Whether this is a debug run, which is not a result."""
        return bool(self.description.get("debug"))

    @cached_property
    def labels(self) -> str:
        """Name and tags in one text, such as `wide [baseline, v2]`; empty without them."""
        name, tags = self.config.get("name"), self.config.get("tags")
        words = ", ".join(map(str, tags)) if isinstance(tags, list) else ""
        return " ".join(filter(None, [name if isinstance(name, str) else "", f"[{words}]" if words else ""]))

    @cached_property
    def was_pruned(self) -> bool:
        """Whether a search stopped this run early."""
        return reader.read_last_event(self.folder) == "pruned"

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row per completed epoch; none if no epoch was completed."""
        return reader.read_history(self.folder) if reader.has(self.folder, "history.csv") else []

    @property
    def threads(self) -> int | None:
        """CPU threads of torch in training; None if unknown. Early versions recorded them in environment.json alone."""
        return self.description.get("threads", self.environment.get("threads")) or None

    @property
    def is_tested(self) -> bool:
        """Whether there are predictions on the test part."""
        return reader.has(self.folder, "predictions.npz")

    def load_model(self, checkpoint: str = "best") -> "ImageClassifier":
        """Return the model with the weights of its `best` or `last` checkpoint, ready to predict.

        Raises:
            InputError: It is missing or damaged, or does not fit the run's configuration.
        """
        from ziffern.training.loading import load_model
        from ziffern.training.module import ImageClassifier

        name = _file_of(checkpoint)
        with reader.open_file(self.folder, name) as file:
            return load_model(ImageClassifier, self.config["model"], file, self.folder / name)

    def load_inference(self, checkpoint: str = "best") -> "Inference":
        """Return how the model of a checkpoint is used on new images.

        A checkpoint that was not calibrated, such as `last` or one of version 0.1.0, has the temperature 1 and no
        counts, and pictures are prepared as those of training or, if these were not, as for its kind of image.

        Raises:
            InputError: The checkpoint is missing or damaged.
        """
        from ziffern.records.checkpoint import parse_checkpoint
        from ziffern.records.inference import Inference

        name, shape = _file_of(checkpoint), image_shape((self.config.get("data") or {}).get("image"))
        with reader.open_file(self.folder, name) as file, reader.naming(self.folder / name):
            content = parse_checkpoint(file)
            recorded = Inference.of_checkpoint(content, len(self.class_names), math.prod(shape))
        if recorded:
            return recorded
        are_digits = shape == MNIST_SHAPE and self.class_names == DIGITS
        prepare = self.description.get("data/prepare")
        is_cut = prepare == "digit" or (prepare != "resize" and are_digits)
        return Inference(prepare="digit" if is_cut else "resize", dark_ground=are_digits)

    @property
    def candidates(self) -> float:
        """The number of models among which its validation images chose; infinite if a model was trained on them."""
        counts = self.load_inference().counts
        return counts.models if counts else max(1, len(self.history))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes.

        Raises:
            InputError: data.npz is missing or damaged.
        """
        if self.material is None:
            raise InputError("records.file.missing", path=self.folder / "data.npz")
        return self.material.class_names


def _file_of(checkpoint: str) -> str:
    if checkpoint not in ("best", "last"):
        raise InputError("runs.checkpoint", value=checkpoint)
    return f"checkpoints/{checkpoint}.ckpt"


def find_runs(names: Sequence[str]) -> list[Run]:
    """Return the runs that folders, sweep folders and patterns match, each once, in the given order.

    Raises:
        InputError: A name matches no run, or a search, or there is only one run.
    """
    folders: dict[Path, Path] = {}
    for name in names:
        matches = [Path(name)] if Path(name).exists() else [Path(match) for match in sorted(glob.glob(name))]  # noqa: PTH207
        if searches := [match for match in matches if reader.is_search(match)]:
            raise InputError("runs.folders.search", folder=searches[0])
        runs = [folder for match in matches for folder in _runs_in(match)]
        if not runs:
            raise InputError("runs.folders.none", name=name)
        folders |= {folder.resolve(): folder for folder in runs}
    if len(folders) == 1:
        raise InputError("runs.folders.single", name=names[0])
    return [Run(folder) for folder in folders.values()]


def _runs_in(folder: Path) -> list[Path]:
    def is_run(path: Path) -> bool:
        return any((path / name).is_file() for name in (reader.CONFIG, "metrics.json"))

    if is_run(folder):
        return [folder]
    children = [path for path in folder.glob("*/") if is_run(path)]
    return sorted(children, key=lambda path: (len(path.name), path.name))  # 2 before 10
