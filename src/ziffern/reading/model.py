"""The model that reads cut-out digits: the packaged one without torch, or that of any run.

Decisions: the packaged weights are an ONNX file that OpenCV computes, because torch costs seconds and hundreds of
megabytes before the first page; views and temperature are a few lines of numpy; what is no digit has a class of its
own; the probabilities of digits that the model has not seen, on rendered paper, are in the package, so that a guarantee
can be given without data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ziffern.data.for_paper import OTHER
from ziffern.data.ground import SIZE
from ziffern.errors import InputError
from ziffern.reading.decide import LabeledDigits

if TYPE_CHECKING:
    from ziffern.runs.run import Run

Images = NDArray[np.uint8]
Shares = NDArray[np.float32]

FOLDER = Path(str(files("ziffern"))) / "reading/builtin"
NETWORK, NUMBERS = FOLDER / "reader.onnx", FOLDER / "reader.npz"
DIGITS = 10
VIEWS = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))  # of an image padded by one pixel: itself, and shifted by one
BATCH = 64  # views at once
CERTAIN = 0.93  # probability in one view; the labels in training had 0.955
LEAST = 1e-12  # probability
OTHER_SHARE = 0.5  # of the probability of being no digit, from which on a run takes an image for none
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FIGURES = ("ink", "width", "confidence", "is_digit")  # share of the image, pixels, largest probability, score


UNKNOWN = LabeledDigits(np.zeros((0, DIGITS), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_))


@dataclass(frozen=True)
class ReaderModel:
    """Gives calibrated probabilities of cut-out digits.

    Args:
        name: `builtin` or the name of the run, and a hash of the weights.
        answer: Maps images (N, 1, 28, 28) uint8, white on black, to calibrated probabilities of the digits (N, 10), and
            to how certainly each is a digit at all, (N,) in 0 to 1; less exactly if its second argument is true.
        threshold: An image that is less certainly a digit is none.
        calibration: Digits that it has not seen; none where they are unknown.
        usual: For each of FIGURES, its values at the shares QUANTILES of these digits, (F, Q).
    """

    name: str
    answer: Callable[[Images, bool], tuple[Shares, Shares]]
    threshold: float
    calibration: LabeledDigits = UNKNOWN
    usual: Shares | None = None

    @classmethod
    @cache
    def builtin(cls) -> Self:
        """Return the packaged model, read once."""
        with np.load(NUMBERS, allow_pickle=False) as numbers:
            network = OpenCVNetwork(NETWORK.read_bytes(), float(numbers["temperature"]))
            name, threshold = f"builtin-{network.digest}", float(numbers["threshold"])
            return cls(name, network.answer, threshold, _calibration(numbers), numbers["quantiles"])

    @classmethod
    def of_run(cls, run: "Run") -> Self:
        """Return the model of a run.

        Raises:
            InputError: The run has no usable checkpoint, or its model does not read ten digits in gray images of 28×28.
        """
        from ziffern.runs.predictor import TorchClassifier

        model, inference = run.load_model(), run.load_inference()
        names = tuple(run.class_names)
        has_other = names[DIGITS:] == (OTHER,)
        if model.normalize.image != (1, SIZE, SIZE) or len(names) != DIGITS + has_other:
            raise InputError("reading.model.no_digits", run=run.folder, classes=len(names))
        classify, score = TorchClassifier(model, inference.temperature).probabilities, inference.not_digit

        def answer(images: Images, _: bool) -> tuple[Shares, Shares]:
            shares = np.asarray(classify(images), np.float32)
            if has_other:
                digits = np.maximum(shares[:, :DIGITS], LEAST)
                return digits / digits.sum(1, keepdims=True), 1 - shares[:, DIGITS]
            return shares, score.scores(shares, images) if score else np.ones(len(images), np.float32)

        threshold = OTHER_SHARE if has_other else score.threshold if score else 0.0
        weights = sha256(b"".join(part.numpy().tobytes() for part in model.state_dict().values())).hexdigest()[:8]
        return cls(f"{run.folder.resolve().name}-{weights}", answer, threshold)

    def read(self, images: Images, is_rough: bool = False) -> tuple[Shares, Shares]:
        """Return what `answer` does, of images (N, 28, 28) or none."""
        if not len(images):
            return np.zeros((0, DIGITS), np.float32), np.zeros(0, np.float32)
        return self.answer(images[:, None], is_rough)


class OpenCVNetwork:
    """A network in an ONNX file, from images (N, 1, 28, 28) to logits (N, 11), computed by OpenCV.

    Args:
        content: Of the file.
        temperature: The mean logits are divided by it.
    """

    def __init__(self, content: bytes, temperature: float) -> None:
        self.content, self.temperature = content, temperature
        self.digest = sha256(content).hexdigest()[:8]
        self._of_thread = local()  # OpenCV's networks are not made for several threads

    def answer(self, images: Images, is_rough: bool = False) -> tuple[Shares, Shares]:
        """Return what `ReaderModel.answer` does; several views only of what is not certain in the first one."""
        shares = self.mean(images, VIEWS[:1])
        doubtful = shares.max(1) < CERTAIN
        if doubtful.any() and not is_rough:
            shares[doubtful] = self.mean(images[doubtful], VIEWS)
        logits = np.log(np.maximum(shares[:, :DIGITS], LEAST)) / np.float32(self.temperature)
        return _softmax(np.asarray(logits, np.float32)), 1 - shares[:, DIGITS]

    def mean(self, images: Images, views: Sequence[tuple[int, int]]) -> Shares:
        """Return the mean probabilities (N, 11) of these views."""
        padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
        shifted = np.concatenate([padded[:, :, top : top + SIZE, left : left + SIZE] for top, left in views])
        logits = [self._logits(shifted[at : at + BATCH]) for at in range(0, len(shifted), BATCH)]
        return np.asarray(_softmax(np.concatenate(logits)).reshape(len(views), len(images), -1).mean(0), np.float32)

    def _logits(self, images: Images) -> Shares:
        import cv2

        if not hasattr(self._of_thread, "network"):
            self._of_thread.network = cv2.dnn.readNetFromONNX(np.frombuffer(self.content, np.uint8))
        network = self._of_thread.network
        network.setInput(images.astype(np.float32))
        return np.array(network.forward(), np.float32)  # a copy: the next forward overwrites it


def _softmax(logits: Shares) -> Shares:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float32)


def _calibration(numbers: Mapping[str, NDArray[Any]]) -> LabeledDigits:
    """Return digits that the packaged model has not seen, put on rendered paper, cut out and read.

    All probabilities of a digit but the three largest are equal.
    """
    top, small = numbers["top"].astype(np.intp), numbers["small"].astype(np.float32)
    probabilities = np.repeat(small[:, -1:] / (DIGITS - top.shape[1]), DIGITS, 1)
    np.put_along_axis(probabilities, top, np.column_stack([1 - small.sum(1), small[:, :-1]]), 1)
    return LabeledDigits(probabilities, numbers["labels"].astype(np.int64), numbers["is_digit"])


def figures(images: Images, probabilities: Shares, scores: Shares) -> NDArray[np.float32]:
    """Return FIGURES of each cell, (N, F), by which a batch is compared with the calibration."""
    import cv2

    ink = images.mean((1, 2)) / 255
    widths = []
    for image in images:
        mask = (image > 127).astype(np.uint8)  # noqa: PLR2004
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
        widths.append(4 * (float(depth[mask > 0].mean()) - 0.5) if mask.any() else 0.0)  # as in ziffern.data.cutout
    return np.stack([ink, widths, probabilities.max(1), scores], 1).astype(np.float32)
