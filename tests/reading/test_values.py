from dataclasses import replace

import numpy as np
import pytest

from ziffern.reading.constraints import Rules
from ziffern.reading.decide import LabeledDigits
from ziffern.reading.draft import Draft
from ziffern.reading.layout import Sum
from ziffern.reading.result import CellReading, FieldReading, Reason
from ziffern.reading.values import Decisions

BOX = (0.1, 0.1, 0.2, 0.2)


def draft(name: str, value: str, share: float = 0.9999, rules: Rules | None = None, other: str = "") -> Draft:
    """Return a field of which each digit has a probability; the rest goes to the digits of `other`."""
    probability = np.full((len(value), 10), 1e-7, np.float32)
    for place, digit in enumerate(value):
        probability[place, int(digit)] = share
        if other:
            probability[place, int(other[place])] += 1 - share
    cells = [CellReading("digit", BOX, digit, share) for digit in value]
    return Draft(name, "cells", BOX, rules, cells=cells, splits=[(1.0, probability)] if value else [])


def decide(*pages: list[Draft], sums: tuple[Sum, ...] = (), max_error: float = 0.01) -> list[list[FieldReading]]:
    label = np.arange(20000) % 10
    probability = np.full((20000, 10), 1e-6, np.float32)
    doubtful = np.arange(20000) % 50 == 0  # of these, a quarter is misread
    wrong = np.arange(20000) % 200 == 0
    probability[np.arange(20000), np.where(wrong, (label + 1) % 10, label)] = np.where(doubtful, 0.75, 0.9999)
    digits = LabeledDigits(probability, label, np.ones(20000, bool))
    return Decisions(digits, max_error).fields(pages, [sums] * len(pages))


def test_a_sure_value_is_accepted_and_a_doubtful_one_is_a_guess() -> None:
    ((sure, doubtful, empty),) = decide([draft("a", "17"), draft("b", "17", 0.6, other="71"), draft("c", "")])
    assert (sure.status, sure.value) == ("accepted", "17")
    assert (doubtful.status, doubtful.value, doubtful.guess) == ("review", None, "17")
    assert doubtful.reason is not None
    assert doubtful.reason.code == "reading.reason.unsure_digit"
    assert dict(doubtful.alternatives)["71"] == pytest.approx(0.16, abs=0.01)
    assert (empty.status, empty.value) == ("empty", "")


def test_a_required_field_must_not_be_empty_and_rules_must_hold() -> None:
    rules = Rules(length=(2, 2), range=(0, 50))
    ((empty, wrong, right),) = decide(
        [draft("a", "", rules=rules), draft("b", "99", rules=rules), draft("c", "50", rules=rules)]
    )
    assert empty.status == "review"
    assert (wrong.status, wrong.guess) == ("review", "99")
    assert wrong.reason is not None
    assert wrong.reason == Reason("reading.rule.range", {"value": "99", "low": 0, "high": 50})
    assert (wrong.probability, wrong.alternatives[0]) == (pytest.approx(0.9998, abs=1e-5), ("99", wrong.probability))
    assert right.value == "50"


def test_a_reason_of_the_page_wins_over_any_probability() -> None:
    item = draft("a", "17")
    item.reason = Reason("reading.reason.gap", {"cell": 2})
    assert decide([item])[0][0].status == "review"


@pytest.mark.parametrize(
    ("share", "status"),
    [(0.9, "accepted"), (0.995, "review"), (0.99999, "review")],  # of the digit that breaks the rule
)
def test_a_legible_digit_that_breaks_the_rule_is_not_corrected(share: float, status: str) -> None:
    rules = Rules(length=(8, 8), check="luhn")
    item = draft("card", "14177763", rules=rules)
    item.splits[0][1][4] = (1 - share) / 9
    item.splits[0][1][4, 7], item.splits[0][1][4, 1] = share, 1 - share
    ((read,),) = decide([item], max_error=0.05)
    assert read.status == status
    if status == "accepted":
        assert read.value == "14171763"
    else:
        assert read.reason is not None
        assert read.reason.values["value"] == "14177763"


def test_people_of_a_list_are_assigned_once() -> None:
    rules = Rules(length=(2, 2), values=("17", "11", "52"), unique=True)
    pages = [
        [draft("id", "17", rules=rules)],
        [draft("id", "17", 0.6, rules, other="11")],
        [draft("id", "52", rules=rules)],
    ]
    first, second, third = (fields[0] for fields in decide(*pages))
    assert (second.guess, second.value) == ("11", None)  # 17 is taken, which proves nothing about 11
    assert first.guess == "17"
    assert third.value == "52"


def test_two_clear_claims_of_one_entry_are_both_for_a_person() -> None:
    rules = Rules(length=(2, 2), values=("17", "11", "52"), unique=True)
    readings = decide(
        [draft("id", "17", rules=rules)], [draft("id", "17", rules=rules)], [draft("id", "52", rules=rules)]
    )
    assert [fields[0].status for fields in readings] == ["review", "review", "accepted"]
    assert readings[0][0].reason == Reason("reading.reason.twice", {"value": "17"})


def test_a_wrong_sum_sends_its_fields_to_a_person_with_guesses_that_add_up() -> None:
    one = Sum("total", ("q1", "q2"))
    fields = [draft("q1", "1"), draft("q2", "2", 0.7, other="7"), draft("total", "8"), draft("other", "5")]
    q1, q2, total, other = decide(fields, sums=(one,))[0]
    assert (q1.guess, q2.guess, total.guess) == ("1", "7", "8")
    assert {q1.status, q2.status, total.status} == {"review"}
    changed = Reason("reading.reason.sum_changed", {"parts": "q1 + q2", "total": "total", "sum": "1 + 2 = 8"})
    assert [q1.reason, q2.reason, total.reason] == [changed] * 3
    assert other.status == "accepted"
    written = decide([draft("q1", "1"), draft("q2", "2"), draft("total", "8")], sums=(one,))[0]
    assert [item.guess for item in written] == ["1", "2", "8"]  # the sum on the paper is wrong
    assert {item.status for item in written} == {"review"}
    right = decide([draft("q1", "1"), draft("q2", "7"), draft("total", "8")], sums=(one,))[0]
    assert {item.status for item in right} == {"accepted"}


def test_checked_fields_replace_the_labeled_digits() -> None:
    from ziffern.analysis.guarantee import count

    digits = LabeledDigits(np.zeros((0, 10), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    counts = count(np.full(1000, 0.99, np.float32), np.ones(1000, bool))
    decisions = Decisions(digits, 0.01, {"a": counts})
    ((known, unknown),) = decisions.fields([[draft("a", "17"), draft("b", "17")]], [()])
    assert known.status == "accepted"
    assert decisions.guarantees["a"].source == "checked"
    assert unknown.status == "review"
    assert list(decisions.problems) == ["b"]


def test_without_enough_whole_fields_each_digit_must_be_certain() -> None:
    one, two = "1" * 60, "2" * 60
    rules = Rules(values=(one, two))  # the ones and twos run out
    right, corrected = draft("a", two, rules=rules), draft("b", f"1{two[1:]}", 0.9, rules=rules, other=two)
    ((accepted, guessed),) = decide([right, corrected], max_error=0.1)
    assert (accepted.status, guessed.status) == ("accepted", "review")
    assert guessed.reason is not None
    assert guessed.reason.code == "reading.reason.no_guarantee"


def test_the_guarantee_of_a_field_is_that_of_its_longest_value_and_problems_name_their_field() -> None:
    pages = [[draft("a", "1")], [draft("a", "123456")], [draft("a", "12")]]
    label = np.arange(20000) % 10
    probability = np.full((20000, 10), 1e-4, np.float32)
    doubt = 10 ** -(1 + np.arange(20000) % 100 / 25)
    wrong = np.arange(20000) % 200 == 0  # among the most doubtful
    probability[np.arange(20000), np.where(wrong, (label + 1) % 10, label)] = 1 - doubt
    digits = LabeledDigits(probability, label, np.ones(20000, bool))
    decisions = Decisions(digits, 0.004)
    decisions.fields(pages, [()] * 3)
    only = Decisions(digits, 0.004)
    only.fields(pages[1:2], [()])
    assert decisions.guarantees == only.guarantees
    hopeless = Decisions(digits, 1e-5)
    hopeless.fields([[draft("a", "17"), draft("b", "17")]], [()])
    assert [str(hopeless.problems[name])[:2] for name in "ab"] == ["a:", "b:"]
    assert "0.001%" in str(hopeless.problems["b"])


def of_ways(*ways: tuple[float, str], rules: Rules | None = None) -> Draft:
    """Return a string with several ways to divide it, whose digits are certain."""
    first = draft("a", ways[0][1], rules=rules)
    splits = [(share, draft("a", value).splits[0][1]) for share, value in ways]
    return replace(first, kind="string", splits=splits)


def reason_of(item: Draft) -> tuple[str, Reason | None]:
    (field,) = decide([item])[0]
    assert field.status == "review"
    assert field.alternatives[0] == (field.guess, field.probability)
    return field.guess, field.reason


def test_guess_probability_and_reason_are_about_the_same_reading() -> None:
    rules = Rules(length=(2, 2), range=(0, 50))
    assert reason_of(draft("a", "99", 0.6, rules, other="49")) == (
        "49",
        Reason("reading.reason.rules", {"value": "99"}),
    )
    ways = ((0.4, "123"), (0.35, "45"), (0.25, "45"))
    assert reason_of(of_ways(*ways)) == ("45", Reason("reading.reason.ambiguous", {"value": "123"}))
    crossed = replace(of_ways(*ways), reason=Reason("reading.reason.no_digit", {"cell": 3}))
    assert reason_of(crossed) == ("45", Reason("reading.reason.ambiguous", {"value": "123"}))  # without a third place
    crossed = replace(of_ways(*ways, rules=rules), reason=Reason("reading.reason.no_digit", {"cell": 3}))
    assert reason_of(crossed) == ("45", Reason("reading.reason.rules", {"value": "123"}))
    own = Reason("reading.reason.no_digit", {"cell": 2})
    assert reason_of(replace(of_ways((0.6, "123"), (0.4, "45")), reason=own)) == ("123", own)
    guess, reason = reason_of(draft("a", "1" * 40, 0.85))  # hardly likely as a whole, though no rule is broken
    assert (guess, reason and reason.code) == ("1" * 40, "reading.reason.unsure")


def test_the_reason_of_an_entry_that_another_page_has_is_about_the_guess() -> None:
    rules = Rules(length=(2, 2), values=("17", "11", "52"), unique=True)
    pages = [[draft("id", "17", rules=rules)], [draft("id", "17", 0.75, rules, other="11")]]
    (first,), (second,) = decide(*pages)
    assert (first.guess, first.reason) == ("17", Reason("reading.reason.twice", {"value": "17"}))
    assert (second.guess, second.reason) == ("11", Reason("reading.reason.taken", {"value": "17"}))
    (first,), (second,) = decide(*([draft("id", "17", rules=rules)] for _ in range(2)))
    assert (second.guess, second.probability) == (first.guess, pytest.approx(first.probability, abs=1e-3))


def test_a_sum_does_not_change_a_value_behind_its_reason() -> None:
    rules, one = Rules(length=(1, 1), range=(0, 5)), Sum("total", ("q1", "q2"))
    fields = [draft("q1", "1"), draft("q2", "9", rules=rules), draft("total", "8")]
    _, broken, _ = decide(fields, sums=(one,))[0]
    assert (broken.guess, broken.reason) == ("9", Reason("reading.rule.range", {"value": "9", "low": 0, "high": 5}))
    fields = [draft("q1", "1"), draft("q2", "2", 0.7, other="7"), draft("total", "8", 0.6, other="9")]
    q1, q2, total = decide(fields, sums=(one,), max_error=0.002)[0]
    assert [q1.guess, q2.guess, total.guess] == ["1", "7", "8"]
    codes = [item.reason.code.rpartition(".")[2] for item in (q1, q2, total) if item.reason]
    assert codes == ["sum_changed", "sum_changed", "unsure_digit"]
