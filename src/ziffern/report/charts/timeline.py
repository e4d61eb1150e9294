"""The timeline of a search: a row per worker, and a bar per trial in the color of its end."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from ziffern.report.charts.drawing import PAGE, SERIES, chart, hover, legend, resize, short, ticks
from ziffern.report.charts.search import trial_text
from ziffern.search.findings import SearchFindings, seconds
from ziffern.search.timeline import Timeline
from ziffern.text.language import Language

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
ENDS = (
    ("COMPLETE", SERIES[0], "sweep.complete"),
    ("PRUNED", SERIES[4], "sweep.pruned"),
    ("FAIL", SERIES[3], "sweep.failed"),
)
MAX_HEIGHT = 7.0  # inches
MAX_LABELS = 30  # of rows


@chart
def timeline_chart(axes: Axes, timeline: Timeline, findings: SearchFindings, t: Language) -> str:
    """Draw the timeline; the best trial has its own color, and drawn trials have a text under the pointer."""
    resize(axes, 9.6, min(MAX_HEIGHT, 0.95 + 0.3 * timeline.rows))
    span = float(timeline.end.max())
    factor, unit = next((known for known in UNITS if span >= 2 * known[0]), UNITS[-1])
    start, end = timeline.start / factor, timeline.end / factor
    best = {findings.scored[place].number for place in findings.front}
    ends = [(best, SERIES[1], "sweep.best" if len(best) == 1 else "sweep.front")]
    for state, color, key in ENDS:
        ends.append(({trial.number for trial in timeline.trials if trial.state.name == state} - best, color, key))
    edge = 0.4 if len(timeline.trials) <= 100 * timeline.rows else 0  # a border would hide narrow bars
    drawn = np.array([trial.number in findings.drawn for trial in timeline.trials])
    low, high = timeline.row - 0.4, timeline.row + 0.4
    corners = np.stack([start, low, start, high, end, high, end, low], axis=1).reshape(-1, 4, 2)  # (B, 4, xy)
    for numbers, color, key in ends:
        shown = np.array([trial.number in numbers for trial in timeline.trials])
        if not shown.any():
            continue
        style: Any = {"facecolor": color, "edgecolor": PAGE, "linewidth": edge}
        axes.add_artist(PathPatch(Path.make_compound_path_from_polys(corners[shown & ~drawn]), **style))
        bars = PolyCollection(corners[shown & drawn], label=t(key), **style)
        hover(bars, [_text(timeline, place, findings, t) for place in np.flatnonzero(shown & drawn).tolist()])
        axes.add_collection(bars)
    axes.set(xlim=(0, max(float(end.max()), 1e-9)), ylim=(timeline.rows - 0.4, -0.6))
    axes.set(xlabel=t("sweep.elapsed", unit=unit), ylabel=t("sweep.worker") if timeline.workers else "")
    axes.xaxis.set_major_formatter(ticks(t, is_share=False))
    axes.xaxis.set_major_locator(MaxNLocator(8))
    labels = range(0, len(timeline.workers), -(-len(timeline.workers) // MAX_LABELS) or 1)
    axes.set_yticks(list(labels), labels=[short(timeline.workers[row], 20) for row in labels])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    legend(axes, columns=4)
    return t("sweep.timeline")


def _text(timeline: Timeline, place: int, findings: SearchFindings, t: Language) -> str:
    """Return the text under the pointer for a bar."""
    trial = timeline.trials[place]
    parts = [t(key) for state, _, key in ENDS if state == trial.state.name]
    if timeline.workers:
        parts.append(f"{t('sweep.worker')} {timeline.workers[timeline.row[place]]}")
    parts.append(t.duration(seconds(trial)))
    if (attempts := trial.user_attrs.get("attempts", 1)) > 1:
        parts.append(t("sweep.attempts", count=attempts))
    return f"{trial_text(trial, findings, t)}\n{' · '.join(parts)}"
