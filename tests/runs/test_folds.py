"""The folds of a cross-validation are one recipe, compared fold by fold."""

import math

import numpy as np
import pytest
import scipy.stats

from ziffern.analysis.recommendation import Pair
from ziffern.experiment.evaluation import evaluate
from ziffern.report.comparison_page import lines
from ziffern.runs.comparison import make_comparison
from ziffern.runs.findings import Findings
from ziffern.runs.recipes import group
from ziffern.runs.run import Run
from ziffern.text.language import Language

FOLDS = ("data.split=kfold", "data.folds=4", "trainer.max_epochs=1")


@pytest.fixture
def folds(run):
    """Runs of the folds 0, 1, 2 and 3 with some settings."""

    def train(name: str, *settings: str, count: int = 4):
        return [run(*FOLDS, f"data.fold={n}", *settings, folder=f"{name}{n}") for n in range(count)]

    return train


def test_folds_are_one_row_and_pairs_are_tested_fold_by_fold(folds) -> None:
    a, b = folds("a", "model.optimizer.lr=0.01"), folds("b", "model.optimizer.lr=0.0001")
    comparison = make_comparison([*a, *b], margin=0.002)
    assert [len(recipe.runs) for recipe in comparison.recipes] == [4, 4]
    assert comparison.notes == ()
    accuracies = np.array([[run.metrics["test/acc"] for run in runs] for runs in (a, b)])
    for recipe, own in zip(comparison.recipes, accuracies, strict=True):
        half = scipy.stats.t.ppf(0.975, 3) * own.std(ddof=1) * math.sqrt(1 / 4 + 1 / 2)  # one fold tests, two train
        assert recipe.test.mean == pytest.approx(own.mean())
        assert recipe.test.low == pytest.approx(max(0.0, own.mean() - half))
        assert recipe.hits.shape == (1, 400)  # every image once
        assert recipe.hits.mean() == pytest.approx(own.mean())
    pair: Pair = comparison.pairs[0]
    difference = accuracies[0] - accuracies[1]
    t = difference.mean() / (difference.std(ddof=1) * math.sqrt(1 / 4 + 1 / 2))
    assert pair.p == pytest.approx(2 * scipy.stats.t.sf(abs(t), 3))
    assert pair.difference is not None
    assert pair.difference.value == pytest.approx(difference.mean())
    row = lines(comparison, Language("en"))[1]
    spread = f"{100 * accuracies[0].mean():.2f}% ± {100 * accuracies[0].std(ddof=1):.2f} (4 folds)"
    assert spread in row


@pytest.mark.slow
def test_seeds_of_a_fold_are_averaged_before_the_folds_are_compared(folds) -> None:
    runs = [*folds("a", count=2), *folds("b", "seed=1", count=2)]
    (recipe,), duplicates = group([Findings(run) for run in runs])
    assert not duplicates
    expected = [np.mean([runs[n].metrics["test/acc"], runs[n + 2].metrics["test/acc"]]) for n in range(2)]
    assert recipe.fold_accuracies == pytest.approx(expected)


@pytest.mark.slow
def test_other_folds_are_not_compared_and_one_fold_is_like_any_split(folds) -> None:
    a, b = folds("a", "model.optimizer.lr=0.01", count=3), folds("b", count=2)
    comparison = make_comparison([*a, *b], margin=0.002)
    assert comparison.pairs == ()
    assert "the numbers of folds differ: 2, 3" in comparison.notes[-1].in_language("en")
    single = make_comparison([a[0], b[0]], margin=0.002)
    assert single.pairs[0].p == single.pairs[0].mcnemar


def test_a_fold_that_was_trained_twice_counts_once(folds, run) -> None:
    runs = folds("a", count=2)
    twin = run(*FOLDS, "data.fold=1", folder="twin")
    (recipe,), duplicates = group([Findings(one) for one in [*runs, twin]])
    assert len(recipe.runs) == 2
    assert [left_out.run.folder for left_out, _ in duplicates] == [twin.folder]


def test_folds_evaluated_on_the_same_images_count_each_image_once(folds, tmp_path) -> None:
    """They were taken for test parts of different images, which tripled the images of McNemar's test."""
    runs = [*folds("a", count=3), *folds("b", "model.optimizer.lr=0.01", count=3)]
    results = [Run(evaluate(run, "mnist5k", output=tmp_path / f"on_{number}")) for number, run in enumerate(runs)]
    comparison = make_comparison(results, margin=0.002)
    assert [recipe.hits.shape for recipe in comparison.recipes] == [(3, 5000), (3, 5000)]
    assert comparison.compared == comparison.recipes
