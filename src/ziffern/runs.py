"""A finished (or killed) run as a value: what is in its folder, loaded when asked for.

Nothing in a run folder is trusted: no pickle is loaded, and its configuration is built through the same
allow list as any other.
"""

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ziffern.errors import InputError
from ziffern.module import DigitClassifier


@dataclass(frozen=True)
class Predictions:
    """What a run's best checkpoint said of the test part."""

    index: NDArray[np.int64]  # (N,) original index
    target: NDArray[np.int64]  # (N,)
    probability: NDArray[np.float32]  # (N, C)


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
    def metrics(self) -> dict[str, Any]:
        """The final metrics; only a run that came to its end has them."""
        path = self._existing("metrics.json")
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: no valid JSON ({error}): it was changed by hand") from error

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
                return Predictions(file["index"], file["target"], file["probability"])
        except Exception as error:  # whatever unpacking a damaged archive raises
            raise InputError(f"{path}: no predictions can be read from it ({error}): test the run again") from error

    def load_model(self, checkpoint: str = "best") -> DigitClassifier:
        """Return the model with the weights of its `best` or `last` checkpoint, ready to predict."""
        from ziffern.config import build
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
