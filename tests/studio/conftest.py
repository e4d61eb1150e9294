"""A person's folder, and what Gradio leaves behind."""

import gc
import warnings
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


@pytest.fixture(scope="module", autouse=True)
def remains() -> Iterator[None]:
    """Collect the event loops that Gradio leaves open before they fail another module's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
