"""Suggestions for the next run: each has a reason and the override to type.

Decisions: nothing is suggested without evidence or that the settings already have, and at most four changes are; the
evidence is training and validation alone, because images that influence decisions can no longer serve as a test;
reasons are keys of a fixed list, which the report translates.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ziffern.analysis.fit import Fit, Trend, Verdict

Settings = Mapping[str, bool | int | float | str]
MAX_SUGGESTIONS = 4
CHANCE = 0.2  # a training accuracy below this means that hardly anything was learned
HIGH_RATE = 0.01  # a learning rate of at least this may be too high if too little was learned
FEW_EPOCHS = 3  # fewer do not show what a model can learn
MIN_DROPOUT, MAX_DROPOUT = 0.2, 0.5  # less hardly slows learning down, more slows it down too much
DROPOUT, PATIENCE = "model.net.dropout", "callbacks.early_stopping.patience"
DECAY, RATE, AUGMENT = "model.optimizer.weight_decay", "model.optimizer.lr", "model.augment"


class Suggestion(NamedTuple):
    """The key of a reason, such as `more_epochs`, and the override that addresses it."""

    reason: str
    override: str


def suggest(fit: Fit, epochs: int, train_acc: float, settings: Settings) -> list[Suggestion]:
    """Return the changes to try after a run of `epochs` epochs, the last with this training accuracy (nan without one).

    A setting that is not among the run's flat `settings` is not suggested.
    """
    longer = Suggestion("more_epochs", f"trainer.max_epochs={2 * epochs}")
    match fit.verdict:
        case Verdict.NOT_TRAINED:
            suggestions = [Suggestion("untrained", "trainer.max_epochs=5")]
        case Verdict.OVERFITTING:
            suggestions = _against_overfitting(fit, epochs, settings)
        case Verdict.UNDERFITTING:
            suggestions = _against_underfitting(fit, epochs, train_acc, settings, longer)
        case _:
            suggestions = [longer] if fit.still_improving else []
    return suggestions[:MAX_SUGGESTIONS]


def _number(settings: Settings, name: str) -> float:
    """Return a setting; nan, which no comparison is true for, if it is missing or not a number."""
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _against_overfitting(fit: Fit, epochs: int, settings: Settings) -> list[Suggestion]:
    dropout = _number(settings, DROPOUT)
    stops_late = settings.get(PATIENCE) == "None" and 0 < fit.best_epoch < epochs
    candidates = (
        (dropout < MAX_DROPOUT, "more_dropout", f"{DROPOUT}={min(MAX_DROPOUT, dropout + 0.3):g}"),
        (stops_late, "stop_earlier", f"{PATIENCE}=5"),
        (_number(settings, DECAY) == 0, "weight_decay", f"{DECAY}=0.0001"),
        (settings.get(AUGMENT) == "None", "augment", "model/augment=affine"),
    )
    return [Suggestion(reason, override) for applies, reason, override in candidates if applies]


def _against_underfitting(
    fit: Fit, epochs: int, train_acc: float, settings: Settings, longer: Suggestion
) -> list[Suggestion]:
    suggestions = []
    dropout, rate = _number(settings, DROPOUT), _number(settings, RATE)
    is_falling = fit.train_trend is Trend.FALLING
    if rate >= HIGH_RATE and not is_falling:
        suggestions.append(Suggestion("lower_rate", f"{RATE}={rate / 10:g}"))
    elif 0 < rate < HIGH_RATE and train_acc < CHANCE and epochs >= FEW_EPOCHS:
        suggestions.append(Suggestion("raise_rate", f"{RATE}={rate * 10:g}"))
    elif epochs < FEW_EPOCHS:
        suggestions.append(Suggestion("few_epochs", "trainer.max_epochs=5"))
    elif is_falling:
        suggestions.append(longer)
    if dropout > MIN_DROPOUT:
        suggestions.append(Suggestion("less_dropout", f"{DROPOUT}={max(0.0, dropout - 0.3):g}"))
    if not suggestions and settings.get("model") in ("nn", "dnn"):
        suggestions.append(Suggestion("larger_model", "model=cnn"))
    return suggestions
