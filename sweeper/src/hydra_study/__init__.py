"""A Hydra sweeper on Optuna: exact, resumable, asynchronous, with pruning from inside the job.

Select it by `hydra/sweeper=optuna`. It depends on hydra-core and optuna alone. Hydra imports every plugin
module at every start, so heavy imports are confined to modules whose names begin with an underscore.
"""

from typing import TYPE_CHECKING

from hydra_study.errors import SweepError
from hydra_study.job import check_finished_studies, is_trial, trial_number

if TYPE_CHECKING:
    import optuna

__all__ = ["SweepError", "check_finished_studies", "current_trial", "is_trial"]


def current_trial() -> "optuna.Trial | None":
    """Return the Optuna trial of the running Hydra job, for `report` and `should_prune`.

    It is looked up from the job's own Hydra configuration (storage, study, job number), so it works in whatever
    process a launcher runs the job. None outside of a sweep by this plugin, and in child processes of a job,
    such as DDP's, in which `is_trial` is still true.
    """
    if trial_number() is None:
        return None
    from hydra_study.trial import current_trial

    return current_trial()
