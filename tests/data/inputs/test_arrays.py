"""Arrays of every layout and type become the same images."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.test_drawing import mnist

from ziffern.data.inputs import images_of, prepared_picture
from ziffern.errors import InputError

GRAY, COLOR = (1, 28, 28), (3, 32, 32)
DIGITS = mnist()[0][:20]  # (20, 28, 28)


def read(source: object, shape=GRAY, prepare: str = "digit", *, dark_ground: bool = True, size: int = 7) -> np.ndarray:
    return np.concatenate([batch.images for batch in images_of(source, shape, prepare, dark_ground, size)])


@pytest.mark.parametrize(
    "source",
    [
        DIGITS,
        DIGITS[:, None],
        DIGITS[..., None],
        DIGITS.reshape(20, -1),
        DIGITS / 255,
        DIGITS.astype(np.float32),
        DIGITS.astype(int),
        torch.tensor(DIGITS),
        (torch.tensor(DIGITS)[:, None] / 255).requires_grad_(),
        list(DIGITS),
        [DIGITS[:5], DIGITS[5:]],
        [Image.fromarray(digit) for digit in DIGITS],
        [Image.fromarray(digit).convert("RGB") for digit in DIGITS],
        [DIGITS[0], Image.fromarray(DIGITS[1]), DIGITS[2:]],
        DIGITS.tolist(),
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_layout_is_the_same_images(source) -> None:
    np.testing.assert_array_equal(read(source)[:, 0], DIGITS)


def test_one_picture_is_a_batch_of_one() -> None:
    assert (
        read(DIGITS[0]).shape == read(DIGITS[0].ravel()).shape == read(Image.fromarray(DIGITS[0])).shape == (1, *GRAY)
    )
    assert read(np.stack([DIGITS[0]] * 3, -1)).shape == (1, *GRAY)
    assert read(np.zeros(COLOR, np.uint8), COLOR, "resize").shape == (1, *COLOR)
    assert read(np.zeros((4, 3072), np.uint8), COLOR, "resize").shape == (4, *COLOR)


def test_nothing_gives_no_batches() -> None:
    assert list(images_of(DIGITS[:0], GRAY, "digit", True)) == list(images_of([], GRAY, "digit", True)) == []


def test_batches_are_views_with_names_and_no_problems() -> None:
    batches = list(images_of(DIGITS, GRAY, "digit", True, size=8))
    assert [len(batch.images) for batch in batches] == [8, 8, 4]
    assert batches[1].names == [str(number) for number in range(8, 16)]
    assert all(batch.labels is None and batch.problems == [None] * len(batch.images) for batch in batches)
    assert np.shares_memory(batches[0].images, DIGITS)


@pytest.mark.filterwarnings("error")
def test_torch_takes_batches_of_any_array() -> None:
    fixed = DIGITS.copy()
    fixed.flags.writeable = False
    for source in (fixed, DIGITS[::-1, ::-1], DIGITS.swapaxes(1, 2)):
        (batch,) = images_of(source, GRAY, "digit", False)
        np.testing.assert_array_equal(torch.from_numpy(batch.images)[:, 0], source)


def test_an_assumption_is_a_note() -> None:
    stream = images_of(np.zeros((30, 40), np.uint8), GRAY, "resize", False)
    assert [note.code for note in stream.notes] == ["data.inputs.note.one_picture"]
    few = images_of(DIGITS // 16, GRAY, "resize", False)
    assert [note.code for note in few.notes] == ["data.note.scaled"]
    assert not images_of(DIGITS / 255, GRAY, "resize", False).notes


def test_dark_ink_is_inverted_only_where_the_training_images_are_light_on_dark() -> None:
    mixed = np.where(np.arange(20)[:, None, None] % 3 == 0, 255 - DIGITS, DIGITS)
    np.testing.assert_array_equal(read(mixed)[:, 0], DIGITS)
    np.testing.assert_array_equal(read(mixed, dark_ground=False)[:, 0], mixed)


@pytest.mark.parametrize("prepare", ["digit", "resize"])
@pytest.mark.parametrize("dark_ground", [True, False])
def test_an_answer_never_depends_on_the_neighbors(prepare, dark_ground) -> None:
    wide = np.stack([np.pad(digit, ((6, 6), (12, 12))) for digit in DIGITS])
    wide[::2] = 255 - wide[::2]
    together = read(wide, prepare=prepare, dark_ground=dark_ground)
    for place, picture in enumerate(wide):
        alone = prepared_picture(picture, GRAY, prepare, dark_ground)
        np.testing.assert_array_equal(together[place], alone)
        np.testing.assert_array_equal(read([picture], prepare=prepare, dark_ground=dark_ground)[0], alone)


def test_the_color_of_a_neighbor_does_not_matter() -> None:
    gray = np.repeat((255 - DIGITS[:2])[:, None], 3, 1)
    gray[1, 0, 3:9] = 200  # no longer gray
    images = read(gray, (3, 28, 28), "resize")
    np.testing.assert_array_equal(images[0, 0], DIGITS[0])
    np.testing.assert_array_equal(images[1], gray[1])


def test_a_blank_picture_is_a_problem_of_its_own() -> None:
    wide = np.stack([np.pad(digit, 9) for digit in DIGITS[:3]])
    wide[1] = 255
    (batch,) = images_of(wide, GRAY, "digit", True)
    assert [problem and problem.code for problem in batch.problems] == [None, "data.inputs.blank", None]
    assert not batch.images[1].any()
    assert batch.images[2].any()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (np.full((2, 28, 28), np.nan), "data.array.not_finite"),
        (np.array([object()] * 784), "data.array.images"),
        (np.zeros((1, 1, 1, 28, 28)), "data.array.images"),
        (np.full((2, 28, 28), -1), "data.array.range"),
        (np.full((2, 28, 28), 256), "data.array.range"),
        (np.array(5), "data.array.images"),
        ("no such file", "data.inputs.missing"),
        ("nul\0", "data.inputs.missing"),
        (b"", "data.inputs.unknown"),
        (b"\x89PNG broken", "data.picture.none"),
    ],
)
def test_what_is_no_image_is_an_error(source, code) -> None:
    with pytest.raises(InputError) as error:
        read(source)
    assert error.value.code == code


def test_a_stream_is_returned_as_it_is() -> None:
    stream = images_of(DIGITS, GRAY, "digit", True)
    assert images_of(stream, GRAY, "digit", True) is stream


def test_an_iterator_is_read_like_a_list() -> None:
    np.testing.assert_array_equal(read(iter(DIGITS)), DIGITS[:, None])


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="different lengths"):
        read([[1, 2], [3]])
