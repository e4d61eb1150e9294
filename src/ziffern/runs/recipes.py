"""Recipes: runs that differ only in their seed, named by the settings in which they differ from other recipes."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ziffern.analysis.significance import MeanInterval, mean_interval
from ziffern.runs.findings import Findings

Settings = dict[str, bool | int | float | str]
SEED = "seed"  # the setting in which runs of one recipe differ
MAX_DIFFERENCES = 3  # settings in a recipe's name
# prefixes of settings that come last in a recipe's name
NAMED_LAST = ("published", "callbacks", "logger", "data.source.fallback", "model.augment.", "threads")


@dataclass(frozen=True)
class Recipe:
    """Runs that differ only in their seed, the lowest seed first."""

    name: str
    runs: tuple[Findings, ...]

    @property
    def first(self) -> Findings:
        """The run with the lowest seed."""
        return self.runs[0]

    @property
    def params(self) -> int:
        """The number of parameters of the net."""
        return int(self.first.about["params"])

    def mean(self, key: str) -> MeanInterval | None:
        """Return the mean of a metric over the seeds; None if a run lacks it. For `test/acc` it is `test`."""
        if key == "test/acc":
            return self.test if self.is_tested else None
        values = [run.results.get(key) for run in self.runs]
        return None if None in values else mean_interval([float(value) for value in values if value is not None])

    @property
    def is_tested(self) -> bool:
        """Whether every seed has predictions on the test part."""
        return all(run.outcome is not None for run in self.runs)

    @cached_property
    def test(self) -> MeanInterval:
        """Test accuracy: the mean over the seeds with its t-interval clipped to [0, 1], or one run with Wilson's."""
        outcomes = [run.outcome for run in self.runs if run.outcome is not None]
        if len(outcomes) == 1:
            return MeanInterval(outcomes[0].accuracy, math.nan, *outcomes[0].interval)
        mean, deviation, low, high = mean_interval([outcome.accuracy for outcome in outcomes])
        return MeanInterval(mean, deviation, max(0.0, low), min(1.0, high))

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        """Whether the run of each of S seeds classified each of N test images correctly, (S, N)."""
        return np.stack([run.outcome.hit for run in self.runs if run.outcome is not None])

    @property
    def verdict(self) -> tuple[str, int]:
        """The most frequent verdict on the fit, and how many seeds have it."""
        return Counter(run.fit.verdict.name for run in self.runs).most_common(1)[0]


def group(runs: Sequence[Findings]) -> tuple[list[Recipe], list[tuple[Findings, Findings]]]:
    """Return the recipes, and the runs left out, each with the run kept that has the same settings and seed."""
    groups: dict[tuple[object, ...], dict[int, Findings]] = {}
    duplicates: list[tuple[Findings, Findings]] = []
    for run in sorted(runs, key=lambda run: not run.run.is_tested):  # of two duplicates, the tested one is kept
        settings = {key: value for key, value in _settings(run).items() if key != SEED and str(value) != "None"}
        key = (*sorted((k, str(v)) for k, v in settings.items()), tested_images(run))
        seeds = groups.setdefault(key, {})
        seed = int(run.about["seed"])
        if seed in seeds:
            duplicates.append((run, seeds[seed]))
        else:
            seeds[seed] = run
    order = {id(run): place for place, run in enumerate(runs)}
    members = [tuple(seeds[seed] for seed in sorted(seeds)) for seeds in groups.values()]
    members.sort(key=lambda runs: min(order[id(run)] for run in runs))  # as given
    names = _names([_settings(runs[0]) for runs in members])
    return [Recipe(name, runs) for name, runs in zip(names, members, strict=True)], duplicates


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
        shown = [f"{key.split('.')[-1]}={own.get(key, '–')}" for key in differing if key != SEED]
        names.append(" ".join([str(own["model"]), *shown[:MAX_DIFFERENCES]]))
    return [name if names.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(names, 1)]
