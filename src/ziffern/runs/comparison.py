"""Comparing finished runs: recipes, what their seeds say, and which one to take.

Decisions: runs that differ only in their seed are one recipe; two recipes are tested against each other only on the
very same test digits; nothing is chosen here that was not asked for: the recommendation follows a stated rule.
"""

import glob
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.recommendation import Choice, Pair, pairwise, recommend
from ziffern.analysis.significance import MeanInterval, mean_interval
from ziffern.errors import InputError
from ziffern.records.kind import is_search
from ziffern.runs.findings import Findings
from ziffern.runs.run import Run
from ziffern.text.language import Language

if TYPE_CHECKING:
    from ziffern.training.module import ImageClassifier

SEED = "seed"  # the setting that runs of one recipe differ in
ROUNDS, BATCH = 7, 500  # of the measurement of prediction speed
MOST_DIFFERENCES = 3  # settings that a recipe is named by
NAMELESS = (
    "published",
    "callbacks",
    "logger",
    "data.source.fallback",
    "model.augment.",
    "threads",
)  # settings that no recipe is named by, unless nothing else differs


@dataclass(frozen=True)
class Recipe:
    """Runs that differ only in their seed, the lowest seed first."""

    name: str
    found: tuple[Findings, ...]

    @property
    def first(self) -> Findings:
        """The run with the lowest seed, for what all have in common."""
        return self.found[0]

    @property
    def params(self) -> int:
        """Parameters of the net."""
        return int(self.first.about["params"])

    def mean(self, key: str) -> MeanInterval:
        """Return the mean of a final metric over the seeds."""
        return mean_interval([float(found.about[key]) for found in self.found])

    @property
    def is_tested(self) -> bool:
        """Whether every seed has predictions on the test part."""
        return all(found.outcome is not None for found in self.found)

    @cached_property
    def test(self) -> MeanInterval:
        """Test accuracy: the mean over the seeds with its t-interval within 0 and 1, or one run with Wilson's."""
        outcomes = [found.outcome for found in self.found if found.outcome is not None]
        if len(outcomes) == 1:
            return MeanInterval(outcomes[0].accuracy, math.nan, *outcomes[0].interval)
        mean, deviation, low, high = mean_interval([outcome.accuracy for outcome in outcomes])
        return MeanInterval(mean, deviation, max(0.0, low), min(1.0, high))

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each seed read each test digit correctly, (S, N)."""
        return np.stack([found.outcome.hit for found in self.found if found.outcome is not None])

    @property
    def gap(self) -> float:
        """Training minus validation accuracy of the last epoch, mean over the seeds."""
        return float(np.mean([found.fit.gap for found in self.found]))

    @property
    def verdict(self) -> tuple[str, int]:
        """The most frequent verdict on the fit, and how many seeds have it."""
        return Counter(found.fit.verdict.name for found in self.found).most_common(1)[0]


@dataclass(frozen=True)
class Comparison:
    """Recipes side by side."""

    recipes: tuple[Recipe, ...]
    notes: tuple[str, ...]
    compared: tuple[int, ...]  # places of the recipes that were tested on the same digits: the most that were
    pairs: tuple[Pair, ...]  # of those; numbers are places among `recipes`
    choice: Choice | None
    bytes: tuple[int | None, ...]  # of each recipe's weights
    speed: tuple[float | None, ...]  # images a second, on this machine


def find_runs(names: Sequence[str]) -> list[Run]:
    """Return the runs that folders, sweep folders and patterns mean, each once, in the order given.

    Raises:
        InputError: A name means no run, or there is only one.
    """
    folders: dict[Path, Path] = {}
    for name in names:
        matches = [Path(name)] if Path(name).exists() else [Path(match) for match in sorted(glob.glob(name))]  # noqa: PTH207
        for match in matches:
            if is_search(match):
                raise InputError(
                    f"{match}: a search, whose trials are not tested: ziffern sweep report {match} shows it; compare "
                    "runs of its best setting, experiment=best"
                )
        found = [folder for match in matches for folder in _runs_in(match)]
        if not found:
            raise InputError(f"{name}: no run there: name run folders, or a sweep folder that holds some")
        folders |= {folder.resolve(): folder for folder in found}
    if len(folders) == 1:
        raise InputError(f"{names[0]}: one run cannot be compared: name at least two; ziffern report shows one")
    return [Run(folder) for folder in folders.values()]


def make_comparison(runs: Sequence[Run], margin: float, t: Language) -> Comparison:
    """Group runs into recipes, measure, and test each pair that saw the same digits.

    Raises:
        InputError: Fewer than two runs came to their end.
    """
    finished, stopped = [run for run in runs if run.is_finished], [run for run in runs if not run.is_finished]
    if len(finished) < 2:  # noqa: PLR2004
        raise InputError(
            f"{len(finished)} of {len(runs)} runs came to their end, and two are needed ({stopped[0].folder} did not): "
            "continue with ckpt_path=RUN/checkpoints/last.ckpt; ziffern report shows what is there"
        )
    recipes, doubles = group([Findings(run) for run in finished])
    models = [load(recipe) for recipe in recipes]
    notes = [t("compare.unfinished", run=run.folder) for run in stopped]
    notes += [_double(found, kept, t) for found, kept in doubles]
    notes += _threads(recipes, t)
    notes += [t("compare.contradiction", run=folder, names=", ".join(names)) for folder, names in _odd(recipes, models)]
    notes += [t("compare.untested", name=recipe.name) for recipe in recipes if not recipe.is_tested]
    compared, reason = same_digits(recipes, t)
    if reason:
        names = ", ".join(recipes[place].name for place in compared) if len(compared) > 1 else "–"
        notes.append(t("compare.other_digits", reason=reason, names=names))
    pairs, choice = judge(recipes, compared, margin) if len(compared) > 1 or len(recipes) == 1 else ([], None)
    size = tuple(None if model is None else _bytes(model) for model in models)
    return Comparison(tuple(recipes), tuple(notes), tuple(compared), tuple(pairs), choice, size, tuple(measure(models)))


def judge(recipes: Sequence[Recipe], compared: Sequence[int], margin: float) -> tuple[list[Pair], Choice | None]:
    """Test each pair of the recipes at these places, all tested on the same digits, and choose one of them."""
    if not compared:
        return [], None
    chosen = [recipes[place] for place in compared]
    pairs = pairwise([recipe.hits for recipe in chosen])
    params, val = [recipe.params for recipe in chosen], [recipe.mean("val/acc").mean for recipe in chosen]
    choice = recommend(params, val, [recipe.test.mean for recipe in chosen], pairs, margin)
    return (  # numbered as all recipes are
        [replace(pair, first=compared[pair.first], second=compared[pair.second]) for pair in pairs],
        Choice(
            compared[choice.place],
            tuple((compared[small], compared[large]) for small, large in choice.beaten),
            tuple(compared[place] for place in choice.kept_over),
        ),
    )


def same_digits(recipes: Sequence[Recipe], t: Language) -> tuple[list[int], str]:
    """Return the places of the largest set of recipes tested on the same digits, and in what others differ."""
    sets: dict[tuple[object, ...], list[int]] = {}
    for place, recipe in enumerate(recipes):
        if recipe.is_tested:
            sets.setdefault(_digits(recipe.first), []).append(place)
    if not sets:
        return [], ""
    firsts = [recipes[places[0]].first for places in sets.values()]
    return max(sets.values(), key=len), _difference(firsts, t) if len(sets) > 1 else ""


def group(found: Sequence[Findings]) -> tuple[list[Recipe], list[tuple[Findings, Findings]]]:
    """Return recipes, named by what they differ in, and runs left out, each with the one kept that has its seed."""
    groups: dict[tuple[object, ...], dict[int, Findings]] = {}
    doubles = []
    for each in sorted(found, key=lambda each: not each.run.is_tested):  # of two alike, the tested one stays
        settings = {key: value for key, value in _settings(each).items() if key != SEED and str(value) != "None"}
        key = (*sorted((k, str(v)) for k, v in settings.items()), _digits(each))
        seeds = groups.setdefault(key, {})
        seed = int(each.about["seed"])
        if seed in seeds:
            doubles.append((each, seeds[seed]))
        else:
            seeds[seed] = each
    order = {id(each): place for place, each in enumerate(found)}
    members = [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in groups.values()]
    members.sort(key=lambda runs: min(order[id(each)] for each in runs))  # as given
    names = _names([_settings(runs[0]) for runs in members])
    return [Recipe(name, runs) for name, runs in zip(names, members, strict=True)], doubles


def load(recipe: Recipe) -> "ImageClassifier | None":
    """Return the model of a recipe's first run, or None where it cannot be loaded."""
    try:
        return recipe.first.run.load_model()
    except InputError:
        return None


def measure(models: Sequence["ImageClassifier | None"]) -> list[float | None]:
    """Return images a second of prediction; None where there is no model.

    All are measured in turn, round by round, on random images in batches of BATCH. The fastest round counts: what
    slows one down is other work on the machine.
    """
    import torch

    draw = np.random.default_rng(0).integers
    shapes = {model.normalize.image for model in models if model is not None}
    images = {shape: torch.from_numpy(draw(0, 256, (BATCH, *shape), dtype=np.uint8)) for shape in shapes}
    seconds: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for _ in range(ROUNDS + 1):  # the first warms up
            for model, times in zip(models, seconds, strict=True):
                if model is not None:
                    batch = images[model.normalize.image]
                    start = time.perf_counter()
                    model(batch)
                    times.append(time.perf_counter() - start)
    return [BATCH / min(times[1:]) if times else None for times in seconds]


def _settings(found: Findings) -> dict[str, bool | int | float | str]:
    """Return what makes a recipe: the settings that change a result, and the score that chooses."""
    return found.run.settings | {"monitor": str(found.run.config.get("monitor"))}


def _double(found: Findings, kept: Findings, t: Language) -> str:
    """Return why a run is left out, and in what it differs from the one kept."""
    if found.threads != kept.threads and found.threads and kept.threads:
        numbers = {"threads": t.number(found.threads), "others": t.number(kept.threads)}
        return t("compare.double_threads", run=found.run.folder, kept=kept.run.folder, **numbers)
    return t("compare.double", run=found.run.folder)


def _threads(recipes: Sequence[Recipe], t: Language) -> list[str]:
    """Return a note naming what was trained with how many CPU threads, where that differs."""
    if len({found.threads for recipe in recipes for found in recipe.found if found.threads}) < 2:  # noqa: PLR2004
        return []
    parts = []
    for recipe in recipes:
        seeds: dict[int, list[str]] = {}
        for found in recipe.found:
            if found.threads:
                seeds.setdefault(found.threads, []).append(str(found.about["seed"]))
        numbers = [
            t.number(count) + (f" (seed {', '.join(seeds[count])})" if len(seeds) > 1 else "") for count in seeds
        ]
        parts += [f"{recipe.name}: {', '.join(numbers)}"] if numbers else []
    return [t("compare.threads", numbers="; ".join(parts))]


def _odd(recipes: Sequence[Recipe], models: Sequence["ImageClassifier | None"]) -> Iterator[tuple[Path, list[str]]]:
    """Yield runs whose final metrics contradict their other files, with the metrics' names."""
    for recipe, model in zip(recipes, models, strict=True):
        for found in recipe.found:
            wrong = found.contradictions
            if found is recipe.first and model is not None and model.parameter_count != recipe.params:
                wrong = [*wrong, "params"]
            if wrong:
                yield found.run.folder, wrong


def _bytes(model: "ImageClassifier") -> int:
    return sum(value.nbytes for value in model.net.state_dict().values())


def _runs_in(folder: Path) -> list[Path]:
    def is_run(path: Path) -> bool:
        return (path / ".hydra/config.yaml").is_file() or (path / "metrics.json").is_file()

    if is_run(folder) or not folder.is_dir():
        return [folder] if is_run(folder) else []
    children = [path for path in folder.iterdir() if path.is_dir() and is_run(path)]
    return sorted(children, key=lambda path: (len(path.name), path.name))  # 2 before 10


def _names(settings: Sequence[dict[str, bool | int | float | str]]) -> list[str]:
    """Name each recipe by its model, and where that is not enough by the settings that differ within the model."""
    names = []
    for mine in settings:
        rivals = [each for each in settings if each["model"] == mine["model"]]
        differing = sorted(
            (key for key in {k for each in rivals for k in each} if len({str(each.get(key)) for each in rivals}) > 1),
            key=lambda key: (key.startswith(NAMELESS), key),
        )
        shown = [f"{key.split('.')[-1]}={mine.get(key, '–')}" for key in differing if key != SEED]
        names.append(" ".join([str(mine["model"]), *shown[:MOST_DIFFERENCES]]))
    return [name if names.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(names, 1)]


def _digits(found: Findings) -> tuple[object, ...]:
    """Return what names the test digits of a run: the data's fingerprint, and the digits in their order."""
    said = found.run.predictions if found.run.is_tested else None
    return (str(found.about["data/fingerprint"]), *((said.index.tobytes(), said.target.tobytes()) if said else ()))


def _difference(found: Sequence[Findings], t: Language) -> str:
    """Return in words in what the test digits of these runs differ."""
    keys = {"data/name": "other_data", "data/fingerprint": "other_content", "data/split": "other_split"}
    for key, word in keys.items():
        values = sorted({str(each.about[key]) for each in found})
        if len(values) > 1:
            return t(f"compare.{word}", values=" / ".join(values))
    return t("compare.other_index")
