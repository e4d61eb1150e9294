"""Temperature scaling: one number that makes a net's probabilities calibrated without changing any answer.

Guo et al. 2017, "On Calibration of Modern Neural Networks". Decision: a weak prior on the logarithm of the temperature
keeps it finite where every validation image is classified correctly, since the likelihood alone would choose 0.
"""

import numpy as np
from numpy.typing import NDArray

PRIOR = 0.5  # standard deviation of ln(temperature)
BOUNDS = (-3.0, 3.0)  # of ln(temperature)

Floats = NDArray[np.floating]


def fit_temperature(logits: Floats, target: NDArray[np.int64]) -> float:
    """Return the temperature in (0.05, 20) that maximizes the likelihood of the labels.

    Args:
        logits: (N, K), or logarithms of probabilities; N > 0.
        target: (N,) true classes.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    scores, rows = logits.astype(np.float64), np.arange(len(target))

    def loss(log_temperature: float) -> float:
        log_probability = log_softmax(scores / np.exp(log_temperature), axis=1)
        return float(-log_probability[rows, target].sum() + (log_temperature / PRIOR) ** 2 / 2)

    return float(np.exp(minimize_scalar(loss, bounds=BOUNDS, method="bounded", options={"xatol": 1e-4}).x))


def with_temperature(probability: Floats, temperature: float) -> NDArray[np.float32]:
    """Return probabilities (N, K) at another temperature, from those (N, K) at temperature 1."""
    from scipy.special import softmax

    scaled: NDArray[np.float32] = softmax(np.log(np.maximum(probability, 1e-38)) / temperature, axis=1)
    return scaled.astype(np.float32)
