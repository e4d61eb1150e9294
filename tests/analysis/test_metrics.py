import numpy as np
import pytest

from ziffern.analysis.metrics import METRICS, Evidence, Kind, columns, measure, objectives
from ziffern.analysis.outcome import Outcome

ROWS = [
    {"epoch": 1, "train/loss": 1.0, "train/acc": 0.5, "val/loss": 0.9, "val/acc": 0.6, "seconds": 1.5},
    {"epoch": 2, "train/loss": 0.5, "train/acc": 0.9, "val/loss": 0.8, "val/acc": 0.7, "seconds": 1.25},
]
OUTCOME = Outcome(np.array([0, 1, 1, 0]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32))


def test_a_tested_run_has_all_but_what_training_knows_alone() -> None:
    values = measure(Evidence(columns(ROWS), 1, OUTCOME, np.array([5, 3]), temperature=2.0))
    unmeasured = {"test/loss", "params", "not_digit/auroc", "not_digit/false_positives"}
    assert {metric.key for metric in METRICS} - values.keys() == unmeasured
    assert values["temperature"] == 2.0
    halved = np.sqrt(OUTCOME.probability)  # logits divided by 2
    assert values["test/nll_calibrated"] == pytest.approx(Outcome(OUTCOME.target, halved / halved.sum(1)[:, None]).nll)
    assert values["val/acc"] == 0.6
    assert values["train/loss"] == 1.0
    assert values["gap"] == pytest.approx(0.2)
    assert values["train_seconds"] == 2.75
    assert (values["epochs"], values["best_epoch"]) == (2, 1)
    assert (values["test/acc"], values["test/correct"], values["test/total"]) == (0.75, 3, 4)
    assert values["test/f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert values["baseline/acc"] == 0.5
    assert all(
        isinstance(values[metric.key], int) for metric in METRICS if metric.kind is Kind.COUNT and metric.key in values
    )


def test_a_run_without_epochs_and_test_has_nothing_to_measure() -> None:
    assert measure(Evidence(columns([]), 0)) == {"epochs": 0, "best_epoch": 0}


def test_values_that_are_not_finite_are_left_out() -> None:
    rows = [ROWS[0] | {"val/loss": float("nan"), "train/loss": float("inf")}]
    assert {"val/loss", "train/loss"} & measure(Evidence(columns(rows), 1)).keys() == set()


def test_no_search_improves_the_test() -> None:
    assert objectives() == {
        "val/acc": "maximize",
        "val/loss": "minimize",
        "params": "minimize",
        "train_seconds": "minimize",
    }


def test_keys_are_unique() -> None:
    assert len({metric.key for metric in METRICS}) == len({metric.name for metric in METRICS}) == len(METRICS)
