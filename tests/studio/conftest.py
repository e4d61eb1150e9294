"""A person's folder, and what Gradio leaves behind."""

import gc
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from ziffern.studio.jobs import _workers
from ziffern.studio.workspace import Workspace


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workspace]:
    yield Workspace(tmp_path / "outputs")
    for worker in _workers:  # so that Python knows that they have ended
        worker.poll()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, bool, bool]:
    """Collect the event loops that Gradio leaves open, after a module, before they fail another module's test."""
    result = yield
    if nextitem is None or nextitem.path != item.path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
    return result
