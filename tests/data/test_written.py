"""Which data sets can be written as picture files; that they are read back is tested in tests/cli/test_prepare.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ziffern.data.dataset import LabeledImages
from ziffern.data.sources.local import read_local
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
    assert "data.image=[1,4,4]" in str(error.value)


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["IMG_1.jpg", "x.png", "IMG_2.jpg"], ["IMG_1", "IMG_2"]),
        (["b.jpg", "x.png", "a.jpg"], ["0_b", "2_a"]),  # the order is that of the data
        (["a.jpg", "x.png", "A.png"], ["0_a", "2_A"]),
        ([".a.jpg", "x.png", "b?.jpg"], ["a", "b_"]),
        (["Scan 1.2 (ü).tif", "x.png", "Thumbs.db"], ["Scan 1.2 (ü)", "Thumbs"]),
        (["n" * 300 + ".png", "x.png", "n" * 299 + ".png"], ["0_" + "n" * 60, "2_" + "n" * 60]),
    ],
)
def test_pictures_keep_their_names(tmp_path: Path, names: list[str], stems: list[str]) -> None:
    data = replace(data_set(), train_size=6, val_size=0, names=(*names, "y.png", "z.png", "y.png"))
    write_pictures(replace(data, labels=np.array([0, 1, 0, 1, 1, 1])), tmp_path)
    assert sorted(path.stem for path in (tmp_path / "train/a").iterdir()) == sorted(stems)
    assert {path.stem for path in (tmp_path / "train/b").iterdir()} == {"1_x", "3_y", "4_z", "5_y"}
    again = read_local(tmp_path)
    assert len(again) == 6
