from collections.abc import Callable

import numpy as np
import pytest

from ziffern.errors import InputError
from ziffern.records.arrays import DATA, PREDICTIONS, check_arrays

Arrays = dict[str, np.ndarray]
IMAGE = (1, 28, 28)


def predictions() -> Arrays:
    return {
        "index": np.arange(4),
        "probability": np.full((4, 2), 0.5, np.float32),
        "target": np.array([0, 1, 1, 0]),
        "mistake": np.array([1]),
        "mistake_image": np.zeros((1, *IMAGE), np.uint8),
        "mistake_name": np.array([""]),
    }


def data() -> Arrays:
    return {
        "class_names": np.array(["a", "b"]),
        "counts": np.ones((3, 2), np.int64),
        "example_label": np.array([0]),
        "example_image": np.zeros((1, *IMAGE), np.uint8),
        "mean": np.array([33.1]),
        "std": np.array([77.0]),
    }


def test_what_a_run_writes_passes() -> None:
    check_arrays(predictions(), PREDICTIONS)
    check_arrays(data(), DATA)


def set_to(name: str, value: object) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({name: np.asarray(value)})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda arrays: arrays.pop("index"), "missing"),
        (set_to("index", np.zeros(4)), "wrong"),
        (set_to("target", np.zeros(3, np.int64)), "wrong"),
        (set_to("target", [0, 1, 2, 0]), "out_of_range"),
        (set_to("target", [0, -1, 1, 0]), "out_of_range"),
        (set_to("probability", np.full((4, 2), np.nan, np.float32)), "out_of_range"),
        (set_to("probability", np.full((4, 0), 0.5, np.float32)), "wrong"),
        (set_to("probability", np.zeros((4, 257), np.float32)), "too_many"),
        (set_to("mistake", [4]), "out_of_range"),
        (set_to("mistake_image", np.zeros((1, *IMAGE), np.uint16)), "wrong"),
        (set_to("mistake_image", np.zeros((1, 5, 5), np.uint8)), "wrong"),
    ],
)
def test_predictions_that_differ_from_the_table_are_refused(change: Callable[[Arrays], None], code: str) -> None:
    arrays = predictions()
    change(arrays)
    with pytest.raises(InputError) as error:
        check_arrays(arrays, PREDICTIONS)
    assert error.value.code == f"records.array.{code}"
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("class_names", ["a" * 101, "b"], "long_name"),
        ("class_names", [1, 2], "wrong"),
        ("counts", -np.ones((3, 2), np.int64), "out_of_range"),
        ("counts", np.ones((2, 2), np.int64), "wrong"),
        ("example_label", [2], "out_of_range"),
        ("mean", [np.nan], "out_of_range"),
        ("mean", 1.0, "wrong"),
        ("std", [0.0], "out_of_range"),
        ("std", [np.inf], "out_of_range"),
    ],
)
def test_data_that_differ_from_the_table_are_refused(name: str, value: object, code: str) -> None:
    with pytest.raises(InputError) as error:
        check_arrays(data() | {name: np.asarray(value)}, DATA)
    assert error.value.code == f"records.array.{code}"
