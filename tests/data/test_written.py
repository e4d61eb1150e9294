"""Which data sets can be written as picture files; that they are read back is tested in tests/cli/test_prepare.py."""

from pathlib import Path

import numpy as np
import pytest

from ziffern.data.dataset import LabeledImages
from ziffern.data.written import write_pictures
from ziffern.errors import InputError


def data_set(name: str = "a", channels: int = 1) -> LabeledImages:
    images = np.zeros((6, channels, 4, 4), np.uint8)
    return LabeledImages("mine", images, np.array([0, 1] * 3), 3, (name, "b"), val_size=2)


@pytest.mark.parametrize("name", ["fünf 5", "0", "a.b", "(x)=1,2"])
def test_parts_and_classes_are_folders(tmp_path: Path, name: str) -> None:
    write_pictures(data_set(name), tmp_path / "out")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.png"))
    train, others = [f"train/{name}/0.png", "train/b/1.png", f"train/{name}/2.png"], ["val/b/3.png", "test/b/5.png"]
    assert files == sorted([*train, f"val/{name}/4.png", *others])
    assert (tmp_path / f"out/test/{name}").is_dir()  # an empty class


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", ".hidden", "a\\b", "a:b", "end.", "end ", "Thumbs.db"])
def test_a_class_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        write_pictures(data_set(name), tmp_path / "out")
    assert error.value.code == "data.written.class_name"
    assert not (tmp_path / "out").exists()


def test_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        write_pictures(data_set(channels=2), tmp_path / "out")
    assert error.value.code == "data.written.channels"
    assert "data.image=[1, 4, 4]" in str(error.value)
