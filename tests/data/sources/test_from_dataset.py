"""Datasets of torch as a source."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from ziffern.data.sources import FromDataset
from ziffern.errors import InputError

LEVELS = np.arange(2 * 784).reshape(2, 28, 28).astype(np.uint8)


class Items(Dataset):
    def __init__(self, items: list[object]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> object:
        return self.items[place]


def load(*images: object, **settings: object):
    items = [(image, number % 2) for number, image in enumerate(images)]
    return FromDataset(Items(items)).load(Path(), 2, **settings)


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        lambda image: torch.from_numpy(image)[None],
        lambda image: torch.from_numpy(image)[None] / 255,
        lambda image: image,
        lambda image: image[..., None],
        lambda image: image / 255.0,
        Image.fromarray,
    ],
)
def test_every_form_of_an_image_gives_its_levels(convert) -> None:
    data = load(*map(convert, LEVELS))
    assert np.array_equal(data.images[:, 0], LEVELS)
    assert data.labels.tolist() == [0, 1]
    assert data.name == "Items"


def test_color_and_a_test_part() -> None:
    color = np.zeros((5, 7, 3), np.uint8)
    color[..., 2] = 9
    source = FromDataset(Items([(color, 0), (color, 1)]), Items([(color, torch.tensor(1))]), name="mine")
    data = source.load(Path(), 2, (3, 5, 7))
    assert data.images.shape == (3, 3, 5, 7)
    assert data.images[0, 2, 0, 0] == 9
    assert (data.name, data.train_size, data.labels.tolist()) == ("mine", 2, [0, 1, 1])


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], "data.set.empty"),
        ([LEVELS[0]], "data.dataset.item"),
        ([(LEVELS[0], "one")], "data.dataset.item"),
        ([(LEVELS[0], 3)], "data.label.range"),
        ([(LEVELS[0], 0), (LEVELS[1], 2)], "data.label.range"),
        ([(LEVELS[0], 0), (LEVELS[0, :5], 1)], "data.dataset.shapes"),
        ([(torch.full((1, 28, 28), 2.0), 0)], "data.dataset.levels"),
        ([(torch.full((1, 28, 28), -0.5), 0)], "data.dataset.levels"),
        ([(LEVELS[0].astype(np.int64), 0)], "data.dataset.levels"),
    ],
)
def test_unusable_items_are_refused(items: list[object], code: str) -> None:
    with pytest.raises(InputError) as caught:
        FromDataset(Items(items)).load(Path(), 2)
    assert caught.value.code == code
