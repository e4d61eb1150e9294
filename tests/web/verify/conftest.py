"""A batch folder that a test may change, made once."""

import shutil
from pathlib import Path

import pytest

from make_batch import make_batch

PAGES, FIELDS = 3, 4


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[str]]]:
    folder = tmp_path_factory.mktemp("made")
    return folder, make_batch(folder, PAGES, FIELDS, doubtful=0.7)


@pytest.fixture
def batch(made: tuple[Path, list[list[str]]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "batch"))


@pytest.fixture
def truth(made: tuple[Path, list[list[str]]]) -> list[list[str]]:
    return made[1]
