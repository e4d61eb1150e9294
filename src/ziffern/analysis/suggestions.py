"""What to try next: each suggestion follows from a finding and names the override to type.

Decisions: nothing is suggested without a finding, nothing that the settings already have, and at most four things;
findings are those of training and validation, since whoever follows the test digits has no test any more; reasons
are words of a fixed list, which the report puts into the reader's language.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ziffern.analysis.fit import Fit, Trend, Verdict

Settings = Mapping[str, bool | int | float | str]
MOST = 4
CHANCE = 0.2  # an accuracy below this after training: hardly anything was learned
HIGH_RATE = 0.01  # a learning rate from here on may be too high where too little was learned
FEW = 3  # epochs; fewer say little of what a model can learn
DROPOUT, PATIENCE = "model.net.dropout", "callbacks.early_stopping.patience"
DECAY, RATE, AUGMENT = "model.optimizer.weight_decay", "model.optimizer.lr", "model.augment"


class Suggestion(NamedTuple):
    """A finding's name (`more_epochs`, say) and the override that answers it."""

    reason: str
    override: str


def suggest(fit: Fit, epochs: int, train_acc: float, settings: Settings) -> list[Suggestion]:
    """Return what to try after a run.

    Args:
        fit: The diagnosis of its curves.
        epochs: Epochs trained.
        train_acc: Training accuracy of the last epoch; nan where there is none.
        settings: The run's flat settings; what they do not have is not suggested.
    """
    match fit.verdict:
        case Verdict.NOT_TRAINED:
            found = [Suggestion("untrained", "trainer.max_epochs=5")]
        case Verdict.OVERFITTING:
            found = _against_overfitting(fit, epochs, settings)
        case Verdict.UNDERFITTING:
            found = _against_underfitting(fit, epochs, train_acc, settings)
        case _:
            found = [_longer(epochs)] if fit.still_improving else []
    return found[:MOST]


def _number(settings: Settings, name: str) -> float | None:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _longer(epochs: int) -> Suggestion:
    return Suggestion("more_epochs", f"trainer.max_epochs={2 * epochs}")


def _against_overfitting(fit: Fit, epochs: int, settings: Settings) -> list[Suggestion]:
    found = []
    dropout, decay = _number(settings, DROPOUT), _number(settings, DECAY)
    if dropout is not None and dropout < 0.5:  # noqa: PLR2004  # more slows learning down
        found.append(Suggestion("more_dropout", f"{DROPOUT}={min(0.5, dropout + 0.3):g}"))
    if settings.get(PATIENCE) == "None" and 0 < fit.best_epoch < epochs:
        found.append(Suggestion("stop_earlier", f"{PATIENCE}=5"))
    if decay == 0:
        found.append(Suggestion("weight_decay", f"{DECAY}=0.0001"))
    if settings.get(AUGMENT) == "None":
        found.append(Suggestion("augment", "model/augment=affine"))
    return found


def _against_underfitting(fit: Fit, epochs: int, train_acc: float, settings: Settings) -> list[Suggestion]:
    found = []
    dropout, rate = _number(settings, DROPOUT), _number(settings, RATE) or 0.0
    is_falling = fit.train_trend is Trend.FALLING
    if rate >= HIGH_RATE and not is_falling:
        found.append(Suggestion("lower_rate", f"{RATE}={rate / 10:g}"))
    elif 0 < rate < HIGH_RATE and train_acc < CHANCE and epochs >= FEW:
        found.append(Suggestion("raise_rate", f"{RATE}={rate * 10:g}"))
    elif epochs < FEW:
        found.append(Suggestion("few_epochs", "trainer.max_epochs=5"))
    elif is_falling:
        found.append(_longer(epochs))
    if dropout is not None and dropout > 0.2:  # noqa: PLR2004
        found.append(Suggestion("less_dropout", f"{DROPOUT}={max(0.0, dropout - 0.3):g}"))
    if not found and settings.get("model") in ("nn", "dnn"):
        found.append(Suggestion("larger_model", "model=cnn"))
    return found
