"""Pictures of any size become images of one shape, and what was done is reported."""

import struct
import time
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from tests.data.test_drawing import drawn, mnist, off_center, photo

from ziffern.data import progress
from ziffern.data.content import Part, Reading
from ziffern.data.conversion import converted, fitted, scaled
from ziffern.data.drawing import as_digit
from ziffern.data.marks import are_marks
from ziffern.data.preparation import PREPARATIONS, check_names, prepared
from ziffern.data.sources.local import read_local
from ziffern.errors import InputError

Picture = NDArray[np.uint8]
RANDOM = np.random.default_rng(0)


def run(images, where: str = "set", **reading):
    parts, notes, _ = prepared({"train": Part(images, np.zeros(len(images)), where)}, Reading(**reading), "set")
    return parts["train"].images, [note.code.removeprefix("data.note.") for note in notes]


def digits(count: int = 40) -> Picture:
    return mnist()[0][:count]


def photographed(count: int = 40) -> list[Picture]:
    return [photo(off_center(drawn(digit))) for digit in digits(count)]


def textures(count: int = 40, size: int = 64) -> list[Picture]:
    noise = ndimage.gaussian_filter(RANDOM.normal(0, 1, (count, size, size)), (0, 2, 2))
    return list(np.clip(128 + 300 * noise, 0, 255).astype(np.uint8))


def shapes(count: int = 40) -> list[Picture]:
    """Filled shapes with texture, as photos of clothes."""
    result = []
    for _ in range(count):
        picture = Image.new("L", (64, 64))
        ImageDraw.Draw(picture).rectangle((12, 4, 52, 60), fill=220)
        result.append((np.asarray(picture) * RANDOM.uniform(0.6, 1, (64, 64))).astype(np.uint8))
    return result


@pytest.mark.parametrize("prepare", ["auto", "none"])
@pytest.mark.parametrize("with_channel", [False, True])
def test_images_of_the_shape_are_passed_through_without_a_copy(prepare: str, with_channel: bool) -> None:
    images = digits()[:, None] if with_channel else digits()
    result, notes = run(images, prepare=prepare)
    assert np.shares_memory(result, images)
    assert (result.shape, notes) == ((40, 1, 28, 28), [])


def test_photos_of_digits_are_cut_out_as_in_the_studio() -> None:
    pictures = photographed()
    result, notes = run(pictures)
    np.testing.assert_array_equal(result[:, 0], [as_digit(picture) for picture in pictures])
    assert notes == ["cut_out"]


@pytest.mark.parametrize("make", [textures, shapes])
def test_other_pictures_are_resized(make) -> None:
    pictures = make()
    result, notes = run(pictures)
    np.testing.assert_array_equal(result, scaled(np.stack(pictures)[:, None], (28, 28)))
    assert notes == ["resized"]


def test_arrays_and_lists_of_pictures_give_the_same() -> None:
    images = np.stack(shapes())
    np.testing.assert_array_equal(run(images)[0], run(list(images))[0])
    images = np.stack([drawn(digit, 64) for digit in digits()])
    np.testing.assert_array_equal(run(images)[0], run(list(images))[0])


def test_a_part_of_another_size_has_all_parts_prepared() -> None:
    parts = {"train": Part(digits(), np.zeros(40), "a"), "test": Part(photographed(), np.zeros(40), "b")}
    result, (note,), _ = prepared(parts, Reading(), "set")
    assert note.values["count"] == 80
    assert np.abs(result["train"].images[:, 0].astype(int) - digits()).mean() < 2  # only the pen is evened out
    assert result["test"].images.shape == (40, 1, 28, 28)


def test_pictures_that_are_too_small_to_cut_out_are_resized() -> None:
    small = np.stack([np.asarray(Image.fromarray(digit).resize((8, 8), Image.Resampling.BOX)) for digit in digits()])
    result, notes = run(small)
    assert (result.shape, notes) == ((40, 1, 28, 28), ["resized"])
    inverted, notes = run(255 - small)
    assert np.abs(inverted.astype(int) - result).max() <= 1  # of rounding
    assert notes == ["resized", "inverted"]


def test_the_aspect_is_kept_and_the_margin_has_the_pictures_ground() -> None:
    wide = np.full((50, 1, 20, 40), 200, np.uint8)
    wide[:, :, 8:12, 10:30] = 20
    result, _ = run(wide, prepare="resize", polarity="keep")
    assert result.shape == (50, 1, 28, 28)
    assert (200.0 - result[0, 0]).sum() == pytest.approx(0.7 * 0.7 * 4 * 20 * 180, rel=0.02)
    assert (result[0, 0, :6] == 200).all()
    assert (result[0, 0, -6:] == 200).all()


def test_margins_of_color_have_the_pictures_color() -> None:
    color = np.zeros((1, 3, 10, 30), np.uint8) + np.array([10, 120, 240], np.uint8)[:, None, None]
    result = fitted(color, (30, 30))
    np.testing.assert_array_equal(result, converted(color[..., :10], (3, 30, 30), "x"))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
def test_gray_and_color_are_converted_to_each_other(channels: int, wanted: int) -> None:
    images = np.stack(textures())[:, None].repeat(channels, 1)
    result, notes = run(images, image=(wanted, 32, 32))
    expected = scaled(images[:, :1], (32, 32)).repeat(wanted, 1)
    assert np.abs(result.astype(int) - expected).max() <= 1
    assert notes == ["resized"]


def test_transparency_in_arrays_gets_a_ground() -> None:
    images = np.zeros((30, 4, 28, 28), np.uint8)
    images[:, 3, 4:24, 12:16] = 255
    result, _ = run(images, polarity="keep", prepare="resize")
    assert (result[0, 0, 0, 0], result[0, 0, 10, 13]) == (255, 0)


@pytest.mark.parametrize("image", [(1, 32, 32), (1, 64, 48)])
def test_digits_of_another_size_are_scaled(image) -> None:
    pictures = photographed(5)
    result, _ = run(pictures, prepare="digit", image=image)
    side = min(image[1:])
    expected = scaled(np.stack([as_digit(picture) for picture in pictures])[:, None], (side, side))
    margin = (image[1] - side) // 2
    np.testing.assert_array_equal(result[:, :, margin : margin + side], expected)
    assert result[:, :, :margin].max(initial=0) == 0


def test_cutting_out_has_no_color() -> None:
    with pytest.raises(InputError) as error:
        run(photographed(2), prepare="digit", image=(3, 32, 32))
    assert error.value.code == "data.prepare.color"
    fix = (1, 32, 32)
    assert "data.image=[1,32,32]" in str(error.value)
    assert run(photographed(2), prepare="digit", image=fix)[0].shape == (2, *fix)
    assert run(photographed(2), prepare="resize", image=(3, 32, 32))[0].shape == (2, 3, 32, 32)


def test_a_blank_picture_becomes_an_empty_image_and_is_reported() -> None:
    blank = np.full((300, 400), 230, np.uint8)
    pictures = [*photographed(10), blank, RANDOM.normal(200, 6, (300, 400)).astype(np.uint8)]
    images, labels = pictures, np.zeros(12)
    parts, notes, _ = prepared({"train": Part(images, labels, "set.npz")}, Reading(), "set")
    assert parts["train"].images[10:].max() == 0
    assert [note.code for note in notes] == ["data.note.cut_out", "data.note.blank"]
    assert notes[1].values == {"count": 2, "example": "set.npz [10]"}


def test_the_users_polarity_guides_the_cut_out() -> None:
    frame = np.full((100, 100), 250, np.uint8)
    frame[20:80, 20:80] = 30  # a black board on white, with light ink
    frame[35:65, 48:52] = 240
    board = run([frame[18:82, 18:82]], prepare="digit", polarity="light_on_dark")[0]
    np.testing.assert_array_equal(board[0, 0], as_digit(frame[18:82, 18:82], is_dark=False))
    assert not (board == run([frame[18:82, 18:82]], prepare="digit", polarity="dark_on_light")[0]).all()


@pytest.mark.parametrize("images", [digits()[:, :20], photographed(2), digits()[:, None].repeat(3, 1)])
def test_none_names_the_data_its_shape_and_a_fix_that_works(images) -> None:
    with pytest.raises(InputError) as error:
        run(images, prepare="none", where="set/train")
    assert error.value.code == "data.prepare.shape"
    assert str(error.value).startswith("set/train")
    assert "1×28×28" in str(error.value)
    assert "data.prepare=auto" in str(error.value)
    assert run(images, prepare="auto")[0].shape == (len(images), 1, 28, 28)


@pytest.mark.parametrize(
    ("values", "near"), [(("digits", "auto"), "digit"), (("auto", "dark_on_white"), "dark_on_light"), (("x", "x"), "")]
)
def test_unknown_names_are_refused_with_the_nearest(values, near: str) -> None:
    with pytest.raises(InputError) as error:
        check_names(*values)
    assert all(name in str(error.value) for name in PREPARATIONS) or "dark_on_light" in str(error.value)
    assert ("did you mean" in str(error.value)) == bool(near)
    assert near in str(error.value)


def save(folder, pictures, suffix: str = "png") -> None:
    for place, picture in enumerate(pictures):
        path = folder / str(place % 2) / f"{place:03}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def test_files_are_named_and_frames_are_counted(tmp_path) -> None:
    save(tmp_path / "a", photographed(4), "jpg")
    with pytest.raises(InputError) as error:
        read_local(tmp_path / "a", Reading(prepare="none"))
    assert "000.jpg: 1×375×450 (channels × height × width)" in str(error.value)
    data = read_local(tmp_path / "a")
    assert data.images.shape == (4, 1, 28, 28)
    assert [note.code for note in data.notes] == ["data.note.cut_out"]
    pages = [Image.fromarray(picture) for picture in digits(2)]
    save(tmp_path / "b", digits(4), "tif")
    pages[0].save(tmp_path / "b/0/000.tif", save_all=True, append_images=pages[1:])
    (note,) = read_local(tmp_path / "b").notes
    assert note.code == "data.note.frames"
    assert note.values["count"] == 1
    assert note.values["example"].endswith("000.tif")


def test_full_size_pictures_are_not_kept(tmp_path) -> None:
    taken, alive = [], []

    class Lazy(list):
        def __getitem__(self, place):
            import weakref

            picture = np.full((300, 400), 255, np.uint8)
            picture[100:200, 190:210] = 0
            taken.append(weakref.ref(picture))
            alive.append(sum(each() is not None for each in taken))
            return picture

        def __iter__(self):
            return (self[place] for place in range(len(self)))

    run(Lazy([None] * 50), prepare="digit")
    assert max(alive) <= 3


def test_marks_are_told_from_other_pictures() -> None:
    assert are_marks(photographed(20))
    assert are_marks([drawn(digit) for digit in digits(20)])
    assert are_marks([255 - drawn(digit) for digit in digits(20)])
    assert not are_marks(textures())
    assert not are_marks(shapes())
    assert not are_marks(RANDOM.integers(0, 256, (20, 40, 40), np.uint8))
    assert not are_marks([np.full((40, 40), 255, np.uint8)])


def test_a_bar_appears_only_on_a_terminal_and_only_after_a_while(monkeypatch, capsys) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    assert list(progress.watched("abc", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    list(progress.watched("abc", 3))
    assert "Preparing pictures" in capsys.readouterr().err
    monkeypatch.setattr(progress, "PATIENCE", 60)
    list(progress.watched("abc", 3))
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_data_set_of_mnist_is_checked_within_two_seconds() -> None:
    images = np.tile(255 - digits(1000), (70, 1, 1))
    start = time.process_time()
    result, notes = run(images)
    assert time.process_time() - start < 4
    assert notes == ["inverted"]
    np.testing.assert_array_equal(result[-1000:, 0], digits(1000))


def test_12_bits_in_a_16_bit_file_are_scaled_and_reported(tmp_path) -> None:
    save(tmp_path / "a", (digits(4).astype(np.uint16) * 16))
    data = read_local(tmp_path / "a")
    assert np.abs(data.images[[0, 2, 1, 3], 0].astype(int) - digits(4)).max() <= 1
    (note,) = data.notes
    assert (note.code, note.values["count"]) == ("data.note.twelve_bits", 4)
    save(tmp_path / "b", digits(4) // 16)  # the fix for pictures that are meant to be dark
    assert read_local(tmp_path / "b").images.max() == 255 // 16


def test_12_bits_in_the_colors_of_a_16_bit_file_are_scaled_and_reported(tmp_path) -> None:
    save(tmp_path / "a", textures(4, 28))
    colors = np.repeat(textures(1, 28)[0][..., None], 3, axis=2)
    rows = b"".join(b"\0" + row.tobytes() for row in (colors.astype(np.uint16) * 16).astype(">u2"))
    chunks = {b"IHDR": struct.pack(">2I5B", 28, 28, 16, 2, 0, 0, 0), b"IDAT": zlib.compress(rows), b"IEND": b""}
    png = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )
    (tmp_path / "a/0/000.png").write_bytes(b"\x89PNG\r\n\x1a\n" + png)
    data = read_local(tmp_path / "a", Reading(polarity="keep"))
    assert np.abs(data.images[0, 0].astype(int) - colors[..., 0]).max() <= 16
    assert [note.code for note in data.notes] == ["data.note.twelve_bits"]
