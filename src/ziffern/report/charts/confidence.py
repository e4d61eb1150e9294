"""How far the confidence of a run can be trusted: reliability, and risk against coverage."""

import numpy as np
from matplotlib.axes import Axes

from ziffern.analysis.calibration import Reliability, RiskCoverage
from ziffern.report.charts import svg
from ziffern.report.charts.axes import percent_ticks
from ziffern.report.charts.svg import SERIES, TEXT
from ziffern.text.language import Language


def reliability_chart(sure: Reliability, language: Language) -> str:
    """Draw accuracy against confidence, each dot as large as its share of the images."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=TEXT, linewidth=1, linestyle=":", label=language("sure.perfect"))
        axes.plot(sure.confidence, sure.accuracy, color=SERIES[0], linewidth=1.2)
        sizes = 15 + 180 * sure.count / sure.count.sum()
        axes.scatter(sure.confidence, sure.accuracy, s=sizes, color=SERIES[0], label=language("sure.model"), zorder=3)
        axes.set(xlabel=language("sure.confidence"), ylabel=language("sure.accuracy"), ylim=(-0.03, 1.05))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(percent_ticks(language))
        axes.legend(fontsize=9, loc="lower right", markerscale=0.6)

    return svg.render(draw, language("sure.reliability"))


def risk_chart(curve: RiskCoverage, language: Language) -> str:
    """Draw the share of errors against the share of images that are answered."""
    shown = np.unique(np.linspace(0, len(curve.coverage) - 1, 400).astype(np.int64))

    def draw(axes: Axes) -> None:
        axes.plot(curve.coverage[shown], curve.risk[shown], color=SERIES[0])
        axes.fill_between(curve.coverage[shown], curve.risk[shown], color=SERIES[0], alpha=0.15, linewidth=0)
        axes.set(xlabel=language("sure.coverage"), ylabel=language("sure.risk"), xlim=(0, 1.01), ylim=(0, None))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(percent_ticks(language))

    return svg.render(draw, language("sure.risk_title"))
