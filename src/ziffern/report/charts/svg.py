"""Charts as SVG within a page, in the page's own colors.

Decisions: matplotlib draws with placeholder colors, which are replaced by variables of the style sheet, so that one SVG
serves light, dark and print; text remains text, so that it can be read aloud, searched and enlarged.
"""

import html
import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TEXT, GRID, PAGE = "#010203", "#040506", "#070809"
SERIES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718")
VARIABLES = {TEXT: "currentColor", GRID: "var(--line)", PAGE: "var(--page)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES, 1)
}
STYLE: Any = {  # matplotlib's own type for settings lists every key
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": TEXT,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": TEXT,
    "text.parse_math": False,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
_drawing = threading.Lock()


def render(draw: Callable[[Axes], None], title: str, width: float = 4.8, height: float = 3.2) -> str:
    """Return what `draw` draws as an SVG element whose colors are the page's."""
    # The style is global, and the studio draws in several threads. The salt makes ids reproducible, and different
    # between charts.
    with _drawing, rc_context(STYLE | {"svg.hashsalt": title}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # browsers have fonts
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = html.escape(title).replace("\\", r"\\")
    return re.sub(r'<svg ([^>]*?)width="[^"]+" ?', rf'<svg \1role="img" aria-label="{label}" ', text, count=1)
