"""What the user can mend, said in one line."""

from hydra.errors import CompactHydraException


class SweepError(CompactHydraException):
    """A mistake in the sweep's settings, or what ended it; Hydra prints it without a traceback."""
