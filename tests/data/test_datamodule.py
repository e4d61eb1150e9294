"""The datamodule: what it refuses before anything starts, and loaders that need no trainer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.data.datamodule import ImageDataModule
from ziffern.data.dataset import LabeledImages
from ziffern.errors import InputError

COUNT = 50


class Counted:
    """A source of 50 images, each filled with its own number; counts how often it is asked."""

    def __init__(self, train_size=40):
        self.train_size, self.asked = train_size, []

    def load(self, folder, num_classes, image=None):
        self.asked.append((folder, num_classes, image))
        images = np.repeat(np.arange(COUNT, dtype=np.uint8), 784).reshape(-1, 1, 28, 28)
        return LabeledImages("counted", images, np.arange(COUNT) % 10, self.train_size)


def module(**settings):
    return ImageDataModule(**{"source": Counted(), "dir": "data", "batch_size": 8} | settings)


def numbers(loader):
    return [int(image[0, 0, 0]) for images, _ in loader for image in images]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, ["data.batch_size=0", "at least 1", "data.batch_size=16"]),
        ({"batch_size": -3}, ["data.batch_size=-3", "at least 1"]),
        ({"eval_batch_size": 0}, ["data.eval_batch_size=0", "at least 1"]),
        ({"image": [28, 28]}, ["data.image=[28,28]", "three whole numbers", "[3,32,32]"]),
        ({"image": [3, 0, 32]}, ["data.image=[3,0,32]", "at least 1"]),
        ({"num_classes": 1}, ["data.num_classes=1", "at least 2"]),
        ({"batch_size": 31}, ["data.batch_size=31", "larger", "30 images", "at most data.batch_size=30"]),
        ({"num_classes": 12}, ["data.num_classes=12", "counted has 10 classes", "use data.num_classes=10"]),
        ({"split": "random"}, ["data.split=random", "resplit, stratified, official, kfold"]),
        ({"split": "kfold", "fold": 5}, ["data.fold=5"]),
    ],
)
def test_bad_settings_are_refused_by_setup_at_the_latest(change, words):
    with pytest.raises(InputError) as error:
        module(**change).setup()
    assert str(error.value).isprintable()
    assert all(word in str(error.value) for word in words), error.value


def test_largest_batch_and_an_eval_batch_beyond_its_part_are_fine():
    data = module(batch_size=30, eval_batch_size=1000)
    data.setup("fit")
    assert (len(data.train_dataloader()), len(data.val_dataloader()), len(data.test_dataloader())) == (1, 1, 1)


def test_source_is_asked_once_with_folder_and_classes():
    data = module(dir="~/digits", num_classes=10)
    for stage in ("fit", "test", None):
        data.setup(stage)
    assert data.source.asked == [(Path.home() / "digits", 10, None)]


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_loader_without_trainer_yields_its_part(part):
    data = module(eval_batch_size=8)
    loader = getattr(data, f"{part}_dataloader")()
    images, labels = next(iter(loader))
    assert (images.dtype, images.shape, labels.dtype, labels.shape) == (torch.uint8, (8, 1, 28, 28), torch.int64, (8,))
    assert images.device == labels.device == torch.device("cpu")
    assert torch.equal(images[:, 0, 5, 5].long() % 10, labels)
    found, wanted = numbers(loader), getattr(data.parts, part).tolist()
    assert (sorted(found), found == wanted) == (wanted, part != "train")


def test_training_order_follows_the_seed_and_the_split_its_own():
    one, other = module(seed=1), module(seed=2)
    assert numbers(one.train_dataloader()) == numbers(module(seed=1).train_dataloader())
    assert numbers(one.train_dataloader()) != numbers(other.train_dataloader())
    assert numbers(one.test_dataloader()) == numbers(other.test_dataloader())
    assert numbers(one.test_dataloader()) != numbers(module(split_seed=1).test_dataloader())


def test_official_split_knows_the_published_test_part():
    assert numbers(module(split="official").test_dataloader()) == list(range(40, 50))
    with pytest.raises(InputError, match="needs a published test part"):
        module(source=Counted(train_size=COUNT), split="official").setup()


class FakeTrainer:
    global_rank, world_size = 1, 2
    strategy = type("Strategy", (), {"root_device": torch.device("meta")})


def test_trainer_decides_device_and_shard():
    data = module(split="official")
    assert len(numbers(data.val_dataloader())) == 4
    data.trainer = FakeTrainer()
    loaders = data.train_dataloader(), data.val_dataloader(), data.test_dataloader()
    assert [loader.images.device.type for loader in loaders] == ["meta"] * 3
    assert [(loader.rank, loader.world_size) for loader in loaders] == [(1, 2), (1, 2), (0, 1)]  # test is whole
    assert loaders[0].images is loaders[2].images


def test_batch_stays_where_it_was_cut():
    batch = (torch.zeros(1), torch.zeros(1))
    assert module().transfer_batch_to_device(batch, torch.device("meta"), 0) is batch


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "resplit 0.6/0.2/0.2, split_seed 0"),
        (
            {"split": "stratified", "fractions": [0.8, 0.1, 0.1], "split_seed": 3},
            "stratified 0.8/0.1/0.1, split_seed 3",
        ),
        ({"split": "official"}, "official val 0.1 of train, split_seed 0"),
        ({"split": "official", "val_from": "test"}, "official val = test, split_seed 0"),
        ({"split": "kfold", "fold": 2, "folds": 4}, "kfold fold 2 of 4, split_seed 0"),
    ],
)
def test_split_has_a_name(settings, name):
    assert module(**settings).split_name == name
