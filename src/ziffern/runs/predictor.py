"""Answers for new images: calibrated probabilities, and which of them may be accepted.

Decisions: an image's answer depends on the model and on the image alone, never on the images beside it; a model is
anything that gives calibrated probabilities, so that torch and ONNX Runtime share everything else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.guarantee import Counts, Threshold, count, images_needed, threshold
from ziffern.data.spec import Shape, in_words
from ziffern.errors import InputError
from ziffern.records.inference import Inference
from ziffern.runs.run import Run

if TYPE_CHECKING:
    from ziffern.data.inputs import Batch, ImageStream
    from ziffern.training.module import ImageClassifier

BATCH = 256  # images at once: their activations stay in the cache
ANSWERED, ACCEPTED, REVIEW = "answered", "accepted", "review"  # the first without max_error, the others with it
NOT_A_DIGIT, UNREADABLE = "not a digit", "unreadable"


class Classifier(Protocol):
    """Gives calibrated probabilities (N, K), float32, of images (N, C, H, W), uint8."""

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of the classes."""
        ...


class TorchClassifier:
    """A model in evaluation mode, on the CPU.

    Args:
        model: From `Run.load_model`.
        temperature: Its logits are divided by it.
    """

    def __init__(self, model: "ImageClassifier", temperature: float) -> None:
        self.model, self.temperature = model.eval(), temperature

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities (N, K) of images (N, C, H, W)."""
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(images)
            blocks = [self.model(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]
            shares: NDArray[np.float32] = (torch.cat(blocks).float() / self.temperature).softmax(1).numpy()
        return shares


@dataclass(frozen=True)
class Answers:
    """The answers for N images."""

    probability: NDArray[np.float32]  # (N, K), calibrated
    label: NDArray[np.int64]  # (N,) the most probable class
    second: NDArray[np.int64]  # (N,) the next one; the same where there is one class
    is_digit: NDArray[np.float32] | None  # (N,) score in [0, 1] of being a digit at all; None where it is unknown
    status: NDArray[np.str_]  # (N,) ANSWERED, ACCEPTED, REVIEW, NOT_A_DIGIT, or UNREADABLE where there was no image

    @classmethod
    def joined(cls, parts: "Sequence[Answers]") -> "Answers":
        """Return the answers of several batches, at least one."""
        columns = {
            name: np.concatenate([vars(part)[name] for part in parts])
            for name in ("probability", "label", "second", "status")
        }
        scores = [part.is_digit for part in parts if part.is_digit is not None]
        return cls(**columns, is_digit=np.concatenate(scores) if scores else None)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of each answer, (N,); -1 for an image that is no digit, which is never accepted."""
        return np.where(self.status == NOT_A_DIGIT, np.float32(-1), self.probability.max(1))


class Predictor:
    """A model with the rules for its answers.

    Args:
        classifier: Gives calibrated probabilities.
        inference: How the model is used.
        class_names: K names.
        shape: Channels, height and width of the model's images.
        max_error: The largest allowed share of wrong answers among the accepted ones, in (0, 1); None accepts none
            and asks for no review.
        counts: Labeled images like those to be read, in place of the validation images.

    Raises:
        InputError: max_error is not in (0, 1), or the labeled images do not suffice for it.
    """

    def __init__(
        self,
        classifier: Classifier,
        inference: Inference,
        class_names: tuple[str, ...],
        shape: Shape,
        max_error: float | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.classifier, self.inference, self.class_names, self.shape = classifier, inference, class_names, shape
        self.threshold = None if max_error is None else _threshold(counts or inference.counts, max_error)

    @classmethod
    def of(cls, run: Run, max_error: float | None = None, checkpoint: str = "best") -> "Predictor":
        """Return the predictor of a run's torch model.

        Raises:
            InputError: The run has no usable checkpoint, or as for the class.
        """
        inference, model = run.load_inference(checkpoint), run.load_model(checkpoint)
        classifier = TorchClassifier(model, inference.temperature)
        return cls(classifier, inference, run.class_names, model.normalize.image, max_error)

    def predict(self, images: NDArray[np.uint8]) -> Answers:
        """Return the answers for prepared images (N, C, H, W).

        Raises:
            InputError: The images have another shape than the model's.
        """
        if images.shape[1:] != self.shape:
            raise InputError("runs.predict.shape", shape=in_words(images.shape[1:]), wanted=in_words(self.shape))
        probability = self.classifier.probabilities(images)
        rows, label = np.arange(len(images)), probability.argmax(1)
        confidence, rest = probability[rows, label], probability.copy()
        rest[rows, label] = -1 if probability.shape[1] > 1 else 1
        status = np.full(len(images), ANSWERED, "U11")
        if self.threshold is not None:
            status[:] = ACCEPTED
            status[~(confidence >= self.threshold.confidence)] = REVIEW  # NaN, too
        score, is_digit = self.inference.not_digit, None
        if score is not None:
            is_digit = score.scores(probability, images)
            status[is_digit < score.threshold] = NOT_A_DIGIT
        return Answers(probability, label, rest.argmax(1), is_digit, status)

    def images(self, source: object) -> "ImageStream":
        """Return the images of a source as the model needs them; see `ziffern.data.inputs.images_of`.

        Raises:
            InputError: Nothing in the source can be read.
        """
        from ziffern.data.inputs import images_of

        return images_of(source, self.shape, self.inference.prepare, self.inference.dark_ground)

    def stream(self, source: object, shows_progress: bool = True) -> "Iterator[tuple[Batch, Answers]]":
        """Yield batches of images and their answers, so that any number of images fits into memory.

        An image that cannot be read has the status UNREADABLE, NaN for its probabilities, and a problem in its batch.

        Args:
            source: As for `images`, or its result.
            shows_progress: On an interactive terminal, show a bar with the remaining time after two seconds.

        Raises:
            InputError: Nothing in the source can be read.
        """
        from ziffern.data.progress import watched

        images = self.images(source)
        batches = watched(images, images.count, lambda batch: len(batch.names), "data.progress.predicting")
        for batch in batches if shows_progress else images:
            answers = self.predict(batch.images)
            for place, problem in enumerate(batch.problems):
                if problem is not None:
                    answers.status[place], answers.probability[place] = UNREADABLE, np.nan
                    if answers.is_digit is not None:
                        answers.is_digit[place] = np.nan
            yield batch, answers


def labeled_counts(predictor: Predictor, source: object) -> Counts:
    """Return the counts of labeled images, for the predictor of a promise about images like them.

    Raises:
        InputError: The images have no labels, or labels that the model does not know.
    """
    places = {name: place for place, name in enumerate(predictor.class_names)}
    confidence, hits = [], []
    for batch, answers in predictor.stream(source):
        if batch.labels is None:
            raise InputError("runs.predict.no_labels", source=str(source))
        labels = [str(label) for label in batch.labels.tolist()]
        if unknown := next((label for label in labels if label not in places), None):
            raise InputError("runs.predict.other_label", label=unknown, known=predictor.class_names)
        read = answers.status != UNREADABLE
        confidence.append(answers.confidence[read])
        hits.append((answers.label == [places[label] for label in labels])[read])
    return count(np.concatenate(confidence), np.concatenate(hits))


def _threshold(counts: Counts | None, max_error: float) -> Threshold:
    share: object = max_error  # may be text, if called from Python
    if not isinstance(share, int | float) or not 0 < max_error < 1:
        raise InputError("runs.predict.max_error", value=max_error)
    if counts is None:
        raise InputError("runs.predict.not_calibrated", max_error=max_error)
    if np.isinf(counts.models):
        raise InputError("runs.predict.seen", max_error=max_error)
    chosen = threshold(counts, max_error)
    if chosen is None:
        values = {"max_error": max_error, "total": counts.images, "needed": images_needed(max_error)}
        is_few = counts.images < images_needed(max_error, counts.models)
        kind = "not_proven" if not is_few else "too_few" if counts.models == 1 else "too_few_after_choice"
        raise InputError(f"runs.predict.{kind}", **values)
    return chosen
