"""Labels, formatted values and explanations of metrics, for reports, comparisons and the terminal."""

import math
from collections.abc import Mapping
from typing import Any

from ziffern.analysis.metrics import Kind, Metric, registered
from ziffern.text.language import NONE, Language


def label(metric: Metric, t: Language) -> str:
    """Return the label of a metric."""
    return t(f"metrics.{metric.name}.label")


def written(metric: Metric, value: float | None, t: Language) -> str:
    """Return a value formatted by its kind; a dash if there is none or it is not finite."""
    if value is None or not math.isfinite(value):
        return NONE
    match metric.kind:
        case Kind.SHARE:
            return t.percent(value)
        case Kind.DIFFERENCE:
            return t.points(value)
        case Kind.SECONDS:
            return t.duration(value)
        case Kind.COUNT:
            return t.number(value, 0 if value == round(value) else 1)  # a mean may have a fraction
    return t.number(value, 4)


def explanation(metric: Metric, results: Mapping[str, Any], t: Language, text: str = "means", **more: str) -> str:
    """Return the text `text` of a metric, such as its meaning, with the values of all metrics in its placeholders.

    `results` are these values by key; `more` are the values of further placeholders.
    """
    values = {other.name: written(other, results.get(other.key), t) for other in registered()}
    return t(f"metrics.{metric.name}.{text}", **values, **more)
