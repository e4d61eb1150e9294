"""From the body of a request to prepared images.

Decisions: a body is one picture file, a form with files, or JSON with arrays and Base64; pictures pass the same guards
as those of a data set; each image has its own result, so that one unreadable picture does not spoil the others; what
takes long (a photo, an image of another shape) runs in threads, and the rest in the event loop, which is faster than
handing it over.
"""

import asyncio
import logging
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from ziffern.data.drawing import WORKING_SIZE
from ziffern.data.formats.decoding import MODES, decode
from ziffern.data.formats.members import Member
from ziffern.data.inputs import prepared_picture
from ziffern.data.preparation import OVERSAMPLING
from ziffern.data.spec import COLORS, Shape, with_channels
from ziffern.errors import InputError
from ziffern.text.catalog import Message
from ziffern.web.problems import ProblemError

Image = NDArray[np.uint8] | ProblemError  # (C, H, W), or why there is none
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
DATA_URL = re.compile(r"^data:[\w/+.-]{0,80};base64,")  # of a browser's canvas
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it writes a line for each damaged form
QUICK = 2**16  # bytes of a body that is parsed in the event loop
GRAY = 2  # dimensions of an array without channels
TOO_LARGE = ("data.picture.pixels", "data.picture.bomb", "data.picture.too_large")


class Images(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON body.

    Each image is an array of whole levels from 0 to 255, H×W or C×H×W, or a picture file in Base64.
    """

    images: list[str | list[Any]]


class Reader:
    """Turns bodies into images.

    Args:
        shape: Channels, height and width of the model's images.
        prepare: How images of another shape become images of this one, `digit` or `resize`.
        dark_ground: Whether dark-on-light images are inverted.
        max_images: Images per request.
        max_pixels: Pixels of a picture file.
    """

    def __init__(self, shape: Shape, prepare: str, dark_ground: bool, max_images: int, max_pixels: int) -> None:
        self.shape, self.max_images, self.max_pixels = shape, max_images, max_pixels
        self.how = shape, prepare, dark_ground
        self.channels = shape[0] if shape[0] in MODES else COLORS
        self.enough = WORKING_SIZE if prepare == "digit" else OVERSAMPLING * max(shape[1:])
        self.start = PNG + shape[2].to_bytes(4, "big") + shape[1].to_bytes(4, "big")  # of a PNG of this size
        self.start_of_text = b64encode(self.start).decode()  # 24 bytes are exactly 32 letters
        self.threads = ThreadPoolExecutor(2, "ziffern-pictures")

    async def images(self, content_type: str, body: bytes) -> list[Image]:
        """Return the images (C, H, W) of a body, or why one cannot be read.

        Those that had the model's shape are not inverted yet: that is five times as fast for a whole batch.

        Raises:
            ProblemError: The body is not of a known kind, or has no images or too many.
        """
        kind = content_type.partition(";")[0].strip().lower()
        items: list[Any]
        if kind.startswith("image/") or kind == "application/octet-stream":
            items = [body]
        elif kind == "application/json":
            items = from_json(body) if len(body) <= QUICK else await self._in_thread(from_json, body)
        elif kind == "multipart/form-data":
            items = await from_form(content_type, body, self.max_images)
        else:
            raise ProblemError(415, Message("web.body.kind", kind=kind))
        if not items:
            raise ProblemError(422, Message("web.images.none"))
        if len(items) > self.max_images:
            raise ProblemError(413, Message("web.images.too_many", count=len(items), limit=self.max_images))
        if len(body) <= QUICK and all(map(self._is_quick, items)):
            return self._all(items)
        return await self._in_thread(self._all, items)

    async def _in_thread(self, work: Callable[..., list[Any]], value: Any) -> list[Any]:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, value)

    def _is_quick(self, item: Any) -> bool:
        """Return whether an item is a PNG or an array, and has the size of the model's images."""
        if isinstance(item, bytes):
            return item.startswith(self.start)
        if isinstance(item, str):
            return item.startswith(self.start_of_text)
        rows = item if self.shape[0] == 1 or not item else item[0]
        return isinstance(rows, list) and len(rows) == self.shape[1] and has_length(rows[0], self.shape[2])

    def _all(self, items: list[Any]) -> list[Image]:
        return [self._one(item, f"image {place}") for place, item in enumerate(items)]

    def _one(self, item: Any, label: str) -> Image:
        try:
            if isinstance(item, str):
                item = b64decode(DATA_URL.sub("", item, count=1), validate=True)
            pixels = self._decoded(item, label) if isinstance(item, bytes) else as_levels(item)
        except InputError as error:
            return ProblemError(413 if error.code in TOO_LARGE else 422, error)
        except (TypeError, ValueError, OverflowError):
            return ProblemError(422, Message("web.images.wrong", path=label))
        try:
            whole = with_channels(pixels[None])[0]
            return whole if whole.shape == self.shape else prepared_picture(pixels, *self.how)
        except InputError as error:
            return ProblemError(422, error)

    def _decoded(self, raw: bytes, label: str) -> NDArray[np.uint8]:
        member = Member(label, len(raw), lambda: raw)
        return decode(member, self.channels, self.enough, self.max_pixels).pixels


def from_json(body: bytes) -> list[Any]:
    """Return the images of a JSON body: text or nested lists.

    Raises:
        ProblemError: It is not JSON of the form of `Images`.
    """
    try:
        return msgspec.json.decode(body, type=Images).images
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProblemError(422, Message("web.body.json", why=error)) from None


async def from_form(content_type: str, body: bytes, max_images: int) -> list[Any]:
    """Return the files of a form.

    Raises:
        ProblemError: It is damaged, or has too many parts.
    """

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    headers = [(b"content-type", content_type.encode("latin-1"))]
    request = Request({"type": "http", "headers": headers}, receive)
    try:
        async with request.form(max_files=max_images, max_fields=max_images) as form:
            return [await value.read() for _, value in form.multi_items() if not isinstance(value, str)]
    except (MultiPartException, ValueError, KeyError) as error:
        why = error.message if isinstance(error, MultiPartException) else error
        raise ProblemError(422, Message("web.body.form", why=why)) from None


def as_levels(rows: list[Any]) -> NDArray[np.uint8]:
    """Return nested lists as an array (H, W) or (C, H, W).

    Raises:
        TypeError, ValueError: They are ragged or empty, have other dimensions, or hold other values than whole levels
            from 0 to 255.
    """
    if rows and all(has_length(row, len(rows[0])) for row in rows) and isinstance(rows[0][0], int):
        return np.frombuffer(b"".join(map(bytes, rows)), np.uint8).reshape(len(rows), -1)  # ten times NumPy's speed
    values = np.array(rows, np.float64)
    is_plain = values.size and values.ndim in (GRAY, GRAY + 1) and np.isfinite(values).all()
    if not is_plain or (values != values.clip(0, 255).round()).any():
        raise ValueError
    return values.astype(np.uint8)


def has_length(row: Any, length: int) -> bool:
    """Return whether `row` is a list of `length` items, at least one."""
    return isinstance(row, list) and len(row) == length > 0
