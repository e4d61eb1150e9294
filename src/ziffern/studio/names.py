"""Names of jobs, uploads and pictures."""

import secrets
from datetime import datetime


def unique_name() -> str:
    """Return a name that sorts by time."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
