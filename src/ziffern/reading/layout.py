"""The parts of a template: page types, how each is recognized, and fields with what is known about their values.

All sizes are millimeters from the page's top left corner, unless noted otherwise.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from ziffern.errors import InputError
from ziffern.reading.constraints import Rules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLACK = 0.05  # by which boxes may overlap
Kind = Literal["cells", "string", "ticks", "crop"]


class Box(NamedTuple):
    """A rectangle in millimeters."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, left: float, top: float, width: float, height: float) -> "Box":
        """Return the box with this corner and size."""
        return cls(left, top, left + width, top + height)

    def contains(self, other: "Box") -> bool:
        """Return whether another box lies within this one, up to SLACK."""
        near = other.left >= self.left - SLACK and other.top >= self.top - SLACK
        return near and other.right <= self.right + SLACK and other.bottom <= self.bottom + SLACK

    def overlaps(self, other: "Box") -> bool:
        """Return whether two boxes overlap by more than SLACK."""
        width = min(self.right, other.right) - max(self.left, other.left)
        return width > SLACK and min(self.bottom, other.bottom) - max(self.top, other.top) > SLACK


class Markers(NamedTuple):
    """Pages have the four markers of a form of ours."""


class Frame(NamedTuple):
    """Pages are recognized by a printed rectangle."""

    box: Box


@dataclass(frozen=True)
class Blank:
    """Pages are aligned to an empty page: the name and content of its file, and its number there, from 1."""

    name: str
    content: bytes = field(repr=False)
    page: int = 1

    @cached_property
    def gray(self) -> "NDArray[np.uint8]":
        """The empty page, (H, W).

        Raises:
            InputError: The file is not a page, or has fewer pages.
        """
        from ziffern.reading.pages import Page, pages_of

        for page in pages_of([self.content]):
            if page.number == self.page:
                if isinstance(page, Page):
                    return page.gray
                raise InputError("reading.template.blank", name=self.name, problem=page.error)
        raise InputError("reading.template.no_page", name=self.name, number=self.page)


class Text(NamedTuple):
    """A line of text of a printed form; the place of its baseline in millimeters, and its size in points."""

    left: float
    bottom: float
    text: str
    size: float


@dataclass(frozen=True)
class Field:
    """One field: its boxes are its cells or ticks, or one for a digit string or a crop."""

    name: str
    kind: Kind
    boxes: tuple[Box, ...]
    rules: Rules
    labels: tuple[str, ...] = ()  # of ticks
    label: str = ""  # on a printed form

    @property
    def box(self) -> Box:
        """The rectangle around all boxes."""
        lefts, tops, rights, bottoms = zip(*(self.boxes or [Box(0, 0, 0, 0)]), strict=True)
        return Box(min(lefts), min(tops), max(rights), max(bottoms))


class Sum(NamedTuple):
    """The field `total` is the sum of the fields `parts` of the same page; an empty part counts as 0."""

    total: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class PageType:
    """One kind of page, with its size in millimeters."""

    name: str
    width: float
    height: float
    register: Markers | Blank | Frame
    fields: tuple[Field, ...]
    title: str = ""
    texts: tuple[Text, ...] = ()
    sums: tuple[Sum, ...] = ()


@dataclass(frozen=True)
class Template:
    """A checked template; `source` is what of it is read, as JSON, and empty if it needs other files."""

    name: str
    version: str
    pages: tuple[PageType, ...]
    drop_out: bool = True
    source: str = ""
