"""Charts as SVG within a page, in the page's own colours.

Decisions: matplotlib draws them, and each of its colours stands for a variable of the style sheet, so that one
picture serves light, dark and print; text stays text, so it can be read out, searched and enlarged.
"""

import html
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.analysis.significance import MeanInterval
from ziffern.text.language import Language

MAX_LINES = 4  # of a name beside its dot
WIDE = 20  # times, between the largest and the smallest, that want a logarithmic scale
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
_drawing = threading.Lock()


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
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
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
            words = name.split(" ")
            lines = "\n".join([*map(_short, words[:MAX_LINES]), *(["…"] if len(words) > MAX_LINES else [])])
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


@dataclass(frozen=True)
class Searched:
    """A parameter of a search, with its value in each of N trials."""

    name: str
    values: NDArray[np.float64]  # (N,), places in `choices` where there are some, NaN where a trial lacks it
    low: float
    high: float
    is_log: bool = False
    choices: tuple[str, ...] = ()

    @property
    def places(self) -> NDArray[np.float64]:
        """Where its values lie between low and high, (N,) in [0, 1], on a logarithmic scale if it has one."""
        scale: Callable[[Any], Any] = np.log10 if self.is_log else np.asarray
        low, high = scale(self.low), scale(self.high)
        if low == high:
            return np.where(np.isnan(self.values), np.nan, 0.5)
        return np.asarray((scale(self.values) - low) / (high - low))


def history_chart(
    number: NDArray[np.int64],
    score: NDArray[np.float64],
    best: NDArray[np.float64],
    pruned: Sequence[tuple[int, float]],
    failed: Sequence[int],
    label: str,
    is_share: bool,
    language: Language,
) -> str:
    """Draw the scores (N,) of completed trials in their order and the best so far (N,), and how the others ended.

    Pruned trials are numbers with their last score, NaN where they had none.
    """

    def draw(axes: Axes) -> None:
        axes.plot(number, score, "o", color=SERIES[0], markersize=4.5, alpha=0.75, label=language("sweep.complete"))
        axes.step(number, best, where="post", color=SERIES[1], label=language("sweep.best_so_far"))
        given = [(place, last) for place, last in pruned if np.isfinite(last)]
        if given:
            style: Any = {"color": SERIES[4], "markersize": 5, "markerfacecolor": "none"}
            axes.plot(*zip(*given, strict=True), "v", **style, label=language("sweep.pruned"))
        floor = axes.get_xaxis_transform()  # at the lower edge, whatever the scores are
        without = [place for place, last in pruned if not np.isfinite(last)]
        for places, marker, colour, key in (
            (without, "|", SERIES[4], "sweep.pruned_unscored"),
            (failed, "x", SERIES[3], "sweep.failed"),
        ):
            if places:
                line = axes.plot(places, [0.03] * len(places), marker, color=colour, transform=floor)[0]
                line.set_label(language(key))
        axes.set(xlabel=language("sweep.number"), ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _score_axis(axes, is_share, language)
        _legend(axes)

    return _svg(draw, language("sweep.history"))


def share_bars(names: Sequence[str], shares: Sequence[float], title: str, language: Language) -> str:
    """Draw a bar for each share, the first one on top."""

    def draw(axes: Axes) -> None:
        bars = axes.barh([_short(name) for name in names], shares, color=SERIES[0], height=0.6)
        axes.bar_label(bars, [language.percent(share, 0) for share in shares], padding=4, fontsize=9)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * max(shares))
        axes.xaxis.set_major_formatter(_percent(language))
        axes.grid(visible=False, axis="y")

    return _svg(draw, title, height=0.6 + 0.32 * len(names))


def slice_chart(
    parameter: Searched, score: NDArray[np.float64], best: int, label: str, is_share: bool, language: Language
) -> str:
    """Draw the scores (N,) against a parameter's values, the place `best` marked."""
    spread = 0.0
    if parameter.choices:  # trials with the same choice stand side by side, spread evenly by the golden ratio
        spread = min(0.25, 0.03 * len(score))
    x = parameter.values + spread * (2 * (np.arange(len(score)) * 0.618034 % 1) - 1)

    def draw(axes: Axes) -> None:
        axes.plot(x, score, "o", color=SERIES[0], markersize=4, alpha=0.6, markeredgewidth=0)
        axes.plot(x[best : best + 1], score[best : best + 1], "D", color=SERIES[1], markersize=6)
        _scale_axis(axes, parameter)
        room = 0.08 * np.ptp(score) or 0.01 * abs(score[0]) or 1  # all slices have the same scale
        axes.set_ylim(score.min() - room, score.max() + room)
        axes.set(xlabel=_short(parameter.name), ylabel=label)
        _score_axis(axes, is_share, language)
        axes.yaxis.set_major_locator(MaxNLocator(5))

    return _svg(draw, parameter.name, width=3.2, height=2.4)


def parallel_chart(
    parameters: Sequence[Searched],
    score: Searched,
    is_maximised: bool,
    best: Sequence[int],
    score_text: Callable[[float], str],
    language: Language,
) -> str:
    """Draw each trial as a line through its values and its score, the better the higher; the places `best` stand out.

    A parameter that a trial lacks is passed below its axis.
    """
    columns = [parameter.places for parameter in parameters]
    columns.append(score.places if is_maximised else 1 - score.places)
    lines = np.stack(columns, axis=1)  # (N, P + 1)
    lacking = np.isnan(lines)
    lines = np.where(lacking, -0.16, lines)
    others = np.setdiff1d(np.arange(len(lines)), best)

    def draw(axes: Axes) -> None:
        x = np.arange(lines.shape[1])
        alpha = float(np.clip(12 / max(len(others), 1), 0.08, 0.5))
        axes.plot(*_joined((x, lines[place]) for place in others), color=SERIES[0], linewidth=1, alpha=alpha)
        axes.plot(*_joined((x, lines[place]) for place in best[1:]), color=SERIES[1], linewidth=1.6, alpha=0.8)
        axes.plot(x, lines[best[0]], color=SERIES[1], linewidth=3.2, marker="D", markersize=5)
        for axis in range(len(x)):
            axes.axvline(axis, color=TEXT, linewidth=0.8)
        for place, parameter in enumerate(parameters):
            for height, text in _marks(parameter):
                _mark(axes, place, height, text)
        ends = (score.low, score.high) if is_maximised else (score.high, score.low)
        for height, end in zip((0, 1) if score.low < score.high else (0.5,), ends, strict=False):
            _mark(axes, len(parameters), height, score_text(end))
        for place in np.flatnonzero(lacking.any(axis=0)).tolist():
            _mark(axes, place, -0.16, language("sweep.lacking"))
        names = [_short(name, 16) for name in (*(parameter.name for parameter in parameters), score.name)]
        axes.set_xticks(x, labels=names, fontsize=9)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_yticks([])
        axes.set(xlim=(-0.15, len(x) - 0.45), ylim=(-0.24 if lacking.any() else -0.06, 1.06))
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    return _svg(draw, language("sweep.parallel"), width=max(4.8, 1.35 * lines.shape[1]), height=3.4)


def trials_curves(
    complete: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    best: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    pruned: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
    limit: float | None,
    is_maximised: bool,
    label: str,
    is_share: bool,
    language: Language,
) -> str:
    """Draw the scores of trials over their steps, a pair (steps, scores) each; what lies beyond `limit` is cut off."""

    def draw(axes: Axes) -> None:
        faint = float(np.clip(12 / max(len(complete), 1), 0.15, 0.6))
        style: Any = {"color": SERIES[0], "linewidth": 1, "alpha": faint}
        if complete:
            axes.plot(*_joined(complete), **style, label=language("sweep.complete"))
        if pruned:
            style = {"color": SERIES[4], "linewidth": 1, "linestyle": (0, (3, 2))}
            axes.plot(*_joined(pruned), **style)
            ends = [(step[-1], score[-1]) for step, score in pruned]
            style |= {"marker": "x", "markersize": 5, "label": language("sweep.pruned")}
            axes.plot(*zip(*ends, strict=True), **(style | {"linestyle": "none"}))
        if best:
            axes.plot(*_joined(best), color=SERIES[1], linewidth=2.4, label=language("sweep.best"))
        axes.set(xlabel=language("sweep.step"), ylabel=label)
        if limit is not None:
            axes.set_ylim(**{"bottom" if is_maximised else "top": limit})  # type: ignore[arg-type]
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _score_axis(axes, is_share, language)
        _legend(axes)

    return _svg(draw, language("sweep.curves"))


def front_chart(
    score: NDArray[np.float64],
    front: NDArray[np.int64],
    numbers: Sequence[int],
    labels: Sequence[str],
    is_share: Sequence[bool],
    language: Language,
) -> str:
    """Draw trials by two scores (N, 2), and those at the places `front`, with their numbers, joined."""
    ordered = front[np.argsort(score[front, 0], kind="stable")]

    def draw(axes: Axes) -> None:
        axes.plot(*score.T, "o", color=SERIES[0], markersize=4.5, alpha=0.5, markeredgewidth=0)
        axes.plot(*score[ordered].T, "D--", color=SERIES[1], linewidth=1.2, markersize=6, label=language("sweep.front"))
        for turn, place in enumerate(ordered[:: -(-len(ordered) // 12)]):  # a dozen numbers at most
            where = (5, 5) if turn % 2 else (5, -11)
            axes.annotate(str(numbers[place]), score[place], where, textcoords="offset points", fontsize=9)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        for axis, share in zip((axes.xaxis, axes.yaxis), is_share, strict=True):
            axis.set_major_formatter(_percent(language) if share else _number(language))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        for scale, scores in zip((axes.set_xscale, axes.set_yscale), score.T, strict=True):
            if scores.min() > 0 and scores.max() > WIDE * scores.min():  # sizes of models differ by powers of ten
                scale("log")
        _legend(axes)

    return _svg(draw, language("sweep.front"))


def _joined(
    curves: Iterable[tuple[NDArray[Any], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return many curves as one with gaps: a single path in the page."""
    gap = np.array([np.nan])
    parts = [part for x, y in curves for part in ((x, y), (gap, gap))]
    if not parts:
        return gap, gap
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def _score_axis(axes: Axes, is_share: bool, language: Language) -> None:
    """Write scores as people do; no share is above 100 per cent."""
    axes.yaxis.set_major_formatter(_percent(language) if is_share else _number(language))
    if is_share:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.001))


def _scale_axis(axes: Axes, parameter: Searched) -> None:
    """Show the whole range that was searched, with ticks in the words of the configuration."""
    low, high = parameter.low, parameter.high
    if parameter.choices:
        step = -(-len(parameter.choices) // 8)
        shown = range(0, len(parameter.choices), step)
        names = [_short(parameter.choices[place], 14) for place in shown]
        axes.set_xticks(list(shown), labels=names, rotation=0 if sum(map(len, names)) <= 24 else 30)  # noqa: PLR2004
        axes.set_xlim(low - 0.5, high + 0.5)
    elif parameter.is_log:
        axes.set_xscale("log")
        room = (high / low) ** 0.05 if high > low else 2
        axes.set_xlim(low / room, high * room)
        axes.xaxis.set_major_locator(FixedLocator(_log_ticks(low, high)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        room = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - room, high + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if not parameter.choices:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(low: float, high: float) -> list[float]:
    """Return two to five round values from low to high: powers of ten, or 1, 2 and 5 times them."""
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for factors in ((1,), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low / 1.001 <= tick <= high * 1.001]
        if len(ticks) > 1:
            return ticks[:: -(-len(ticks) // 5)]
    return sorted({low, high})


def _marks(parameter: Searched) -> list[tuple[float, str]]:
    """Return what is written along a parameter's axis, at which height in [0, 1]."""
    last = len(parameter.choices) - 1
    if last >= 0:
        shown = range(0, last + 1, -(-(last + 1) // 10))
        return [(place / last if last else 0.5, _short(parameter.choices[place], 14)) for place in shown]
    if parameter.low == parameter.high:
        return [(0.5, f"{parameter.low:.4g}")]
    return [(0, f"{parameter.low:.4g}"), (1, f"{parameter.high:.4g}")]


def _mark(axes: Axes, place: int, height: float, text: str) -> None:
    """Write a value beside an axis, on the page's ground, so that lines do not cross it."""
    ground = {"facecolor": PAGE, "edgecolor": "none", "alpha": 0.75, "pad": 1}
    axes.annotate(
        text, (place, height), (5, 0), textcoords="offset points", fontsize=8, va="center", bbox=ground, zorder=5
    )


def _short(name: str, most: int = 28) -> str:
    """Return the end of a name that is too long for a chart: `…optimizer.lr`, from a dot on if there is one."""
    if len(name) <= most:
        return name
    end = name[1 - most :]
    return "…" + end[end.partition("=")[0].find(".") + 1 :]  # not from a number's decimal point on


def _legend(axes: Axes) -> None:
    """Name what is drawn above the picture, in full colours where the lines are faint."""
    for handle in axes.figure.legend(fontsize=9, loc="outside upper center", ncols=3).legend_handles:
        if handle is not None:
            handle.set_alpha(1)


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
        digits = next((n for n in range(8) if np.isclose(value * 10**n, round(value * 10**n))), 8)
        return language.number(value, digits)

    return FuncFormatter(text)


def _svg(draw: Callable[[Axes], None], title: str, width: float = 4.8, height: float = 3.2) -> str:
    """Return what `draw` draws as an SVG element whose colours are the page's."""
    # The style is the process's, and the studio draws in several threads. The ids are the same each time, and differ
    # between charts.
    with _drawing, rc_context(STYLE | {"svg.hashsalt": title}):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the text stays text: the reader has fonts
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = html.escape(title).replace("\\", r"\\")
    return re.sub(r'<svg ([^>]*?)width="[^"]+" ?', rf'<svg \1role="img" aria-label="{label}" ', text, count=1)
