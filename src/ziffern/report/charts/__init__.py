"""The charts of reports, one file per kind; each function returns an SVG element."""

from ziffern.report.charts.confidence import reliability_chart, risk_chart
from ziffern.report.charts.front import front_chart
from ziffern.report.charts.history import history_chart
from ziffern.report.charts.learning import learning_curve
from ziffern.report.charts.parallel import parallel_chart
from ziffern.report.charts.shares import share_bars, share_chart
from ziffern.report.charts.slices import slice_chart
from ziffern.report.charts.trade import trade_chart
from ziffern.report.charts.trials import trials_curves

__all__ = [
    "front_chart",
    "history_chart",
    "learning_curve",
    "parallel_chart",
    "reliability_chart",
    "risk_chart",
    "share_bars",
    "share_chart",
    "slice_chart",
    "trade_chart",
    "trials_curves",
]
