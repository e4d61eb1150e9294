"""Write docs/results.md from docs/results: the published figures beside the measured ones.

Decisions: `reproduce.py` copies figures, histories and hardware there, `patience.py` its study; the page is made from
those files and conf/experiment alone, so it can be written again without any data. A published figure is one run, so
it is compared with the prediction interval of a single run of ours, not with the narrower interval of our mean.
Conclusions are computed from the figures, so they stay true when those are measured again.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from ziffern.analysis.fit import Fit, diagnose
from ziffern.analysis.significance import mean_interval
from ziffern.config.instantiate import conf_folder
from ziffern.files.atomic import write_text

CURVES = (("train", "loss"), ("train", "acc"), ("val", "loss"), ("val", "acc"))
INTRODUCTION = """# Results

For each recipe in `conf/experiment`: what was published, and what was measured here. There is one run per seed. It
trains on the training part, chooses its epoch on validation data, and is tested once. All seeds share one split
(`data.split_seed=0`), and ± is the standard deviation over seeds. A recipe that is not listed was not run.

The figures are in the files of `docs/results`, which are written by

```bash
python scripts/reproduce.py -- data.dir=FOLDER
```

and by `scripts/patience.py`, `scripts/searches.py` and `scripts/ablation.py`. Each table names its hardware and its
command.
"""
READING = """
The interval is Student's 95 % interval of the mean of n seeds. For a single run it is the 95 % Wilson interval, given
its number of test digits. The measured validation accuracy is that of the chosen epoch. The gap is training minus
validation accuracy in the last epoch; it is negative where dropout or augmentation lowers the accuracy that is counted
during training. The fit is the verdict of `ziffern report` that most seeds have; overfitting requires a gap above 2
points. Seconds include training and validation, on the hardware named below and not on the published one, with the
range over seeds.

A published figure is a single run. It is therefore compared with the 95 % prediction interval of one more run of ours,
mean ± t · deviation · √(1 + 1/n), which accounts for the variation between seeds, but not for other splits or other
test digits.
"""


@dataclass(frozen=True)
class Measured:
    """The runs of one experiment, by seed."""

    name: str
    recipe: DictConfig
    metrics: dict[int, dict[str, Any]]
    fits: list[Fit]  # the verdict on each run's curves
    common: dict[str, Any]  # hardware and settings that all runs share
    own: dict[str, dict[str, Any]]  # by seed: those that they do not share

    @classmethod
    def read(cls, name: str, docs: Path) -> "Measured":
        """Read docs/results/NAME."""
        folder = docs / "results" / name
        seeds = sorted(int(path.stem.removeprefix("seed")) for path in folder.glob("seed*.json"))
        metrics = {seed: json.loads((folder / f"seed{seed}.json").read_text()) for seed in seeds}
        environment = json.loads((folder / "environment.json").read_text())
        fits = [fit_of(folder / f"seed{seed}.csv") for seed in seeds]
        return cls(name, recipe_of(name), metrics, fits, environment["common"], environment["seeds"])

    def all(self, key: str) -> list[Any]:
        """Return one figure of each run."""
        return [metrics[key] for metrics in self.metrics.values()]

    def published(self, key: str) -> Any:
        """Return a published figure, or None."""
        return OmegaConf.select(self.recipe, f"published.{key}")


def fit_of(path: Path) -> Fit:
    """Return the verdict on a history."""
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return diagnose(*(np.array([float(row[f"{part}/{name}"]) for row in rows]) for part, name in CURVES))


def recipe_of(name: str) -> DictConfig:
    """Return the composed configuration of an experiment."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("train", overrides=[f"experiment={name}"])


def percent(value: float | None) -> str:
    """Return a share as a percentage, or a dash."""
    return "–" if value is None else f"{100 * value:.2f}"


def spread(values: Sequence[float], show: Callable[[float], str] = percent) -> str:
    """Return mean ± deviation, or the single value."""
    interval_of_mean = mean_interval(values)
    return show(interval_of_mean.mean) + (f" ± {show(interval_of_mean.deviation)}" if len(values) > 1 else "")


def span(values: Sequence[float]) -> str:
    """Return the mean and range of whole numbers, or the number itself if all are equal."""
    return (
        f"{mean(values):.1f} ({min(values):.0f} to {max(values):.0f})" if len(set(values)) > 1 else f"{values[0]:.0f}"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; all columns but the first align right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n" + "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def overview(measured: Sequence[Measured]) -> str:
    """Return two tables of published and measured figures, scores and costs, with one row per experiment."""
    scores, costs = [], []
    for own in measured:
        test = f"{spread(own.all('test/acc'))} (n = {len(own.metrics)})"
        between = " to ".join(map(percent, interval(own)))
        gap = spread([fit.gap for fit in own.fits])
        own_verdict, count = Counter(str(fit.verdict) for fit in own.fits).most_common(1)[0]
        fit = (own.published("verdict") or "–", f"{own_verdict} ({count} of {len(own.fits)})")
        val = (percent(own.published("val/acc")), spread(own.all("val/acc")))
        name, figure = f"`{own.name}`", percent(own.published("test/acc"))
        scores.append([name, figure, test, between, *val, percent(own.published("gap")), gap, *fit])
        seconds = own.published("train_seconds")
        params = (f"{own.published('params'):,}", ", ".join(f"{size:,}" for size in sorted(set(own.all("params")))))
        epochs = (own.published("epochs"), span(own.all("epochs")))
        costs.append([name, *params, *epochs, "–" if seconds is None else seconds, span(own.all("train_seconds"))])
    shown = ("test %, published", "test %, measured", "95 % interval", "validation %, published", "val. %, measured")
    fits = ("gap in points, published", "gap, measured", "fit, published", "fit, measured")
    above = table(("experiment", *shown, *fits), scores)
    names = ("parameters", "epochs", "seconds")
    pairs = (f"{name}, {which}" for name in names for which in ("published", "measured"))
    return above + table(("experiment", *pairs), costs)


def recipes(measured: Sequence[Measured]) -> str:
    """Return the table of the recipes that are this project's own, best first, or an empty string."""
    if not measured:
        return ""
    rows = []
    for own in sorted(measured, key=lambda own: -mean(own.all("test/acc"))):
        test = f"{spread(own.all('test/acc'))} (n = {len(own.metrics)})"
        shares = own.all("test/acc")
        rows.append(
            [
                *(
                    f"`{own.name}`",
                    own.all("data/name")[0],
                    ", ".join(f"{size:,}" for size in sorted(set(own.all("params")))),
                ),
                *(test, " to ".join(map(percent, interval(own))), f"{percent(min(shares))} to {percent(max(shares))}"),
                *(spread(own.all("val/acc")), span(own.all("epochs")), span(own.all("train_seconds"))),
            ]
        )
    header = ("experiment", "data", "parameters", "test %", "95 % interval", "worst to best seed", "validation %")
    about = (
        "\n## Our own recipes\n\nChosen on validation digits alone, and tested once per seed on the official 10,000 "
        "test digits. Seconds include training and validation on one CPU thread. For comparison: the published compact "
        "CNN has 21,840 parameters and reached 98.20 % on the 14,000 test digits of its own split.\n"
    )
    return about + table((*header, "epochs", "seconds"), rows)


def ablation(docs: Path) -> str:
    """Return the effect of each part of a recipe, from docs/results/ablation.json, or an empty string."""
    path = docs / "results" / "ablation.json"
    if not path.exists():
        return ""
    study = json.loads(path.read_text())
    base = [row for row in study["rows"] if not row["overrides"]]
    changes = list(dict.fromkeys(row["change"] for row in study["rows"]))
    rows = []
    for change in changes:
        own = [row for row in study["rows"] if row["change"] == change]
        wrong, loss = ([float(row[key]) for row in own] for key in ("wrong", "loss"))
        paired = [row["wrong"] - other["wrong"] for row in own for other in base if other["seed"] == row["seed"]]
        differs = f"{mean(paired):+.1f}" if own[0]["overrides"] and paired else ""
        typed = " ".join(f"`{item}`" for item in own[0]["overrides"])
        shown = (f"{mean(wrong):.1f}", differs, f"{mean(loss):.4f}", f"{mean(row['seconds'] for row in own):.0f}")
        rows.append([change, typed, len(own), *shown])
    header = ("change", "override", "seeds", "wrong", "difference", "validation loss", "seconds")
    return (
        f"\n## The effect of each part of `{study['experiment']}`\n\nEach row removes or replaces one part of the "
        f"recipe, trains for {study['epochs']} epochs, and validates on {study['val']:,} digits that were not trained "
        "on; nothing was tested. *Wrong* is the mean number of misclassified validation digits, and the difference is "
        "to the full recipe with the same seed and split. The number of a single seed has a standard error of about "
        f"{study['error']:.0f}, so only large differences mean anything. Seconds are for one thread, with other work "
        "on the machine: a rough guide.\n"
        f"{table(header, rows)}\n`python scripts/ablation.py data.dir=FOLDER`\n"
    )


def interval(own: Measured, single: bool = False) -> tuple[float, float]:
    """Return the 95 % interval of the mean test accuracy, or of a `single` further run; of one run, Wilson's."""
    if len(own.metrics) == 1:
        return own.all("test/acc_low")[0], own.all("test/acc_high")[0]
    of_mean = mean_interval(own.all("test/acc"))
    half = (of_mean.high - of_mean.mean) * ((len(own.metrics) + 1) ** 0.5 if single else 1)  # t·s/√n to t·s·√(1 + 1/n)
    return max(0.0, of_mean.mean - half), min(1.0, of_mean.mean + half)


def verdict(own: Measured) -> str:
    """Return whether this recipe reproduces the published figure, and how the trainings differ."""
    n, figure = len(own.metrics), own.published("test/acc")
    low, high = interval(own, single=True)
    kind = "the Wilson interval of our one run" if n == 1 else f"the prediction interval of one run (n = {n})"
    bounds = f"{percent(low)} to {percent(high)} %, {kind}"
    ours = mean(own.all("test/acc"))
    if figure is None:
        conclusion = "nothing to compare with: no published test accuracy of this network alone is known"
    elif low <= figure <= high:
        conclusion = f"**reproduced**: the published {percent(figure)} % lies inside {bounds}"
    else:
        better = f"better by {percent(ours - figure)}" if ours > figure else f"not reached by {percent(figure - ours)}"
        side = "below" if ours > figure else "above"
        conclusion = f"**{better} points**: the published {percent(figure)} % lies {side} {bounds}"
    return f"- `{own.name}`: {conclusion}. Differences: {'; '.join(differences(own))}.{caution(own)}\n"


def caution(own: Measured) -> str:
    """Return a caution about the comparison, or an empty string."""
    if OmegaConf.select(own.recipe, "model.normalize.fit_on") == "all":
        return " As published, mean and deviation of the pixels are those of all images, including the test images."
    return ""


def differences(own: Measured) -> list[str]:
    """Return the known differences from the published training."""
    data, epochs = own.recipe.data, own.all("epochs")
    known = []
    if data.split == "resplit":
        total, share = own.all("test/total")[0], mean(own.all("test/acc"))
        chance = f"± {percent(1.96 * (share * (1 - share) / total) ** 0.5)} points (95 %, binomial)"
        known += [f"another random split of the same digits: {total:,} other test digits alone mean {chance}"]
    if data.split == "official" and data.val_from == "train":
        left, val = own.all("data/train")[0], own.all("data/val")[0]
        known += [f"{val:,} of the {left + val:,} training digits validate and are not trained on"]
    stops = OmegaConf.select(own.recipe, "callbacks.early_stopping.patience") is not None
    cut = any(item.startswith("trainer.max_epochs=") for item in own.common.get("settings", []))
    if stops and not cut:
        chosen = "the patience was chosen to give this, so the epochs are no evidence by themselves"
        known += [f"early stopping after {span(epochs)} epochs, published {own.published('epochs')} ({chosen})"]
    elif max(epochs) < own.published("epochs"):
        known += [f"{span(epochs)} epochs instead of {own.published('epochs')}"]
    precision = own.common.get("precision", "differing between seeds")
    return known + ([f"precision {precision}"] if precision != "32-true" else [])


def hardware(facts: dict[str, Any]) -> str:
    """Return hardware and versions as one line, as far as they are known."""
    words = {"cpu_count": "{} cores", "threads": "threads={}", "device": "on {}", "precision": "precision {}"}
    words |= {"torch": "torch {}", "pytorch-lightning": "pytorch-lightning {}"}
    order = ("processor", *words)
    shown = [words.get(key, "{}").format(facts[key]) for key in order if facts.get(key) is not None]
    return ", ".join([*shown, *facts.get("settings", [])])


def details(own: Measured) -> str:
    """Return the section of one experiment: one row per seed, hardware, command."""
    keys = ("val/acc", "test/acc", "test/correct", "test/total", "epochs", "best_epoch", "train_seconds")
    rows = []
    for seed, metrics in own.metrics.items():
        val, test, correct, total, epochs, best, seconds = (metrics[key] for key in keys)
        right = f"{correct:,} of {total:,}"
        rows.append([seed, percent(val), percent(test), right, epochs, best, f"{seconds:.1f}"])
    header = ("seed", "validation %", "test %", "correct", "epochs", "best epoch", "seconds")
    differing = [f"; seed {seed}: {hardware(facts)}" for seed, facts in own.own.items() if facts]
    machine = hardware({key: value for key, value in own.common.items() if key != "settings"})
    overrides = " ".join(["data.dir=FOLDER", *own.common.get("settings", [])])
    command = f"python scripts/reproduce.py {own.name} --seeds {' '.join(map(str, own.metrics))} -- {overrides}"
    source = own.published("source")
    above = f"{source}.\n" if source else ""
    return f"\n## {own.name}\n\n{above}{table(header, rows)}\n{machine}{''.join(differing)}.\n\n`{command}`\n"


def patience_study(docs: Path) -> str:
    """Return the section on early stopping, from docs/results/patience.json."""
    path = docs / "results" / "patience.json"
    if not path.exists():
        return ""
    study = json.loads(path.read_text())
    chosen, goal = study["chosen"], study["published"]
    rows = [
        [f"`{rule['monitor']}`", rule["patience"], *(span(rule[net]["stops"]) for net in goal), rule["deviation"]]
        for rule in study["rules"][:6]
    ]
    missed = [net for net, epoch in goal.items() if not min(chosen[net]["stops"]) <= epoch <= max(chosen[net]["stops"])]
    named = " and ".join(f"`{net}`" for net in missed)
    conclusion = (
        f"No rule explains both: even with the best one, the published epoch of {named} lies outside the range of our "
        "seeds, so the rule is our choice."
        if missed
        else "With this rule, both published figures lie within the range of our seeds, so they do not contradict it. "
        "That does not prove that it was the one used: its neighbors in the table do nearly as well."
    )
    header = ("monitor", "patience", *(f"`{net}` stops after" for net in goal), "sum of squared relative deviations")
    return (
        "\n## Which early stopping?\n\n"
        f"The rule was not published, only that training ended after {' and '.join(map(str, goal.values()))} epochs. "
        f"Both networks were trained for {study['epochs']} epochs without early stopping, with {study['seeds']} seeds "
        "each, and every patience from 1 to 30 was simulated on both validation scores. Mean and range over the seeds, "
        "best rule first:\n"
        f"{table(header, rows)}\n"
        f"Chosen for both recipes: `{chosen['monitor']}`, patience {chosen['patience']}. {conclusion}\n"
        f"\n{study['hardware']}.\n\n`python scripts/patience.py data.dir=FOLDER`\n"
    )


def labels(measured: Sequence[Measured], docs: Path) -> str:
    """Return the section on how often each digit occurs, and on the baseline that follows from it."""
    path = docs / "results" / "labels.json"
    if not path.exists():
        return ""
    content = json.loads(path.read_text())
    counts: dict[str, list[int]] = content["counts"]
    rows = [
        [digit, *(f"{part[digit]:,} ({percent(part[digit] / sum(part))})" for part in counts.values())]
        for digit in range(len(counts["all"]))
    ]
    total = ["all", *(f"{sum(part):,}" for part in counts.values())]
    text = (
        f"\n## How often each digit occurs\n\nAll of MNIST, and its parts ({content['split']}): count (share in %).\n"
    )
    text += table(("digit", "all", "train", "validation", "test"), [*rows, total])
    for own in measured:
        if (figure := own.published("baseline/acc")) is not None:
            share, tested = max(counts["all"]) / sum(counts["all"]), sum(counts["test"])
            chance = (share * (1 - share) / tested * (1 - tested / sum(counts["all"]))) ** 0.5
            baseline = percent(own.all("baseline/acc")[0])
            text += (
                f"\nAlways answering with the most frequent training digit is right for {baseline} % of the test "
                f"digits; published {percent(figure)} %, on another random split. Over random test parts of this size, "
                f"the share has a standard deviation of {percent(chance)} points around {percent(share)} %.\n"
            )
    return f"{text}\n`python scripts/reproduce.py -- data.dir=FOLDER`\n"


def searches(docs: Path) -> str:
    """Return the section on the published grid and the searches beside it, from docs/results/searches.json."""
    path = docs / "results" / "searches.json"
    if not path.exists():
        return ""
    content = json.loads(path.read_text())
    grid_name, *others = content["searches"]
    grid, compared = content["searches"][grid_name], [content["searches"][name] for name in others]
    scores = {(t["params"]["data.batch_size"], t["params"]["model.optimizer.lr"]): t["val/acc"] for t in grid["trials"]}
    batches, rates = ([*dict.fromkeys(key[place] for key in scores)] for place in (0, 1))
    best = grid["trials"][grid["best"]]
    spread_here = max(scores.values()) - min(scores.values())
    published = recipe_of("lin2024").published
    above = [search["trials"][search["best"]]["val/acc"] > best["val/acc"] for search in compared]
    cheap = [search["train_seconds"] <= grid["train_seconds"] / 2 for search in compared]
    rows = []
    for name, search in content["searches"].items():
        winner, again = search["trials"][search["best"]], search["again"]
        states = Counter(trial["state"] for trial in search["trials"])
        share = f"{100 * search['train_seconds'] / grid['train_seconds']:.0f}"
        epochs = sum(trial["epochs"] for trial in search["trials"])
        cost = (epochs, f"{search['train_seconds']:.0f}", share, f"{search['wall_seconds']:.0f}")
        counts = ", ".join(f"{count} {state}" for state, count in states.items())
        scored = (percent(winner["val/acc"]), percent(again["val/acc"]), percent(again["test/acc"]))
        rows.append([f"`{name}`", counts, *cost, *scored])
    costs = ("trials", "epochs", "seconds of training", "% of the grid's", "wall-clock seconds")
    header = ("search", *costs, "best validation %", "trained again", "its test %")
    settings = "".join(
        f"- `{name}`: {', '.join(f'`{key}={_short(value)}`' for key, value in winner['params'].items())}\n"
        for name, search in content["searches"].items()
        for winner in [search["trials"][search["best"]]]
    )
    commands = "".join(f"`{search['command']}`\n\n" for search in content["searches"].values())
    return (
        "\n## The published grid, and searches\n\n"
        f"Validation accuracy of the compact CNN in %, best of 5 epochs; {len(scores)} trials:\n"
        + table(("batch", *rates), [[b, *(percent(scores[b, r]) for r in rates)] for b in batches])
        + f"\nPublished: {percent(published['val/acc'])} % at batch 16 and rate 0.001, and a spread of about 5 points "
        f"over the grid. Measured: {percent(best['val/acc'])} % at batch {best['params']['data.batch_size']} and rate "
        f"{best['params']['model.optimizer.lr']}, {percent(scores[16, 0.001])} % at the published setting, and a "
        f"spread of {percent(spread_here)} points. Seeds of one setting differ by about 0.1 points, so one run each "
        "does not tell batch sizes 16, 32 and 64 apart.\n"
        f"\nTPE with Hyperband over rate, weight decay, schedule, batch size and both dropouts: {sum(above)} of "
        f"{len(above)} searches found a better validation accuracy than the grid's best, {sum(cheap)} of {len(cheap)} "
        "within half of its training time. This does not compare methods fairly: the searches may leave the grid (less "
        "dropout accounts for most of the gain). The best of many validation scores is a little too good in any "
        "search; the test accuracy of the setting, trained once more and tested once, is not.\n"
        + table(header, rows)
        + f"\nBest settings:\n\n{settings}\n{hardware(content['hardware'])}; two workers with one thread each.\n\n"
        f"`python scripts/searches.py -- data.dir=FOLDER`, which runs these commands:\n\n{commands}"
    )


def _short(value: Any) -> Any:
    return f"{value:.3g}" if isinstance(value, float) else value


def render(docs: Path, order: Sequence[str]) -> None:
    """Write docs/results.md from docs/results, the experiments in this order, others after them."""
    present = {path.parent.name for path in docs.glob("results/*/seed*.json")}
    measured = [Measured.read(name, docs) for name in [*order, *sorted(present - set(order))] if name in present]
    published = [own for own in measured if "published" in own.recipe]
    others = [own for own in measured if "published" not in own.recipe]
    text = INTRODUCTION + "\n## Published and measured\n"
    if published:
        text += overview(published) + READING + "\n"
        text += "".join(map(verdict, published)) + "".join(map(details, published))
    text += recipes(others) + "".join(map(details, others)) + ablation(docs)
    write_text(docs / "results.md", text + searches(docs) + patience_study(docs) + labels(published, docs))
