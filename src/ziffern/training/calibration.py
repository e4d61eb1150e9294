"""Calibrates a trained model on its validation images, and records in its checkpoint how it is used on new images.

Decisions: the images are divided once (`ziffern.analysis.guarantee.first_part`): the first part fits the temperature
and the not-a-digit score, the rest tests the thresholds, so that nothing is tested on what it was fitted on; the models
among which the same images chose are counted: the epochs, times those of an ensemble's members or of the run whose
weights it started from. The model is evaluated as it is used later: in float32, and on images whose ground is dark.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ziffern.analysis.guarantee import count, first_part
from ziffern.analysis.not_digit import NotDigit, fit, quality
from ziffern.analysis.temperature import fit_temperature
from ziffern.data.dataset import DIGITS, LabeledImages
from ziffern.data.drawing import SIZE
from ziffern.data.marks import are_marks
from ziffern.data.negatives import make_negatives
from ziffern.data.polarity import inverted_if_light, light_grounds
from ziffern.data.split import Split
from ziffern.files.atomic import write_atomically
from ziffern.records.checkpoint import read_checkpoint
from ziffern.records.inference import KEY, Inference
from ziffern.training.module import ImageClassifier

BATCH = 1000  # images at once
SAMPLE = 200  # images by which the preparation is chosen
MIN_DARK = 0.95  # of the images have a dark ground
MIN_DIGITS = 200  # to fit the not-a-digit score
MAX_DIGITS = 2000  # to measure it
NEGATIVES = 600


def calibrate(
    path: Path, model: ImageClassifier, dataset: LabeledImages, parts: Split, candidates: float
) -> dict[str, float]:
    """Calibrate the model of a checkpoint, record that in the checkpoint, and return the metrics.

    Args:
        path: The checkpoint, whose weights `model` receives.
        model: A model of its kind.
        dataset: As for `calibrated`.
        parts: Likewise.
        candidates: Likewise.
    """
    checkpoint, dtype = read_checkpoint(path), model.dtype
    model.float().load_state_dict(checkpoint["state_dict"])
    inference, metrics = calibrated(model, dataset, parts, candidates)
    model.to(dtype)
    write_atomically(path, lambda file: torch.save(checkpoint | {KEY: inference.entry()}, file))
    return metrics


def calibrated(
    model: ImageClassifier, dataset: LabeledImages, parts: Split, candidates: float
) -> tuple[Inference, dict[str, float]]:
    """Return how a model is used on new images, and the metrics of its calibration.

    Args:
        model: With the weights of its best epoch.
        dataset: The data of its run.
        parts: Its parts; the test part only measures the not-a-digit score.
        candidates: The number of models among which the validation images chose.
    """
    images, target = dataset.images[parts.val], dataset.labels[parts.val]
    sample = images[np.linspace(0, len(images) - 1, min(len(images), SAMPLE)).astype(int)]
    dark = sample.shape[1] == 1 and float((light_grounds(sample) == 0).mean()) >= MIN_DARK
    images = inverted_if_light(images) if dark else images
    logits, first = logits_of(model, images), first_part(len(target))
    has_first = bool(first.any())
    temperature = fit_temperature(logits[first], target[first]) if has_first else 1.0
    probability = torch.from_numpy(logits / temperature).softmax(1).numpy()  # (N, K)
    score, confidence = None, probability.max(1)
    if dataset.class_names == DIGITS and images.shape[1:] == (1, SIZE, SIZE) and first.sum() >= MIN_DIGITS:
        score = _not_digit(model, dataset, parts, probability[first], images[first], target[first], temperature)
        confidence = np.where(score.scores(probability, images) < score.threshold, -1, confidence)
    counts = count(confidence, probability.argmax(1) == target, candidates) if has_first else None
    is_cut = dark and (dataset.prepare == "digit" or (dataset.prepare != "resize" and are_marks(sample[:, 0])))
    metrics = {"temperature": temperature}
    if score and score.auroc is not None and score.false_positives is not None:
        metrics |= {"not_digit/auroc": score.auroc, "not_digit/false_positives": score.false_positives}
    return Inference(temperature, "digit" if is_cut else "resize", dark, counts, score), metrics


def logits_of(model: ImageClassifier, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits (N, K) of images (N, C, H, W)."""
    was_training, device = model.training, model.device
    model.eval()
    with torch.inference_mode():
        blocks = [model(torch.from_numpy(images[at : at + BATCH]).to(device)) for at in range(0, len(images), BATCH)]
    model.train(was_training)
    logits: NDArray[np.float32] = torch.cat(blocks).float().cpu().numpy()
    return logits


def _not_digit(
    model: ImageClassifier,
    dataset: LabeledImages,
    parts: Split,
    probability: NDArray[np.float32],
    images: NDArray[np.uint8],
    target: NDArray[np.int64],
    temperature: float,
) -> NotDigit:
    """Return the score fitted on the first part, and measured on test images and on other negatives."""

    def probabilities(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        shares: NDArray[np.float32] = torch.from_numpy(logits_of(model, pixels) / temperature).softmax(1).numpy()
        return shares

    negatives = make_negatives(images, NEGATIVES, seed=0)
    score = fit((probability, images), (probabilities(negatives), negatives), target, probability.shape[1])
    unseen: Any = dataset.images[parts.test[:MAX_DIGITS]]
    if not len(unseen):
        return score
    others = make_negatives(unseen, NEGATIVES, seed=1)
    digits, negatives_scores = (score.scores(probabilities(each), each) for each in (unseen, others))
    auroc, false_positives = quality(digits, negatives_scores)
    return replace(score, auroc=auroc, false_positives=false_positives)
