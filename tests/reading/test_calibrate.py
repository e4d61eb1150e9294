"""Calibration on fields that people have checked."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from make_batch import make_batch
from ziffern.errors import InputError
from ziffern.reading.calibrate import calibrate, read_calibration, write_calibration
from ziffern.reading.decisions import Decision, Decisions, Kind
from ziffern.reading.folder import READING, load_reading
from ziffern.reading.result import REVIEW, FieldReading, Reason

CODES = [f"reading.reason.{name}" for name in ("unsure", "unsure_digit", "no_guarantee", "no_digit")]


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A batch of four pages, whose field number_1 is doubtful for four reasons, and always read as 11111."""
    make_batch(tmp_path / "batch", pages=4, fields=2, doubtful=0)
    reading, pages = load_reading(tmp_path / "batch"), []
    for page, code in zip(reading.pages, CODES, strict=True):
        first: FieldReading = msgspec.structs.replace(
            page.fields[0], status=REVIEW, guess="11111", probability=0.9, reason=Reason(code)
        )
        pages.append(msgspec.structs.replace(page, fields=[first, page.fields[1]]))
    content = msgspec.json.encode(msgspec.structs.replace(reading, pages=pages))
    (tmp_path / "batch" / READING).write_bytes(content)
    return tmp_path / "batch"


def enter(batch: Path, *answers: tuple[int, Kind, str], name: str = "number_1") -> None:
    with closing(Decisions(batch, load_reading(batch))) as decisions:
        for page, kind, value in answers:
            decisions.append(Decision(1.0, "anna", page, name, kind, value))


def test_all_fields_that_some_threshold_accepts_count_with_their_probability(batch: Path, tmp_path: Path) -> None:
    enter(batch, (0, "value", "11111"), (1, "value", "71111"), (2, "unreadable", ""), (3, "value", "11111"))
    calibration, unchecked = calibrate([batch, batch / "../batch"])  # the same one counts once
    assert calibration.fields == {"number_1": [(0.9, True), (0.9, False), (0.9, False)]}
    assert unchecked == {"number_2": 4}
    write_calibration(calibration, tmp_path / "calibration.json")
    counts = read_calibration(tmp_path / "calibration.json", calibration.model)
    assert counts["number_1"].images == 3
    with pytest.raises(InputError, match="calibrate again"):
        read_calibration(tmp_path / "calibration.json", "another")


def test_a_doubtful_field_that_nobody_checked_is_missed(batch: Path) -> None:
    enter(batch, (0, "value", "11111"), (1, "later", ""))
    with pytest.raises(InputError) as error:
        calibrate([batch])
    assert error.value.code == "reading.calibrate.unchecked"


def test_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for content in ("", "[" * 10**5, '{"version": 1, "model": "a", "fields": {"b": [[2, true]]}}', '{"version": 2}'):
        path.write_text(content)
        with pytest.raises(InputError) as error:
            read_calibration(path, "a")
        assert str(error.value).count("\n") == 0
