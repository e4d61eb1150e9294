"""A finished (or killed) run as a value: what is in its folder, loaded when asked for.

Nothing in a run folder is trusted: no pickle is loaded, and its configuration is built through the same
allow list as any other.
"""

import csv
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ziffern.analysis.outcome import Outcome
from ziffern.errors import InputError

if TYPE_CHECKING:
    from ziffern.module import DigitClassifier


SHARES = ("val/acc", "test/acc", "test/acc_low", "test/acc_high", "baseline/acc")
COUNTS = ("params", "epochs", "best_epoch", "seed", "test/correct", "test/total", "data/train", "data/val", "data/test")
NUMBERS = ("val/loss", "test/loss", "train_seconds")
WORDS = ("model", "data/name", "data/fingerprint", "data/split", "data/leak", "data/note")
ALWAYS = ("model", "params", "epochs", "val/acc", "val/loss", "train_seconds", "data/fingerprint", "data/split")


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
        """Raise ValueError where the arrays do not fit each other."""
        count, places = len(self.index), len(self.mistake)
        fits = self.index.shape == self.target.shape == (count,) and self.probability.shape[:1] == (count,)
        if not (fits and count and self.probability.ndim == 2):  # noqa: PLR2004
            raise ValueError("arrays of different lengths")
        if not (np.isfinite(self.probability).all() and np.allclose(self.probability.sum(1), 1, atol=1e-3)):
            raise ValueError("probabilities that do not add up to 1")
        if self.target.min() < 0 or self.target.max() >= self.probability.shape[1]:
            raise ValueError("a target that is no class")
        if self.mistake_image.shape != (places, 28, 28) or (places and not 0 <= self.mistake.max() < count):
            raise ValueError("misclassified images that do not fit")


@dataclass(frozen=True)
class Material:
    """What a run was trained on, in short."""

    class_names: tuple[str, ...]  # C
    counts: NDArray[np.int64]  # (3, C) images of each class in train, val and test
    example_label: NDArray[np.int64]  # (E,)
    example_image: NDArray[np.uint8]  # (E, 28, 28)
    mean: float  # of the normalisation, in grey levels
    std: float


@dataclass(frozen=True)
class Run:
    """A run folder.

    Raises:
        InputError: From each property: the file is missing or damaged; the message names it.
    """

    folder: Path

    @cached_property
    def config(self) -> DictConfig:
        """The composed configuration."""
        path = self._existing(".hydra/config.yaml")
        try:
            config = OmegaConf.load(path)
        except Exception as error:  # whatever a YAML parser raises
            raise InputError(f"{path}: no valid YAML: it was changed by hand") from error
        if not isinstance(config, DictConfig) or "model" not in config:
            raise InputError(f"{path}: holds no configuration of a run: it was changed by hand")
        return config

    @cached_property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The flat settings that can change a result, and `model`, the name of the option."""
        from ziffern.experiment import hyperparameters

        try:
            return hyperparameters(self.config) | {"model": str(self.description.get("model", ""))}
        except OmegaConfBaseException as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.folder / '.hydra/config.yaml'}: {reason}: it was changed by hand") from error

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
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: no valid JSON ({error}): it was changed by hand") from error
        for key, value in metrics.items():
            wanted = _wanted(key, value)
            if wanted:
                raise InputError(f"{path}: {key}={value!r} is not {wanted}: it was changed by hand")
        lacking = [key for key in ALWAYS if key not in metrics]
        if lacking:
            raise InputError(f"{path}: {lacking[0]} is missing: it was changed by hand, or is of another program")
        return metrics

    @cached_property
    def description(self) -> dict[str, Any]:
        """What was trained on what, also of a run that was killed: from its metrics, or its first event."""
        if self.is_finished:
            return self.metrics
        path = self._existing("progress.jsonl")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            starts = [event for line in lines if line.endswith("}") and (event := json.loads(line))["event"] == "start"]
            return dict(starts[-1]) if starts else {}
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}: not as it was written ({error}): it was changed by hand") from error

    @cached_property
    def material(self) -> Material | None:
        """What it was trained on; None for a run that stopped before that was known."""
        path = self.folder / "data.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                names = tuple(str(name) for name in file["class_names"])
                examples = file["example_label"], file["example_image"].astype(np.uint8)
                material = Material(names, file["counts"], *examples, float(file["mean"]), float(file["std"]))
            if material.counts.shape != (3, len(names)) or examples[1].shape[1:] != (28, 28) or not material.std > 0:
                raise ValueError("arrays that do not fit each other")  # noqa: TRY301
        except Exception as error:  # whatever unpacking a damaged archive raises
            raise InputError(f"{path}: cannot be read ({error}): delete it to do without") from error
        return material

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, machine and command; empty where the file is missing or damaged: nothing rests on it."""
        try:
            return dict(json.loads((self.folder / "environment.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch, as far as the run came."""
        path = self._existing("history.csv")
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: not a table of numbers ({error}): it was changed by hand") from error

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
            raise InputError(f"{path}: no predictions can be read from it ({error}): test the run again") from error
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
        if not path.is_file():
            raise InputError(f"{path}: not there: {self.folder} is no run folder, or the run did not come so far")
        return path


def _wanted(key: str, value: Any) -> str:
    """Return what a metric should have been, or an empty string where it is that."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if key in SHARES and not (number and 0 <= value <= 1):
        return "a number from 0 to 1"
    if key in COUNTS and not (number and isinstance(value, int) and value >= 0):
        return "a whole number of at least 0"
    if key in NUMBERS and not number:
        return "a number"
    return "text" if key in WORDS and not isinstance(value, str) else ""
