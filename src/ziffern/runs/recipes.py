"""Recipes: runs that differ only in their seed or fold, named by the settings in which they differ from other recipes.

Decision: several folds of a cross-validation are one recipe, whose results are those of its folds, each the mean over
the seeds of the fold; a single fold is like any other split, and folds evaluated on the same images are like seeds.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.significance import MeanInterval, fold_interval, mean_interval
from ziffern.runs.findings import Findings

Settings = dict[str, bool | int | float | str]
SEED, FOLD = "seed", "data.fold"  # the settings in which runs of one recipe differ
MAX_DIFFERENCES = 3  # settings in a recipe's name
# prefixes of settings that come last in a recipe's name
NAMED_LAST = ("published", "callbacks", "logger", "data.source.fallback", "model.augment.", "threads")


@dataclass(frozen=True)
class Recipe:
    """Runs that differ only in their fold and seed, in this order."""

    name: str
    runs: tuple[Findings, ...]

    @property
    def first(self) -> Findings:
        """The run with the lowest fold and seed."""
        return self.runs[0]

    @cached_property
    def folds(self) -> dict[int, list[Findings]]:
        """The runs of each fold of a cross-validation; empty for a single fold.

        Also empty for evaluations of all folds on the same images, which are like those of several seeds.
        """
        folds = defaultdict(list)
        for run in self.runs:
            folds[fold_of(run) or 0].append(run)
        share_images = self.first.run.evaluation is not None and len(set(map(tested_images, self.runs))) == 1
        return {} if len(folds) == 1 or share_images else dict(folds)

    @property
    def images(self) -> tuple[object, ...]:
        """The identity of the test images, those of one fold after the other."""
        return tuple(tested_images(runs[0]) for runs in (self.folds.values() or [self.runs]))

    @property
    def test_ratio(self) -> float:
        """Test images per training image."""
        return int(self.first.about["data/test"]) / max(1, int(self.first.about["data/train"]))

    @cached_property
    def fold_accuracies(self) -> list[float]:
        """Test accuracy of each fold, the mean over its seeds."""
        return [
            float(np.mean([run.outcome.accuracy for run in runs if run.outcome is not None]))
            for runs in self.folds.values()
        ]

    @property
    def labels(self) -> str:
        """The names and tags of the runs, each once."""
        return "; ".join(dict.fromkeys(run.run.labels for run in self.runs if run.run.labels))

    @property
    def params(self) -> int:
        """The number of parameters of the net."""
        return int(self.first.about["params"])

    def mean(self, key: str) -> MeanInterval | None:
        """Return the mean of a metric over the seeds or folds; None if a run lacks it. For `test/acc` it is `test`."""
        if key == "test/acc":
            return self.test if self.is_tested else None
        if any(run.results.get(key) is None for run in self.runs):
            return None
        groups = list(self.folds.values()) or [[run] for run in self.runs]
        values = [float(np.mean([run.results[key] for run in runs])) for runs in groups]
        return fold_interval(values, self.test_ratio) if self.folds else mean_interval(values)

    @property
    def is_tested(self) -> bool:
        """Whether every seed has predictions on the test part."""
        return all(run.outcome is not None for run in self.runs)

    @property
    def saw_test(self) -> bool:
        """Whether a model was tested on images that it, or the weights it started from, was trained or selected on."""
        return any(run.saw_test for run in self.runs)

    @cached_property
    def test(self) -> MeanInterval:
        """Test accuracy: the mean over seeds or folds with its t-interval in [0, 1], or one run with Wilson's."""
        outcomes = [run.outcome for run in self.runs if run.outcome is not None]
        if len(outcomes) == 1:
            return MeanInterval(outcomes[0].accuracy, math.nan, *outcomes[0].interval)
        if self.folds:
            mean, deviation, low, high = fold_interval(self.fold_accuracies, self.test_ratio)
        else:
            mean, deviation, low, high = mean_interval([outcome.accuracy for outcome in outcomes])
        return MeanInterval(mean, deviation, max(0.0, low), min(1.0, high))

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Whether the run of each of S seeds classified each of N test images correctly, (S, N).

        For several folds it is (1, N): the images of all folds, each classified by the first run of its fold.
        """
        if self.folds:
            firsts = [runs[0].outcome for runs in self.folds.values()]
            return np.concatenate([outcome.hit for outcome in firsts if outcome is not None])[None]
        return np.stack([run.outcome.hit for run in self.runs if run.outcome is not None])

    @property
    def verdict(self) -> tuple[str, int]:
        """The most frequent verdict on the fit, and how many seeds have it."""
        return Counter(run.fit.verdict.name for run in self.runs).most_common(1)[0]


def group(runs: Sequence[Findings]) -> tuple[list[Recipe], list[tuple[Findings, Findings]]]:
    """Return the recipes, and the runs left out, each with the run kept that has the same settings, fold and seed."""
    groups: dict[tuple[object, ...], dict[tuple[int, int], Findings]] = {}
    duplicates: list[tuple[Findings, Findings]] = []
    seen: dict[tuple[object, ...], list[tuple[object, ...]]] = {}  # the test images of the runs of a fold
    for run in sorted(runs, key=lambda run: not run.run.is_tested):  # of two duplicates, the tested one is kept
        fold, images = fold_of(run), tested_images(run)
        left_out = (SEED,) if fold is None else (SEED, FOLD)
        settings = {key: value for key, value in _settings(run).items() if key not in left_out and str(value) != "None"}
        key: tuple[object, ...] = (*sorted((k, str(v)) for k, v in settings.items()), images[0])
        others = seen.setdefault((*key, fold), [])
        if images not in others:
            others.append(images)
        members = groups.setdefault((*key, others.index(images)), {})
        place = (fold or 0, int(run.about["seed"]))
        if place in members:
            duplicates.append((run, members[place]))
        else:
            members[place] = run
    order = {id(run): place for place, run in enumerate(runs)}
    sorted_runs = [tuple(runs[place] for place in sorted(runs)) for runs in groups.values()]
    sorted_runs.sort(key=lambda runs: min(order[id(run)] for run in runs))  # as given
    names = _names([_settings(runs[0]) for runs in sorted_runs])
    return [Recipe(name, runs) for name, runs in zip(names, sorted_runs, strict=True)], duplicates


def fold_of(run: Findings) -> int | None:
    """Return the fold that a run of a cross-validation was tested on; None for any other split."""
    fold = run.run.settings.get(FOLD)
    return fold if run.run.settings.get("data.split") == "kfold" and type(fold) is int else None


def _settings(run: Findings) -> Settings:
    """Return what defines a recipe: the settings that change a result, and the score that selects the epoch."""
    return run.run.settings | {"monitor": str(run.run.config.get("monitor"))}


def tested_images(run: Findings) -> tuple[object, ...]:
    """Return the identity of the test images: the fingerprint of the data, and the images in their order."""
    predictions = run.run.predictions if run.run.is_tested else None
    arrays = (predictions.index.tobytes(), predictions.target.tobytes()) if predictions else ()
    return (str(run.about["data/fingerprint"]), *arrays)


def _names(settings: Sequence[Settings]) -> list[str]:
    """Name each recipe by its model, and by the settings in which recipes with this model differ."""
    names = []
    for own in settings:
        rivals = [other for other in settings if other["model"] == own["model"]]
        keys = {key for rival in rivals for key in rival}
        differing = sorted(
            (key for key in keys if len({str(rival.get(key)) for rival in rivals}) > 1),
            key=lambda key: (key.startswith(NAMED_LAST), key),
        )
        shown = [f"{key.split('.')[-1]}={own.get(key, '–')}" for key in differing if key not in (SEED, FOLD)]
        names.append(" ".join([str(own["model"]), *shown[:MAX_DIFFERENCES]]))
    return [name if names.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(names, 1)]
