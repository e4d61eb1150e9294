"""From the body of a request to prepared images.

Decisions: a body is one picture file, a form with files, or JSON with arrays and Base64; pictures pass the same guards
as those of a data set; each image has its own result, so that one unreadable picture does not spoil the others; what
takes long (a photo, an image of another shape) runs in threads, and the rest in the event loop, which is faster than
handing it over.
"""

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from python_multipart.multipart import parse_options_header
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
from ziffern.web.limits import Limits
from ziffern.web.problems import ProblemError

Image = NDArray[np.uint8] | ProblemError  # (C, H, W), or why there is none
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
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
        limits: On the number of images and the pixels of each picture file.
    """

    def __init__(self, shape: Shape, prepare: str, dark_ground: bool, limits: Limits) -> None:
        self.shape, self.limits = shape, limits
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
            items = await from_form(content_type, body, self.limits.max_images)
        else:
            raise ProblemError(415, Message("web.body.kind", kind=kind))
        if not items:
            raise ProblemError(422, Message("web.images.none"))
        check_count(len(items), self.limits.max_images)
        if len(body) <= QUICK and all(map(self._is_quick, items)):
            return [self._one(item, place) for place, item in enumerate(items)]
        # One job after the other, so that a request with many photos does not keep others waiting.
        return [await self._in_thread(self._one, item, place) for place, item in enumerate(items)]

    async def _in_thread(self, work: Callable[..., Any], *values: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *values)

    def _is_quick(self, item: Any) -> bool:
        """Return whether an item is a PNG or an array, and has the size of the model's images."""
        if not isinstance(item, list):
            return bool(item.startswith(self.start if isinstance(item, bytes) else self.start_of_text))
        rows = item if self.shape[0] == 1 or not item else item[0]
        return isinstance(rows, list) and len(rows) == self.shape[1] and has_length(rows[0], self.shape[2])

    def _one(self, item: Any, place: int) -> Image:
        label = f"image {place}"
        try:
            if isinstance(item, str):
                item = b64decode(item[item.find(";base64,") + 8 :] if item.startswith("data:") else item, validate=True)
            pixels = self._decoded(item, label) if isinstance(item, bytes) else as_levels(item)
            whole = with_channels(pixels[None])[0]
            if len(whole) not in (self.shape[0], *MODES):
                raise ValueError  # noqa: TRY301  # as other arrays that are no images
            return whole if whole.shape == self.shape else prepared_picture(pixels, *self.how)
        except InputError as error:
            return ProblemError(413 if error.code in TOO_LARGE else 422, error)
        except (TypeError, ValueError, OverflowError):
            return ProblemError(422, Message("web.images.wrong", path=label))

    def _decoded(self, raw: bytes, label: str) -> NDArray[np.uint8]:
        member = Member(label, len(raw), lambda: raw)
        return decode(member, self.channels, self.enough, self.limits.max_pixels).pixels


def check_count(count: int, limit: int) -> None:
    """Raise ProblemError for too many images."""
    if count > limit:
        raise ProblemError(413, Message("web.images.too_many", count=count, limit=limit))


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
    """Return the files of a form, and its texts, which are to be Base64.

    Raises:
        ProblemError: It is damaged or incomplete, or has too many parts.
    """

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    raw = content_type.encode("latin-1")
    mark = b"--" + parse_options_header(raw)[1].get(b"boundary", b"")
    check_count(body.count(mark + b"\r\n"), max_images)
    request = Request({"type": "http", "headers": [(b"content-type", raw)]}, receive)
    if mark + b"--" not in body:
        raise ProblemError(422, Message("web.body.cut"))
    try:
        async with request.form(max_files=max_images, max_fields=max_images) as form:
            return [part if isinstance(part, str) else await part.read() for _, part in form.multi_items()]
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
    if not values.size or values.ndim not in (GRAY, GRAY + 1) or (values != values.clip(0, 255).round()).any():
        raise ValueError
    return values.astype(np.uint8)


def has_length(row: Any, length: int) -> bool:
    """Return whether `row` is a list of `length` items, at least one."""
    return isinstance(row, list) and len(row) == length > 0
