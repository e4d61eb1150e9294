"""Whether an image is a digit at all, beyond which digit it would be.

A logistic regression on a few features of the image and of the model's probabilities, so that it works with any net and
any runtime. Decision: it is fitted on images that are no digits and made for this purpose, so it says how an image
compares with those, not that nothing else exists.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

WHITE = 255
FEATURES = 18  # the constant included
BASIS = 20  # directions in which digits differ most
ROUNDS = 4  # of subspace iteration
STEPS = 127  # of a signed byte
MAX_ODDS = 15.0  # of the largest probability, logarithm
KEPT = 0.99  # of the digits are not flagged
PENALTY = 1e-5  # of the squared weights
MAX_STEPS = 300  # of the fit

Floats = NDArray[np.floating]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class NotDigit:
    """A fitted score.

    Args:
        means: (K, H * W) uint8, the mean image of each class.
        basis: (BASIS, H * W) int8, directions of unit length in 127ths, in which digits differ most.
        weights: (FEATURES,), the last of which is the constant.
        threshold: Below this score an image is flagged; `KEPT` of the digits it was fitted on are above.
        auroc: Area under the ROC curve on images that it was not fitted on; None if it was not measured.
        false_positives: Share of non-digits among these that are above the score that 95 % of the digits have.
    """

    means: Images
    basis: NDArray[np.int8]
    weights: NDArray[np.float64]
    threshold: float
    auroc: float | None = None
    false_positives: float | None = None

    def scores(self, probability: Floats, images: Images) -> NDArray[np.float32]:
        """Return how certainly each image is a digit, (N,) in [0, 1].

        Args:
            probability: (N, K) of the classes.
            images: (N, 1, H, W), light on dark.
        """
        from scipy.special import expit

        values: NDArray[np.float32] = expit(features(probability, images, self.means, self.basis) @ self.weights)
        return values.astype(np.float32)


def features(probability: Floats, images: Images, means: Images, basis: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the features of N images, (N, FEATURES), the last of which is 1."""
    rows, predicted = np.arange(len(images)), probability.argmax(1)
    top = probability[rows, predicted].astype(np.float64)
    odds = np.clip(np.log(np.maximum(top, 1e-12) / np.maximum(1 - top, 1e-12)), -MAX_ODDS, MAX_ODDS) / 5
    entropy = -(probability * np.log(np.maximum(probability, 1e-12))).sum(1)
    pixels = images[:, 0].astype(np.float32)  # (N, H, W)
    pixels /= WHITE
    flat = pixels.reshape(len(images), -1)
    energy = np.einsum("np,np->n", flat, flat) + 1e-6
    likeness = flat @ _units(means).T / np.sqrt(energy)[:, None]  # (N, K), cosines
    rest = 1 - np.square(flat @ _units(basis).T).sum(1) / energy  # share of the image that is unlike digits
    ink = flat.sum(1) / 100
    across, down = (_edges(pixels, axis) / 100 for axis in (2, 1))
    some = np.maximum(ink, 0.01)
    gray, edges = energy / 100 / some, (across + down) / some
    columns = (
        *(odds, odds**2, entropy, odds * rest),
        *(likeness[rows, predicted], likeness[rows, predicted] - likeness.max(1)),
        *(ink, ink**2, gray, gray**2),
        *(rest, rest**2, np.log(np.maximum(rest, 0) + 1e-3)),
        *(across, down, edges, across / np.maximum(across + down, 0.01)),
        np.ones(len(images)),
    )
    return np.stack(columns, 1).astype(np.float64)


def _edges(pixels: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the sum of the steps between neighbors of each image (N, H, W) along an axis, (N,)."""
    steps = np.diff(pixels, axis=axis)
    np.abs(steps, out=steps)
    return np.asarray(steps.reshape(len(steps), -1).sum(1), np.float32)


def _units(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors (R, P) at unit length."""
    vectors = rows.astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def _directions(flat: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return the main directions of images (N, P), by subspace iteration, in 127ths."""
    basis = np.random.default_rng(0).standard_normal((flat.shape[1], BASIS))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(flat.T @ (flat @ basis))[0]
    rows = basis.T / np.abs(basis.T).max(1, keepdims=True) * STEPS
    return np.asarray(np.rint(rows), np.int8)


def fit(
    digits: tuple[Floats, Images], others: tuple[Floats, Images], labels: NDArray[np.int64], count: int
) -> NotDigit:
    """Return a score fitted on digits and on images that are none.

    Args:
        digits: Probabilities (N, K) and images (N, 1, H, W).
        others: The same of images that are no digits.
        labels: (N,) classes of the digits.
        count: The number of classes, K.
    """
    from scipy.optimize import minimize

    flat = digits[1].reshape(len(labels), -1)
    rows = [flat[labels == place] if (labels == place).any() else flat for place in range(count)]
    means = np.stack([each.mean(0).round().astype(np.uint8) for each in rows])
    basis = _directions(flat.astype(np.float32))
    raw = [features(*each, means, basis) for each in (digits, others)]
    scale = np.maximum(np.abs(np.concatenate(raw)).max(0), 1e-6)  # so that the penalty is the same for all
    positive, negative = (matrix / scale for matrix in raw)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, gradient = PENALTY * weights @ weights, 2 * PENALTY * weights
        for matrix, sign in ((positive, 1), (negative, -1)):  # both groups count equally
            margin = sign * (matrix @ weights)
            value += np.logaddexp(0, -margin).mean()
            gradient = gradient - sign * (matrix.T @ (1 / (1 + np.exp(np.minimum(margin, 500))))) / len(matrix)
        return float(value), gradient

    start, options = np.zeros(positive.shape[1]), {"maxiter": MAX_STEPS}
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x / scale
    fitted = NotDigit(means, basis, weights, 0.0)
    return replace(fitted, threshold=float(np.quantile(fitted.scores(*digits), 1 - KEPT)))


def quality(digits: Floats, others: Floats) -> tuple[float, float]:
    """Return the AUROC, and the share of non-digits above the score that 95 % of the digits have.

    Args:
        digits: (N,) scores of digits.
        others: (M,) scores of images that are none.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([digits, others]))[: len(digits)]
    area = (ranks.sum() - len(digits) * (len(digits) + 1) / 2) / (len(digits) * len(others))
    return float(area), float((others >= np.quantile(digits, 0.05)).mean())
