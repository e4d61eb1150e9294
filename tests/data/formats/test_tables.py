"""The values of tables: the same digits in every way of writing them, and errors that name line and column."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.data.content import Reading
from ziffern.data.formats import table_values
from ziffern.data.formats.members import Member
from ziffern.data.formats.tables import read_tables
from ziffern.errors import InputError

IMAGES = np.arange(3 * 784).astype(np.uint8).reshape(3, 28, 28)
LABELS = [2, 0, 9]
HEADER = "label," + ",".join(f"pixel{i}" for i in range(784))
ROWS = [",".join(map(str, [label, *image.ravel()])) for label, image in zip(LABELS, IMAGES, strict=True)]
TEXT = "\n".join([HEADER, *ROWS]) + "\n"
FRACTIONS = "\n".join(
    [HEADER]
    + [",".join([str(label), *(f"{x / 255:.6f}" for x in i.ravel())]) for label, i in zip(LABELS, IMAGES, strict=True)]
)


def read(text, num_classes=10, **settings):
    raw = text if isinstance(text, bytes) else text.encode()
    member = Member("digits.csv", len(raw), lambda: raw)
    return read_tables({"digits.csv": member}, Reading(num_classes, **settings), "digits")


def with_value(column, value):
    cells = ROWS[1].split(",")
    cells[column] = value
    return "\n".join([HEADER, ROWS[0], ",".join(cells), ROWS[2]])


def quoted(text):
    return "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split())


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\n".join(ROWS),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        "\ufeff" + TEXT,
        TEXT + "\n\n  \n",
        "\n\n" + TEXT,
        TEXT.replace("label", '"Label"'),
        TEXT.replace(",", ", "),
        with_value(0, "0.0"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(",", " | "),
        "\n".join(ROWS).replace(",", " "),
        "sep=;\n" + TEXT.replace(",", ";"),
        TEXT.replace("\n", ",\n"),
        "\n".join(ROWS).replace("\n", ",\n") + ",",
        HEADER + "\n" + ",\n".join(ROWS) + ",",
        TEXT.replace(",", "\t").encode("utf-16"),
        TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        quoted(TEXT),
        quoted("\n".join(ROWS)),
        "\n".join([HEADER, *(",".join(f"{cell}.0" for cell in row.split(",")) for row in ROWS)]),
        "\n".join(",".join(f"{int(cell):.18e}" for cell in row.split(",")) for row in ROWS),
        "# " + TEXT,
        "# digits of 2026\n" + TEXT,
        gzip.compress(TEXT.encode()),
        FRACTIONS,
        FRACTIONS.replace(",", ";").replace(".", ","),
    ],
    ids=lambda text: "",
)
@pytest.mark.parametrize("rows_at_once", [2, 8192])
def test_every_variant_gives_the_same_digits(text, rows_at_once, monkeypatch):
    monkeypatch.setattr(table_values, "VALUES_AT_ONCE", 785 * rows_at_once)
    part = read(text).parts["train"]
    np.testing.assert_array_equal(part.images, IMAGES[:, None])
    assert part.images.dtype == np.uint8
    assert part.labels.tolist() == LABELS
    assert part.labels.dtype == np.int64


def test_scaling_is_reported():
    assert [note.code for note in read(FRACTIONS).notes] == ["data.note.pixels_scaled"]
    assert read(TEXT).notes == ()


def test_images_of_zeros_and_ones_are_scaled_even_in_several_chunks(monkeypatch):
    monkeypatch.setattr(table_values, "VALUES_AT_ONCE", 5)
    assert read("label,p0,p1,p2,p3\n0,0,0,0,0\n1,0,1,1,0").parts["train"].images.ravel().tolist()[4:] == [
        0,
        255,
        255,
        0,
    ]
    assert read("label,p0,p1,p2,p3\n0,0,1,0,0\n1,0,1,0.2,0").parts["train"].images[:, 0].tolist() == [
        [[0, 255], [0, 0]],
        [[0, 255], [51, 0]],
    ]
    few = read("label,p0,p1,p2,p3\n0,0,1,0,0\n1,0,2,1,0")  # as in scikit-learn's digits, with levels up to 16
    assert few.parts["train"].images[:, 0].tolist() == [[[0, 128], [0, 0]], [[0, 255], [128, 0]]]
    assert [note.code for note in few.notes if "levels" in note.code] == ["data.note.few_levels"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1 has 1 columns", "785"]),
        (HEADER, ["no rows"]),
        (HEADER + "\n\n", ["no rows"]),
        ("\n".join(ROWS).replace("2,", "", 1), ["785 columns", "784 fields"]),
        ("\n".join([HEADER, ROWS[0], ROWS[1] + ",7", ROWS[2]]), ["785", "line 3", "786"]),
        ("\n".join([HEADER, ROWS[0] + ",7"]), ["line 2 has 786 columns", "785"]),
        ("\n".join([HEADER, ROWS[0], ROWS[1].rpartition(",")[0]]), ["line 3, column pixel783 is missing"]),
        ("\n".join([HEADER, ROWS[0], "", ROWS[1]]), ["line 3, label is missing"]),
        (with_value(18, ""), ["line 3, column pixel17 is missing", "delete the line"]),
        (with_value(18, "NA"), ["line 3, column pixel17 is missing"]),
        (with_value(0, "NA"), ["line 3, label is missing"]),
        ("\n\n" + with_value(18, "256"), ["line 5, column pixel17 is 256", "0 to 255"]),
        (with_value(18, "256"), ["line 3, column pixel17 is 256", "0 to 255"]),
        ("\n".join(ROWS).replace(",2,", ",256,", 1), ["line 1, pixel 2 is 256", "0 to 255"]),
        (with_value(18, "-1"), ["column pixel17 is -1", "0 to 255"]),
        (with_value(18, "0.5"), ["column pixel17 is 0.5", "levels from 0 to 255"]),
        (with_value(18, "black"), ["column pixel17 is black"]),
        (with_value(18, "True"), ["column pixel17 is True"]),
        (with_value(18, "inf"), ["column pixel17 is inf"]),
        (with_value(18, "9" * 40), ["column pixel17 is 99999", "0 to 255"]),
        (FRACTIONS.replace(",0.039216", ",255"), ["line 2, column pixel10 is 255", "0 to 1", "0 to 255"]),
        (with_value(0, "1.5"), ["line 3, label is 1.5", "0 to 9", "class number"]),
        (with_value(0, "seven"), ["line 3, label is seven", "class number"]),
        ("\n".join([with_value(0, "10"), "0" + ROWS[2][1:]]), ["line 3, label is 10", "0 to 9", "data.num_classes=11"]),
        (with_value(0, "-1"), ["line 3, label is -1", "correct it"]),
        (TEXT.replace("\n2,", "\ncat,").replace("\n9,", "\ndog,"), ["line 3, label is 0", "most labels are words"]),
        (with_value(9, '"'), ["digits.csv", "785"]),
        (TEXT.encode("utf-16")[:-1], ["UTF-16", "save it as UTF-8"]),
        (TEXT.encode() + b"\xff\xfe,\x80", ["digits.csv"]),
        (gzip.compress(TEXT.encode())[:-9], ["gzip", "damaged", "download"]),
        (gzip.compress(bytes(2 * 10**8)), ["bomb", "100 times"]),
    ],
)
def test_bad_table_is_refused(text, words):
    with pytest.raises(InputError) as error:
        read(text)
    assert str(error.value).startswith("digits.csv: ")
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_label_is_limited_without_a_number_of_classes():
    assert read(with_value(0, "26"), None).parts["train"].labels.tolist() == [2, 26, 9]
    with pytest.raises(InputError, match="line 3, label is 256, expected a whole number from 0 to 255"):
        read(with_value(0, "256"), None)


def test_labels_from_one_to_the_number_of_classes_are_left_to_the_numbering():
    assert read(with_value(0, "10")).parts["train"].labels.tolist() == [2, 10, 9]


def test_wrong_line_is_right_in_a_later_chunk_and_without_header(monkeypatch):
    monkeypatch.setattr(table_values, "VALUES_AT_ONCE", 785 * 2)
    with pytest.raises(InputError, match="line 5, label is 10"):
        read("\n".join([*ROWS, ROWS[0], "10" + ROWS[1][1:]]), label_column=0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_load_or_raise_input_error(data):
    raw = bytearray(TEXT.encode() if data.draw(st.booleans()) else "\n".join(ROWS).encode())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.sampled_from(b'\0\n\r,;\t#"-.e9 x\xff'))
    raw = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2]))])
    message = ""
    try:
        read(raw + data.draw(st.binary(max_size=9)))
    except InputError as error:
        message = str(error)
    assert message.isprintable()
