"""Self-contained HTML files from templates: no script, no network, no other file.

Decisions: light or dark follows the reader's system, the language is chosen when the report is created; the template
engine escapes every value from data or configuration; a file is written completely or not at all. The studio shows
parts of the same pages, which are blocks of the templates.
"""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from ziffern.data.spec import displayed
from ziffern.files.atomic import write_text
from ziffern.text.language import Language

TEMPLATES = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, language: Language, context: dict[str, Any]) -> None:
    """Render `template`, such as `run.html`, with `context` into the file `path`."""
    page = environment(language).get_template(template).render(context)
    # A file name that is not valid text has characters that UTF-8 cannot encode.
    write_text(path, page.encode(errors="replace").decode())


def stylesheet(within: str = "") -> str:
    """Return the style of all pages; with a selector `within`, the rules apply to its content alone."""
    colors, rules = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("colors.css", "style.css"))
    return f"{colors}{within} {{\n{rules}}}\n" if within else colors + rules


def environment(language: Language, *folders: Path) -> Environment:
    """Return the environment that renders templates of this package and of `folders`, in `language`."""
    rendering = Environment(
        loader=FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rendering.globals |= {
        "t": language,
        "language": language.code,
        "style": Markup(stylesheet()),
        "chart": Markup,  # an SVG from `charts`; matplotlib has escaped its text
    }
    rendering.filters |= {
        "number": language.number,
        "percent": language.percent,
        "share": language.share,
        "points": language.points,
        "duration": language.duration,
        "picture": data_uri,
    }
    macros = rendering.get_template("macros.html").module
    rendering.globals |= {name: getattr(macros, name) for name in ("card", "mistakes")}
    return rendering


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return an image (C, H, W), or a gray one (H, W), as a data URI of a PNG."""
    file = io.BytesIO()
    Image.fromarray(displayed(image)).save(file, "PNG", optimize=True)
    return png_uri(file.getvalue())


def png_uri(content: bytes) -> str:
    """Return a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def as_seen(image: NDArray[np.uint8], mean: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return a normalized image (C, H, W) as uint8: 0 becomes medium gray, the value furthest from 0 white or black.

    If the mean is 0, the image is returned unchanged. `mean` and `std` are (C,).
    """
    if mean.max() <= 0:
        return image
    mean, std = mean[:, None, None], std[:, None, None]
    low, high = (-mean / std).min(), ((255 - mean) / std).max()
    values = (image.astype(np.float64) - mean) / std / max(abs(low), abs(high))
    return np.asarray((127.5 + values * 127.5).round(), np.uint8)
