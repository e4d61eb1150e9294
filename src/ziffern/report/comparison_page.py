"""The page of a comparison, and the rows of its tables as text, also for the terminal."""

import math
from typing import Any

from ziffern.analysis.metrics import Place, registered
from ziffern.analysis.recommendation import LEVEL, Pair
from ziffern.report.charts.run import trade_chart
from ziffern.runs.comparison import Comparison
from ziffern.runs.recipes import Recipe
from ziffern.text.language import NONE, Language
from ziffern.text.metrics import label, written

PAIR_COLUMNS = ("pair", "difference", "interval", "only", "mcnemar", "p", "holm", "significant")
MAX_COLUMNS = 4  # models shown as columns on the page; more are shown as rows
MIN_P = 0.0001  # smaller p values are shown as < 0.0001


def page_context(comparison: Comparison, t: Language) -> dict[str, Any]:
    """Return the context of the comparison template."""
    tested = [recipe for recipe in comparison.recipes if recipe.is_tested]
    chosen = comparison.chosen
    values = [(recipe.name, recipe.params, recipe.test) for recipe in tested]
    return {
        "title": t("compare.title", count=len(comparison.recipes)),
        "comparison": comparison,
        "notes": [note.in_language(t.code) for note in comparison.notes],
        "pair_columns": PAIR_COLUMNS,
        "lines": lines(comparison, t),
        "has_speed": any(comparison.speed),
        "upright": len(comparison.recipes) <= MAX_COLUMNS,
        "pair_rows": [pair_row(pair, comparison, t) for pair in comparison.pairs],
        "chosen": comparison.recipes.index(chosen) if chosen else None,
        "advice": advice(comparison, t),
        "chart_svg": trade_chart(values, tested.index(chosen) if chosen in tested else None, t) if tested else "",
        "level": LEVEL,
    }


def lines(comparison: Comparison, t: Language) -> list[list[str]]:
    """Return the names of the columns, followed by a row of text per recipe."""
    values = zip(comparison.recipes, comparison.bytes, comparison.speed, strict=True)
    rows = [_cells(recipe, size, speed, t) for recipe, size, speed in values]
    if not any(comparison.speed):  # nothing was measured
        unknown = {t("compare.columns.size"), t("compare.columns.speed")}
        rows = [{name: text for name, text in cells.items() if name not in unknown} for cells in rows]
    if any(recipe.labels for recipe in comparison.recipes):
        column = t("compare.columns.labels")
        rows = [cells | {column: recipe.labels or NONE} for cells, recipe in zip(rows, comparison.recipes, strict=True)]
    return [list(rows[0]), *(list(row.values()) for row in rows)]


def _cells(recipe: Recipe, size: int | None, speed: float | None, t: Language) -> dict[str, str]:
    """Return the text of each column for a recipe, by the name of the column."""
    runs = len(recipe.runs)
    seeds = t.number(len({run.about["seed"] for run in recipe.runs}))
    cells = {t("compare.columns.name"): recipe.name, t("compare.columns.seeds"): seeds}
    for metric in registered(Place.COMPARISON):
        mean = recipe.mean(metric.key)
        text = written(metric, mean.mean if mean else None, t)
        if mean and metric.stage == "test" and math.isfinite(mean.deviation):
            text += f" ± {t.number(100 * mean.deviation, 2)}"
        if metric.key == "test/acc" and recipe.folds:
            text += f" ({t('compare.folds', count=len(recipe.folds))})"
        cells[label(metric, t)] = text
        if metric.key == "test/acc":
            interval = f"{t.number(100 * mean.low, 2)} – {t.percent(mean.high)}" if mean else NONE
            cells[t("compare.columns.interval")] = interval
    verdict, agreeing = recipe.verdict
    cells[t("fit.label")] = t(f"verdict.{verdict}") + (f" ({agreeing}/{runs})" if runs > 1 else "")
    cells[t("compare.columns.size")] = NONE if size is None else f"{t.number(size / 1000)} kB"
    cells[t("compare.columns.speed")] = t.number(speed)
    return cells


def pair_row(pair: Pair, comparison: Comparison, t: Language) -> list[str]:
    """Return the text of PAIR_COLUMNS for one pair."""
    first, second = comparison.compared[pair.first], comparison.compared[pair.second]
    difference = pair.difference
    return [
        f"{first.name} – {second.name}",
        t.points(first.test.mean - second.test.mean),
        f"{t.points(difference.low)} … {t.points(difference.high)}" if difference else NONE,
        f"{t.number(pair.only_first)} : {t.number(pair.only_second)}",
        _p(pair.mcnemar, t),
        _p(pair.p, t),
        _p(pair.adjusted, t),
        t("compare.pairs.yes" if pair.is_significant else "compare.pairs.no") if difference else NONE,
    ]


def _p(value: float | None, t: Language, name: str = "") -> str:
    """Return a p value, preceded by a name if one is given, such as `p = 0.0312`; a dash without a test."""
    if value is None:
        return NONE
    if value < MIN_P:
        return f"{name}< {t.number(MIN_P, 4)}"
    return f"{name}{'= ' if name else ''}{t.number(value, 4)}"


def advice(comparison: Comparison, t: Language) -> list[str]:
    """Return the recommendation and its reasons, one sentence each."""
    choice = comparison.choice
    if choice is None or len(comparison.recipes) == 1:
        return [t("compare.no_advice" if choice is None else "compare.alone")]
    beaten = [_reason(comparison, small, large, t, is_beaten=True) for small, large in choice.beaten]
    kept = [_reason(comparison, choice.place, large, t) for large in choice.kept_over]
    codes = {code for code, _ in kept}
    if "no_test" in codes:
        take = "take_untested"
    elif beaten:
        take = "take"
    else:
        take = "take_both" if codes <= {"worse", "no_better"} else "take_smallest"
    name = comparison.compared[choice.place].name
    recommendation = t(f"compare.{take}", margin=t.number(100 * comparison.margin, 2), name=name)
    single = [len(recipe.runs) == 1 for recipe in comparison.compared]
    if comparison.compared[0].folds:
        caution = "caution_folds"
    elif any(single):
        caution = "caution_runs" if all(single) else "caution_mixed"
    else:
        caution = "caution_seeds"
    reasons = [sentence for _, sentence in (*beaten, *kept)]
    return [recommendation, *reasons, t(f"compare.{caution}"), t("compare.caution")]


def _reason(
    comparison: Comparison, small_place: int, large_place: int, t: Language, is_beaten: bool = False
) -> tuple[str, str]:
    """Return why one of two recipes is preferred: a code, and a sentence."""
    pair = next(pair for pair in comparison.pairs if {pair.first, pair.second} == {small_place, large_place})
    small, large = comparison.compared[small_place], comparison.compared[large_place]
    better = large.test.mean - small.test.mean
    if pair.p is None:
        code = "no_test"
    elif is_beaten:
        code = "beaten"
    elif better <= 0:
        code = "worse" if pair.is_significant else "no_better"
    else:
        code = "below_margin" if better <= comparison.margin else "not_significant"
    return code, t(
        f"compare.{code}",
        margin=t.number(100 * comparison.margin, 2),
        small=small.name,
        large=large.name,
        p=_p(pair.adjusted, t, "p "),
        difference=t.number(100 * abs(better), 2),
        points=t.points(better),
        size=t("compare.larger" if large.params > small.params else "compare.as_large"),
    )
