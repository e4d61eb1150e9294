"""CMA-ES without pickled state: the optimizer is rebuilt from the trials, so that nothing in a study can run code.

Optuna's own sampler pickles its optimizer into the study and unpickles it for the next trial. Anyone who can write to
the study's file or database could run code that way. The state of an optimizer follows from the generations it was
given, so this sampler stores which trials formed each generation and replays them; it draws the same points.
"""

from typing import Any, cast

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

MAX_COORDINATE = 1e32  # the package cmaes rejects larger ones


class CmaEsSampler(optuna.samplers.CmaEsSampler):
    """Optuna's CmaEsSampler; its state in the study is plain numbers."""

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the trial's parameters; return none if there are too few trials, or if the space has changed.

        Raises:
            ValueError: The CMA-ES state in the study is damaged.
        """
        self._raise_error_if_multi_objective(study)
        completed = self._get_trials(study)
        if not search_space or len(completed) < self._n_startup_trials:
            return {}
        space = _SearchSpaceTransform(search_space, transform_step=not self._with_margin, transform_0_1=True)
        random_state = self._cma_rng.rng.get_state()
        optimizer: Any = self._init_optimizer(space, study.direction)
        recorded = self._recorded(study, trial.number)
        while generation := self._next_generation(completed, recorded, optimizer):
            points = [self._point(member, space) for member in generation]
            if any(point.shape != (optimizer.dim,) for point in points):
                return {}
            sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
            losses = [sign * cast("float", member.value) for member in generation]
            name = f"told:{optimizer.generation}"
            optimizer.tell(list(zip(points, losses, strict=True)))
            if self._key(name) in recorded:
                self._cma_rng.rng.set_state(random_state)  # as if the optimizer had been stored, like Optuna's own
            else:
                self._keep(study, trial, name, [member.number for member in generation])
        optimizer._rng.seed(self._cma_rng.rng.randint(1, 2**16) + trial.number)
        if self._with_margin:
            point, to_tell = optimizer.ask()
            self._keep(study, trial, "x_for_tell", to_tell.tolist())
        else:
            point = optimizer.ask()
        self._keep(study, trial, "generation", int(optimizer.generation))
        return space.untransform(point)

    def _key(self, name: str) -> str:
        return name if name == "x_for_tell" else self._attr_prefix + name  # Optuna's own keys

    def _keep(self, study: optuna.Study, trial: FrozenTrial, name: str, value: Any) -> None:
        study._storage.set_trial_system_attr(trial._trial_id, self._key(name), value)

    def _recorded(self, study: optuna.Study, own_number: int) -> dict[str, Any]:
        """Return the trial numbers of each generation that other trials stored, by attribute key."""
        recorded: dict[str, Any] = {}
        for trial in study.get_trials(deepcopy=False):
            if trial.number != own_number:
                attributes = trial.system_attrs.items()
                recorded = {k: v for k, v in attributes if k.startswith(self._key("told:"))} | recorded
        return recorded

    def _next_generation(
        self, completed: list[FrozenTrial], recorded: dict[str, Any], optimizer: Any
    ) -> list[FrozenTrial]:
        """Return the next generation to tell the optimizer; an empty list if it is incomplete."""
        members = self._get_solution_trials(completed, optimizer.generation)
        numbers = recorded.get(self._key(f"told:{optimizer.generation}"))
        if isinstance(numbers, list):
            stored = [member for member in members if member.number in numbers]
            if len(stored) == optimizer.population_size:
                return stored
        full = members[: optimizer.population_size]
        return full if len(full) == optimizer.population_size else []

    def _point(self, trial: FrozenTrial, space: _SearchSpaceTransform) -> "np.ndarray[Any, Any]":
        """Return a trial's point in the optimizer's coordinates, (dimensions,)."""
        if not self._with_margin:
            return space.transform(trial.params)
        try:
            point = np.array(trial.system_attrs["x_for_tell"], dtype=np.float64)
        except (KeyError, TypeError, ValueError, OverflowError):
            point = np.array(np.nan)
        if point.ndim != 1 or not (np.abs(point) < MAX_COORDINATE).all():
            raise ValueError(f"trial {trial.number}: its x_for_tell is not a list of numbers: was it changed by hand?")
        return point
