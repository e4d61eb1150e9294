"""Checks of values that several architectures share."""

from ziffern.errors import InputError


def check_probability(name: str, value: float) -> None:
    """Raise InputError unless `value`, the setting model.net.`name`, is a dropout probability in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError("models.probability", name=name, value=value)
