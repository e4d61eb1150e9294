"""Normalisation: three formulas, fitted on what was asked for, and carried by every checkpoint."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ziffern.errors import InputError
from ziffern.models import normalization as normalize
from ziffern.models.normalization import Normalize

IMAGES = np.random.RandomState(0).randint(0, 256, (50, 28, 28)).astype(np.uint8)
IMAGES[30:] //= 4  # darker, so that fitting on all differs from fitting on train
TRAIN = np.arange(30)


@pytest.mark.parametrize(
    ("kind", "formula"), [("unit", lambda x: x / 255), ("symmetric", lambda x: (x / 255 - 0.5) * 2)]
)
def test_fixed_kinds_are_their_formulas(kind, formula):
    step = Normalize(kind)
    step.fit(IMAGES, TRAIN)  # changes nothing
    levels = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(-1, 28, 28)
    found = step(levels)
    assert (found.dtype, found.shape) == (torch.float32, (256, 1, 28, 28))
    np.testing.assert_allclose(found[:, 0, 9, 9].numpy(), formula(np.arange(256.0)), atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize(("fit_on", "chosen"), [("train", IMAGES[TRAIN]), ("all", IMAGES)])
def test_standardize_agrees_with_numpy(fit_on, chosen, block, monkeypatch):
    monkeypatch.setattr(normalize, "BLOCK", block)
    step = Normalize("standardize", fit_on)
    step.fit(IMAGES, TRAIN)
    scaled = chosen.astype(np.float64) / 255
    assert float(step.mean) / 255 == pytest.approx(scaled.mean(), abs=1e-4)
    assert float(step.std) / 255 == pytest.approx(scaled.std(), abs=1e-4)
    found = step(torch.from_numpy(chosen)).double()
    assert float(found.mean()) == pytest.approx(0, abs=1e-4)
    assert float(found.std(correction=0)) == pytest.approx(1, abs=1e-4)


def test_fit_on_train_sees_no_other_image():
    changed = IMAGES.copy()
    changed[30:] = 255
    one, other, every = Normalize(), Normalize(), Normalize(fit_on="all")
    one.fit(IMAGES, TRAIN)
    other.fit(changed, TRAIN)
    every.fit(changed, TRAIN)
    assert one.state_dict() == other.state_dict()
    assert float(every.mean) > float(one.mean) + 10


@settings(max_examples=50, deadline=None, derandomize=True)
@given(levels=st.lists(st.integers(0, 255), min_size=2, max_size=40).filter(lambda levels: len(set(levels)) > 1))
def test_any_images_are_standardized_as_by_numpy(levels):
    images = np.repeat(np.array(levels, np.uint8), 784).reshape(-1, 28, 28)
    step = Normalize()
    step.fit(images, np.arange(len(levels)))
    assert float(step.mean) == pytest.approx(np.mean(levels), rel=1e-5, abs=1e-4)
    assert float(step.std) == pytest.approx(np.std(levels), rel=1e-5)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_constant_images_are_refused(level):
    constant = np.full((40, 28, 28), level, np.uint8)
    with pytest.raises(InputError, match=r"the same level.*model\.normalize\.kind=unit"):
        Normalize().fit(constant, TRAIN)
    Normalize("unit").fit(constant, TRAIN)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("minmax",), ["model.normalize.kind=minmax", "standardize, unit, symmetric"]),
        (("unit", "test"), ["model.normalize.fit_on=test", "train or all"]),
    ],
)
def test_unknown_settings_are_refused(arguments, words):
    with pytest.raises(InputError) as error:
        Normalize(*arguments)
    assert all(word in str(error.value) for word in words), error.value


def test_checkpoint_carries_what_was_fitted():
    fitted, fresh = Normalize(), Normalize()
    fitted.fit(IMAGES, TRAIN)
    assert sorted(fitted.state_dict()) == ["mean", "std"]
    assert list(fitted.parameters()) == []
    fresh.load_state_dict(fitted.state_dict())
    images = torch.from_numpy(IMAGES)
    assert torch.equal(fresh(images), fitted(images))
    assert not torch.equal(Normalize()(images), fitted(images))


def test_images_are_left_as_they_were():
    images = torch.from_numpy(IMAGES.copy())
    Normalize()(images)
    np.testing.assert_array_equal(images.numpy(), IMAGES)


COLOR = (
    np.random.RandomState(2).randint(0, 200, (20, 3, 9, 7)).astype(np.uint8)
    + np.array([0, 20, 50], np.uint8)[:, None, None]
)


def test_each_channel_is_standardized_for_itself():
    step = Normalize(image=[3, 9, 7])
    step.fit(COLOR, np.arange(20))
    mean, std = step.statistics()
    np.testing.assert_allclose(mean, COLOR.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(std, COLOR.std((0, 2, 3)), rtol=1e-5)
    shown = step(torch.from_numpy(COLOR)).double()
    assert shown.shape == (20, 3, 9, 7)
    torch.testing.assert_close(shown.mean((0, 2, 3)), torch.zeros(3).double(), atol=1e-4, rtol=0)


def test_one_constant_channel_is_refused():
    with pytest.raises(InputError, match="a channel have the same level"):
        Normalize(image=[3, 9, 7]).fit(
            np.where(np.arange(3)[:, None, None] == 1, 7, COLOR).astype(np.uint8), np.arange(20)
        )


def test_gray_statistics_are_scalars_as_in_version_0_1_0():
    assert all(buffer.shape == () for buffer in Normalize().state_dict().values())
    assert Normalize(image=[3, 9, 7]).state_dict()["mean"].shape == (3, 1, 1)
    assert Normalize().statistics()[0].tolist() == [0.0]
