"""The comparison of several recipes, as a table in the terminal and as a page."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ziffern.analysis.recommendation import LEVEL, Pair
from ziffern.text.language import NONE, Language

if TYPE_CHECKING:
    from ziffern.runs.comparison import Comparison, Recipe

COLUMNS = ("name", "seeds", "test", "interval", "val", "fit", "gap", "params", "seconds", "epochs", "size", "speed")
PAIR_COLUMNS = ("pair", "difference", "interval", "only", "mcnemar", "p", "holm", "significant")
MOST_COLUMNS = 4  # models that stand side by side on the page; more stand below one another


def write_comparison(comparison: "Comparison", path: Path, margin: float, t: Language) -> None:
    """Write the page of a comparison."""
    from ziffern.report.page import write_page

    write_page(path, "comparison.html", t, page_context(comparison, margin, t))


def page_context(comparison: "Comparison", margin: float, t: Language) -> dict[str, Any]:
    """Return what the template of a comparison shows."""
    from ziffern.report.charts import trade_chart

    tested = [recipe for recipe in comparison.recipes if recipe.is_tested]
    chosen = comparison.choice.place if comparison.choice else None
    chart = ""
    if tested:
        chart = trade_chart(
            [recipe.name for recipe in tested],
            [recipe.params for recipe in tested],
            [recipe.test for recipe in tested],
            chosen,
            t,
        )
    return {
        "title": t("compare.title", count=len(comparison.recipes)),
        "comparison": comparison,
        "pair_columns": PAIR_COLUMNS,
        "lines": lines(comparison, t),
        "upright": len(comparison.recipes) <= MOST_COLUMNS,
        "pair_rows": [pair_row(pair, comparison, t) for pair in comparison.pairs],
        "chosen": chosen,
        "advice": advice(comparison, margin, t),
        "chart_svg": chart,
        "level": LEVEL,
    }


def lines(comparison: "Comparison", t: Language) -> list[list[str]]:
    """Return the names of COLUMNS, and below them a row of text for each recipe."""
    columns = comparison.recipes, comparison.bytes, comparison.speed
    rows = [_row(recipe, size, speed, t) for recipe, size, speed in zip(*columns, strict=True)]
    return [[t(f"compare.columns.{name}") for name in COLUMNS], *rows]


def _row(recipe: "Recipe", size: int | None, speed: float | None, t: Language) -> list[str]:
    seeds = len(recipe.found)
    verdict, agreeing = recipe.verdict
    test = recipe.test if recipe.is_tested else None
    deviation = f" ± {t.number(100 * test.deviation, 2)}" if test and math.isfinite(test.deviation) else ""
    return [
        recipe.name,
        t.number(seeds),
        t.percent(test.mean) + deviation if test else NONE,
        f"{t.number(100 * test.low, 2)} – {t.percent(test.high)}" if test else NONE,
        t.percent(recipe.mean("val/acc").mean),
        t(f"verdict.{verdict}") + (f" ({agreeing}/{seeds})" if seeds > 1 else ""),
        t.number(100 * recipe.gap, 2),
        t.number(recipe.params),
        t.number(recipe.mean("train_seconds").mean, 1),
        t.number(recipe.mean("epochs").mean, 0 if seeds == 1 else 1),
        NONE if size is None else f"{t.number(size / 1000)} kB",
        t.number(speed),
    ]


def pair_row(pair: Pair, comparison: "Comparison", t: Language) -> list[str]:
    """Return the text of PAIR_COLUMNS for one pair."""
    first, second = comparison.recipes[pair.first], comparison.recipes[pair.second]
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
    """Return a p value, with its name and sign where it is given one, or a dash without a test."""
    if value is None:
        return NONE
    if value < 0.0001:  # noqa: PLR2004
        return f"{name}< {t.number(0.0001, 4)}"
    return f"{name}{'= ' if name else ''}{t.number(value, 4)}"


def advice(comparison: "Comparison", margin: float, t: Language) -> list[str]:
    """Return the recommendation with its reasons, a sentence each."""
    choice, recipes = comparison.choice, comparison.recipes
    if choice is None:
        return [t("compare.no_advice")]
    if len(recipes) == 1:
        return [t("compare.alone")]
    words = {"margin": t.number(100 * margin, 2), "name": recipes[choice.place].name}
    pairs = {frozenset((pair.first, pair.second)): pair for pair in comparison.pairs}
    best = all(recipes[choice.place].test.mean >= recipes[place].test.mean for place in choice.kept_over)
    take = "take" if choice.beaten else "take_both" if best else "take_smallest"
    if any(pairs[frozenset((choice.place, place))].p is None for place in choice.kept_over):
        take = "take_untested"
    said = [t(f"compare.{take}", **words)]
    reasons = [(small, large, "beaten") for small, large in choice.beaten]
    for place, other, key in [*reasons, *((choice.place, place, "") for place in choice.kept_over)]:
        pair = pairs[frozenset((place, other))]
        better = recipes[other].test.mean - recipes[place].test.mean
        words |= {"small": recipes[place].name, "large": recipes[other].name, "p": _p(pair.adjusted, t, "p ")}
        is_larger = recipes[other].params > recipes[place].params
        words |= {"difference": t.number(100 * abs(better), 2), "points": t.points(better)}
        words["size"] = t("compare.larger" if is_larger else "compare.as_large")
        behind = "worse" if pair.is_significant else "no_better"
        why = behind if better <= 0 else "below_margin" if better <= margin else "not_significant"
        said.append(t(f"compare.{'no_test' if pair.p is None else key or why}", **words))
    single = [len(recipes[place].found) == 1 for place in comparison.compared]
    caution = "caution_runs" if all(single) else "caution_mixed" if any(single) else "caution_seeds"
    return [*said, t(f"compare.{caution}"), t("compare.caution")]
