"""Samplers and pruners are Optuna's own, with settings that fit."""

import pytest

from hydra_study.errors import SweepError
from hydra_study.objects import make_pruner, make_sampler


def test_only_optunas_own_classes_are_made() -> None:
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_sampler({"_target_": "os.system", "command": "true"}, 0, 0)
    with pytest.raises(SweepError, match="must be one of Optuna's own"):
        make_pruner({"_target_": "optuna.pruners.os"})
    with pytest.raises(SweepError, match=r"MedianPruner.*-1"):
        make_pruner({"_target_": "optuna.pruners.MedianPruner", "n_startup_trials": -1})
