"""The charts of runs: learning curves, the shares of classes, how reliable confidence is, accuracy against size."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.analysis.significance import MeanInterval
from ziffern.report.charts.drawing import SERIES, TEXT, chart, resize, short, ticks
from ziffern.text.language import Language

MAX_LINES = 4  # of a name beside its dot


@chart
def learning_curve(
    axes: Axes, train: NDArray[np.float64], val: NDArray[np.float64], best: int, is_share: bool, t: Language
) -> str:
    """Draw training and validation values (E,) over the epochs, and a line at the selected epoch; 0 for none."""
    epochs = np.arange(1, len(train) + 1)
    marker = "o" if len(epochs) <= 12 else None  # noqa: PLR2004
    axes.plot(epochs, train, color=SERIES[0], marker=marker, markersize=4, label=t("curves.train"))
    axes.plot(epochs, val, color=SERIES[1], marker=marker, markersize=4, label=t("curves.val"))
    if best:
        axes.axvline(best, color=TEXT, linewidth=1, linestyle=":", label=t("curves.best"))
    title = t("curves.accuracy" if is_share else "curves.loss")
    axes.set(xlabel=t("curves.epoch"), ylabel=title, xlim=(1 - 0.3, len(train) + 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(ticks(t, is_share))
    axes.legend(fontsize=9)
    return title


@chart
def share_chart(axes: Axes, counts: NDArray[np.int64], class_names: Sequence[str], t: Language) -> str:
    """Draw each class's share of the images, counts (C,)."""
    resize(axes, height=2.4)
    places = np.arange(len(class_names))
    axes.bar(places, counts / max(counts.sum(), 1), color=SERIES[0], width=0.7)
    axes.set_xticks(places, labels=list(class_names), rotation=45 if max(map(len, class_names)) > 2 else 0)  # noqa: PLR2004
    axes.yaxis.set_major_formatter(ticks(t))
    axes.set_ylabel(t("data.share"))
    axes.grid(visible=False, axis="x")
    return t("data.share_title")


@chart
def reliability_chart(axes: Axes, model: Reliability, calibrated: Reliability | None, t: Language) -> str:
    """Draw accuracy against confidence, each dot sized by its share of the images; again once calibrated, if it was."""
    axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=":", label=t("sure.perfect"))
    names = ("sure.uncalibrated", "sure.calibrated") if calibrated else ("sure.model",)
    for name, color, each in zip(names, SERIES, filter(None, (model, calibrated)), strict=False):
        axes.plot(each.confidence, each.accuracy, color=color, linewidth=1.2)
        sizes = 15 + 180 * each.count / each.count.sum()
        style: Any = {"color": color, "label": t(name), "zorder": 3, "alpha": 0.8}
        axes.scatter(each.confidence, each.accuracy, s=sizes, **style)
    axes.set(xlabel=t("sure.confidence"), ylabel=t("sure.accuracy"), ylim=(-0.03, 1.05))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticks(t))
    axes.legend(fontsize=9, loc="lower right", markerscale=0.6)
    return t("sure.reliability")


@chart
def risk_chart(axes: Axes, curve: RiskCoverage, t: Language) -> str:
    """Draw the share of errors against the share of images that the model handles."""
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, 400).astype(np.int64))
    axes.plot(curve.coverage[shown], curve.risk[shown], color=SERIES[0])
    axes.fill_between(curve.coverage[shown], curve.risk[shown], color=SERIES[0], alpha=0.15, linewidth=0)
    axes.set(xlabel=t("sure.coverage"), ylabel=t("sure.risk"), xlim=(0, 1.01), ylim=(0, None))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticks(t))
    return t("sure.risk_title")


@chart
def trade_chart(axes: Axes, recipes: Sequence[tuple[str, int, MeanInterval]], chosen: int | None, t: Language) -> str:
    """Draw test accuracy with its interval against the number of parameters, the recommended recipe in another color.

    `recipes` are name, parameters and test accuracy of each, `chosen` is the recommended one's place among them.
    """
    smallest, largest = min(size for _, size, _ in recipes), max(size for _, size, _ in recipes)
    for place, (name, size, value) in enumerate(recipes):
        color = SERIES[1] if place == chosen else SERIES[0]
        if np.isfinite(value.low):
            axes.plot([size, size], [value.low, value.high], color=color, linewidth=1.5, zorder=2)
        axes.scatter([size], [value.mean], s=60, color=color, zorder=3)
        is_right = size**2 > smallest * largest  # in the right half, a name is to the left of its dot
        align, offset = ("right", -8) if is_right else ("left", 8)
        words = name.split(" ")
        lines = "\n".join([*map(short, words[:MAX_LINES]), *(["…"] if len(words) > MAX_LINES else [])])
        style: Any = {"textcoords": "offset points", "fontsize": 9, "ha": align, "va": "center"}
        axes.annotate(lines, (size, value.mean), (offset, 3), **style)
    axes.set_xscale("log")
    axes.set(xlabel=t("metrics.params.label"), ylabel=t("metrics.test_acc.label"), xlim=(smallest / 2, largest * 2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: t.number(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.yaxis.set_major_formatter(ticks(t))
    return t("compare.trade")
