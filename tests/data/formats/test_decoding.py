"""Each mode and format of a picture becomes the right levels; what has no scale is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ziffern.data.formats.decoding import decode
from ziffern.data.formats.members import Member
from ziffern.errors import InputError

GRAY = np.arange(784).astype(np.uint8).reshape(28, 28)  # every level
FLAT = np.full((28, 28), 77, np.uint8)  # JPEG keeps it


def member(raw: bytes) -> Member:
    return Member("set/a.png", len(raw), lambda: raw)


def encode(picture, form="PNG", **options):
    raw = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(raw, form, **options)
    return raw.getvalue()


def pixels(picture, form="PNG", channels=1, enough=None, **options):
    return decode(member(encode(picture, form, **options)), channels, enough).pixels


def refusal(raw: bytes) -> InputError:
    with pytest.raises(InputError) as error:
        decode(member(raw), 1)
    assert str(error.value).startswith("set/a.png: ")
    assert str(error.value).isprintable()
    return error.value


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_gray_of_8_bits_is_the_same_to_the_bit(form: str) -> None:
    np.testing.assert_array_equal(pixels(GRAY, form), GRAY)


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG", "WEBP"])
def test_every_format_is_read(form: str) -> None:
    assert np.abs(pixels(FLAT, form).astype(int) - FLAT).max() <= 1


def test_black_and_white_becomes_0_and_255() -> None:
    np.testing.assert_array_equal(pixels(Image.fromarray(GRAY > 99)), np.where(GRAY > 99, 255, 0))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_not_clipped(form: str) -> None:
    np.testing.assert_array_equal(pixels(GRAY.astype(np.uint16) * 257, form), GRAY)


def test_16_bits_are_rounded() -> None:
    deep = np.array([[0, 128, 129, 65535, 32896]], np.uint16)
    assert pixels(deep).tolist() == [[0, 0, 1, 255, 128]]


def test_big_endian_16_bits_are_scaled() -> None:
    deep = Image.frombytes("I;16B", (28, 28), (GRAY.astype(">u2") * 257).tobytes())
    np.testing.assert_array_equal(pixels(deep, "TIFF"), GRAY)


@pytest.mark.parametrize("scale", [1, 257])
def test_32_bits_hold_8_or_16(scale: int) -> None:
    np.testing.assert_array_equal(pixels(GRAY.astype(np.int32) * scale, "TIFF"), GRAY)


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floats_end_at_1_or_at_255_or_at_65535(white: int) -> None:
    np.testing.assert_array_equal(pixels(GRAY.astype(np.float32) / 255 * white, "TIFF"), GRAY)


@pytest.mark.parametrize(("low", "high"), [(-1, 5), (0, 70_000), (0, np.nan), (0, np.inf)])
def test_levels_without_a_scale_are_refused(low: float, high: float) -> None:
    assert refusal(encode(np.array([[low, high]], np.float32), "TIFF")).code == "data.picture.levels"


def test_color_becomes_gray_by_its_brightness() -> None:
    color = np.dstack([GRAY, GRAY[::-1], GRAY.T])
    np.testing.assert_array_equal(pixels(color), np.asarray(Image.fromarray(color).convert("L")))
    np.testing.assert_array_equal(pixels(color, channels=3), color.transpose(2, 0, 1))


def test_a_palette_and_ycbcr_are_their_colors() -> None:
    palette = Image.fromarray(np.dstack([GRAY // 64 * 64] * 3)).convert("P", palette=Image.Palette.ADAPTIVE)
    np.testing.assert_array_equal(pixels(palette), np.asarray(palette.convert("L")))
    bright = Image.fromarray(GRAY).convert("RGB").convert("YCbCr")
    assert np.abs(pixels(bright, "TIFF", compression="jpeg", quality=100).astype(int) - GRAY).max() <= 9


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_printing_inks_are_dark(form: str) -> None:
    white, black = Image.new("CMYK", (9, 9), (0, 0, 0, 0)), Image.new("CMYK", (9, 9), (0, 0, 0, 255))
    assert pixels(white, form).min() > 250
    assert pixels(black, form).max() < 5


def test_a_cmyk_jpeg_that_is_not_adobes_is_not_inverted() -> None:
    raw = encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
    start = raw.index(b"\xff\xee")  # Adobe's segment
    size = struct.unpack(">H", raw[start + 2 : start + 4])[0]
    plain = raw[:start] + raw[start + 2 + size :]
    assert decode(member(raw), 1).pixels.min() > 250  # 0 ink, stored inverted as 255
    assert decode(member(plain), 1).pixels.max() < 5  # 255 is full ink


def ink(level: int, mode: str = "RGBA") -> Image.Image:
    """A bar of this level on transparency, whose invisible color is the same."""
    alpha = np.zeros((28, 28), np.uint8)
    alpha[4:24, 12:16] = 255
    return Image.merge("LA", [Image.new("L", (28, 28), level), Image.fromarray(alpha)]).convert(mode)


@pytest.mark.parametrize(("level", "ground"), [(0, 255), (60, 255), (255, 0), (200, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_is_the_ground_on_which_the_ink_is_seen(level: int, ground: int, mode: str, channels: int) -> None:
    gray = pixels(ink(level, mode), channels=channels).reshape(channels, 28, 28)[-1]
    assert (gray[0, 0], gray[10, 13]) == (ground, level)
    assert np.unique(gray).tolist() == sorted({ground, level})


def test_a_palette_with_a_transparent_color_has_the_right_ground() -> None:
    picture = Image.new("P", (28, 28), 0)
    picture.putpalette([9, 9, 9, 0, 0, 0])
    picture.paste(1, (12, 4, 16, 24))
    gray = pixels(picture, transparency=0)
    assert (gray[0, 0], gray[10, 13]) == (255, 0)


def test_transparent_corners_get_the_papers_color() -> None:
    paper = np.full((28, 28, 4), 230, np.uint8)
    paper[..., 3] = 255
    paper[4:24, 12:16, :3] = 20
    paper[:2, :2, 3] = 0
    gray = pixels(paper)
    assert (gray[0, 0], gray[10, 13]) == (230, 20)


def test_an_invisible_picture_is_empty() -> None:
    assert pixels(np.full((9, 9, 4), (200, 200, 200, 0), np.uint8)).max() == 0


def test_transparency_is_kept_where_the_image_has_it() -> None:
    np.testing.assert_array_equal(pixels(ink(60), channels=4), np.asarray(ink(60)).transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_every_rotation_of_a_camera_is_undone(orientation: int, form: str) -> None:
    upright = np.kron(np.array([[0, 250], [90, 180], [40, 140]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x112] = orientation
    result = pixels(np.ascontiguousarray(stored), form, exif=exif)
    assert result.shape == upright.shape
    assert np.abs(result.astype(int) - upright)[8::16, 8::16].max() <= 6


def test_the_first_of_several_frames_is_used_and_reported() -> None:
    frames = [Image.fromarray(level * np.ones((9, 9), np.uint8)) for level in (10, 200)]
    for form in ("TIFF", "GIF", "PNG"):
        picture = decode(member(encode(frames[0], form, save_all=True, append_images=frames[1:])), 1)
        assert picture.has_more
        assert picture.pixels[4, 4] == 10
        assert not decode(member(encode(frames[0], form)), 1).has_more


def test_a_photo_is_decoded_smaller_but_not_too_small() -> None:
    photo = np.tile(np.linspace(0, 255, 1200).astype(np.uint8), (900, 1))
    small = pixels(photo, "JPEG", enough=128)
    assert 128 <= max(small.shape) < 300
    assert pixels(photo, "JPEG").shape == (900, 1200)
    assert pixels(photo, "PNG", enough=128).shape == (900, 1200)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (encode(GRAY, "PCX"), "data.picture.none"),
        (b"label,pixel0", "data.picture.none"),
        (b"", "data.picture.none"),
        (encode(GRAY)[:30], "data.picture.none"),
        (encode(GRAY)[: len(encode(GRAY)) // 2], "data.picture.damaged"),
        (encode(Image.new("LAB", (9, 9)), "TIFF"), "data.picture.mode"),
    ],
)
def test_a_bad_picture_is_named(raw: bytes, code: str) -> None:
    assert refusal(raw).code == code


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    raw = bytearray(encode(np.zeros((1, 1), np.uint8)))
    raw[16:24] = struct.pack(">II", 12_000, 12_000)
    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    assert refusal(bytes(raw)).code == "data.picture.pixels"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_bytes_decode_or_raise_input_error(data) -> None:
    form = data.draw(st.sampled_from(["PNG", "BMP", "GIF", "TIFF", "PPM", "JPEG", "WEBP"]))
    raw = bytearray(encode(GRAY, form))
    for place in data.draw(st.lists(st.integers(0, min(99, len(raw) - 1)), max_size=4)):
        raw[place] ^= data.draw(st.integers(0, 255))
    raw = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw), len(raw) // 2, 30]))])
    message = ""
    try:
        assert decode(member(raw), 1, data.draw(st.sampled_from([None, 8]))).pixels.dtype == np.uint8
    except InputError as error:
        message = str(error)
    assert message.isprintable()
