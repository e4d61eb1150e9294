"""What the page shows: texts, pictures and data."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

import ziffern.studio
from ziffern.errors import InputError
from ziffern.studio import settings
from ziffern.studio.jobs import State
from ziffern.studio.settings import MODELS, PRESETS
from ziffern.studio.views import Words, data_view, decode
from ziffern.text.language import LANGUAGES

FOLDER = Path(ziffern.studio.__file__).parent


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_state_problem_field_and_choice_has_its_words(code: str) -> None:
    s = Words(code).s
    assert all(s(f"states.{state}") for state in State)
    assert all(s(f"problems.{name}", low=1, high=2) for name in ("empty", "no_number", "bounds", "no_whole"))
    assert all(s(f"fields.{name}.{what}") for name in settings.FORM for what in ("name", "means"))
    assert all(s(f"presets.{name}") for name in PRESETS)
    assert all(s(f"models.{name}") for name in MODELS)


def png(*size: int) -> bytes:
    raw = io.BytesIO()
    Image.new("L", size, 255).save(raw, "PNG")
    return raw.getvalue()


def test_a_picture_is_gray_on_white() -> None:
    raw = io.BytesIO()
    clear = Image.new("RGBA", (30, 20), (0, 0, 0, 0))
    clear.putpixel((0, 0), (0, 0, 0, 255))
    clear.save(raw, "PNG")
    found = decode(raw.getvalue())
    assert found.shape == (20, 30)
    assert found[0, 0] == 0
    assert found[5, 5] == 255


@pytest.mark.parametrize(
    "content", [b"", b"hi", png(30, 30)[:40], b"GIF89a", base64.b64encode(png(5, 5)), png(6001, 1)]
)
def test_what_is_no_picture_is_told(content: bytes) -> None:
    with pytest.raises(InputError, match="picture"):
        decode(content)


def test_data_are_shown_with_their_parts() -> None:
    shown = data_view(Words("en"), ["model=nn", "data=mnist5k", "data.split=resplit"])
    assert "5,000" in shown
    assert shown.count("<img") >= 30
