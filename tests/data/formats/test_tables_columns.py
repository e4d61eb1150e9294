"""Which columns of a table are the label and the pixels, with and without names."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ziffern.data.content import Reading
from ziffern.data.formats.members import Member
from ziffern.data.formats.tables import read_tables
from ziffern.errors import InputError

SIDE = 5
LABELS = np.arange(60) % 10
# A bright stroke on a dark ground, and corners that are nearly always dark.
IMAGES = np.random.RandomState(0).randint(0, 256, (60, SIDE, SIDE)).astype(np.uint8)
IMAGES[:, 0, :] = IMAGES[:, -1, :] = IMAGES[:, :, 0] = IMAGES[:, :, -1] = 0
IMAGES[7, 0, 0] = IMAGES[8, -1, -1] = 3
FLAT = IMAGES.reshape(60, -1)
PIXELS = [f"pixel{place}" for place in range(SIDE**2)]


def text(rows, names=None):
    return "\n".join(",".join(map(str, row)) for row in [*([names] if names else []), *np.array(rows).tolist()])


def read(content, image=None, **settings):
    raw = content.encode()
    member = Member("digits.csv", len(raw), lambda: raw)
    return read_tables({"digits.csv": member}, Reading(image=image, **settings), "digits")


def columns(*parts):
    return np.column_stack([np.asarray(part) for part in parts])


def check(content, images=IMAGES, labels=LABELS):
    part, high = content.parts["train"], np.max(images)
    scale = 255 / high if 1 < high <= 16 else 1  # few levels are scaled
    np.testing.assert_array_equal(part.images[:, 0], np.rint(np.asarray(images) * scale))
    assert part.labels.tolist() == list(labels)
    return [str(note) for note in content.notes]


def refusal(content, **settings):
    with pytest.raises(InputError) as error:
        read(content, **settings)
    return str(error.value)


# The label


@pytest.mark.parametrize("name", ["Label", "class", "CLASS", "y", "Target", "digit"])
@pytest.mark.parametrize("place", [0, 12, 25])
def test_a_label_is_found_by_its_usual_name(name, place):
    rows = np.insert(FLAT.astype(int), place, LABELS, axis=1)
    notes = check(read(text(rows, [*PIXELS[:place], name, *PIXELS[place:]])))
    expected = [
        f"digits.csv: the labels were taken from the column {name}; data.label_column=N takes another, counted from 0"
    ]
    assert notes == (expected if name != "Label" else [])


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["what", *PIXELS], "what"),
        ([*PIXELS, "what"], "what"),
        ([str(place) for place in range(26)], "0"),
        ([str(place) for place in range(1, 27)], "26"),
        ([*PIXELS, "pixel25"], "pixel25"),
    ],
)
def test_a_label_without_a_usual_name_is_taken_with_a_note(names, taken):
    rows = columns(LABELS, FLAT) if names.index(taken) == 0 else columns(FLAT, LABELS)
    assert f"column {taken};" in check(read(text(rows, names)))[0]


@pytest.mark.parametrize("labels", [LABELS, LABELS + 1, LABELS % 2, np.where(LABELS % 2, 3, 8), np.sort(LABELS)])
def test_a_label_without_header_is_found_at_either_end(labels):
    assert "column 25;" in check(read(text(columns(FLAT, labels))), labels=labels)[0]
    assert "column 0;" in check(read(text(columns(labels, FLAT))), labels=labels)[0]


def test_real_digits_with_the_label_last_have_their_labels():
    pixels, labels = load_digits(return_X_y=True)
    assert "column 64;" in check(read(text(columns(pixels, labels))), pixels.reshape(-1, 8, 8), labels)[0]
    rows = columns(pixels.astype(int), labels)[np.argsort(labels)]
    assert check(read(text(rows)), rows[:, :64].reshape(-1, 8, 8), rows[:, 64])


def test_corners_that_vary_are_no_labels():
    pixels = np.repeat(np.repeat(np.random.RandomState(1).randint(0, 12, (200, 2, 2)), 2, axis=1), 2, axis=2)
    labels = np.random.RandomState(2).randint(0, 10, 200)
    assert check(read(text(columns(pixels.reshape(200, 16), labels))), pixels, labels)
    noise = np.random.RandomState(3).randint(0, 256, (2000, 4, 4))
    labels = np.arange(2000) % 10
    assert check(read(text(columns(noise.reshape(2000, 16), labels))), noise, labels)


def test_images_of_two_levels_and_real_digits_of_two_classes_are_not_mistaken():
    pixels, labels = load_digits(return_X_y=True)
    binary, two = (pixels > 7).astype(int), (labels > 4).astype(int)
    for images, classes in ((binary, labels), (pixels.astype(int), two)):
        check(
            read(text(columns(images, classes))), images.reshape(-1, 8, 8) * (255 if images is binary else 1), classes
        )


def test_both_ends_or_none_are_refused_with_a_fix_that_works():
    both = text(columns(LABELS, FLAT[:, :-1], LABELS[::-1]))
    none = text(columns(np.zeros(60, int), FLAT[:, 1:], np.zeros(60, int)))
    for table, words in ((both, "both the first and the last"), (none, "neither the first nor the last")):
        message = refusal(table)
        assert words in message
        assert message.startswith("digits.csv: ")
        for fix in ("data.label_column=0", "data.label_column=25"):
            assert fix in message
    assert read(both, label_column=0).parts["train"].labels.tolist() == LABELS.tolist()
    assert read(both, label_column=25).parts["train"].labels.tolist() == LABELS[::-1].tolist()
    assert read(none, label_column=0).parts["train"].images.shape == (60, 1, 5, 5)


@pytest.mark.parametrize("setting", [3, -23, "3", "Kind", "kind"])
def test_the_label_column_can_be_set(setting):
    rows = np.insert(FLAT.astype(int), 3, LABELS, axis=1)
    assert check(read(text(rows, [*PIXELS[:3], "Kind", *PIXELS[3:]]), label_column=setting)) == []
    if not str(setting).isalpha():
        assert check(read(text(rows), label_column=setting)) == []


@pytest.mark.parametrize("setting", [26, -27, "kind"])
def test_a_label_column_that_does_not_exist_is_refused(setting):
    message = refusal(text(columns(FLAT, LABELS), [*PIXELS, "label"]), label_column=setting)
    assert f"data.label_column={setting}" in message
    assert "from 0 to 25" in message
    assert "'pixel0' to 'label'" in message
    message = refusal(text(columns(FLAT, LABELS)), label_column=setting)
    assert f"data.label_column={setting}" in message
    assert "from 0 to 25, since the columns have no names" in message


def test_several_usual_names_are_refused_with_a_fix_that_works():
    table = text(columns(LABELS, LABELS[::-1], FLAT), ["class", "target", *PIXELS])
    message = refusal(table)
    assert "class, target" in message
    assert "data.label_column=0" in message
    notes = check(read(table, label_column=0))
    assert notes == ["digits.csv: the column target was left out, which is neither the label nor a pixel"]


@pytest.mark.parametrize("place", [0, 25])
def test_labels_may_be_words(place):
    words = np.array(["cat", "dog", "None"])[LABELS % 3]
    rows = np.insert(FLAT.astype(object), place, words, axis=1)
    check(read(text(rows, [*PIXELS[:place], "label", *PIXELS[place:]])), labels=words)
    assert f"column {place};" in check(read(text(rows)), labels=words)[0]


def test_labels_may_be_digits_and_letters():
    labels = np.array(list("0123456789ABCDEF"))[np.arange(60) % 16]
    check(read(text(columns(labels, FLAT.astype(object)))), labels=labels)


# The index


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "id", "Index", "ImageId"])
def test_an_index_is_left_out_by_its_name(name):
    notes = check(read(text(columns(np.arange(60)[::-1], LABELS, FLAT), [name, "label", *PIXELS])))
    shown = name or "0"
    assert notes == [f"digits.csv: the column {shown} was left out, which is neither the label nor a pixel"]


@pytest.mark.parametrize("first", [0, 1])
def test_an_index_without_header_is_left_out(first):
    index = np.arange(60) + first
    for rows in (columns(index, LABELS, FLAT), columns(index, FLAT, LABELS), columns(LABELS, FLAT, index)):
        assert any("left out" in note for note in check(read(text(rows))))
    notes = check(read(text(columns(index, FLAT, LABELS)), label_column=-1))
    assert notes == ["digits.csv: the column 0 was left out, which is neither the label nor a pixel"]


def test_file_names_without_header_are_left_out():
    names = np.array([f"{place}.png" for place in range(60)])
    assert any("column 0 was left out" in note for note in check(read(text(columns(names, FLAT, LABELS)))))


def test_many_numbered_rows_without_labels_are_no_classes():
    assert "no column for labels" in refusal(text(columns(np.arange(120), np.tile(FLAT, (2, 1)))))
    rows = text(columns(np.arange(10), FLAT[20:30]))
    assert check(read(rows), IMAGES[20:30], range(10))


def test_pandas_index_with_numbers_as_names():
    rows = columns(np.arange(60), LABELS, FLAT)
    check(read(text(rows, ["", *map(str, range(26))])))


def test_other_columns_are_left_out_by_their_names():
    table = text(columns(LABELS, LABELS, FLAT, LABELS), ["writer", "label", *PIXELS, "age"])
    note = "digits.csv: 2 columns were left out, which are neither the label nor pixels: writer, age"
    assert check(read(table)) == [note]


# The pixels


@pytest.mark.parametrize(
    "names",
    [
        PIXELS,
        [f"{place + 1:03}" for place in range(25)],
        [f"{row + 1}x{column + 1}" for row in range(5) for column in range(5)],
        [f"r{row}c{column}" for row in range(5) for column in range(5)],
    ],
)
def test_pixels_are_in_the_order_of_their_names(names):
    order = np.argsort(names, kind="stable")[::-1]  # as text: pixel9, pixel8, ..., pixel2, pixel19
    rows = columns(LABELS, FLAT[:, order])
    notes = check(read(text(rows, ["label", *(names[place] for place in order)])))
    assert notes == ["digits.csv: the pixels were put in the order of the numbers in their columns' names"]
    assert check(read(text(columns(LABELS, FLAT), ["label", *names]))) == []


@pytest.mark.parametrize(
    "names",
    [
        [f"x{x}y{y}" for y in range(5) for x in range(5)],
        ["pixel1"] * 25,
        list("abcdefghijklmnopqrstuvwxy".replace("y", "z")),
    ],
)
def test_pixels_without_a_known_order_stay_as_they_are(names):
    assert check(read(text(columns(LABELS, FLAT), ["label", *names]))) == []


def test_color_is_channel_after_channel():
    colors = np.random.RandomState(4).randint(0, 256, (60, 3, 5, 5))
    rows = columns(LABELS, colors.reshape(60, 75))
    for table in (
        text(rows),
        text(rows, ["label", *map(str, range(75))]),
        text(rows, ["label", *(f"{color}{place}" for color in "RGB" for place in range(25))]),
        text(
            columns(LABELS, colors.reshape(60, 3, 25).transpose(0, 2, 1).reshape(60, 75)),
            ["label", *(f"pixel{place}_{color}" for place in range(25) for color in ("red", "green", "blue"))],
        ),
    ):
        np.testing.assert_array_equal(read(table, (3, 32, 32)).parts["train"].images, colors)
        message = refusal(table)
        assert "76 columns" in message
        assert "data.image=[3,5,5]" in message
        assert read(table, (3, 5, 5)).parts["train"].images.shape == (60, 3, 5, 5)


def test_images_that_are_no_square_have_the_shape_that_is_set():
    rows = columns(LABELS, FLAT[:, :20])
    assert "line 1 has 21 columns, expected 785" in refusal(text(rows))
    assert read(text(rows), (1, 4, 5)).parts["train"].images.shape == (60, 1, 4, 5)
    assert read(text(columns(LABELS, FLAT)), (1, 4, 5)).parts["train"].images.shape == (60, 1, 5, 5)


def test_a_table_without_labels_is_refused_with_a_fix_that_works():
    for table in (text(FLAT), text(FLAT, PIXELS), text(columns(np.arange(60), FLAT), ["id", *PIXELS])):
        message = refusal(table)
        assert "no column for labels" in message
        assert "add a column named label" in message
    check(read(text(columns(LABELS, FLAT), ["label", *PIXELS])))


# Unusual forms


def test_a_quoted_label_may_hold_a_comma():
    words = [f'"{"yes, no"[3 * (label % 2) :]}, {label % 2}"' for label in LABELS.tolist()]
    lines = [",".join([word, *map(str, row)]) for word, row in zip(words, FLAT.tolist(), strict=True)]
    check(read("\n".join(lines)), labels=[word.strip('"') for word in words])


@pytest.mark.parametrize("names", ["emotion,pixels,Usage", '"emotion","pixels","Usage"', None])
@pytest.mark.parametrize("quote", ["", '"'])
def test_pixels_in_one_cell_and_a_column_of_parts_are_read(names, quote):
    usage = ["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10
    cells = [f"{quote}{' '.join(map(str, row))}{quote}" for row in FLAT.tolist()]
    if names is None:
        check(read("\n".join(f"{label},{cell}" for label, cell in zip(LABELS, cells, strict=True))))
        return
    rows = [",".join(map(str, row)) for row in zip(LABELS, cells, usage, strict=True)]
    content = read("\n".join([names, *rows]))
    for name, part in {"train": slice(40), "val": slice(40, 50), "test": slice(50, 60)}.items():
        np.testing.assert_array_equal(content.parts[name].images[:, 0], IMAGES[part])
        assert content.parts[name].labels.tolist() == LABELS[part].tolist()
    assert not [note for note in content.notes if "left out" in str(note)]
    assert "names no row of the training part" in refusal("\n".join([names, *rows[40:]]))


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("is_first", [True, False])
def test_one_column_per_class_is_refused_with_a_fix_that_works(names, is_first):
    columns = np.eye(10, dtype=int)[LABELS]
    pairs = [(columns, [f"class_{n}" for n in range(10)]), (FLAT, PIXELS)]
    pairs = pairs if is_first else pairs[::-1]
    header = [name for _, group in pairs for name in group]
    table = text(np.hstack([values for values, _ in pairs]), header if names else None)
    assert "=MATCH(1, the cells, 0)-1" in refusal(table, image=(1, SIDE, SIDE))
    match = columns.argmax(1) + 1 - 1
    check(read(text(np.column_stack([match, FLAT]), ["label", *PIXELS])))


def test_pixels_below_0_are_refused_with_a_fix_that_works():
    values = FLAT / 127.5 - 1
    assert "if they run from -1 to 1, write (x + 1) / 2" in refusal(text(np.column_stack([LABELS, values])))
    check(read(text(np.column_stack([LABELS, (values + 1) / 2]))))
