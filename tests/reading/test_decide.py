import numpy as np
import pytest

from ziffern.errors import InputError
from ziffern.reading.constraints import Rules
from ziffern.reading.decide import LabeledDigits, assign, candidates, chosen_threshold, share_per_digit


def row(**shares: float) -> np.ndarray:
    """Return the probabilities of one digit, such as row(d7=0.9, d1=0.1)."""
    probability = np.full(10, 1e-9, np.float32)
    for name, share in shares.items():
        probability[int(name[1])] = share
    return probability / probability.sum()


def labeled(count: int, error: float, seed: int = 0) -> LabeledDigits:
    """Return digits of which a share is misread, with honest probabilities."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, count)
    confidence = np.where(rng.random(count) < 4 * error, 0.75, 0.9999).astype(np.float32)
    read = np.where(rng.random(count) < confidence, label, (label + 1) % 10)
    probability = np.repeat(((1 - confidence) / 9)[:, None], 10, 1).astype(np.float32)
    probability[np.arange(count), read] = confidence
    return LabeledDigits(probability, label, np.ones(count, bool))


def test_digits_multiply() -> None:
    best, second, *_ = candidates(np.array([row(d1=0.9, d7=0.1), row(d2=0.8, d3=0.2)]), None)
    assert (best.value, second.value) == ("12", "13")
    assert best.probability == pytest.approx(0.72, abs=1e-3)


def test_a_list_decides_between_entries_and_keeps_mass_for_mistakes() -> None:
    digits = np.array([row(d1=0.6, d7=0.4), row(d2=0.99, d3=0.01)])
    best, *rest = candidates(digits, Rules(length=(2, 2), values=("72", "13", "999")))
    assert best.value == "72"
    assert best.probability == pytest.approx(0.396 / (0.402 + 0.01 * 0.598), abs=1e-3)
    assert [item.value for item in rest] == ["13"]
    sure = np.array([row(d5=1.0), row(d5=1.0)])  # written clearly, but no entry
    assert candidates(sure, Rules(length=(2, 2), values=("72",)))[0].probability < 1e-6


def test_a_check_digit_decides() -> None:
    digits = [row(**{f"d{digit}": 1.0}) for digit in "7992739871"]
    options = candidates(np.array([*digits, row(d8=0.5, d3=0.49)]), Rules(length=(11, 11), check="luhn"))
    assert options[0].value == "79927398713"
    assert options[0].probability > 0.95
    assert "79927398718" not in {item.value for item in options}


def test_no_entry_is_used_twice() -> None:
    scores = np.log(np.array([[0.6, 0.4], [0.9, 0.1]]))
    assert assign(scores).tolist() == [1, 0]


@pytest.mark.parametrize("length", [1, 4])
def test_the_guarantee_holds_for_fields_of_other_digits(length: int) -> None:
    broken = 0
    for seed in range(20):
        share = share_per_digit(0.04, length)
        chosen = chosen_threshold(labeled(6000, 0.01, seed).digits, share, "field")
        others = labeled(20000, 0.01, 1000 + seed)
        confidence, hit = others.probability.max(1), others.probability.argmax(1) == others.label
        fields = (len(hit) // length, length)
        accepted = (confidence.reshape(fields) >= chosen.confidence).all(1)
        wrong = ~hit.reshape(fields).all(1)[accepted]
        broken += wrong.mean() > 0.04
        assert accepted.mean() > 0.5
    assert broken <= 3  # one in 20 is expected


def test_fields_follow_the_rules_and_use_a_digit_once() -> None:
    digits = labeled(3000, 0.02)
    assert digits.fields(5, Rules(length=(5, 5), check="luhn")).images <= 600
    assert digits.fields(2, Rules(length=(2, 2), values=("11", "12"))).images <= 300  # the ones run out
    assert digits.fields(3, Rules(length=(2, 2), values=("11",))).images == 0


def test_a_flagged_digit_is_never_accepted() -> None:
    digits = labeled(3000, 0.0)
    flagged = LabeledDigits(digits.probability, digits.label, np.arange(3000) % 2 == 0)
    counts = flagged.digits
    assert counts.accepted[0] < 0.6 * counts.tested


@pytest.mark.parametrize(("count", "code"), [(100, "too_few"), (4000, "not_proven")])
def test_what_is_not_proven_is_refused_in_one_line(count: int, code: str) -> None:
    digits = labeled(count, 0.2)
    worse = LabeledDigits(np.full((count, 10), 0.1, np.float32), digits.label, digits.is_digit)
    with pytest.raises(InputError) as error:
        chosen_threshold(worse.digits, 0.01, "zip")
    assert error.value.code == f"reading.guarantee.{code}"
    assert "zip" in str(error.value)


@pytest.mark.parametrize("max_error", [0, 1, -0.1, float("nan")])
def test_a_share_is_between_0_and_1(max_error: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        chosen_threshold(labeled(100, 0).digits, max_error, "zip")
