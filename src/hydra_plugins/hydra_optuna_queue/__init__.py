"""A Hydra sweeper on Optuna: exact, resumable, asynchronous, with pruning from inside the job.

Select it by `hydra/sweeper=optuna`. It depends on hydra-core and optuna alone. Hydra imports every plugin
module at every start, so what is heavy lies in modules whose names begin with an underscore.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

__all__ = ["current_trial", "is_trial"]


def current_trial() -> "optuna.Trial | None":
    """Return the Optuna trial that the running Hydra job is, to report to and to ask `should_prune`.

    The job finds it from its own Hydra configuration (storage, study, job number), so it works in whatever
    process a launcher runs the job. None outside of a sweep by this plugin.
    """
    from hydra_plugins.hydra_optuna_queue._trial import current_trial

    return current_trial()


def is_trial() -> bool:
    """Return whether this process runs a trial; also in child processes of the job, such as DDP's."""
    from hydra_plugins.hydra_optuna_queue._trial import is_trial

    return is_trial()
