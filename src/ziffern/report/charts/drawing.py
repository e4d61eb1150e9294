"""Charts as SVG within a page, in the page's own colors, and the parts that they share.

Decisions: matplotlib draws with placeholder colors, which are replaced by variables of the style sheet, so that one SVG
serves light, dark and print; text remains text, so that it can be read aloud, searched and enlarged.
"""

import html
import io
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ziffern.text.language import NONE, Language

TEXT, GRID, PAGE = "#010203", "#040506", "#070809"
SERIES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718")
VARIABLES = {TEXT: "currentColor", GRID: "var(--line)", PAGE: "var(--page)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES, 1)
}
WIDTH, HEIGHT = 4.8, 3.2  # inches
STYLE: Any = {  # matplotlib's own type for settings lists every key
    "svg.fonttype": "none",
    "figure.figsize": (WIDTH, HEIGHT),
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
DIGITS = 4  # significant digits of a score
MIN_PLAIN, MAX_PLAIN = 1e-4, 1e7  # smaller and larger numbers are written with a power of ten
_drawing = threading.Lock()
Parameters = ParamSpec("Parameters")


def chart(draw: Callable[Concatenate[Axes, Parameters], str]) -> Callable[Parameters, str]:
    """Turn a function that draws on axes, and returns a title, into one that returns an SVG element."""

    @wraps(draw)
    def drawn(*arguments: Parameters.args, **more: Parameters.kwargs) -> str:
        return render(lambda axes: draw(axes, *arguments, **more))

    return drawn


def render(draw: Callable[[Axes], str]) -> str:
    """Return what `draw` draws as an SVG element whose colors are the page's; `draw` returns its title."""
    # The style is global, and the studio draws in several threads.
    with _drawing, rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # browsers have fonts
        figure = Figure(layout="constrained")
        title = draw(figure.add_subplot())
        file = io.StringIO()
        with rc_context({"svg.hashsalt": title}):  # ids are reproducible, and differ between charts
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = html.escape(title).replace("\\", r"\\")
    return re.sub(r'<svg ([^>]*?)width="[^"]+" ?', rf'<svg \1role="img" aria-label="{label}" ', text, count=1)


def resize(axes: Axes, width: float = WIDTH, height: float = HEIGHT) -> None:
    """Set the size of a chart in inches."""
    if figure := axes.get_figure(root=True):
        figure.set_size_inches(width, height)


def joined(
    curves: Iterable[tuple[NDArray[Any], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return many curves as one with gaps, which is a single path in the SVG."""
    gap = np.array([np.nan])
    parts = [part for x, y in curves for part in ((x, y), (gap, gap))]
    if not parts:
        return gap, gap
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def score_axis(axes: Axes, is_share: bool, language: Language) -> None:
    """Format the ticks of scores; an axis of shares ends at 100 percent."""
    axes.yaxis.set_major_formatter(ticks(language, is_share))
    if is_share:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.001))


def short(name: str, limit: int = 28) -> str:
    """Return the end of a name that is too long for a chart: `…optimizer.lr`, cut at a dot if there is one."""
    if len(name) <= limit:
        return name
    end = name[1 - limit :]
    return "…" + end[end.partition("=")[0].find(".") + 1 :]  # but not at a number's decimal point


def legend(axes: Axes) -> None:
    """Put the legend above the chart, in full colors where the lines are faint."""
    for handle in axes.figure.legend(fontsize=9, loc="outside upper center", ncols=3).legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def ticks(language: Language, is_share: bool = True) -> FuncFormatter:
    """Return ticks of shares as percentages, or of numbers, with as many decimals as needed, at most two or eight."""

    def text(value: float, _: object) -> str:
        if is_share:
            return language.percent(value, _decimals(100 * value, 2))
        return language.number(value, _decimals(value, 8))

    return FuncFormatter(text)


def _decimals(value: float, limit: int) -> int:
    return next((n for n in range(limit) if np.isclose(value * 10**n, round(value * 10**n))), limit)


def score_text(value: float | None, is_share: bool, t: Language) -> str:
    """Return an accuracy as a percentage, any other score with four digits, a tiny or huge one with a power of ten."""
    if is_share:
        return t.percent(value)
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0 or MIN_PLAIN <= abs(value) < MAX_PLAIN:
        return t.number(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0)
    mantissa, power = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{t.number(float(mantissa), DIGITS - 1)}e{int(power)}"
