"""The charts of a run: learning curves, the shares of its classes, and how reliable its confidence is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.report.charts import svg
from ziffern.report.charts.axes import ticks
from ziffern.report.charts.svg import SERIES, TEXT
from ziffern.text.language import Language


def learning_curve(
    train: NDArray[np.float64], val: NDArray[np.float64], best: int, is_share: bool, language: Language
) -> str:
    """Draw training and validation values (E,) over the epochs, and a line at the selected epoch; 0 for none."""

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
        axes.yaxis.set_major_formatter(ticks(language, is_share))
        axes.legend(fontsize=9)

    return svg.render(draw, language("curves.accuracy" if is_share else "curves.loss"))


def share_chart(counts: NDArray[np.int64], class_names: Sequence[str], language: Language) -> str:
    """Draw each class's share of the images, counts (C,)."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(class_names))
        axes.bar(places, counts / max(counts.sum(), 1), color=SERIES[0], width=0.7)
        axes.set_xticks(places, labels=list(class_names), rotation=45 if max(map(len, class_names)) > 2 else 0)  # noqa: PLR2004
        axes.yaxis.set_major_formatter(ticks(language))
        axes.set_ylabel(language("data.share"))
        axes.grid(visible=False, axis="x")

    return svg.render(draw, language("data.share_title"), height=2.4)


def reliability_chart(reliability: Reliability, language: Language) -> str:
    """Draw accuracy against confidence, each dot sized by its share of the images."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=":", label=language("sure.perfect"))
        axes.plot(reliability.confidence, reliability.accuracy, color=SERIES[0], linewidth=1.2)
        sizes = 15 + 180 * reliability.count / reliability.count.sum()
        style: Any = {"color": SERIES[0], "label": language("sure.model"), "zorder": 3}
        axes.scatter(reliability.confidence, reliability.accuracy, s=sizes, **style)
        axes.set(xlabel=language("sure.confidence"), ylabel=language("sure.accuracy"), ylim=(-0.03, 1.05))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(ticks(language))
        axes.legend(fontsize=9, loc="lower right", markerscale=0.6)

    return svg.render(draw, language("sure.reliability"))


def risk_chart(curve: RiskCoverage, language: Language) -> str:
    """Draw the share of errors against the share of images that the model handles."""
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, 400).astype(np.int64))

    def draw(axes: Axes) -> None:
        axes.plot(curve.coverage[shown], curve.risk[shown], color=SERIES[0])
        axes.fill_between(curve.coverage[shown], curve.risk[shown], color=SERIES[0], alpha=0.15, linewidth=0)
        axes.set(xlabel=language("sure.coverage"), ylabel=language("sure.risk"), xlim=(0, 1.01), ylim=(0, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(ticks(language))

    return svg.render(draw, language("sure.risk_title"))
