"""CSV in Kaggle's form: the same digits in every variant, and errors that name line and column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.formats import tables
from ziffern.data.formats.members import Member
from ziffern.data.formats.tables import has_labels, read_csv
from ziffern.errors import InputError

IMAGES = np.arange(3 * 784).astype(np.uint8).reshape(3, 28, 28)
LABELS = [2, 0, 9]
HEADER = "label," + ",".join(f"pixel{i}" for i in range(784))
ROWS = [",".join(map(str, [label, *image.ravel()])) for label, image in zip(LABELS, IMAGES, strict=True)]
TEXT = "\n".join([HEADER, *ROWS]) + "\n"


def read(text, num_classes=10):
    raw = text if isinstance(text, bytes) else text.encode()
    return read_csv(Member("digits.csv", len(raw), lambda: raw), num_classes)


def with_value(column, value):
    cells = ROWS[1].split(",")
    cells[column] = value
    return "\n".join([HEADER, ROWS[0], ",".join(cells), ROWS[2]])


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\n".join(ROWS),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        "\ufeff" + TEXT,
        TEXT + "\n\n  \n",
        TEXT.replace("label", '"Label"'),
        TEXT.replace(",", ", "),
        with_value(0, "0.0"),
    ],
    ids=["header", "bare", "windows", "mac", "excel", "blank end", "quoted", "spaced", "float"],
)
@pytest.mark.parametrize("rows_at_once", [2, 8192])
def test_every_variant_gives_the_same_digits(text, rows_at_once, monkeypatch):
    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 785 * rows_at_once)
    part = read(text)
    np.testing.assert_array_equal(part.images, IMAGES[:, None])
    assert part.images.dtype == np.uint8
    assert part.labels.tolist() == LABELS
    assert part.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1 has 1 columns", "785"]),
        (HEADER, ["no rows"]),
        (HEADER + "\n\n", ["no rows"]),
        (TEXT.replace(",", ";"), ["1 columns", "785", "commas"]),
        ("\n".join(ROWS).replace("2,", "", 1), ["784 columns", "785"]),
        (TEXT.replace("label", "pixel784"), ["first column is 'pixel784'", "'label'"]),
        ("\n".join([HEADER, ROWS[0], ROWS[1] + ",7", ROWS[2]]), ["785", "line 3", "786"]),
        ("\n".join([HEADER, ROWS[0] + ",7"]), ["line 2 has 786 columns", "785"]),
        ("\n".join([HEADER, ROWS[0], ROWS[1].rpartition(",")[0]]), ["line 3, pixel 783 is missing"]),
        ("\n".join([HEADER, ROWS[0], "", ROWS[1]]), ["line 3, label is missing"]),
        (with_value(18, ""), ["line 3, pixel 17 is missing", "delete the line"]),
        (with_value(18, "NA"), ["line 3, pixel 17 is missing"]),
        (with_value(18, "256"), ["line 3, pixel 17 is 256", "0 to 255"]),
        (with_value(18, "-1"), ["pixel 17 is -1", "0 to 255"]),
        (with_value(18, "0.5"), ["pixel 17 is 0.5", "levels from 0 to 255"]),
        (with_value(18, "black"), ["pixel 17 is black"]),
        (with_value(18, "True"), ["pixel 17 is True"]),
        (with_value(18, "inf"), ["pixel 17 is inf"]),
        (with_value(18, "9" * 40), ["pixel 17 is 99999", "0 to 255"]),
        (with_value(0, "1.5"), ["line 3, label is 1.5", "0 to 9", "class number"]),
        (with_value(0, "seven"), ["line 3, label is seven", "class number"]),
        (with_value(0, "10"), ["line 3, label is 10", "0 to 9", "data.num_classes=11"]),
        (with_value(0, "-1"), ["line 3, label is -1", "correct it"]),
        (with_value(9, '"'), ["digits.csv", "785"]),
        (TEXT.encode("utf-16"), ["digits.csv", "label, pixel0"]),
        (TEXT.encode() + b"\xff\xfe,\x80", ["digits.csv"]),
    ],
)
def test_bad_table_is_refused(text, words):
    with pytest.raises(InputError) as error:
        read(text)
    assert str(error.value).startswith("digits.csv: ")
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


def test_wrong_line_is_right_in_a_later_chunk_and_without_header(monkeypatch):
    monkeypatch.setattr(tables, "VALUES_AT_ONCE", 785 * 2)
    with pytest.raises(InputError, match="line 5, label is 10"):
        read("\n".join([*ROWS, ROWS[0], "10" + ROWS[1][1:]]))


def test_unlabeled_kaggle_table_is_distinguished_from_a_labeled_one():
    bare = TEXT.replace("label,", "").encode()
    assert not has_labels(Member("test.csv", 0, lambda: bare))
    assert has_labels(Member("test.csv", 0, TEXT.encode))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_load_or_raise_input_error(data):
    raw = bytearray(TEXT.encode() if data.draw(st.booleans()) else "\n".join(ROWS).encode())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.sampled_from(b'\0\n\r,"-.e9 x\xff'))
    raw = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2]))])
    message = ""
    try:
        read(raw + data.draw(st.binary(max_size=9)))
    except InputError as error:
        message = str(error)
    assert message.isprintable()
