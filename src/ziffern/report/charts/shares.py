"""Shares as bars: of the classes in a data set, of the settings in a search."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import percent_ticks, short
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language


def share_chart(counts: NDArray[np.int64], class_names: Sequence[str], language: Language) -> str:
    """Draw how many images each class has, counts (C,)."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(class_names))
        axes.bar(places, counts / max(counts.sum(), 1), color=SERIES[0], width=0.7)
        axes.set_xticks(places, labels=list(class_names), rotation=45 if max(map(len, class_names)) > 2 else 0)  # noqa: PLR2004
        axes.yaxis.set_major_formatter(percent_ticks(language))
        axes.set_ylabel(language("data.share"))
        axes.grid(visible=False, axis="x")

    return svg.render(draw, language("data.share_title"), height=2.4)


def share_bars(names: Sequence[str], shares: Sequence[float], title: str, language: Language) -> str:
    """Draw a bar for each share, the first one on top."""

    def draw(axes: Axes) -> None:
        bars = axes.barh([short(name) for name in names], shares, color=SERIES[0], height=0.6)
        axes.bar_label(bars, [language.percent(share, 0) for share in shares], padding=4, fontsize=9)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * max(shares))
        axes.xaxis.set_major_formatter(percent_ticks(language))
        axes.grid(visible=False, axis="y")

    return svg.render(draw, title, height=0.6 + 0.32 * len(names))
