import numpy as np
import pytest
import torch

from ziffern.analysis.guarantee import THRESHOLDS, count
from ziffern.analysis.not_digit import BASIS, NotDigit
from ziffern.errors import InputError
from ziffern.records.inference import KEY, Inference

CLASSES, PIXELS = 10, 784


def inference() -> Inference:
    rng = np.random.default_rng(0)
    score = NotDigit(
        rng.integers(0, 255, (CLASSES, PIXELS)).astype(np.uint8),
        rng.integers(-127, 127, (BASIS, PIXELS)).astype(np.int8),
        rng.normal(size=18),
        0.25,
        0.97,
        0.125,
    )
    counts = count(rng.uniform(0.5, 1, 300), rng.random(300) > 0.1, 4)
    return Inference(1.75, "digit", True, counts, score)


def read(entry: object) -> Inference | None:
    return Inference.of_checkpoint({KEY: entry}, CLASSES, PIXELS)


def test_an_entry_is_read_as_it_was_written() -> None:
    written = inference()
    result = read(written.entry())
    assert result is not None
    assert (result.temperature, result.prepare, result.dark_ground) == (1.75, "digit", True)
    for part in ("counts", "not_digit"):
        for name, value in vars(getattr(written, part)).items():
            np.testing.assert_array_equal(getattr(getattr(result, part), name), value)


def test_a_checkpoint_without_an_entry_has_none() -> None:
    assert Inference.of_checkpoint({}, CLASSES, PIXELS) is None


def test_a_model_that_reads_no_digits_has_no_score() -> None:
    result = read(Inference(1.0).entry())
    assert result == Inference(1.0)
    assert result is not None
    assert result.known_temperature is None


def damaged(**changes: object) -> dict:
    return inference().entry() | changes


@pytest.mark.parametrize(
    "entry",
    [
        "text",
        {},
        damaged(temperature=0.0),
        damaged(temperature=float("nan")),
        damaged(prepare="/etc/passwd"),
        damaged(dark_ground=3),
        damaged(counts={"expected": []}),
        damaged(counts=inference().entry()["counts"] | {"errors": [10**6] * len(THRESHOLDS)}),
        damaged(counts=inference().entry()["counts"] | {"models": 0}),
        damaged(means=None),
        damaged(means=torch.zeros(3, 784, dtype=torch.uint8)),
        damaged(basis=torch.zeros(BASIS, 784)),
        damaged(not_digit=inference().entry()["not_digit"] | {"weights": [float("inf")] * 18}),
        damaged(not_digit=inference().entry()["not_digit"] | {"weights": [1.0] * 3}),
    ],
)
def test_a_damaged_entry_is_refused(entry: object) -> None:
    with pytest.raises(InputError):
        read(entry)
