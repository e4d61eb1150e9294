"""Checks of values that several architectures share."""

from ziffern.errors import InputError


def check_probability(name: str, value: float) -> None:
    """Raise InputError unless `value`, the setting model.net.`name`, is a dropout probability in [0, 1)."""
    if not 0 <= value < 1:
        raise InputError(f"model.net.{name}={value}: must be at least 0 and below 1, such as 0.5")
