"""Comparing finished runs: the results of each recipe over its seeds, and which recipe to use.

Decisions: runs that differ only in their seed or fold are one recipe; two recipes are tested against each other only on
the very same test images; the recommendation follows a stated rule; models are loaded, and with them torch, only to
measure their speed; everything here is values and codes, which reports and the terminal put into words.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ziffern.analysis.recommendation import Choice, Pair, pairwise, recommend
from ziffern.errors import InputError
from ziffern.runs.findings import Findings
from ziffern.runs.recipes import Recipe, group
from ziffern.runs.run import Run
from ziffern.text.catalog import Message

if TYPE_CHECKING:
    import pandas as pd

    from ziffern.training.module import ImageClassifier

MARGIN = 0.002  # default share by which a larger model must be better; `ziffern compare --margin` has it in points
ROUNDS, BATCH = 7, 500  # of the measurement of speed
DIFFERENCES = {"data/name": "data", "data/fingerprint": "content", "data/split": "split"}


@dataclass(frozen=True)
class Comparison:
    """Recipes side by side."""

    recipes: tuple[Recipe, ...]
    notes: tuple[Message, ...]
    margin: float  # share by which a larger model must be better
    compared: tuple[Recipe, ...]  # the largest group of recipes that were tested on the same images
    pairs: tuple[Pair, ...]  # by places in this group, as is the choice
    choice: Choice | None
    bytes: tuple[int | None, ...]  # of each recipe's weights; None where nothing was measured
    speed: tuple[float | None, ...]  # images per second, on this machine; likewise

    @property
    def chosen(self) -> Recipe | None:
        """The recommended recipe."""
        return self.compared[self.choice.place] if self.choice else None

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per recipe: name, runs, mean test accuracy with its deviation, parameters, speed, choice."""
        import pandas as pd

        means = [recipe.mean("test/acc") for recipe in self.recipes]
        values = {
            "recipe": [recipe.name for recipe in self.recipes],
            "runs": [len(recipe.runs) for recipe in self.recipes],
            "test_acc": [None if mean is None else mean.mean for mean in means],
            "deviation": [None if mean is None else mean.deviation for mean in means],
            "params": [recipe.params for recipe in self.recipes],
            "images_per_second": self.speed,
            "is_chosen": [recipe is self.chosen for recipe in self.recipes],
        }
        return pd.DataFrame(values)

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


def make_comparison(runs: Sequence[Run], margin: float, with_speed: bool = False) -> Comparison:
    """Group runs into recipes, measure, and test each pair that was tested on the same images.

    Args:
        runs: In the order in which their recipes are shown.
        margin: Share by which a larger model must be better to be worth its size.
        with_speed: Load the models, to check their parameters and to measure their weights and their speed.

    Raises:
        InputError: Fewer than two runs are complete.
    """
    finished = [run for run in runs if run.is_finished and not run.is_debug]
    unfinished = [run for run in runs if not run.is_finished]
    debug = [run for run in runs if run.is_finished and run.is_debug]
    if len(finished) < 2 and debug:  # noqa: PLR2004
        raise InputError("runs.comparison.debug", folder=debug[0].folder)
    if len(runs) < 2:  # noqa: PLR2004
        raise InputError("runs.comparison.single", count=len(runs))
    if len(finished) < 2:  # noqa: PLR2004
        raise InputError(
            "runs.comparison.too_few", finished=len(finished), total=len(runs), folder=unfinished[0].folder
        )
    recipes, duplicates = group([Findings(run) for run in finished])
    loaded = [_load_model(recipe.first.run) if with_speed else None for recipe in recipes]
    models = [model if not isinstance(model, InputError) else None for model in loaded]
    compared, reason = same_test(recipes)
    notes = [
        *(Message("runs.note.unfinished", run=run.folder) for run in unfinished),
        *(Message("runs.note.debug", run=run.folder) for run in debug),
        *(_duplicate(run, kept) for run, kept in duplicates),
        *_threads(recipes),
        *_contradictions(recipes, models),
        *(
            Message("runs.note.not_loaded", run=recipe.first.run.folder, reason=error)
            for recipe, error in zip(recipes, loaded, strict=True)
            if isinstance(error, InputError) and not recipe.first.run.evaluation  # which has no checkpoint
        ),
        *(Message("runs.note.untested", name=recipe.name) for recipe in recipes if not recipe.is_tested),
        *(Message("runs.note.saw_test", name=recipe.name) for recipe in recipes if recipe.saw_test),
    ]
    if reason:
        names = [recipe.name for recipe in compared] if len(compared) > 1 else "–"
        notes.append(Message("runs.note.other_images", reason=reason, names=names))
    pairs, choice = _judge(compared, margin) if len(compared) > 1 or compared == recipes else ([], None)
    size = tuple(
        None if model is None else sum(value.nbytes for value in model.net.state_dict().values()) for model in models
    )
    speed = tuple(images_per_second(models) if with_speed else [None] * len(models))
    return Comparison(tuple(recipes), tuple(notes), margin, tuple(compared), tuple(pairs), choice, size, speed)


def _judge(compared: Sequence[Recipe], margin: float) -> tuple[list[Pair], Choice]:
    """Test each pair of recipes that were all tested on the same images, and choose one of them."""
    folds = [recipe.fold_accuracies for recipe in compared if recipe.folds]  # of all or none: they share their images
    pairs = pairwise([recipe.hits for recipe in compared], folds, compared[0].test_ratio if folds else 0)
    val = [score.mean for recipe in compared if (score := recipe.mean("val/acc"))]
    test = [recipe.test.mean for recipe in compared]
    return pairs, recommend([recipe.params for recipe in compared], val, test, pairs, margin)


def _load_model(run: Run) -> "ImageClassifier | InputError":
    """Return the model of a run, or why it cannot be loaded."""
    try:
        return run.load_model()
    except InputError as error:
        return error


def same_test(recipes: Sequence[Recipe]) -> tuple[list[Recipe], Message | None]:
    """Return the largest group of recipes tested on the same images, and how other groups differ."""
    groups: dict[tuple[object, ...], list[Recipe]] = {}
    for recipe in recipes:
        if recipe.is_tested and not recipe.saw_test:
            groups.setdefault(recipe.images, []).append(recipe)
    difference = _difference([group[0] for group in groups.values()]) if len(groups) > 1 else None
    return max(groups.values(), key=len, default=[]), difference


def _difference(recipes: Sequence[Recipe]) -> Message:
    """Return how the test images of these recipes differ."""
    runs = [recipe.first for recipe in recipes]
    for key, name in DIFFERENCES.items():
        values = sorted({str(run.about[key]) for run in runs})
        if len(values) > 1:
            return Message(f"runs.difference.{name}", values=values)
    if len(counts := sorted({len(recipe.folds) or 1 for recipe in recipes})) > 1:
        return Message("runs.difference.folds", values=counts)
    return Message("runs.difference.order")


def _duplicate(run: Findings, kept: Findings) -> Message:
    """Return why a run is left out in favor of the one with the same settings and seed."""
    if run.threads != kept.threads and run.threads and kept.threads:
        threads = {"threads": run.threads, "others": kept.threads}
        return Message("runs.note.duplicate_threads", run=run.run.folder, kept=kept.run.folder, **threads)
    return Message("runs.note.duplicate", run=run.run.folder)


def _threads(recipes: Sequence[Recipe]) -> Iterator[Message]:
    """Yield a note on the CPU threads of each recipe if they differ."""
    if len({run.threads for recipe in recipes for run in recipe.runs if run.threads}) < 2:  # noqa: PLR2004
        return
    parts = []
    for recipe in recipes:
        seeds: dict[int, list[str]] = {}
        for run in recipe.runs:
            if run.threads:
                seeds.setdefault(run.threads, []).append(str(run.about["seed"]))
        shown = [
            f"{n} (seed={','.join(dict.fromkeys(used))})" if len(seeds) > 1 else str(n) for n, used in seeds.items()
        ]
        parts += [f"{recipe.name}: {', '.join(shown)}"] if shown else []
    yield Message("runs.note.threads", numbers="; ".join(parts))


def _contradictions(recipes: Sequence[Recipe], models: Sequence["ImageClassifier | None"]) -> Iterator[Message]:
    """Yield a note on each run whose metrics.json contradicts its other files."""
    for recipe, model in zip(recipes, models, strict=True):
        for run in recipe.runs:
            wrong = run.contradictions
            if run is recipe.first and model is not None and model.parameter_count != recipe.params:
                wrong = [*wrong, "params"]
            if wrong:
                yield Message("runs.note.contradiction", run=run.run.folder, names=wrong)


def images_per_second(models: Sequence["ImageClassifier | None"]) -> list[float | None]:
    """Return images per second of prediction for each model; None for None.

    All are measured in turn, round by round, on random images in batches of BATCH. The fastest round counts, because
    other work on the machine can only slow a round down.
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
