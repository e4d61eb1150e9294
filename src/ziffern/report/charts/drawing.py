"""Charts as SVG within a page, in the page's own colors, and the parts that they share.

Decisions: matplotlib draws with placeholder colors, which are replaced by variables of the style sheet, so that one SVG
serves light, dark and print; text remains text, so that it can be read aloud, searched and enlarged; the values of a
mark are its `<title>`, which browsers show under the pointer without a script.
"""

import html
import io
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import quote, unquote

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ziffern.text.language import NONE, Language

TEXT, GRID, PAGE = "#010203", "#040506", "#070809"
SERIES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718")
BANDS = tuple(f"#2021{number:02}" for number in range(1, 10))  # shades of the first series
VARIABLES = (
    {TEXT: "currentColor", GRID: "var(--line)", PAGE: "var(--page)"}
    | {color: f"var(--series-{number})" for number, color in enumerate(SERIES, 1)}
    | {
        color: f"color-mix(in srgb, var(--series-1) {12 + 9 * place}%, var(--page))"
        for place, color in enumerate(BANDS)
    }
)
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
_HOVER = re.compile(r'^( *)<g id="hover ([^"]*)">\n(.*?)^\1</g>', re.MULTILINE | re.DOTALL)
_MARK = re.compile(r'<(use|path)(?! id)([^>]*?)((?: clip-path="[^"]*")?) style="([^"]*)"/>\s*')


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
    text = re.sub(r' (?:d|x|y)="[^"]*"', _compact, text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, variable)
    text = _HOVER.sub(_with_titles, text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = html.escape(title).replace("\\", r"\\")
    return re.sub(r'<svg ([^>]*?)width="[^"]+" ?', rf'<svg \1role="img" aria-label="{label}" ', text, count=1)


def resize(axes: Axes, width: float = WIDTH, height: float = HEIGHT) -> None:
    """Set the size of a chart in inches."""
    if figure := axes.get_figure(root=True):
        figure.set_size_inches(width, height)


def hover(artist: Artist, texts: Iterable[str]) -> None:
    """Show texts under the pointer, one for each point of a line or part of a collection."""
    artist.set_gid(" ".join(["hover", *map(quote, texts)]))  # render() makes titles of them


def curves(
    axes: Axes, lines: Sequence[tuple[NDArray[Any], NDArray[np.float64]]], texts: Iterable[str], **style: Any
) -> None:
    """Draw many lines, each x and y, with a text under the pointer for each."""
    drawn = LineCollection([np.column_stack(line) for line in lines], **style)
    hover(drawn, texts)
    axes.add_collection(drawn)
    axes.autoscale_view()


def _compact(attribute: re.Match[str]) -> str:
    """Return an attribute of an SVG with coordinates rounded to 0.01 points, which is finer than a pixel."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[0]).replace(" \n", "")


def _with_titles(group: re.Match[str]) -> str:
    """Return the group of an artist with the titles in its id, and the style of its marks, which all share, once."""
    texts, marks = group[2].split(" "), _MARK.findall(group[3])
    if len(marks) != len(texts):  # a mark lies outside of the chart
        return f"<g>{group[3]}</g>"
    titles = (f"<title>{html.escape(unquote(text))}</title>" for text in texts)
    body = _MARK.sub(lambda mark: f"<{mark[1]}{mark[2]}>{next(titles)}</{mark[1]}>", group[3])
    body = re.sub(r'(<path id="[^"]*" d="[^"]*") style="[^"]*"', r"\1", body)
    return f'<g class="hover"{marks[0][2]} style="{marks[0][3]}">{body}</g>'


def score_axis(axes: Axes, is_share: bool, language: Language) -> None:
    """Format the ticks of scores; an axis of shares ends at 100 percent."""
    axes.yaxis.set_major_formatter(ticks(language, is_share))
    if is_share and axes.dataLim.ymax <= 1:  # a damaged study has higher ones
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.001))


def short(name: str, limit: int = 28) -> str:
    """Return the end of a name that is too long for a chart: `…optimizer.lr`, cut at a dot if there is one."""
    if len(name) <= limit:
        return name
    end = name[1 - limit :]
    return "…" + end[end.partition("=")[0].find(".") + 1 :]  # but not at a number's decimal point


def legend(axes: Axes, columns: int = 3) -> None:
    """Put the legend above the chart, in full colors where the lines are faint."""
    for handle in axes.figure.legend(fontsize=9, loc="outside upper center", ncols=columns).legend_handles:
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
