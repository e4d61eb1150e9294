"""What to try next: each suggestion follows from a finding and names the override to type.

Decisions: nothing is suggested without a finding, nothing that the settings already have, and at most four
things; reasons are words of a fixed list, which the report puts into the reader's language.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ziffern.analysis.calibration import Reliability
from ziffern.analysis.fit import Fit, Trend, Verdict

Settings = Mapping[str, bool | int | float | str]
MOST = 4
OVERCONFIDENT = 0.02  # an ECE above this, with confidence above accuracy, is worth a smoother loss
CHANCE = 0.2  # an accuracy below this after training: hardly anything was learned
SMOOTHING = "'model.loss={_target_:torch.nn.CrossEntropyLoss,label_smoothing:0.1}'"


class Suggestion(NamedTuple):
    """A finding's name (`more_epochs`, say) and the override that answers it."""

    reason: str
    override: str


def suggest(fit: Fit, epochs: int, train_acc: float, settings: Settings, sure: Reliability | None) -> list[Suggestion]:
    """Return what to try after a run.

    Args:
        fit: The diagnosis of its curves.
        epochs: Epochs trained.
        train_acc: Training accuracy of the last epoch; nan where there is none.
        settings: The run's flat settings; what they do not have is not suggested.
        sure: Its calibration on the test part, where it was tested.
    """
    match fit.verdict:
        case Verdict.NOT_TRAINED:
            found = [Suggestion("untrained", "trainer.max_epochs=5")]
        case Verdict.OVERFITTING:
            found = _against_overfitting(settings)
        case Verdict.UNDERFITTING:
            found = _against_underfitting(fit, epochs, train_acc, settings)
        case _:
            found = [_longer(epochs)] if fit.still_improving else []
    if fit.verdict is not Verdict.NOT_TRAINED and sure is not None and sure.ece > OVERCONFIDENT:
        mean_accuracy = (sure.accuracy * sure.count).sum() / sure.count.sum()
        mean_confidence = (sure.confidence * sure.count).sum() / sure.count.sum()
        if mean_confidence > mean_accuracy and settings.get("model.loss") == "None":
            found.append(Suggestion("overconfident", SMOOTHING))
    return found[:MOST]


DROPOUT, PATIENCE = "model.net.dropout", "callbacks.early_stopping.patience"
DECAY, RATE, AUGMENT = "model.optimizer.weight_decay", "model.optimizer.lr", "model.augment"


def _number(settings: Settings, name: str) -> float | None:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _longer(epochs: int) -> Suggestion:
    return Suggestion("more_epochs", f"trainer.max_epochs={2 * epochs}")


def _against_overfitting(settings: Settings) -> list[Suggestion]:
    found = []
    dropout, decay = _number(settings, DROPOUT), _number(settings, DECAY)
    if dropout is not None and dropout < 0.5:  # noqa: PLR2004  # more slows learning down
        found.append(Suggestion("more_dropout", f"{DROPOUT}={min(0.5, dropout + 0.3):g}"))
    if settings.get(PATIENCE) == "None":
        found.append(Suggestion("stop_earlier", f"{PATIENCE}=5"))
    if decay == 0:
        found.append(Suggestion("weight_decay", f"{DECAY}=0.0001"))
    if settings.get(AUGMENT) == "None":
        found.append(Suggestion("augment", "model/augment=affine"))
    return found


def _against_underfitting(fit: Fit, epochs: int, train_acc: float, settings: Settings) -> list[Suggestion]:
    found = []
    dropout, rate = _number(settings, DROPOUT), _number(settings, RATE)
    learned = train_acc >= CHANCE
    if learned and fit.train_trend is Trend.FALLING:
        found.append(_longer(epochs))
    if not learned and rate:
        found.append(Suggestion("lower_rate", f"{RATE}={rate / 10:g}"))
    if dropout is not None and dropout > 0.2:  # noqa: PLR2004
        found.append(Suggestion("less_dropout", f"{DROPOUT}={max(0.0, dropout - 0.3):g}"))
    if learned and settings.get("model") in ("nn", "dnn"):
        found.append(Suggestion("larger_model", "model=cnn"))
    return found
