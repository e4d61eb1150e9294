"""The objectives of a search: validation scores and costs, each with its direction."""

from omegaconf import ListConfig

from ziffern.analysis.metrics import objectives as metric_objectives
from ziffern.errors import InputError

OBJECTIVES = metric_objectives()


def objectives(setting: object) -> list[str]:
    """Return the names in the setting `objective`, which is one name or a list of them.

    Raises:
        InputError: One of them is neither a validation score nor a cost.
    """
    names = [setting] if isinstance(setting, str) else list(setting) if isinstance(setting, list | ListConfig) else []
    for name in names or [setting]:
        if not isinstance(name, str) or name not in OBJECTIVES:
            raise InputError("experiment.objective.unknown", name=name, known=list(OBJECTIVES))
    return [str(name) for name in names]


def directions(setting: object) -> str | list[str]:
    """Return `maximize` or `minimize` for an objective, or a list of them for a list."""
    result = [OBJECTIVES[name] for name in objectives(setting)]
    return result[0] if isinstance(setting, str) else result
