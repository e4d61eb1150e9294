"""The scores of trials during their training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ziffern.report.charts import svg
from ziffern.report.charts.axes import joined, legend, score_axis
from ziffern.report.charts.svg import SERIES
from ziffern.text.language import Language


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
    """Draw the scores of trials over their steps, as one pair (steps, scores) per trial, cut off beyond `limit`."""

    def draw(axes: Axes) -> None:
        faint = float(np.clip(12 / max(len(complete), 1), 0.15, 0.6))
        style: Any = {"color": SERIES[0], "linewidth": 1, "alpha": faint}
        if complete:
            axes.plot(*joined(complete), **style, label=language("sweep.complete"))
        if pruned:
            style = {"color": SERIES[4], "linewidth": 1, "linestyle": (0, (3, 2))}
            axes.plot(*joined(pruned), **style)
            ends = [(step[-1], score[-1]) for step, score in pruned]
            style |= {"marker": "x", "markersize": 5, "label": language("sweep.pruned")}
            axes.plot(*zip(*ends, strict=True), **(style | {"linestyle": "none"}))
        if best:
            axes.plot(*joined(best), color=SERIES[1], linewidth=2.4, label=language("sweep.best"))
        axes.set(xlabel=language("sweep.step"), ylabel=label)
        if limit is not None:
            axes.set_ylim(**{"bottom" if is_maximised else "top": limit})  # type: ignore[arg-type]
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        score_axis(axes, is_share, language)
        legend(axes)

    return svg.render(draw, language("sweep.curves"))
