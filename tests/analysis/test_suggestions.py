import math

import pytest

from ziffern.analysis.fit import Fit, Trend, Verdict
from ziffern.analysis.suggestions import suggest
from ziffern.config.hyperparameters import hyperparameters, plain_config
from ziffern.config.instantiate import build
from ziffern.training.module import ImageClassifier

PLAIN = {
    "model": "nn",
    "model.net.dropout": 0.0,
    "model.optimizer.lr": 0.001,
    "model.optimizer.weight_decay": 0.0,
    "model.loss": "None",
    "model.augment": "None",
    "callbacks.early_stopping.patience": "None",
}


def fit(verdict: Verdict, train: Trend = Trend.FALLING, val: Trend = Trend.FALLING, improving: bool = False) -> Fit:
    return Fit(verdict, 0.03, train, val, 3, improving)


def overrides(*args) -> list[str]:
    return [suggestion.override for suggestion in suggest(*args)]


def test_overfitting_is_answered_by_what_the_settings_do_not_have_yet() -> None:
    over = fit(Verdict.OVERFITTING, val=Trend.RISING)
    assert overrides(over, 10, 0.99, PLAIN) == [
        "model.net.dropout=0.3",
        "callbacks.early_stopping.patience=5",
        "model.optimizer.weight_decay=0.0001",
        "model/augment=affine",
    ]
    has_all = PLAIN | {"model.net.dropout": 0.5, "model.optimizer.weight_decay": 0.01, "model.augment": "RandomAffine"}
    assert overrides(over, 10, 0.99, has_all | {"callbacks.early_stopping.patience": 5}) == []
    assert overrides(over, 10, 0.99, {"model": "m7"}) == []


def test_a_good_fit_gets_no_advice_unless_it_is_still_improving() -> None:
    assert overrides(fit(Verdict.OPTIMAL), 5, 0.98, PLAIN) == []
    assert overrides(fit(Verdict.OPTIMAL, improving=True), 5, 0.98, PLAIN) == ["trainer.max_epochs=10"]


def test_underfitting_is_answered_by_its_cause() -> None:
    under, level = fit(Verdict.UNDERFITTING), fit(Verdict.UNDERFITTING, train=Trend.FLAT)
    assert overrides(under, 2, 0.7, PLAIN) == ["trainer.max_epochs=5"]
    assert overrides(under, 4, 0.7, PLAIN) == ["trainer.max_epochs=8"]
    assert overrides(level, 4, 0.7, PLAIN) == ["model=cnn"]
    assert overrides(under, 4, 0.7, PLAIN | {"model": "cnn", "model.net.dropout": 0.5}) == [
        "trainer.max_epochs=8",
        "model.net.dropout=0.2",
    ]


def test_an_untrained_model_is_to_be_trained() -> None:
    assert overrides(fit(Verdict.NOT_TRAINED), 0, math.nan, PLAIN) == ["trainer.max_epochs=5"]


def test_stopping_earlier_needs_a_best_epoch_that_was_earlier() -> None:
    over = Fit(Verdict.OVERFITTING, 0.06, Trend.FALLING, Trend.FALLING, 3, True)
    assert "callbacks.early_stopping.patience=5" not in overrides(over, 3, 0.99, PLAIN)
    assert "callbacks.early_stopping.patience=5" in overrides(over, 4, 0.99, PLAIN)


def test_a_rate_is_raised_where_it_is_low_and_lowered_where_it_is_high() -> None:
    def advice(rate: float, train: Trend) -> list[str]:
        return overrides(fit(Verdict.UNDERFITTING, train=train), 5, 0.11, PLAIN | {"model.optimizer.lr": rate})

    assert advice(1e-7, Trend.FLAT) == ["model.optimizer.lr=1e-06"]
    assert advice(1.0, Trend.FLAT) == ["model.optimizer.lr=0.1"]
    assert advice(0.01, Trend.RISING) == ["model.optimizer.lr=0.001"]
    assert advice(0.01, Trend.FALLING) == ["trainer.max_epochs=10"]  # it learns, but slowly


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("model", ["cnn", "nn", "m5"])
def test_every_suggestion_can_be_typed(composed, model: str) -> None:
    settings = hyperparameters(plain_config(composed(f"model={model}"))) | {"model": model}
    curves = [(verdict, train, rate) for verdict in Verdict for train in Trend for rate in (1e-4, 0.5)]
    typed = {
        suggestion.override
        for verdict, train, rate in curves
        for suggestion in suggest(fit(verdict, train, improving=True), 4, 0.1, settings | {"model.optimizer.lr": rate})
    }
    assert len(typed) >= 4
    for override in typed:
        chosen = [] if override.startswith("model=") else [f"model={model}"]
        build(composed(*chosen, override, "data.num_classes=10").model, "model", ImageClassifier)
