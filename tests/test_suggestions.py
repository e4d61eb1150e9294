import math

import numpy as np
import pytest

from ziffern.analysis.calibration import Reliability
from ziffern.analysis.fit import Fit, Trend, Verdict
from ziffern.analysis.suggestions import suggest
from ziffern.config import build
from ziffern.experiment import hyperparameters
from ziffern.module import DigitClassifier

PLAIN = {
    "model": "nn",
    "model.net.dropout": 0.0,
    "model.optimizer.lr": 0.001,
    "model.optimizer.weight_decay": 0.0,
    "model.loss": "None",
    "model.augment": "None",
    "callbacks.early_stopping.patience": "None",
}
SURE = Reliability(np.array([0.9]), np.array([0.9]), np.array([100]), 0.0)
TOO_SURE = Reliability(np.array([0.99]), np.array([0.90]), np.array([100]), 0.09)
TOO_SHY = Reliability(np.array([0.80]), np.array([0.95]), np.array([100]), 0.15)


def fit(verdict: Verdict, train: Trend = Trend.FALLING, val: Trend = Trend.FALLING, improving: bool = False) -> Fit:
    return Fit(verdict, 0.03, train, val, 3, improving)


def overrides(*args) -> list[str]:
    return [suggestion.override for suggestion in suggest(*args)]


def test_overfitting_is_answered_by_what_the_settings_do_not_have_yet() -> None:
    over = fit(Verdict.OVERFITTING, val=Trend.RISING)
    assert overrides(over, 10, 0.99, PLAIN, SURE) == [
        "model.net.dropout=0.3",
        "callbacks.early_stopping.patience=5",
        "model.optimizer.weight_decay=0.0001",
        "model/augment=affine",
    ]
    has_all = PLAIN | {"model.net.dropout": 0.5, "model.optimizer.weight_decay": 0.01, "model.augment": "RandomAffine"}
    assert overrides(over, 10, 0.99, has_all | {"callbacks.early_stopping.patience": 5}, SURE) == []
    assert overrides(over, 10, 0.99, {"model": "m7"}, SURE) == []


def test_a_good_fit_gets_no_advice_unless_it_is_still_improving() -> None:
    assert overrides(fit(Verdict.OPTIMAL), 5, 0.98, PLAIN, SURE) == []
    assert overrides(fit(Verdict.OPTIMAL, improving=True), 5, 0.98, PLAIN, SURE) == ["trainer.max_epochs=10"]


def test_underfitting_is_answered_by_its_cause() -> None:
    under = fit(Verdict.UNDERFITTING)
    assert overrides(under, 2, 0.7, PLAIN, SURE) == ["trainer.max_epochs=4", "model=cnn"]
    assert overrides(under, 2, 0.7, PLAIN | {"model": "cnn", "model.net.dropout": 0.5}, SURE) == [
        "trainer.max_epochs=4",
        "model.net.dropout=0.2",
    ]
    stuck = fit(Verdict.UNDERFITTING, train=Trend.FLAT)
    assert overrides(stuck, 5, 0.11, PLAIN | {"model.optimizer.lr": 1.0}, SURE) == ["model.optimizer.lr=0.1"]


def test_an_untrained_model_is_to_be_trained() -> None:
    assert overrides(fit(Verdict.NOT_TRAINED), 0, math.nan, PLAIN, TOO_SURE) == ["trainer.max_epochs=5"]


def test_only_too_much_confidence_asks_for_a_smoother_loss() -> None:
    good = fit(Verdict.OPTIMAL)
    assert [each.reason for each in suggest(good, 5, 0.98, PLAIN, TOO_SURE)] == ["overconfident"]
    assert suggest(good, 5, 0.98, PLAIN, TOO_SHY) == []
    assert suggest(good, 5, 0.98, PLAIN, None) == []
    assert suggest(good, 5, 0.98, PLAIN | {"model.loss": "CrossEntropyLoss"}, TOO_SURE) == []


@pytest.mark.parametrize("model", ["nn", "cnn", "m5"])
def test_every_suggestion_can_be_typed(composed, model: str) -> None:
    settings = hyperparameters(composed(f"model={model}")) | {"model": model}
    for verdict in Verdict:
        for train in Trend:
            for suggestion in suggest(fit(verdict, train, improving=True), 2, 0.5, settings, TOO_SURE):
                override = suggestion.override.strip("'")
                chosen = [] if override.startswith("model=") else [f"model={model}"]
                build(composed(*chosen, override).model, "model", DigitClassifier)
