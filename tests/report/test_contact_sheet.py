"""A contact sheet shows each class, whatever the shape and number of its images."""

from pathlib import Path

import numpy as np
import pytest

from ziffern.data.dataset import LabeledImages
from ziffern.report.contact_sheet import GAP, LABELS, MARGIN, MAX_CLASSES, TILE, TITLE, contact_sheet
from ziffern.text.language import LANGUAGES, Language


def data_set(shape=(1, 28, 28), count: int = 40, names=("0", "1", "ü" * 60)) -> LabeledImages:
    images = np.full((count, *shape), 200, np.uint8)
    return LabeledImages("mine", images, np.arange(count) % 2, count, names)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (4, 16, 16), (2, 8, 8), (1, 64, 200), (1, 1, 1)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_any_shape_has_a_row_per_class(shape, language: str) -> None:
    sheet = np.asarray(contact_sheet(data_set(shape), Language(language)))
    middle = MARGIN + TITLE + TILE // 2 + np.arange(3) * (TILE + GAP)
    tiles = MARGIN + LABELS + TILE // 2 + np.arange(12) * (TILE + GAP)
    shown = (sheet[middle][:, tiles] != 255).any(2)
    assert shown.tolist() == [[True] * 12, [True] * 12, [False] * 12]  # the last class has no image


def test_a_class_of_few_images_shows_them_once() -> None:
    sheet = np.asarray(contact_sheet(data_set(count=3, names=("0", "1")), Language("en")))
    tiles = MARGIN + LABELS + TILE // 2 + np.arange(12) * (TILE + GAP)
    assert (sheet[MARGIN + TITLE + TILE // 2, tiles] != 255).any(1).sum() == 2


def test_many_classes_are_cut_off(tmp_path: Path) -> None:
    few, many = (
        contact_sheet(data_set(names=tuple(map(str, range(count)))), Language("en")) for count in (MAX_CLASSES, 1000)
    )
    assert many.height < few.height + TILE
