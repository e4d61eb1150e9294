"""The charts of reports, by the kind of page; each function returns an SVG element."""

import ziffern.machine.plotting  # noqa: F401
from ziffern.report.charts.parameters import importance_chart, parallel_chart, slice_chart
from ziffern.report.charts.run import learning_curve, reliability_chart, risk_chart, share_chart
from ziffern.report.charts.search import front_chart, history_chart, trials_curves
from ziffern.report.charts.trade import trade_chart

__all__ = [
    "front_chart",
    "history_chart",
    "importance_chart",
    "learning_curve",
    "parallel_chart",
    "reliability_chart",
    "risk_chart",
    "share_chart",
    "slice_chart",
    "trade_chart",
    "trials_curves",
]
