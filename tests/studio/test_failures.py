"""Why a training failed reaches the page in the page's language."""

import errno
import sys
from pathlib import Path

import pytest

from ziffern.errors import InputError
from ziffern.experiment.failure import fail
from ziffern.files.atomic import write_json
from ziffern.studio.jobs import THREADS, Job, State, Training
from ziffern.studio.views import Words, jobs_view
from ziffern.studio.worker import record_failure
from ziffern.studio.workspace import Workspace


def read_failure(file: Path, language: str) -> str:
    return Training(0, (), file.parent, State.FAILED, "", file).failure(language)


def failing(error: Exception) -> None:
    """End as `ziffern train` does."""
    try:
        raise error
    except (InputError, OSError) as caught:
        fail(str(caught))


@pytest.mark.parametrize(
    ("error", "english", "german"),
    [
        (InputError("studio.job.empty"), "no model is chosen", "Es ist kein Modell gewählt"),
        (OSError(errno.ENOSPC, "full", "a/b"), "a/b: No space left on device", "a/b: Die Platte ist voll"),
    ],
)
def test_a_failure_is_written_in_every_language(tmp_path: Path, error: Exception, english: str, german: str) -> None:
    file = tmp_path / "failure.json"
    with pytest.raises(SystemExit, match="2"):
        record_failure(lambda: failing(error), file)
    assert read_failure(file, "en").startswith(english)
    assert read_failure(file, "de").startswith(german)
    assert read_failure(file, "fr") == ""


def test_other_ends_write_nothing(tmp_path: Path) -> None:
    file = tmp_path / "failure.json"
    record_failure(lambda: None, file)
    with pytest.raises(ZeroDivisionError):
        record_failure(lambda: print(1 // 0), file)
    with pytest.raises(SystemExit):
        record_failure(lambda: sys.exit(0), file)
    assert not file.exists()
    assert read_failure(file, "en") == ""
    file.write_text("[]")
    assert read_failure(file, "en") == ""


def test_the_page_shows_the_failure_in_its_language(tmp_path: Path) -> None:
    own = Workspace(tmp_path)
    job = Job(own.jobs_folder / "20260101-000000-abcdef")
    write_json(job.folder / "job.json", {"trainings": [{"overrides": [THREADS], "folder": str(tmp_path / "run")}]})
    write_json(job.folder / "0.json", {"state": "failed", "reason": "printed in whatever language"})
    assert "printed in whatever language" in jobs_view(Words("de"), own)[0]
    write_json(job.failure_file(0), {"en": "why it failed", "de": "warum es scheiterte"})
    assert "warum es scheiterte" in jobs_view(Words("de"), own)[0]
    assert "why it failed" in jobs_view(Words("en"), own)[0]
