"""The settings of the plugin and the options of its samplers and pruners; light: Hydra imports it at each start."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {
        "_target_": "optuna.samplers.TPESampler",
        "seed": None,
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": True,  # parameters that exist only in some trials are modeled separately
        "constant_liar": True,
    },
    "random": {"_target_": "optuna.samplers.RandomSampler", "seed": None},
    "cmaes": {
        "_target_": "optuna.samplers.CmaEsSampler",
        "seed": None,
        "n_startup_trials": 1,
        "sigma0": None,
        "popsize": None,
        "with_margin": True,
        "consider_pruned_trials": False,
        "warn_independent_sampling": False,
    },
    "qmc": {
        "_target_": "optuna.samplers.QMCSampler",
        "seed": None,
        "qmc_type": "sobol",
        "scramble": True,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    },
    "gp": {
        "_target_": "optuna.samplers.GPSampler",
        "seed": None,
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "warn_independent_sampling": False,
    },
    "nsgaii": {
        "_target_": "optuna.samplers.NSGAIISampler",
        "seed": None,
        "population_size": 50,
        "mutation_prob": None,
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
    },
    "grid": {"_target_": "optuna.samplers.GridSampler", "seed": None},
}
PRUNERS: dict[str, dict[str, Any]] = {
    "none": {"_target_": "optuna.pruners.NopPruner"},
    "median": {
        "_target_": "optuna.pruners.MedianPruner",
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "hyperband": {
        "_target_": "optuna.pruners.HyperbandPruner",
        "min_resource": 1,
        "max_resource": "auto",
        "reduction_factor": 3,
        "bootstrap_count": 0,
    },
    "successive_halving": {
        "_target_": "optuna.pruners.SuccessiveHalvingPruner",
        "min_resource": 1,
        "reduction_factor": 4,
        "min_early_stopping_rate": 0,
        "bootstrap_count": 0,
    },
}


@dataclass
class StudyConf:
    """The settings below `hydra.sweeper`.

    Attributes:
        sampler: Proposes parameters; `hydra/sweeper/sampler=tpe|random|cmaes|qmc|gp|nsgaii|grid`. Its
            `seed` makes a study with one worker repeatable, even after kills and resumes (except for a kill at the
            very moment at which a point is drawn); null draws a seed and stores it in the study.
        pruner: Stops unpromising trials; `hydra/sweeper/pruner=none|median|hyperband|successive_halving`.
        direction: `minimize` or `maximize`, or a list of them for a job that returns several scores.
        metric_names: Names of the scores, one or a list.
        storage: A journal file (default: inside the sweep folder) or an SQLAlchemy address of sqlite,
            PostgreSQL or MySQL.
        study_name: An existing study of this name is continued. Default: the job's name and a hash of the
            search space, so that the same command continues the same study.
        n_trials: Total over all processes and resumes. A grid runs all of its points.
        n_jobs: Worker processes on this machine.
        isolate: Run each trial in a fresh process.
        max_failures: Stop the sweep after this many failed trials. None: never. auto: 5, or as given by
            `max_failure_rate`.
        max_failure_rate: The same limit as a share of all trials (for a grid: of its points), as in the official
            plugin; 1: never. Not together with `max_failures`.
        max_attempts: A trial whose process died this many times counts as failed.
        retry_failed: Run trials again that failed in earlier launches.
        grace_period: Seconds without a heartbeat after which a worker of another machine is considered dead.
        patience: Seconds that a storage may be unreachable or full.
        keep_best: How many of the best trials keep `discard`. None: all trials do.
        discard: A folder or file below a trial's folder, removed from all but the best ones.
        threads_key: The application's setting for CPU threads; with several workers it becomes an override.
        may_differ: Settings, or patterns such as `logger.*`, that may differ between processes and launches, such as
            the data folder. All others belong to the study, as do the search space, the sampler and the pruner: a
            launch that differs in one of them is refused.
        export: Path below the sweep folder of the config that repeats the best trial.
        search_group: The config group that chooses the search itself; not part of the exported config.
        show_output: Print the output of the jobs; otherwise it goes to `logs/NUMBER.log` in the sweep folder.
        hint: A line to print at the end, with {folder} for the sweep folder, quoted for a shell.
        params: The search space in Hydra's override grammar, and fixed overrides. `shuffle` has no effect: a
            sampler draws in its own order, and all processes of a grid need the same order.
        when: Parameters that exist only where another has a value: `{"model=dnn": {"model.layers": ...}}`.
    """

    _target_: str = "hydra_plugins.hydra_study.sweeper.StudySweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}])
    sampler: Any = MISSING
    pruner: Any = MISSING
    direction: Any = "minimize"
    metric_names: Any = None
    storage: str | None = None
    study_name: str | None = None
    n_trials: int = 20
    n_jobs: int = 1
    isolate: bool = False
    max_failures: Any = "auto"
    max_failure_rate: float | None = None
    max_attempts: int = 10
    retry_failed: bool = False
    grace_period: int = 120
    patience: float = 600
    keep_best: int | None = None
    discard: str = "checkpoints"
    threads_key: str | None = None
    may_differ: list[str] = field(default_factory=list)
    export: str = "experiment/best"
    search_group: str = "hparams_search"
    show_output: bool = False
    hint: str | None = None
    params: dict[str, Any] | None = field(default_factory=dict)  # OmegaConf cannot merge a mapping into None
    when: dict[str, Any] | None = field(default_factory=dict)
