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
SAMPLERS["nsgaiii"] = SAMPLERS["nsgaii"] | {"_target_": "optuna.samplers.NSGAIIISampler", "dividing_parameter": 3}
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


ENGINES: dict[str, dict[str, Any]] = {
    "local": {"kind": "local", "isolate": False},
    "inline": {"kind": "inline"},
    "ray": {
        "kind": "ray",
        "address": None,
        "num_cpus": 1,
        "num_gpus": "auto",
        "memory": None,
        "resources": {},
        "waiting": 1,
        "isolate": False,
        "init": {},
    },
    "slurm": {
        "kind": "slurm",
        "cluster": None,
        "max_jobs": 100,
        "timeout_min": 60,
        "cpus_per_task": 1,
        "gpus_per_node": None,
        "mem_gb": None,
        "nodes": 1,
        "tasks_per_node": 1,
        "partition": None,
        "account": None,
        "qos": None,
        "constraint": None,
        "setup": [],
        "parameters": {},
    },
}


@dataclass(repr=False, eq=False)  # which take time at each start
class MultirunConf:
    """The settings below `hydra.sweeper` for a plain multirun, `hydra/sweeper=multirun`.

    Attributes:
        engine: Runs the jobs; `hydra/sweeper/engine=local|inline|ray|slurm`.
        n_jobs: Jobs at once. auto: as many as GPUs or, without one, cores and memory allow; on Ray and SLURM as many as
            these give.
        gpus: GPUs of a local job, which is all it sees if there are several. auto: one.
        memory: Of a local job, in GiB; limits `n_jobs=auto`.
        trial_timeout: Seconds after which one attempt at a job is ended, and counts as failed. None: never.
        max_attempts: A job whose process died this many times counts as failed.
        max_failures: Start no more jobs after this many failed ones. None: start all.
        threads_key: The application's setting for CPU threads; with several workers it becomes an override.
        may_differ: Settings, or patterns such as `logger.*`, that may differ between launches, such as the data folder.
            A launch that differs in another one is refused.
        ignore_code: Continue although the source code of the job has changed.
        show_output: Print the output of the jobs; otherwise it goes to `logs/NUMBER.log` in the sweep folder.
        metric_names: Names of the scores, one or a list.
        hint: A line to print at the end, with {folder} for the sweep folder, quoted for a shell.
        params: Overrides, also with several values.
    """

    _target_: str = "hydra_plugins.hydra_study.sweeper.MultirunSweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: [{"engine": "local"}])
    engine: Any = MISSING
    n_jobs: Any = "auto"
    gpus: Any = "auto"
    memory: float = 2.0
    trial_timeout: float | None = None
    max_attempts: int = 10
    max_failures: Any = None
    threads_key: str | None = None
    may_differ: list[str] = field(default_factory=list)
    ignore_code: bool = False
    show_output: bool = False
    metric_names: Any = None
    hint: str | None = None
    params: dict[str, Any] | None = field(default_factory=dict)  # OmegaConf cannot merge a mapping into None


@dataclass(repr=False, eq=False)
class StudyConf(MultirunConf):
    """The settings below `hydra.sweeper` for a search, `hydra/sweeper=study`; those of MultirunConf, and these.

    Attributes:
        sampler: Proposes parameters; `hydra/sweeper/sampler=tpe|random|cmaes|qmc|gp|nsgaii|nsgaiii|grid`. Its
            `seed` makes a study with one worker repeatable, even after kills of the driver and resumes; null draws a
            seed and stores it in the study.
        pruner: Stops unpromising trials; `hydra/sweeper/pruner=none|median|hyperband|successive_halving`.
        direction: `minimize` or `maximize`, or a list of them for a job that returns several scores.
        storage: Must be null: the study is the file study.journal in the sweep folder.
        study_name: Default: the job's name and a hash of the search space, so that the same command continues the same
            study.
        n_trials: Total over all launches. A grid runs all of its points.
        max_failures: Stop the sweep after this many failed trials. None: never. auto: 5, or as given by
            `max_failure_rate`.
        max_failure_rate: The same limit as a share of all trials (for a grid: of its points), as in the official
            plugin; 1: never. Not together with `max_failures`.
        retry_failed: Run trials again that failed in earlier launches.
        keep_best: How many of the best trials keep `discard`. None: all trials do.
        discard: A folder or file below a trial's folder, removed from all but the best ones.
        export: Path below the sweep folder of the config that repeats the best trial.
        search_group: The config group that chooses the search itself; not part of the exported config.
        params: The search space in Hydra's override grammar, and fixed overrides. `shuffle` has no effect: a
            sampler draws in its own order, and a grid has a fixed one. Without a searched setting, `n_trials` jobs
            repeat the same settings.
        when: Parameters that exist only where another has a value: `{"model=dnn": {"model.layers": ...}}`.
        search_space: The search space in the older form of the official plugin, instead of `params`.
        custom_search_space: A function of the application, `module.function`, that suggests further parameters; it
            takes the composed configuration and the Optuna trial.
    """

    _target_: str = "hydra_plugins.hydra_study.sweeper.StudySweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}, {"engine": "local"}])
    sampler: Any = MISSING
    pruner: Any = MISSING
    direction: Any = "minimize"
    storage: Any = None
    study_name: str | None = None
    n_trials: int = 20
    max_failures: Any = "auto"
    max_failure_rate: float | None = None
    retry_failed: bool = False
    keep_best: int | None = None
    discard: str = "checkpoints"
    export: str = "experiment/best"
    search_group: str = "hparams_search"
    when: dict[str, Any] | None = field(default_factory=dict)
    search_space: dict[str, Any] | None = field(default_factory=dict)
    custom_search_space: str | None = None
