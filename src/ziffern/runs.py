"""A finished (or killed) run as a value: what is in its folder, loaded when asked for.

Nothing in a run folder is trusted: no pickle is loaded, and its configuration is built through the same
allow list as any other.
"""

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ziffern.analysis.outcome import Outcome
from ziffern.errors import InputError

if TYPE_CHECKING:
    from ziffern.data.dataset import LabelledImages
    from ziffern.data.split import Split
    from ziffern.module import DigitClassifier

EXAMPLES = 5  # images that the report shows before and after normalisation

MOST = 1e15  # no figure of a run is larger
LEAST = 1e-6  # no deviation of grey levels is smaller
SHARES = ("val/acc", "test/acc", "test/acc_low", "test/acc_high", "baseline/acc")
COUNTS = ("params", "epochs", "best_epoch", "seed", "test/correct", "test/total", "data/train", "data/val", "data/test")
NUMBERS = ("val/loss", "test/loss", "train_seconds", "gap")
WORDS = ("model", "data/name", "data/fingerprint", "data/split", "data/leak", "data/note")
DESCRIBED = (
    "model",
    "params",
    "seed",
    "data/name",
    "data/fingerprint",
    "data/split",
    "data/train",
    "data/val",
    "data/test",
)
ALWAYS = (*DESCRIBED, "epochs", "best_epoch", "val/acc", "val/loss", "train_seconds")
CALLS_RESOLVER = re.compile(r"\$\{.*:", re.DOTALL)  # a ":" within an interpolation: oc.env, or any other function


@dataclass(frozen=True)
class Predictions:
    """What a run's best checkpoint said of the test part."""

    index: NDArray[np.int64]  # (N,) original index
    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C)
    mistake: NDArray[np.int64]  # (W,) places of misclassified images, 0 to N - 1
    mistake_image: NDArray[np.uint8]  # (W, 28, 28)

    @cached_property
    def outcome(self) -> Outcome:
        """Everything that follows from them."""
        return Outcome(self.target, self.probability)

    def check(self) -> None:
        """Raise ValueError where the arrays are not of their types, or do not fit each other."""
        count, places = len(self.index), len(self.mistake)
        whole = (self.index, self.target, self.mistake)
        if any(array.dtype.kind not in "iu" for array in whole) or self.probability.dtype.kind != "f":
            raise ValueError("arrays of other types")
        fits = self.index.shape == self.target.shape == (count,) and self.probability.shape[:1] == (count,)
        if not (fits and count and self.probability.ndim == 2):  # noqa: PLR2004
            raise ValueError("arrays of different lengths")
        if not ((self.probability >= 0).all() and np.allclose(self.probability.sum(1), 1, atol=1e-3)):
            raise ValueError("probabilities that do not add up to 1")
        if self.target.min() < 0 or self.target.max() >= self.probability.shape[1]:
            raise ValueError("a target that is no class")
        images = self.mistake_image
        if images.shape != (places, 28, 28) or images.dtype != np.uint8 or self.mistake.shape != (places,):
            raise ValueError("misclassified images that do not fit")
        if places and not (self.mistake.min() >= 0 and self.mistake.max() < count):
            raise ValueError("misclassified images of other places")


@dataclass(frozen=True)
class Material:
    """What a run was trained on, in short."""

    class_names: tuple[str, ...]  # C
    counts: NDArray[np.int64]  # (3, C) images of each class in train, val and test
    example_label: NDArray[np.int64]  # (E,)
    example_image: NDArray[np.uint8]  # (E, 28, 28)
    mean: float  # of the normalisation, in grey levels
    std: float

    @classmethod
    def of(cls, digits: "LabelledImages", parts: "Split", mean: float, std: float) -> "Material":
        """Return what `digits` in these parts are: counts, and one example of each of the first few classes."""
        labels = digits.labels
        counts = [np.bincount(labels[part], minlength=len(digits.class_names)) for part in parts.indices]
        _, first = np.unique(labels[parts.train], return_index=True)
        examples = parts.train[np.sort(first)[:EXAMPLES]]
        return cls(digits.class_names, np.array(counts, np.int64), labels[examples], digits.images[examples], mean, std)

    def check(self) -> None:
        """Raise ValueError where the arrays are not of their types, or do not fit each other."""
        classes, labels, images = len(self.class_names), self.example_label, self.example_image
        if (
            self.counts.shape != (3, classes)
            or self.counts.dtype.kind not in "iu"
            or self.counts.min() < 0
            or not self.counts.any()
        ):
            raise ValueError("no counts of three parts")
        if labels.dtype.kind not in "iu" or labels.ndim != 1 or images.dtype != np.uint8:
            raise ValueError("arrays of other types")
        if images.shape != (len(labels), 28, 28) or not all(0 <= label < classes for label in labels):
            raise ValueError("examples that do not fit")
        if not (math.isfinite(self.mean) and LEAST < self.std < MOST):
            raise ValueError("a normalisation that is none")


def is_search(folder: Path) -> bool:
    """Return whether this is the folder of a search for settings, with its trials in it."""
    try:
        return "OptunaQueueSweeper" in (folder / "multirun.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        InputError: From each property: the file is missing or damaged; the message names it.
    """

    folder: Path

    @cached_property
    def config(self) -> DictConfig:
        """The composed configuration; resolvers in it are plain text: another's file could read the environment."""
        path = self._existing(".hydra/config.yaml")
        try:
            config = OmegaConf.load(path)
            plain = _without_resolvers(OmegaConf.to_container(config, resolve=False))
            config = OmegaConf.create(plain)
            OmegaConf.to_container(config, resolve=True)  # whatever cannot be resolved is said now
        except Exception as error:  # whatever a YAML parser or an interpolation raises
            raise InputError(f"{path}: cannot be read ({_first_line(error)}): it was changed by hand") from error
        if not isinstance(config, DictConfig) or not isinstance(config.get("model"), DictConfig):
            raise InputError(f"{path}: holds no configuration of a run: it was changed by hand")
        return config

    @cached_property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The flat settings that can change a result, and `model`, the name of the option."""
        from ziffern.experiment import hyperparameters

        return hyperparameters(self.config) | {"model": str(self.description.get("model", ""))}

    @cached_property
    def published(self) -> dict[str, Any]:
        """Published figures of the recipe, of the types that metrics have, and their `source`; empty without."""
        node = self.config.get("published")
        if not isinstance(node, DictConfig) or not isinstance(node.get("source"), str):
            return {}
        return {str(key): value for key, value in node.items() if value is not None and not _wanted(str(key), value)}

    @cached_property
    def overrides(self) -> list[str] | None:
        """What was typed for this run; None where it is not known."""
        try:
            found = OmegaConf.to_container(OmegaConf.load(self.folder / ".hydra/overrides.yaml"), resolve=False)
        except Exception:  # nothing rests on it
            return None
        return [str(item) for item in found] if isinstance(found, list) else None

    @cached_property
    def members(self) -> list[str]:
        """The names of the runs that an ensemble is made of; empty for any other run."""
        found = OmegaConf.select(self.config, "ensemble.members")
        return [str(name) for name in found] if isinstance(found, ListConfig) else []

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.folder / "metrics.json").is_file()

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The final metrics, of the types that they were written with; only a run that came to its end has them."""
        path = self._existing("metrics.json")
        try:
            metrics = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: no valid JSON ({_first_line(error)}): it was changed by hand") from error
        _check_metrics(path, metrics, ALWAYS)
        return metrics

    @cached_property
    def description(self) -> dict[str, Any]:
        """What was trained on what, also of a run that was killed: from its metrics or its first event, or empty."""
        if self.is_finished:
            return self.metrics
        path = self.folder / "progress.jsonl"
        if not path.is_file():
            return {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            starts = [event for line in lines if line.endswith("}") and (event := json.loads(line))["event"] == "start"]
            start = dict(starts[-1]) if starts else {}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(f"{path}: not as it was written ({_first_line(error)}): it was changed by hand") from error
        if start:
            _check_metrics(path, start, DESCRIBED)
        return start

    @cached_property
    def was_pruned(self) -> bool:
        """Whether a search ended this run, since other trials were better by then."""
        try:
            last = (self.folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()[-1]
            return bool(json.loads(last)["event"] == "pruned")
        except (OSError, ValueError, TypeError, LookupError, RecursionError):  # nothing rests on it
            return False

    @cached_property
    def material(self) -> Material | None:
        """What it was trained on; None for a run that stopped before that was known."""
        path = self.folder / "data.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                names = tuple("".join(c if c.isprintable() else "?" for c in str(name)) for name in file["class_names"])
                arrays = [file[name] for name in ("counts", "example_label", "example_image")]
                material = Material(names, arrays[0], arrays[1], arrays[2], float(file["mean"]), float(file["std"]))
            material.check()
        except Exception as error:  # whatever unpacking a damaged archive raises
            raise InputError(f"{path}: cannot be read ({_first_line(error)}): delete it to do without") from error
        return material

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, machine and command; empty where the file is missing or damaged: nothing rests on it."""
        try:
            found = dict(json.loads((self.folder / "environment.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}
        return found if isinstance(found.get("versions", {}), dict) else {}

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch, as far as the run came."""
        path = self._existing("history.csv")
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error) as error:
            raise InputError(
                f"{path}: not a table of numbers ({_first_line(error)}): it was changed by hand"
            ) from error
        for row in rows:
            for name, value in row.items():
                low, high = (0, 1) if name.endswith("/acc") else (-MOST, MOST)
                if not low <= value <= high:
                    raise InputError(f"{path}: {name} is {value:g} in epoch {row.get('epoch')}: it was changed by hand")
        return rows

    @cached_property
    def predictions(self) -> Predictions:
        """The predictions on the test part."""
        path = self._existing("predictions.npz")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = [file[name] for name in ("index", "target", "probability")]
                pictures = [file[name] for name in ("mistake", "mistake_image") if name in file]
            predictions = Predictions(*arrays, *(pictures or (np.zeros(0, np.int64), np.zeros((0, 28, 28), np.uint8))))
            predictions.check()
        except Exception as error:  # whatever unpacking a damaged archive raises
            raise InputError(
                f"{path}: no predictions can be read from it ({_first_line(error)}): test the run again"
            ) from error
        return predictions

    @property
    def is_tested(self) -> bool:
        """Whether there are predictions on the test part."""
        return (self.folder / "predictions.npz").is_file()

    def load_model(self, checkpoint: str = "best") -> "DigitClassifier":
        """Return the model with the weights of its `best` or `last` checkpoint, ready to predict."""
        from ziffern.config import build
        from ziffern.module import DigitClassifier
        from ziffern.train import load_checkpoint

        path = self._existing(f"checkpoints/{checkpoint}.ckpt")
        try:
            model: DigitClassifier = build(self.config.model, "model", DigitClassifier)
            model.load_state_dict(load_checkpoint(path)["state_dict"])
        except (RuntimeError, OmegaConfBaseException) as error:
            raise InputError(f"{path}: does not fit the configuration beside it") from error
        return model.eval()

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if path.is_file():
            return path
        if not self.folder.exists():
            raise InputError(f"{self.folder}: there is no such folder")
        if is_search(self.folder):
            raise InputError(f"{self.folder}: a search and no run: ziffern sweep report {self.folder} shows it")
        if not (self.folder / ".hydra/config.yaml").is_file():
            raise InputError(f"{self.folder}: no run folder: there is no .hydra/config.yaml in it")
        raise InputError(f"{path}: not there: the run did not come so far, or only the best trials kept theirs")


def _check_metrics(path: Path, metrics: dict[str, Any], needed: Sequence[str]) -> None:
    """Raise InputError where a metric is missing or of another type than it was written with."""
    for key, value in metrics.items():
        if wanted := _wanted(key, value):
            raise InputError(f"{path}: {key}={repr(value)[:60]} is not {wanted}: it was changed by hand")
    for key in needed:
        if key not in metrics:
            raise InputError(f"{path}: {key} is missing: it was changed by hand, or is of another program")


def _wanted(key: str, value: Any) -> str:
    """Return what a metric should have been, or an empty string where it is that."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST
    if key in SHARES and not (number and 0 <= value <= 1):
        return "a number from 0 to 1"
    if key in COUNTS and not (number and isinstance(value, int) and value >= 0):
        return "a whole number of at least 0"
    if key in NUMBERS and not number:
        return "a number"
    return "text" if key in WORDS and not isinstance(value, str) else ""


def _without_resolvers(node: Any) -> Any:
    """Return a configuration in which whatever would call a resolver is plain text."""
    if isinstance(node, dict):
        return {key: _without_resolvers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_resolvers(value) for value in node]
    if isinstance(node, str) and CALLS_RESOLVER.search(node):
        return node.replace("${", "\\${")
    return node


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
