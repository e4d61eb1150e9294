from typing import Any

import numpy as np
from tests.data.test_drawing import mnist

from ziffern.data.content import Part
from ziffern.data.for_paper import OTHER, ForPaper
from ziffern.data.others import other_images


def parts(count: int = 60) -> dict[str, Part]:
    images, labels = mnist()
    return {"train": Part(images[:count], labels[:count]), "test": Part(images[-count:], labels[-count:])}


def arrays(part: Part) -> tuple[Any, Any]:
    return np.asarray(part.images), part.labels


def test_a_share_of_the_training_digits_comes_from_paper_and_no_digit_is_there_twice() -> None:
    given = parts()
    made, names = ForPaper(share=0.5).of(given)
    assert names == ()
    np.testing.assert_array_equal(made["train"].labels, given["train"].labels)
    changed = (np.asarray(made["train"].images) != given["train"].images).any((1, 2))
    assert 0.3 < changed.mean() < 0.7
    np.testing.assert_array_equal(made["test"].images, given["test"].images)


def test_printed_digits_and_images_of_no_digit_are_added_and_the_same_each_time() -> None:
    given = parts()
    (made, names), (again, _) = (ForPaper(share=0, printed=20, others=40).of(given) for _ in range(2))
    assert names == (OTHER,)
    images, labels = arrays(made["train"])
    np.testing.assert_array_equal(images[:60], given["train"].images)
    np.testing.assert_array_equal(labels[60:80], np.arange(20) % 10)
    assert 30 <= (labels[80:] == 10).sum() == len(labels) - 80 <= 40
    assert (arrays(made["test"])[1] == 10).sum() in range(5, 9)
    np.testing.assert_array_equal(images, again["train"].images)


def test_nothing_is_made_of_the_digits_that_validate_for_another_part() -> None:
    given, paper = parts(), ForPaper(share=0.5, others=40, val=20)
    made, _ = paper.of(given)
    places = paper.validation(60)
    assert len(set(places.tolist())) == 20
    assert [len(arrays(made[name])[1]) - (arrays(made[name])[1] == 10).sum() for name in ("train", "val")] == [40, 20]
    rest = np.setdiff1d(np.arange(60), places)
    np.testing.assert_array_equal(arrays(made["val"])[1][:20], given["train"].labels[places])
    images, labels = arrays(given["train"])
    images = images.copy()
    images[places] = 255  # other digits that validate
    other = ForPaper(share=0, others=40, val=20).of({**given, "train": Part(images, labels)})[0]
    same = ForPaper(share=0, others=40, val=20).of(given)[0]
    np.testing.assert_array_equal(arrays(other["train"])[0], arrays(same["train"])[0])
    np.testing.assert_array_equal(arrays(same["train"])[0][:40], arrays(given["train"])[0][rest])


def test_images_of_no_digit_are_as_large_as_digits_and_differ() -> None:
    images, labels = mnist()
    others = other_images(images[:200], labels[:200], 80, seed=0)
    extents = [max(np.ptp(np.flatnonzero(image.any(axis))) for axis in (0, 1)) + 1 for image in others]
    assert set(extents) <= set(range(18, 22))
    assert len(np.unique(others, axis=0)) > 70
