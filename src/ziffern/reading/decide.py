"""From the probabilities of digits to values: what was written, how sure that is, and which values are accepted.

Decisions: a field is right only as a whole, so its probability is the product over its digits, renormalized over the
values that its rules allow; MISWRITTEN of the mass is kept for values that break the rules, because people do write
those. Thresholds are tested on labeled digits (Learn then Test, `ziffern.analysis.guarantee`). Where rules tell right
values from wrong ones (a list, a check digit, a date), digits are put together to fields that follow them, each of them
in one field only, so that fields are independent; in MISWRITTEN of them a digit is another one, as people write it, and
a value is accepted only if it is PROBABLE: else a slip would become a wrong number that nobody sees. Otherwise, or
where that gives too few fields, every digit of a field must reach a threshold, which allows each digit its part of the
errors: that needs far fewer labeled digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.guarantee import TENTH, Counts, Threshold, count, images_needed, threshold
from ziffern.errors import InputError

if TYPE_CHECKING:
    from ziffern.reading.constraints import Rules


Probabilities = NDArray[np.float32]  # (digits, 10), calibrated

PROBABLE = 0.5  # probability from which on a value that rules may have corrected can be accepted
MISWRITTEN = 0.01  # share of numbers in which people write a wrong digit
BEAM = 128  # strings that are kept while a field is put together
ENOUGH = 0.9999  # of the probability: less likely strings are not looked at
SHOWN = 5  # alternatives of a field
FIELDS = 6000  # that are put together, at most
MAX_KNOWN = 64  # lengths and rules whose counts are kept
ATTEMPTS = 1000  # random values until one is valid; of IBANs, one in 97 is


class Candidate(NamedTuple):
    """A value, and its probability."""

    value: str
    probability: float


def candidates(probability: Probabilities, rules: "Rules | None", shown: int = SHOWN) -> list[Candidate]:
    """Return the likely values of a row of digits, best first; at most BEAM.

    Args:
        probability: (digits, 10), calibrated.
        rules: What is known about the value; None for nothing.
        shown: Values that are enough, if the others are hardly likely.
    """
    logs = np.log(np.maximum(probability.astype(np.float64), 1e-12))
    if rules is not None and rules.candidates is not None:
        table = rules.tables.get(len(logs), np.zeros((0, len(logs)), np.uint8))  # (values, digits)
        masses = np.exp(sum((row[column] for row, column in zip(logs, table.T, strict=True)), np.zeros(len(table))))
        best = _largest(masses)
        chosen = list(zip(_texts(table[best]), masses[best].tolist(), strict=True))
        total = float(masses.sum())
    else:
        chosen, total, seen = [], 0.0, 0.0
        for value, mass in _best_strings(logs):
            is_complete = seen > ENOUGH and bool(chosen)
            if is_complete and len(chosen) >= shown:
                break
            seen += mass
            if rules is None or rules.accepts(value):
                chosen.append((value, mass))
                total += 0.0 if is_complete else mass
        total = 1.0 if rules is None else total
    total += MISWRITTEN * max(0.0, 1 - total)
    return [Candidate(value, mass / total) for value, mass in chosen]


def _best_strings(logs: NDArray[np.float64]) -> Iterator[tuple[str, float]]:
    """Yield up to BEAM strings of digits and their probabilities, best first."""
    scores, strings = np.zeros(1), np.zeros((1, 0), np.uint8)
    for row in logs:
        every = (scores[:, None] + row).ravel()
        best = _largest(every)
        scores = every[best]
        strings = np.column_stack([strings[best // 10], (best % 10).astype(np.uint8)])
    yield from zip(_texts(strings), np.exp(scores).tolist(), strict=True)


def _largest(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the BEAM largest values, the largest first."""
    places = np.argpartition(-values, BEAM)[:BEAM] if len(values) > BEAM else np.arange(len(values))
    return places[np.argsort(-values[places])]


def _texts(strings: NDArray[np.uint8]) -> list[str]:
    """Return the texts of digits (n, length)."""
    text, length = (strings + np.uint8(ord("0"))).tobytes().decode(), strings.shape[1]
    return [text[at * length : (at + 1) * length] for at in range(len(strings))]


def assign(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the value of each field (fields,) so that none is used twice and their probability is largest.

    Args:
        scores: (fields, values) logarithms of the probability; at least as many values as fields.
    """
    from scipy.optimize import linear_sum_assignment

    places: NDArray[np.int64] = linear_sum_assignment(-scores)[1]
    return places


@dataclass(frozen=True)
class LabeledDigits:
    """Digits with known labels, as the reader's model reads them.

    Args:
        probability: (N, 10), calibrated; the model was not trained on them.
        label: (N,) the digits.
        is_digit: (N,) whether the model took them for digits.
    """

    probability: Probabilities
    label: NDArray[np.int64]
    is_digit: NDArray[np.bool_]

    @cached_property
    def digits(self) -> Counts:
        """Counts of single digits."""
        confidence = np.where(self.is_digit, self.probability.max(1), np.float32(-1))
        return count(confidence, self.probability.argmax(1) == self.label, parts=TENTH)

    @cached_property
    def _by_rules(self) -> "dict[tuple[int, Rules], Counts]":
        return {}

    def fields(self, length: int, rules: "Rules") -> Counts:
        """Return counts of fields with `length` digits that follow the rules, put together from these digits."""
        known, key = self._by_rules, (length, rules)  # a server gets the same form again and again
        if key not in known:
            if len(known) >= MAX_KNOWN:
                known.clear()
            known[key] = self._put_together(length, rules)
        return known[key]

    def _put_together(self, length: int, rules: "Rules") -> Counts:
        rng, number = np.random.default_rng(length), min(FIELDS, len(self.label) // max(1, length))
        by_digit = [list(rng.permutation(np.flatnonzero(self.label == digit))) for digit in range(10)]
        shares, hits = [], []
        for _ in range(number):
            value = _random_value(rng, length, rules)
            written = value and _written(rng, value)
            if written is None or any(len(by_digit[int(digit)]) < written.count(digit) for digit in written):
                break  # an empty stock would favor values without this digit
            used = [by_digit[int(digit)].pop() for digit in written]
            first = next(iter(candidates(self.probability[used], rules, shown=1)), None)
            share = first.probability if first and self.is_digit[used].all() else -1.0
            shares.append(share if share >= PROBABLE else -1.0)
            hits.append(first is not None and first.value == written)
        return count(np.array(shares, np.float32), np.array(hits, np.bool_), parts=TENTH)


def _random_value(rng: np.random.Generator, length: int, rules: "Rules") -> str | None:
    """Return a valid value of this length; None if none was found."""
    if rules.candidates is not None:
        table = rules.tables.get(length)
        return None if table is None else _texts(table[[rng.integers(len(table))]])[0]
    for _ in range(ATTEMPTS):
        value = "".join(map(str, rng.integers(0, 10, length)))
        if rules.accepts(value):
            return value
    return None


def _written(rng: np.random.Generator, value: str) -> str:
    """Return a value as people write it: in MISWRITTEN of all cases with a digit that may be another one."""
    if rng.random() >= MISWRITTEN:
        return value
    place, digit = rng.integers(len(value)), rng.integers(10)
    return f"{value[:place]}{digit}{value[place + 1 :]}"


def share_per_digit(max_error: float, length: int) -> float:
    """Return the share of wrong digits that leads to this share of wrong fields, if digits are independent."""
    return float(1 - (1 - max_error) ** (1 / max(1, length)))


def chosen_threshold(counts: Counts, max_error: float, field: str, length: int = 1) -> Threshold:
    """Return the threshold from which on a field is accepted, or each of its digits if `counts` are of digits.

    Args:
        counts: Of labeled fields, or of digits.
        max_error: The largest allowed share of wrong fields, in (0, 1).
        field: Its name, for the message.
        length: The number of digits, each of which has its part of the errors; 1 for counts of fields.

    Raises:
        InputError: The labeled fields do not prove this share of errors.
    """
    if not 0 < max_error < 1:
        raise InputError("runs.predict.max_error", value=max_error)
    share = share_per_digit(max_error, length)
    chosen = threshold(counts, share)
    if chosen is None:
        needed = images_needed(share, parts=counts.parts)
        code = "too_few" if counts.images < needed else "not_proven"
        raise InputError(
            f"reading.guarantee.{code}", field=field, max_error=max_error, total=counts.images, needed=needed
        )
    return chosen
