"""A finished (or killed) run as a value: what is in its folder, loaded when asked for.

Nothing in a run folder is trusted: each file is read by `ziffern.records`, which checks it against its schema and
limits; no pickle is loaded, no link followed, and the configuration is built through the same allow list as any other.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ziffern.config.former import with_current_targets
from ziffern.data.spec import MNIST_SHAPE, with_channels
from ziffern.errors import InputError
from ziffern.files.untrusted import open_below, read_all, unreadable
from ziffern.records import schema
from ziffern.records.arrays import MAX_UNPACKED, read_arrays
from ziffern.records.config import MAX_BYTES as MAX_YAML
from ziffern.records.config import read_config, read_yaml
from ziffern.records.contents import Material, Predictions
from ziffern.records.kind import is_search
from ziffern.text.printable import one_line, printable

if TYPE_CHECKING:
    from ziffern.training.module import ImageClassifier


MAX_JSON = 2**20  # bytes of metrics.json and environment.json
MAX_HISTORY = 20 * 2**20  # bytes of history.csv
MAX_EVENTS = 64 * 2**20  # bytes of progress.jsonl
MAX_CHECKPOINT = 4 * 2**30  # bytes of a checkpoint


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        InputError: From each property: the file is missing or damaged; the message names it.
    """

    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed configuration as plain containers; what would call a resolver is plain text."""
        config = read_config(self.folder / ".hydra/config.yaml", self._text(".hydra/config.yaml", MAX_YAML))
        return dict(with_current_targets(config))

    @cached_property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The flat settings that can change a result, and `model`, the name of the option."""
        from ziffern.config.hyperparameters import hyperparameters

        return hyperparameters(self.config) | {"model": str(self.description.get("model", ""))}

    @cached_property
    def published(self) -> dict[str, Any]:
        """Published figures of the recipe and their `source`; empty without, or where they are no figures."""
        try:
            figures = schema.from_plain(self.config.get("published"), schema.Published)
        except ValueError:
            return {}
        return {key: value for key, value in figures.items() if value is not None}

    @cached_property
    def overrides(self) -> list[str] | None:
        """What was typed for this run; None where it is not known."""
        try:
            return schema.from_plain(read_yaml(self._text(".hydra/overrides.yaml", MAX_YAML)), list[str])
        except (InputError, OSError, ValueError):  # nothing rests on it
            return None

    @cached_property
    def members(self) -> list[str]:
        """The names of the runs that an ensemble is made of; empty for any other run."""
        try:
            return schema.from_plain(self.config.get("ensemble"), schema.Ensemble)["members"]
        except ValueError:
            return []

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self._has("metrics.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The final metrics, of the types that they were written with; only a run that came to its end has them."""
        path, text = self.folder / "metrics.json", self._text("metrics.json", MAX_JSON)
        try:
            return dict(schema.from_json(text, schema.Metrics))
        except ValueError as error:
            raise _damaged(path, error) from error

    @cached_property
    def description(self) -> dict[str, Any]:
        """What was trained on what, also of a run that was killed: from its metrics or its first event, or empty."""
        if self.is_finished:
            return self.metrics
        path = self.folder / "progress.jsonl"
        if not self._has("progress.jsonl"):
            return {}
        # The last line may be half written; most lines are steps.
        lines = [line for line in self._text("progress.jsonl", MAX_EVENTS).splitlines() if '"start"' in line]
        try:
            starts = [schema.from_json(line, schema.Start) for line in lines if line.endswith("}")]
            return dict(starts[-1]) if starts else {}
        except ValueError as error:
            raise _damaged(path, error) from error

    @cached_property
    def was_pruned(self) -> bool:
        """Whether a search ended this run, since other trials were better by then."""
        try:
            last = self._text("progress.jsonl", MAX_EVENTS).splitlines()[-1]
            return schema.from_json(last, schema.Event)["event"] == "pruned"
        except (InputError, OSError, ValueError, LookupError):  # nothing rests on it
            return False

    @cached_property
    def material(self) -> Material | None:
        """What it was trained on; None for a run that stopped before that was known."""
        path = self.folder / "data.npz"
        if not self._has("data.npz"):
            return None
        names = ("class_names", "counts", "example_label", "example_image", "mean", "std")
        try:
            arrays = self._arrays("data.npz", names)
            classes = tuple(map(printable, arrays["class_names"].tolist()))
            mean, std = (arrays[name].reshape(-1).astype(np.float64) for name in names[4:])
            counts, labels, images = (arrays[name] for name in names[1:4])
            material = Material(classes, counts, labels, with_channels(images), mean, std)
            material.check()
        except Exception as error:  # whatever arrays of other types and shapes raise
            raise _unusable(path, "damaged", error, "delete it to do without") from error
        return material

    @cached_property
    def environment(self) -> schema.Environment:
        """Versions, machine and command; empty where the file is missing or damaged: nothing rests on it."""
        try:
            return schema.from_json(self._text("environment.json", MAX_JSON), schema.Environment)
        except (InputError, OSError, ValueError):
            return {}

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch, as far as the run came."""
        path, text = self.folder / "history.csv", self._text("history.csv", MAX_HISTORY)
        rows: list[dict[str, float]] = []
        try:
            for row in csv.DictReader(text.splitlines()):
                epoch: Any = schema.from_plain(row, schema.Epoch, from_text=True)
                rows.append(epoch)
        except (ValueError, csv.Error) as error:
            raise _damaged(path, ValueError(f"row {len(rows) + 1}: {error}")) from error
        return rows

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions on the test part."""
        path = self.folder / "predictions.npz"
        names = ("index", "target", "probability", "mistake", "mistake_image")
        try:
            arrays = self._arrays("predictions.npz", names)
            if len(arrays) == 3:  # noqa: PLR2004  # without the pictures
                arrays |= {"mistake": np.zeros(0, np.int64), "mistake_image": np.zeros((0, *MNIST_SHAPE), np.uint8)}
            arrays["mistake_image"] = with_channels(arrays["mistake_image"])
            predictions = Predictions(*(arrays[name] for name in names))
            predictions.check()
        except Exception as error:  # whatever arrays of other types and shapes raise
            raise _unusable(path, "no predictions can be read from it", error, "test the run again") from error
        return predictions

    @property
    def threads(self) -> int | None:
        """CPU threads of torch in training; None where not known. Early runs have them in environment.json alone."""
        return self.description.get("threads", self.environment.get("threads")) or None

    @property
    def is_tested(self) -> bool:
        """Whether there are predictions on the test part."""
        return self._has("predictions.npz")

    @property
    def has_history(self) -> bool:
        """Whether there is a table of epochs."""
        return self._has("history.csv")

    def load_model(self, checkpoint: str = "best") -> "ImageClassifier":
        """Return the model with the weights of its `best` or `last` checkpoint, ready to predict.

        Raises:
            InputError: It is missing or damaged, or does not fit the configuration beside it.
        """
        from ziffern.training.loading import load_model

        name = f"checkpoints/{checkpoint}.ckpt"
        with self._open(name, MAX_CHECKPOINT) as file:
            return load_model(self.config["model"], file, self.folder / name)

    def _has(self, name: str) -> bool:
        """Return whether there is anything of that name; what is no readable file is an error when it is read."""
        return os.path.lexists(self.folder / name)

    def _arrays(self, name: str, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
        with self._open(name, MAX_UNPACKED) as file:
            return read_arrays(file, self.folder / name, wanted)

    def _text(self, name: str, max_bytes: int) -> str:
        path = self.folder / name
        try:
            return read_all(self._open(name, max_bytes), path, max_bytes).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{one_line(path)}: not UTF-8 text: was it changed by hand?") from error

    def _open(self, name: str, max_bytes: int) -> BinaryIO:
        """Open a file of the run folder; the error says what is missing."""
        try:
            return open_below(self.folder, name, max_bytes)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None
        except OSError as error:
            raise unreadable(one_line(self.folder / name), error) from error

    def _missing(self, name: str) -> InputError:
        folder = one_line(self.folder)
        if not self.folder.exists():
            return InputError(f"{folder}: there is no such folder")
        if is_search(self.folder):
            return InputError(f"{folder}: a search and no run: ziffern sweep report {folder} shows it")
        if not (self.folder / ".hydra/config.yaml").is_file():
            return InputError(f"{folder}: no run folder: there is no .hydra/config.yaml in it")
        return InputError(
            f"{folder}/{name}: not there: the run did not come so far, or only the best trials kept theirs"
        )


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{one_line(path)}: {_reason(error)}: was it changed by hand?")


def _unusable(path: Path, problem: str, error: Exception, advice: str) -> InputError:
    """Return the error for arrays that cannot be read, or do not fit each other."""
    why = _reason(error).removeprefix(f"{one_line(path)}: ")
    if isinstance(error, InputError):
        why = why.rpartition(": ")[0] or why  # its advice is for data
    return InputError(f"{one_line(path)}: {problem} ({why}): {advice}")


def _reason(error: Exception) -> str:
    return one_line((str(error).splitlines() or [type(error).__name__])[0])
