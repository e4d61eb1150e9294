"""The registry's metrics in words: label, value and explanation, as report, comparison and terminal show them."""

import math
from collections.abc import Mapping
from typing import Any

from ziffern.analysis.metrics import Kind, Metric, registered
from ziffern.text.language import NONE, Language


def label(metric: Metric, t: Language) -> str:
    """Return the name of a metric for people."""
    return t(f"metrics.{metric.name}.label")


def written(metric: Metric, value: float | None, t: Language) -> str:
    """Return a value as its kind is written; a dash where there is none."""
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
            return t.number(value, 0 if value == round(value) else 1)  # a mean may lie between
    return t.number(value, 4)


def explanation(metric: Metric, results: Mapping[str, Any], t: Language, text: str = "means", **more: str) -> str:
    """Return a text of a metric, such as what it means, with the values of all metrics in its placeholders.

    Args:
        metric: Whose text.
        results: The values by key.
        t: The language.
        text: The text's name beside the label.
        more: Further values.
    """
    values = {other.name: written(other, results.get(other.key), t) for other in registered()}
    return t(f"metrics.{metric.name}.{text}", **values, **more)
