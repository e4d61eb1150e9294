"""The scores of a search in the order of its trials."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import legend, score_axis
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language


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
        scored = [(place, last) for place, last in pruned if np.isfinite(last)]
        if scored:
            style: Any = {"color": SERIES[4], "markersize": 5, "markerfacecolor": "none"}
            axes.plot(*zip(*scored, strict=True), "v", **style, label=language("sweep.pruned"))
        floor = axes.get_xaxis_transform()  # at the lower edge, independent of the scores
        without = [place for place, last in pruned if not np.isfinite(last)]
        for places, marker, color, key in (
            (without, "|", SERIES[4], "sweep.pruned_unscored"),
            (failed, "x", SERIES[3], "sweep.failed"),
        ):
            if places:
                line = axes.plot(places, [0.03] * len(places), marker, color=color, transform=floor)[0]
                line.set_label(language(key))
        axes.set(xlabel=language("sweep.number"), ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        score_axis(axes, is_share, language)
        legend(axes)

    return svg.render(draw, language("sweep.history"))
