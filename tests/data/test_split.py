"""Splits: disjoint, complete, of the sizes asked for, the same on any machine, and honest about leaks."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ziffern.data.dataset import LabeledImages
from ziffern.data.split import kfold, make_split, official, resplit, stratified
from ziffern.errors import InputError

SEEDS = st.integers(0, 2**32 - 1)
FRACTIONS = st.tuples(*[st.integers(1, 100)] * 3).map(lambda parts: tuple(part / sum(parts) for part in parts))
CLASS_SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any)
DEFAULTS = {"fractions": (0.6, 0.2, 0.2), "seed": 0, "val_from": "train", "val_share": 0.1, "fold": 0, "folds": 5}
quick = settings(max_examples=150, deadline=None, derandomize=True)


def digits(count, train_size=None, labels=None):
    labels = np.arange(count) % 10 if labels is None else labels
    return LabeledImages("tiny", np.zeros((count, 1, 28, 28), np.uint8), labels, train_size or count)


def with_parts(train, val, test):
    count = train + val + test
    return LabeledImages("tiny", np.zeros((count, 1, 1, 1), np.uint8), np.arange(count) % 10, train, val_size=val)


def parts(split):
    return [split.train, split.val, split.test]


def assert_partition(split, count):
    """Every index exactly once, and each part in order."""
    assert sorted(np.concatenate(parts(split)).tolist()) == list(range(count))
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in parts(split))


@quick
@given(count=st.integers(1, 3000), fractions=FRACTIONS, seed=SEEDS)
def test_resplit_is_a_partition_of_exact_sizes(count, fractions, seed):
    split = resplit(count, fractions, seed)
    assert_partition(split, count)
    assert all(abs(len(part) - count * share) <= 1 + 1e-9 for part, share in zip(parts(split), fractions, strict=True))
    assert abs(len(split.train) - count * fractions[0]) <= 0.5
    assert split.leak is None


@quick
@given(sizes=CLASS_SIZES, fractions=FRACTIONS, seed=SEEDS)
@example(sizes=[7] * 10, fractions=(0.6, 0.2, 0.2), seed=0)
@example(sizes=[1000] + [1] * 9, fractions=(0.4, 0.3, 0.3), seed=0)
@example(sizes=[1], fractions=(0.98, 0.01, 0.01), seed=0)
def test_stratified_is_a_partition_with_each_class_within_one_image(sizes, fractions, seed):
    labels = np.random.RandomState(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    split = stratified(labels, fractions, seed)
    assert_partition(split, len(labels))
    assert [len(part) for part in parts(split)] == [len(part) for part in parts(resplit(len(labels), fractions, seed))]
    for part, share in zip(parts(split), fractions, strict=True):
        counts = np.bincount(labels[part], minlength=len(sizes))
        assert np.abs(counts - np.array(sizes) * share).max() <= 1 + 1e-6


@pytest.mark.parametrize("others", [[], [7, 13], [1] * 9, [33, 34, 35]])
def test_class_whose_shares_are_whole_gets_just_these(others):
    labels = np.repeat(np.arange(len(others) + 2), [100, *others, 100])
    split = stratified(labels, (0.29, 0.57, 0.14), 3)  # 0.29 and 0.57 times 100 fall just short in floating point
    for label in (0, len(others) + 1):
        assert [int((labels[part] == label).sum()) for part in parts(split)] == [29, 57, 14]


@quick
@given(data=st.data(), seed=SEEDS)
def test_kfold_tests_every_image_exactly_once(data, seed):
    count = data.draw(st.integers(3, 400))
    folds = data.draw(st.integers(3, min(count, 12)))
    splits = [kfold(count, fold, folds, seed) for fold in range(folds)]
    for split in splits:
        assert_partition(split, count)
        assert {len(split.val), len(split.test)} <= {count // folds, -(-count // folds)}
    assert sorted(np.concatenate([split.test for split in splits]).tolist()) == list(range(count))
    assert sorted(np.concatenate([split.val for split in splits]).tolist()) == list(range(count))


@quick
@given(data=st.data(), share=st.floats(0.01, 0.99), seed=SEEDS)
def test_official_keeps_the_published_test_part(data, share, seed):
    count = data.draw(st.integers(2, 2000))
    train_size = data.draw(st.integers(1, count - 1))
    split = official(with_parts(train_size, 0, count - train_size), "train", share, 0.2, seed)
    assert_partition(split, count)
    assert split.test.tolist() == list(range(train_size, count))
    assert abs(len(split.val) - train_size * share) <= 0.5
    assert split.leak is None


def test_official_on_the_test_set_says_that_it_leaks():
    split = official(with_parts(7, 0, 3), "test", 0.1, 0.2, 0)
    assert split.train.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert split.val.tolist() == split.test.tolist() == [7, 8, 9]
    assert "validation uses the test set" in str(split.leak)


@pytest.mark.parametrize(
    ("sizes", "val_from", "expected"),
    [
        ((10, 4, 6), "auto", (10, 4, 6)),  # all as published
        ((10, 4, 6), "train", (13, 1, 6)),  # the published validation part is used for training
        ((10, 0, 6), "auto", (9, 1, 6)),
        ((10, 4, 0), "auto", (8, 4, 2)),  # a test part is cut from training
        ((10, 4, 6), "test", (14, 6, 6)),
    ],
)
def test_published_parts_are_kept_and_missing_ones_cut_from_training(sizes, val_from, expected):
    split = official(with_parts(*sizes), val_from, 0.1, 0.2, 0)
    assert tuple(map(len, parts(split))) == expected
    train, val, test = map(set, parts(split))
    assert train | val | test == set(range(sum(sizes)))
    if sizes[1] and val_from == "auto":
        assert val == set(range(sizes[0], sizes[0] + sizes[1]))
    if sizes[2]:
        assert test == set(range(sizes[0] + sizes[1], sum(sizes)))
    assert not train & (val | test)


def test_70000_digits_become_42000_14000_and_14000_by_a_frozen_stream():
    split = resplit(70_000, (0.6, 0.2, 0.2), seed=0)
    assert [len(part) for part in parts(split)] == [42_000, 14_000, 14_000]
    assert split.train[:5].tolist() == [0, 1, 3, 4, 6]
    assert split.val[:5].tolist() == [2, 8, 12, 19, 20]
    assert split.test[:5].tolist() == [5, 10, 13, 21, 26]


RULES = {"resplit": {}, "stratified": {}, "official": {}, "kfold": {"fold": 2}}


@pytest.mark.parametrize("rule", RULES)
def test_seed_alone_decides(rule):
    def drawn(seed):
        split = make_split(digits(200, 150), rule, **DEFAULTS | RULES[rule] | {"seed": seed})
        return [part.tolist() for part in parts(split)]

    np.random.seed(1)  # noqa: NPY002 - the global stream must not matter
    first = drawn(7)
    np.random.seed(2)  # noqa: NPY002
    assert first == drawn(7)
    assert first != drawn(8)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_fresh_process_draws_the_same_split(rule):
    arguments = DEFAULTS | RULES[rule] | {"seed": 123}
    program = f"""
import json, numpy as np
from ziffern.data.dataset import LabeledImages
from ziffern.data.split import make_split
data = LabeledImages("tiny", np.zeros((200, 1, 28, 28), np.uint8), np.arange(200) % 10, 150)
split = make_split(data, {rule!r}, **{arguments!r})
print(json.dumps([part.tolist() for part in (split.train, split.val, split.test)]))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert json.loads(printed) == [part.tolist() for part in parts(make_split(digits(200, 150), rule, **arguments))]


def test_order_of_the_data_decides_and_not_its_pixels():
    one, other = digits(50), digits(50, labels=np.zeros(50, np.int64))
    assert (
        make_split(one, "resplit", **DEFAULTS).test.tolist() == make_split(other, "resplit", **DEFAULTS).test.tolist()
    )


@pytest.mark.parametrize(
    ("rule", "change", "words"),
    [
        ("random", {}, ["data.split=random", "resplit, stratified, official, kfold"]),
        ("resplit", {"seed": -1}, ["data.split_seed=-1", "0 and 4294967295"]),
        ("kfold", {"seed": 2**32}, ["data.split_seed=4294967296", "4294967295"]),
        ("resplit", {"fractions": (0.8, 0.2)}, ["data.fractions=[0.8, 0.2]", "three", "[0.6,0.2,0.2]"]),
        ("resplit", {"fractions": (0.8, 0.2, 0)}, ["data.fractions=[0.8, 0.2, 0.0]", "between 0 and 1"]),
        ("stratified", {"fractions": (1.2, -0.1, -0.1)}, ["data.fractions=[1.2,", "between 0 and 1"]),
        ("resplit", {"fractions": (float("nan"), 0.2, 0.2)}, ["nan", "between 0 and 1"]),
        ("stratified", {"fractions": (0.6, 0.2, 0.1)}, ["[0.6, 0.2, 0.1]", "sum to 0.9, not 1"]),
        ("resplit", {"fractions": (0.998, 0.001, 0.001)}, ["data.split=resplit", "val part of 20", "empty"]),
        ("official", {"val_share": 0}, ["data.val_share=0", "between 0 and 1"]),
        ("official", {"val_share": 1}, ["data.val_share=1", "between 0 and 1"]),
        ("official", {"val_share": 0.01}, ["val part of 20", "empty", "larger share"]),
        ("official", {"val_share": 0.99}, ["train part of 20", "empty"]),
        ("official", {"val_from": "nowhere"}, ["data.val_from=nowhere", "auto, train or test"]),
        ("kfold", {"folds": 2}, ["data.folds=2", "between 3", "20"]),
        ("kfold", {"folds": 21}, ["data.folds=21", "20"]),
        ("kfold", {"fold": 5}, ["data.fold=5", "0 and 4", "data.folds=5"]),
        ("kfold", {"fold": -1}, ["data.fold=-1", "0 and 4"]),
    ],
)
def test_what_cannot_be_split_is_refused(rule, change, words):
    with pytest.raises(InputError) as error:
        make_split(digits(20, 15), rule, **DEFAULTS | change)
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


def test_official_without_a_published_test_part_is_refused():
    with pytest.raises(InputError, match=r"split=official needs a published test part.*data\.split=resplit"):
        make_split(digits(20), "official", **DEFAULTS)
