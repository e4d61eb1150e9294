"""A run's model as the service runs it: on ONNX Runtime, in any process.

Decision: the model is exported once, and each worker process gets its bytes, so that no worker reads the run folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ziffern.data.spec import Shape
from ziffern.errors import InputError

if TYPE_CHECKING:
    from ziffern.records.inference import Inference
    from ziffern.runs.run import Run

MAX_PREDICTORS = 64  # thresholds that are kept


class Answer(msgspec.Struct, omit_defaults=True):
    """The prediction for one image: its status and the two most probable classes.

    The status is `answered` or `not a digit`, and with `max_error` `accepted` or `review` instead of `answered`;
    `unreadable` means that there is no prediction, and `detail` gives the reason.
    """

    status: str
    label: str | None = None
    probability: float | None = None
    second: str | None = None
    second_probability: float | None = None
    is_digit: float | None = None
    detail: str | None = None


@dataclass(frozen=True)
class ServedModel:
    """What a worker process needs to answer; it can be pickled."""

    name: str
    onnx: bytes
    inference: "Inference"
    class_names: tuple[str, ...]
    shape: Shape
    threads: int = 1  # of ONNX Runtime

    @classmethod
    def of(cls, run: "Run", threads: int = 1) -> "ServedModel":
        """Return the model of a run, from its best checkpoint.

        Raises:
            InputError: It is missing or damaged, or cannot be expressed in ONNX.
        """
        from ziffern.deploy.network import Network
        from ziffern.deploy.onnx_file import onnx_model

        network = Network.of(run)
        shape = network.normalize.image
        try:
            onnx = onnx_model(network, shape).SerializeToString()
        except ValueError as error:
            raise InputError("web.server.no_export", run=run.folder, reason=error) from error
        return cls(run.folder.resolve().name, onnx, run.load_inference(), run.class_names, shape, threads)

    def predictions(self) -> Callable[[NDArray[np.uint8], float | None], list[Answer]]:
        """Return a function that maps images (N, C, H, W) and a `max_error` to answers.

        Raises:
            InputError: From the function: the run has too few labeled images for this `max_error`.
        """
        from ziffern.deploy.onnx_file import OnnxClassifier
        from ziffern.runs.predictor import Predictor

        classifier = OnnxClassifier(self.onnx, self.threads)

        @lru_cache(MAX_PREDICTORS)
        def predictor(max_error: float | None) -> Predictor:
            return Predictor(classifier, self.inference, self.class_names, self.shape, max_error)

        def predict(images: NDArray[np.uint8], max_error: float | None) -> list[Answer]:
            answers = predictor(max_error).predict(images)
            rows = np.arange(len(images))
            columns: list[Any] = [
                answers.status.tolist(),
                [self.class_names[label] for label in answers.label],
                answers.probability[rows, answers.label].tolist(),
                [self.class_names[label] for label in answers.second],
                answers.probability[rows, answers.second].tolist(),
                [None] * len(images) if answers.is_digit is None else answers.is_digit.tolist(),
            ]
            return [Answer(*values) for values in zip(*columns, strict=True)]

        return predict
