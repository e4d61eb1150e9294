"""Rules: which values they accept, why not, and the enumeration of what they accept."""

import re
import time
from typing import Any

import msgspec
import pytest

from ziffern.errors import InputError
from ziffern.reading.constraints import Rules, tidied, violation
from ziffern.reading.result import PATTERN, Reason

CASES: list[tuple[dict[str, Any], list[str], dict[str, str]]] = [
    ({"length": (2, 3)}, ["12", "007"], {"1": "length", "1234": "length"}),
    ({"range": (5, 100)}, ["5", "007", "100"], {"4": "range", "101": "range", "x": "digits", "٥": "digits"}),
    ({"date": "DDMMYYYY"}, ["29022024", "31121999"], {"29022023": "date", "01012100": "date", "1012000": "date"}),
    ({"date": "YYMMDD", "range": (2000, 2020)}, ["200229"], {"210101": "date"}),
    ({"pattern": r"1\d{2}|[5-7]0?"}, ["123", "5", "60"], {"12": "pattern", "80": "pattern", "1234": "pattern"}),
    ({"check": "luhn"}, ["79927398713"], {"79927398710": "check"}),
    ({"check": "ean"}, ["4006381333931", "73513537"], {"4006381333932": "check"}),
    ({"check": "isbn"}, ["9783161484100", "0306406152"], {"0306406153": "check"}),
    ({"check": "iban"}, ["89370400440532013000"], {"89370400440532013001": "check"}),
    ({"check": "iban", "country": "AT"}, ["611904300234573201"], {"89370400440532013000": "check"}),
    ({"check": "mod11"}, ["794623"], {"794624": "check"}),
    ({"check": "mod97"}, ["435411161155111431"], {"435411161155111432": "check"}),
    ({"values": ("0012", "34")}, ["0012", "34"], {"12": "values"}),
    ({"choose": (1, 2)}, ["yes", "a;b"], {"a;b;c": "choose"}),
    ({"choose": (1, 2), "values": ("a", "b", "c")}, ["a", "c;b"], {"d": "values", "a;d": "values", "a;b;c": "choose"}),
    ({"choose": (1, 2), "values": ("a", "b", "c")}, ["b"], {"a;a": "repeated"}),
    ({}, ["1"], {"": "required", "1a": "digits", "1" * 61: "length"}),
    ({"length": (1, 10**9), "pattern": r"\d*\d*\d*1"}, ["1"], {"2" * 61: "length", "2" * 60: "pattern"}),
    ({"date": "DDDDDDDD"}, [], {"11111111": "date"}),  # not of a template, but of a batch folder of anyone
    ({"required": False, "length": (3, 3)}, [""], {"1": "length"}),
]


@pytest.mark.parametrize(("keys", "right", "wrong"), CASES, ids=[", ".join(keys) for keys, _, _ in CASES])
def test_a_value_is_accepted_or_the_rule_is_named(
    keys: dict[str, Any], right: list[str], wrong: dict[str, str]
) -> None:
    rules = Rules(**keys)
    assert {value: violation(rules, value) for value in right} == dict.fromkeys(right)
    for value, code in wrong.items():
        reason = violation(rules, value)
        assert reason is not None
        assert reason.code == f"reading.rule.{code}"
        assert str(InputError(reason.code, **reason.values))
        assert msgspec.convert(msgspec.to_builtins(reason), type(reason)) == reason
        assert not rules.accepts(value)


def test_few_values_are_enumerated() -> None:
    numbers = Rules(range=(8, 11), length=(1, 3)).candidates
    assert numbers == ("8", "9", "08", "09", "10", "11", "008", "009", "010", "011")
    assert Rules(range=(99, 101), length=(2, 3)).candidates == ("99", "099", "100", "101")
    assert Rules(date="MMDDYYYY", range=(1999, 1999), pattern=r"0229\d*|1231\d+").candidates == ("12311999",)
    assert Rules(date="DDMMYYYY", range=(3000, 10**15)).candidates == ()
    assert Rules(values=("18", "19"), check="luhn").candidates == ("18",)
    dates = Rules(date="DDMMYY").candidates
    assert dates is not None
    assert (len(dates), dates[0], dates[-1]) == (36_525, "010100", "311299")
    assert Rules(range=(0, 10**9), length=(1, 9)).candidates is None
    assert Rules(length=(5, 5)).candidates is None


def test_no_pattern_makes_matching_slow() -> None:
    worst = "|".join([r"\d*\d*\d*1"] * 16)
    assert re.search(PATTERN, worst)
    start = time.process_time()
    assert not Rules(pattern=worst).accepts("0" * 60)
    assert time.process_time() - start < 20
    for pattern in (r"(\d+)+1", r"\d*\d*\d*\d*", "a", r"\d**", "", "1{2}{3}", r"(?=1)"):
        assert not re.search(PATTERN, pattern)


def test_a_reason_with_values_of_another_type_is_shown_by_its_code() -> None:
    reason = Reason("reading.rule.length", {"value": "1", "count": "x", "allowed": "2"})
    assert reason.text("en") == "reading.rule.length"


def test_ticked_labels_are_written_once_and_in_the_order_of_the_form() -> None:
    rules = Rules(choose=(1, 2), values=("latin", "runes"))
    assert [tidied(rules, value) for value in ("runes; latin", "latin;latin", "runes;")] == [
        "latin;runes",
        "latin",
        "runes",
    ]
    assert tidied(rules, "latin;greek") == "latin;greek"  # which breaks a rule
    assert tidied(Rules(length=(1, 9)), "1;2") == "1;2"
