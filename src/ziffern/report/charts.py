"""Charts as SVG within a page, in the page's own colours.

Decisions: matplotlib draws them, and each of its colours stands for a variable of the style sheet, so that one
picture serves light, dark and print; text stays text, so it can be read out, searched and enlarged.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.analysis.significance import MeanInterval
from ziffern.report.language import Language

TEXT, GRID, PAGE = "#010203", "#040506", "#070809"
SERIES = ("#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718")
VARIABLES = {TEXT: "currentColor", GRID: "var(--line)", PAGE: "var(--page)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)
}
STYLE: Any = {  # the type of matplotlib's settings lists them all
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


def learning_curve(
    train: NDArray[np.float64], val: NDArray[np.float64], best: int, is_share: bool, language: Language
) -> str:
    """Draw training and validation values (E,) over the epochs, and a line at the epoch that was kept."""

    def draw(axes: Axes) -> None:
        epochs = np.arange(1, len(train) + 1)
        marker = "o" if len(epochs) <= 12 else None  # noqa: PLR2004
        axes.plot(epochs, train, color=SERIES[0], marker=marker, markersize=4, label=language("curves.train"))
        axes.plot(epochs, val, color=SERIES[1], marker=marker, markersize=4, label=language("curves.val"))
        if best:
            axes.axvline(best, color=TEXT, linewidth=1, linestyle=":", label=language("curves.best"))
        axes.set_xlabel(language("curves.epoch"))
        axes.set_ylabel(language("curves.accuracy" if is_share else "curves.loss"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(1 - 0.3, len(train) + 0.3)
        axes.yaxis.set_major_formatter(_percent(language) if is_share else _number(language))
        axes.legend(fontsize=9)

    return _svg(draw, language("curves.accuracy" if is_share else "curves.loss"))


def reliability_chart(sure: Reliability, language: Language) -> str:
    """Draw accuracy against confidence, each dot as large as its share of the images."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=":", label=language("sure.perfect"))
        axes.plot(sure.confidence, sure.accuracy, color=SERIES[0], linewidth=1.2)
        sizes = 15 + 180 * sure.count / sure.count.sum()
        axes.scatter(sure.confidence, sure.accuracy, s=sizes, color=SERIES[0], label=language("sure.model"), zorder=3)
        axes.set(xlabel=language("sure.confidence"), ylabel=language("sure.accuracy"), ylim=(-0.03, 1.05))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_percent(language))
        axes.legend(fontsize=9, loc="lower right", markerscale=0.6)

    return _svg(draw, language("sure.reliability"))


def risk_chart(curve: RiskCoverage, language: Language) -> str:
    """Draw the share of errors against the share of images that are answered."""
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, 400).astype(np.int64))

    def draw(axes: Axes) -> None:
        axes.plot(curve.coverage[shown], curve.risk[shown], color=SERIES[0])
        axes.fill_between(curve.coverage[shown], curve.risk[shown], color=SERIES[0], alpha=0.15, linewidth=0)
        axes.set(xlabel=language("sure.coverage"), ylabel=language("sure.risk"), xlim=(0, 1.01), ylim=(0, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(_percent(language))

    return _svg(draw, language("sure.risk_title"))


def trade_chart(
    names: Sequence[str],
    params: Sequence[int],
    accuracy: Sequence[MeanInterval],
    chosen: int | None,
    language: Language,
) -> str:
    """Draw test accuracy with its interval against the parameters, the recommended one filled."""

    def draw(axes: Axes) -> None:
        for place, (name, size, value) in enumerate(zip(names, params, accuracy, strict=True)):
            colour = SERIES[1] if place == chosen else SERIES[0]
            if np.isfinite(value.low):
                axes.plot([size, size], [value.low, value.high], color=colour, linewidth=1.5, zorder=2)
            axes.scatter([size], [value.mean], s=60, color=colour, zorder=3)
            right = size**2 > min(params) * max(params)  # of the middle: the name stands to the left of its dot
            side, place_x = ("right", -8) if right else ("left", 8)
            lines = name.replace(" ", "\n")
            where = (size, value.mean)
            axes.annotate(lines, where, (place_x, 3), textcoords="offset points", fontsize=9, ha=side, va="center")
        axes.set_xscale("log")
        smallest, largest = min(params), max(params)
        axes.set_xlim(smallest / 2, largest * 2)
        axes.set(xlabel=language("compare.params"), ylabel=language("compare.test"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: language.number(value)))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        axes.yaxis.set_major_formatter(_percent(language))

    return _svg(draw, language("compare.trade"))


def share_chart(counts: NDArray[np.int64], class_names: Sequence[str], language: Language) -> str:
    """Draw how many images each class has, counts (C,)."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(class_names))
        axes.bar(places, counts / max(counts.sum(), 1), color=SERIES[0], width=0.7)
        axes.set_xticks(places, labels=list(class_names), rotation=45 if max(map(len, class_names)) > 2 else 0)  # noqa: PLR2004
        axes.yaxis.set_major_formatter(_percent(language))
        axes.set_ylabel(language("data.share"))
        axes.grid(visible=False, axis="x")

    return _svg(draw, language("data.share_title"), height=2.4)


def _percent(language: Language) -> FuncFormatter:
    def text(value: float, _: object) -> str:
        digits = (
            0
            if np.isclose(100 * value, round(100 * value))
            else 1
            if np.isclose(1000 * value, round(1000 * value))
            else 2
        )
        return language.percent(value, digits)

    return FuncFormatter(text)


def _number(language: Language) -> FuncFormatter:
    def text(value: float, _: object) -> str:
        digits = next((n for n in range(4) if np.isclose(value * 10**n, round(value * 10**n))), 4)
        return language.number(value, digits)

    return FuncFormatter(text)


def _svg(draw: Callable[[Axes], None], title: str, width: float = 4.8, height: float = 3.2) -> str:
    """Return what `draw` draws as an SVG element whose colours are the page's."""
    with rc_context(STYLE | {"svg.hashsalt": title}):  # ids that are the same each time, and differ between charts
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'<svg ([^>]*?)width="[^"]+" ?', r'<svg \1role="img" ', text, count=1)
