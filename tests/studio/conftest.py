"""A person's folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ziffern.studio.jobs import _workers
from ziffern.studio.workspace import Workspace


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workspace]:
    yield Workspace(tmp_path / "outputs")
    for worker in _workers:  # so that Python knows that they have ended
        worker.poll()
