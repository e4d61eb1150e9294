"""Numbering of classes: over all parts, in Unicode's composed form, sorted as people count."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest

from ziffern.data.classes import number_classes
from ziffern.data.content import Part
from ziffern.errors import InputError

UMLAUTS = ("Äpfel", "Birne", "Grüße")


def part(*labels: object) -> Part:
    kinds = {type(label) for label in labels}
    array = np.array(labels, np.int64 if kinds == {int} else object)
    return Part(np.zeros((len(labels), 28, 28), np.uint8), array, "digits")


def numbered(train: Part, test: Part | None = None, declared: tuple[str, ...] = (), classes: int | None = None):
    """Return the labels of each part, and the names."""
    parts = {"train": train} | ({} if test is None else {"test": test})
    numbers, names, _ = number_classes(parts, declared, classes)
    assert all(part.labels.dtype == np.int64 for part in numbers.values())
    return [part.labels.tolist() for part in numbers.values()], names


def test_umlauts_of_macos_and_linux_are_the_same_class():
    composed, decomposed = ([unicodedata.normalize(form, name) for name in UMLAUTS] for form in ("NFC", "NFD"))
    assert composed != decomposed
    labels, names = numbered(part(*composed), part(*decomposed), declared=(*composed, *decomposed))
    assert labels == [[2, 0, 1], [2, 0, 1]]
    assert names == (composed[1], composed[2], composed[0])


def test_names_are_sorted_as_people_count():
    names = ("class10", "class2", "class1", "Class3", "apple", "²")
    _, ordered = numbered(part(*names))
    assert ordered == ("apple", "class1", "class2", "Class3", "class10", "²")


def test_names_that_differ_in_case_or_zeros_alone_have_the_same_order_in_every_process():
    code = (
        "import numpy as np; from ziffern.data.content import Part; from ziffern.data.classes import number_classes;"
        "names = [*'abcABC', 'x1', 'x01', 'x001'];"
        "print(number_classes({'train': Part(np.zeros((9, 1, 1)), np.array(names, object))}, (), None)[1])"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2", "3")
    ]
    assert runs[0].stdout.startswith("('A', 'a', 'B'")
    assert len({run.stdout for run in runs}) == 1


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        ([0, 1, 2], "0 1 2", [0, 1, 2]),
        ([0, 2, 3], "0 1 2 3", [0, 2, 3]),  # a gap is a class without images
        ([1, 2, 26, *range(3, 26)], " ".join(map(str, range(1, 27))), [0, 1, 25, *range(2, 25)]),
        ([1, 3], "1 2 3", [0, 2]),
        ([3, 8], "3 8", [0, 1]),
        ([0, 255], "0 255", [0, 1]),
        ([0, 8, 9], "0 1 2 3 4 5 6 7 8 9", [0, 8, 9]),  # digits
        ([7], "7", [0]),
    ],
)
@pytest.mark.parametrize("kind", ["numbers", "text", "folders"])
def test_whole_numbers(labels: list[int], names: str, numbers: list[int], kind: str):
    train = part(*labels) if kind == "numbers" else part(*map(str, labels))
    declared = tuple(map(str, labels)) if kind == "folders" else ()
    expected = ([numbers], tuple(names.split()))
    assert numbered(train, declared=declared) == expected
    # A run records the number of its classes, with which it is repeated.
    assert numbered(train, declared=declared, classes=len(expected[1])) == expected


def test_a_given_number_of_classes_decides():
    assert numbered(part(1, 2), classes=10) == ([[1, 2]], tuple("0123456789"))
    assert numbered(part(1, 3, 10), classes=10) == ([[0, 2, 9]], tuple(map(str, range(1, 11))))
    assert numbered(part(3, 8), classes=10)[0] == [[3, 8]]
    for labels in ([0, 10], [0, 1, 12], [-1, 0, 1]):
        with pytest.raises(InputError, match="out of range") as error:
            numbered(part(*labels), classes=10 if -1 not in labels else None)
        assert error.value.code == "data.label.range"
    with pytest.raises(InputError, match=r"4 classes, but data.num_classes=3: omit it, or use data.num_classes=4"):
        numbered(part(*"abcd"), classes=3)


def test_the_fix_of_a_wrong_label_works():
    with pytest.raises(InputError, match=r"set data.num_classes=12") as error:
        numbered(part(0, 11), classes=10)
    assert error.value.message.values["limit"] == 9
    assert numbered(part(0, 11), classes=12)[0] == [[0, 11]]


def test_labels_of_all_parts_are_looked_at_together():
    assert numbered(part(1, 2), part(0, 1)) == ([[1, 2], [0, 1]], ("0", "1", "2"))
    assert numbered(part("b", "c"), part("a", "c")) == ([[1, 2], [0, 2]], ("a", "b", "c"))
    assert numbered(part(1, 2), part("3", "1")) == ([[0, 1], [2, 0]], ("1", "2", "3"))


def test_words_and_numbers():
    characters = [*"0123456789", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    assert numbered(part(*reversed(characters))) == ([[*reversed(range(36))]], tuple(characters))
    with pytest.raises(InputError) as error:
        numbered(part("3", "8", "cat"))
    assert error.value.code == "data.picture.mixed"


def test_an_empty_class_is_kept():
    assert numbered(part("a", "c"), declared=("a", "b", "c")) == ([[0, 2]], ("a", "b", "c"))
    assert numbered(part("0", "1"), declared=("0", "1", "2")) == ([[0, 1]], ("0", "1", "2"))


def test_more_classes_than_a_report_shows_and_long_names_are_refused():
    numbered(part(*(f"word{place}" for place in range(256))))
    with pytest.raises(InputError) as error:
        numbered(part(*(f"word{place}" for place in range(257))))
    assert error.value.code == "data.classes.too_many"
    for name in ("b" * 101, "9" * 5000):  # Python refuses to read a number of more than 4,300 digits
        with pytest.raises(InputError) as error:
            numbered(part("a", name))
        assert error.value.code == "data.classes.long_name"


def test_labels_with_blanks_around_them_are_the_same():
    assert numbered(part("cat", " dog"), part("dog ", "cat")) == ([[0, 1], [1, 0]], ("cat", "dog"))
    assert numbered(part("0", " 1"))[1] == ("0", "1")


def test_an_empty_folder_among_classes_of_the_other_kind_is_none_of_them():
    assert numbered(part("0", "1"), declared=("0", "1", "empty")) == ([[0, 1]], ("0", "1"))
    assert numbered(part("cat", "dog"), declared=("cat", "dog", "7")) == ([[0, 1]], ("cat", "dog"))
    assert numbered(part("0", "2"), declared=("0", "1", "2"))[1] == ("0", "1", "2")
