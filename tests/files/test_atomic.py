"""Files are written whole, and an error names the file."""

from pathlib import Path

import pytest

from ziffern.errors import OutputError
from ziffern.experiment.failure import describe
from ziffern.files.atomic import write_atomically
from ziffern.records.writer import append_event


def test_what_a_write_raises_names_the_file(tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(27, "File too large")  # as a write does, which knows no name

    with pytest.raises(OutputError, match="File too large") as error:
        write_atomically(tmp_path / "x.json", full)
    assert error.value.filename == str(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []
    assert str(describe(error.value, "--output FILE")).endswith(
        "x.json: File too large: raise the limit on the size of files (ulimit -f unlimited)"
    )
    with pytest.raises(OutputError):
        append_event(tmp_path / "nowhere", "start")
