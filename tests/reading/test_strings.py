"""Tests of splitting digit strings, with a classifier that knows the drawn digits by their shape."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.reading.test_find import classify
from tests.support import rendered

from ziffern.data.cutout import ink_of
from ziffern.reading.strings import Split, split_digits


def ink(text: str, seed: int, pitch: float) -> NDArray[np.float32]:
    sheet = rendered.Sheet(round(80 + len(text) * 50 * pitch), 100, seed)
    sheet.string(45, 50, 50, text, pitch)
    return ink_of(sheet.gray, is_dark=True)


def text_of(splits: list[Split]) -> str:
    return "".join(map(str, splits[0].probabilities.argmax(1))) if splits else ""


def test_the_number_of_spaced_digits_is_found() -> None:
    texts = ["0123456789", "80", "4471", "99502"]
    assert [text_of(split_digits(ink(text, seed, 1.1), classify)) for seed, text in enumerate(texts)] == texts


def test_touching_digits_are_split_with_the_known_length() -> None:
    picture = ink("7", 3, 1.0), ink("3", 4, 1.0)
    sevens, threes = (one[:, np.flatnonzero(one.any(0))[0] : np.flatnonzero(one.any(0))[-1] + 1] for one in picture)
    joined = np.concatenate([np.zeros((100, 9), np.float32), sevens, threes, np.zeros((100, 9), np.float32)], 1)
    joined[48:52, 9 + sevens.shape[1] - 8 : 9 + sevens.shape[1] + 8] = 1  # a stroke from one to the other
    (best, *_) = split_digits(joined, classify, 2)
    assert text_of([best]) == "73"
    assert best.boxes[0][2] <= best.boxes[1][2]
    assert {len(split.boxes) for split in split_digits(joined, classify, (1, 1))} == {1}


def test_a_broken_bar_stays_with_its_digit_and_dust_is_no_digit() -> None:
    picture = ink("1", 1, 1.0)
    broken = np.concatenate([picture, ink("5", 2, 1.0)], 1)
    filled = np.flatnonzero(broken[:, picture.shape[1] :].any(1))
    broken[filled[0] + 12 : filled[0] + 14, picture.shape[1] :] = 0
    broken[70:72, 5:7] = 1
    assert text_of(split_digits(broken, classify)) == "15"


def test_the_classifier_is_called_once_and_alternatives_follow_the_best() -> None:
    calls = []

    def counted(inks: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        calls.append(len(inks))
        return classify(inks)

    splits = split_digits(ink("2806", 5, 0.8), counted)
    assert len(calls) == 1
    assert [split.score for split in splits] == sorted((split.score for split in splits), reverse=True)
    assert all(split.probabilities.shape == (len(split.boxes), 10) for split in splits)


@pytest.mark.parametrize("count", [None, 3])
def test_no_ink_has_no_splits(count: int | None) -> None:
    assert split_digits(np.zeros((40, 200), np.float32), classify, count) == []


def test_a_rough_classifier_leaves_most_groups_out_and_changes_nothing_if_it_agrees() -> None:
    calls = []

    def counted(inks: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        calls.append(len(inks))
        return classify(inks)

    picture = ink("4073", 1, 0.75)
    expected = split_digits(picture, counted)
    splits = split_digits(picture, counted, rough=classify)
    assert calls[1] < calls[0]
    assert [split.boxes for split in splits] == [split.boxes for split in expected]
    np.testing.assert_allclose([split.score for split in splits], [split.score for split in expected], rtol=1e-5)


def test_a_rough_classifier_does_not_decide() -> None:
    def unsure(inks: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, is_digit = classify(inks)
        return np.roll(probabilities, 1, axis=1), is_digit

    assert text_of(split_digits(ink("0123456789", 0, 1.1), classify, rough=unsure)) == "0123456789"
