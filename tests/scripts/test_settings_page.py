"""The settings reference: names as they are typed, values as they are written, comments as descriptions."""

from pathlib import Path

import pytest

from settings_page import Setting, read_option, settings_page
from ziffern.config import conf_folder

TRAIN = """\
# The whole.
defaults:
  - _self_
  - model: cnn

seed: 0 # of everything
model:
  # The first step.
  normalize: # of pixels
    kind: unit
  name: "a # b" # quoted
hydra:
  run: {dir: x}
"""
WIDE = """\
# A wide one,
# for large data.
defaults:
  - cnn

net:
  hidden: [1, 2] # units
"""
SPECIAL = """\
# @package _global_
# Special.
defaults:
  - override /model: wide
  - _self_
published:
  acc: 1
model.lr: 0.1
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A small configuration."""
    files = {
        "train": TRAIN,
        "model/wide": WIDE,
        "experiment/special": SPECIAL,
        "model/optimizer/none": "# @package model\n{}\n",
    }
    for name, text in files.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_settings_have_the_names_of_the_command_line(conf: Path) -> None:
    assert read_option(conf, conf / "train.yaml").settings == (
        Setting("seed", "0", "of everything"),
        Setting("model.normalize", "", "The first step. of pixels"),
        Setting("model.normalize.kind", "unit", ""),
        Setting("model.name", '"a # b"', "quoted"),
        Setting("hydra.run", "{dir: x}", ""),
    )


def test_an_option_has_its_group_its_comment_and_what_it_includes(conf: Path) -> None:
    wide = read_option(conf, conf / "model/wide.yaml")
    assert (wide.group, wide.name, wide.description) == ("model", "wide", "A wide one, for large data.")
    assert wide.choices == ("model=cnn",)
    assert wide.settings == (Setting("model.net.hidden", "[1, 2]", "units"),)


def test_a_package_decides_where_settings_belong(conf: Path) -> None:
    special = read_option(conf, conf / "experiment/special.yaml")
    assert special.choices == ("model=wide",)
    assert special.settings == (Setting("model.lr", "0.1", ""),)
    assert not read_option(conf, conf / "model/optimizer/none.yaml").settings


def test_values_of_several_lines_are_written_on_one(conf: Path) -> None:
    (conf / "model/long.yaml").write_text(
        "files: # below dir\n  - a\n  - b\nnext: |  # kept\n  one [two]\n  three\nlast: 1 # end\n"
    )
    assert read_option(conf, conf / "model/long.yaml").settings == (
        Setting("model.files", "[a, b]", "below dir"),
        Setting("model.next", "…", "kept"),
        Setting("model.last", "1", "end"),
    )


def test_a_base_of_a_group_is_no_option_and_includes_options_of_groups_below_it(conf: Path) -> None:
    (conf / "model/_base.yaml").write_text("# Shared.\ndefaults:\n  - optimizer: none\nloss: null\n")
    page = settings_page(conf)
    assert "model=_base" not in page
    assert "### All options of `model`\n\nShared.\n\nIncludes `model/optimizer=none`.\n" in page
    assert "| `model.loss` | `null` |" in page


def test_the_page_leaves_out_how_hydra_is_set_up(conf: Path) -> None:
    page = settings_page(conf)
    assert "hydra.run" not in page
    assert "| `seed` | `0` | of everything |" in page
    assert page.index("### `model`\n") < page.index("## The group `experiment`") < page.index("### `model=wide`")


def test_the_page_has_every_option_of_the_program() -> None:
    page, conf = settings_page(conf_folder()), conf_folder()
    for file in conf.rglob("*/*.yaml"):
        group = file.parent.relative_to(conf).as_posix()
        assert (f"### All options of `{group}`" if file.stem == "_base" else f"### `{group}={file.stem}`") in page
