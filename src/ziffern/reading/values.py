"""From drafts of all pages to their final fields: values, alternatives, and which are accepted.

Decision: guess, probability and reason of a field are about the same reading; where rules, a sum or another page
changed the guess, the reason says what was read without them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

import numpy as np

from ziffern.analysis.guarantee import Counts, Threshold
from ziffern.errors import InputError
from ziffern.reading.constraints import Rules, violation
from ziffern.reading.decide import (
    MISWRITTEN,
    PROBABLE,
    SHOWN,
    Candidate,
    LabeledDigits,
    assign,
    candidates,
    chosen_threshold,
)
from ziffern.reading.draft import Draft
from ziffern.reading.layout import Sum
from ziffern.reading.result import ACCEPTED, EMPTY, PICTURE, REVIEW, FieldReading, Guarantee, Reason, Status

CLAIMED = 0.5  # probability from which on two fields claim the same entry of a list
MIN_FIELDS = 100  # put together, to prove a threshold for whole fields rather than their digits
LIKELY_SUM = 0.01  # of the probability of the guesses that do not add up
MAX_COMBINATIONS = 100_000  # of the fields of a sum


class Decisions:
    """Decides on fields; labeled digits or fields prove the thresholds.

    Args:
        digits: Labeled digits of the model.
        max_error: The largest allowed share of wrong values among the accepted ones.
        checked: Counts of checked fields of earlier batches, by field name, in place of the labeled digits.
    """

    def __init__(self, digits: LabeledDigits, max_error: float, checked: Mapping[str, Counts] | None = None) -> None:
        self.digits, self.max_error, self.checked = digits, max_error, checked or {}
        self.guarantees: dict[str, Guarantee] = {}
        self.problems: dict[str, InputError] = {}  # by field: why no threshold is proven
        self._thresholds: dict[tuple[str, int, Rules | None], tuple[Threshold | InputError, str]] = {}

    def fields(self, pages: Sequence[Sequence[Draft]], sums: Sequence[Sequence[Sum]]) -> list[list[FieldReading]]:
        """Return the fields of all pages, each of which has its own sums."""
        options = [[_options(draft) for draft in page] for page in pages]
        _make_unique(pages, options)
        result = []
        for page, row, own in zip(pages, options, sums, strict=True):
            fields = [self._decided(draft, found) for draft, found in zip(page, row, strict=True)]
            for one in own:
                _check_sum(one, fields)
            result.append(fields)
        return result

    def _decided(self, draft: Draft, found: list[Candidate]) -> FieldReading:
        """Return a field; it is accepted if there is no reason for a person to look."""
        alternatives = [(value, min(1.0, share)) for value, share in found[:SHOWN]]
        guess, probability = alternatives[0] if alternatives else (draft.value, 0.0)
        reason = draft.reason
        if draft.kind == "crop":
            return FieldReading(draft.name, PICTURE, draft.box, probability=1.0)
        if draft.kind == "ticks":
            probability = 1.0 if reason is None else 0.5
            if draft.rules:
                reason = reason or violation(draft.rules, guess)
        elif not draft.splits and reason is None:
            reason = violation(draft.rules, "") if draft.rules else None
        elif draft.splits and probability < MISWRITTEN and all(value != draft.plain_guess for value, _ in found):
            guess = draft.plain_guess  # what was written breaks the rules, or is the value of another page
            probability = draft.plain_share * min(1.0, float(draft.splits[0][1].max(1).prod()))
            alternatives = sorted([(guess, probability), *alternatives], key=lambda item: -item[1])[:SHOWN]
            reason = reason or (violation(draft.rules, guess) if draft.rules else None)
            reason = reason or Reason("reading.reason.twice", {"value": guess})
        elif reason is None:
            reason = self._doubt(draft, guess, probability)
        if draft.reason and draft.reason.code == "reading.reason.twice" and draft.reason.values["value"] != guess:
            reason = Reason("reading.reason.taken", draft.reason.values)
        elif draft.reason and draft.kind == "string" and draft.splits and len(guess) != len(draft.cells):
            reason = _changed(draft)  # that of the draft is about places that this guess has not
        status: Status = REVIEW if reason else ACCEPTED if guess else EMPTY
        return FieldReading(draft.name, status, draft.box, guess, probability, reason, alternatives, draft.cells)

    def _doubt(self, draft: Draft, guess: str, probability: float) -> Reason | None:
        """Return why a field is not accepted whose value is valid; None if it is."""
        chosen, source = self._threshold(draft, len(guess))
        is_changed = guess != draft.plain_guess
        if is_changed and not (draft.rules is not None and draft.rules.is_strong):
            return _changed(draft)
        if isinstance(chosen, InputError):
            self.problems.setdefault(draft.name, chosen)
        if isinstance(chosen, InputError) or (is_changed and source == "digits"):  # which prove nothing about rules
            return Reason("reading.reason.no_guarantee", {"max_error": self.max_error})
        numbers = (chosen.tested, chosen.accepted, chosen.errors)
        strictest = self.guarantees.get(draft.name)  # of values of several lengths, or kinds of page
        needed = max(chosen.confidence, PROBABLE if source == "fields" else 0.0)
        if strictest is None or needed > strictest.threshold:
            self.guarantees[draft.name] = Guarantee(self.max_error, needed, *numbers, source)
        if source == "digits":
            if probability < MISWRITTEN:  # digits are not as independent as that
                return Reason("reading.reason.unsure", {"probability": probability, "threshold": MISWRITTEN})
            probability = min(draft.plain_share, float(draft.splits[0][1].max(1).min()))
        if probability >= needed:
            return None
        if is_changed:
            return _changed(draft)
        code = "unsure_digit" if source == "digits" else "unsure"
        return Reason(f"reading.reason.{code}", {"probability": probability, "threshold": needed})

    def _threshold(self, draft: Draft, length: int) -> tuple[Threshold | InputError, str]:
        """Return the threshold of fields of this length, or why there is none, and what proves it.

        That depends neither on how they were read nor on the allowed share of errors.
        """
        key = (draft.name, length, draft.rules)
        if key not in self._thresholds:
            counts, source = self.checked.get(draft.name), "checked"
            if counts is None and draft.rules is not None and draft.rules.is_strong:
                counts, source = self.digits.fields(length, draft.rules), "fields"
            if counts is None or (source == "fields" and counts.images < MIN_FIELDS):
                counts, source = self.digits.digits, "digits"
            try:
                chosen = chosen_threshold(counts, self.max_error, draft.name, length if source == "digits" else 1)
                self._thresholds[key] = chosen, source
            except InputError as error:
                self._thresholds[key] = error, source
        return self._thresholds[key]


def _changed(draft: Draft) -> Reason:
    """Return why a guess of other digits than the plainest ones is doubtful."""
    is_broken = draft.rules is not None and not draft.rules.accepts(draft.plain_guess)
    return Reason(f"reading.reason.{'rules' if is_broken else 'ambiguous'}", {"value": draft.plain_guess})


def _options(draft: Draft) -> list[Candidate]:
    """Return the likely values of a field over all ways to divide it into digits, best first."""
    masses: dict[str, float] = defaultdict(float)
    for share, probability in draft.splits:
        for value, mass in candidates(probability, draft.rules):
            masses[value] += share * mass
    return [Candidate(*item) for item in sorted(masses.items(), key=lambda item: -item[1])]


def _make_unique(pages: Sequence[Sequence[Draft]], options: list[list[list[Candidate]]]) -> None:
    """Give fields with `unique` different entries of their list; two that claim the same one are for a person."""
    groups: dict[object, list[tuple[int, int]]] = defaultdict(list)
    for at, page in enumerate(pages):
        for place, draft in enumerate(page):
            if draft.rules and draft.rules.unique and options[at][place]:
                groups[draft.rules.values or draft.name].append((at, place))
    for entries, places in groups.items():
        claims: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for at, place in places:
            if (best := options[at][place][0]).probability >= CLAIMED:
                claims[best.value].append((at, place))
        twice = [(value, who) for value, who in claims.items() if len(who) > 1]
        for value, who in twice:
            for at, place in who:
                pages[at][place].reason = pages[at][place].reason or Reason("reading.reason.twice", {"value": value})
        if isinstance(entries, tuple) and len(places) <= len(entries):
            _assign_entries(places, options)


def _assign_entries(places: list[tuple[int, int]], options: list[list[list[Candidate]]]) -> None:
    """Leave each field the entries that the best assignment gives to no other.

    Their probabilities stay, since the labeled fields prove nothing about a value that other pages decide.
    """
    values = sorted({option.value for at, place in places for option in options[at][place]})
    column = {value: number for number, value in enumerate(values)}
    scores = np.full((len(places), max(len(values), len(places))), -50.0)  # the others' probabilities are below 1e-12
    for row, (at, place) in enumerate(places):
        for value, share in options[at][place]:
            scores[row, column[value]] = np.log(max(share, 1e-20))
    chosen = scores.argmax(1)
    if len(set(chosen.tolist())) < len(chosen):
        chosen = assign(scores)
    for row, (at, place) in enumerate(places):
        taken = {values[number] for other, number in enumerate(chosen) if other != row and number < len(values)}
        options[at][place] = [item for item in options[at][place] if item.value not in taken] or options[at][place]


def _check_sum(one: Sum, fields: list[FieldReading]) -> None:
    """Send all fields of a sum to a person if their guesses do not add up; likely guesses that do are shown instead."""
    import msgspec

    names = [*one.parts, one.total]
    known = {item.name: place for place, item in enumerate(fields)}
    if any(name not in known for name in names):
        return
    rows = []
    for field in (fields[known[name]] for name in names):
        others = [Candidate(*other) for other in field.alternatives if other[0] != field.guess]
        rows.append([Candidate(field.guess, field.probability if field.alternatives else 1.0), *others])
    if not any(rows[-1][0].value or row[0].value for row in rows):
        return

    def adds_up(combination: Sequence[Candidate]) -> bool:
        *parts, total = (int(item.value or 0) for item in combination)
        return sum(parts) == total

    first = [row[0] for row in rows]
    if adds_up(first):
        return
    combinations = product(*rows) if prod(map(len, rows)) <= MAX_COMBINATIONS else iter(())
    best = max(filter(adds_up, combinations), key=lambda items: prod(item.probability for item in items), default=first)
    if prod(item.probability for item in best) < LIKELY_SUM * prod(item.probability for item in first):
        best = first  # the sum on the paper is wrong
    *parts, total = (item.value or "0" for item in first)
    reason = Reason("reading.reason.sum", {"total": one.total, "parts": " + ".join(one.parts)})
    if best != first:
        reason = Reason("reading.reason.sum_changed", {**reason.values, "sum": f"{' + '.join(parts)} = {total}"})
    for name, item in zip(names, best, strict=True):
        field = fields[known[name]]
        shown = {"guess": item.value, "probability": min(1.0, item.probability), "status": REVIEW}
        why = field.reason if field.reason and field.guess == item.value else reason
        fields[known[name]] = msgspec.structs.replace(field, reason=why, **shown)
