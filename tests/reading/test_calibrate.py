"""Checked fields in place of the labeled digits of the package."""

from contextlib import closing
from pathlib import Path

import msgspec

from ziffern.reading.calibrate import calibrate, read_calibration, write_calibration
from ziffern.reading.decisions import Decision, Decisions
from ziffern.reading.result import CellReading, FieldReading, PageReading, Reading, Reason, Status

DOUBTS = (None, "unsure", "unsure_digit", "no_guarantee", "not_valid")


def test_fields_that_were_doubtful_only_by_their_probability_count_with_it(tmp_path: Path) -> None:
    pages, cells = [], [CellReading("digit", (0.0, 0.0, 1.0, 1.0), "1")]
    for number, code in enumerate(DOUBTS):
        reason = None if code is None else Reason(f"reading.reason.{code}")
        status: Status = "review" if reason else "accepted"
        field = FieldReading("born", status, (0.0, 0.0, 1.0, 1.0), "17", 0.9, reason, [("17", 0.9)], cells)
        pages.append(PageReading("scan.pdf", number + 1, fields=[field]))
    reading = Reading(1, "2026-01-01T00:00:00+00:00", "exam", "reader", 0.01, pages)
    (tmp_path / "reading.json").write_bytes(msgspec.json.encode(reading))
    with closing(Decisions(tmp_path, reading)) as decisions:
        for number in range(len(DOUBTS)):
            value = "17" if number else "11"
            decisions.append(Decision(at=1e9, person="Ada", page=number, field="born", kind="value", value=value))
    found, _ = calibrate([tmp_path])
    assert found.fields["born"] == [(0.9, False), (0.9, True), (0.9, True), (0.9, True), (0.0, True)]
    write_calibration(found, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json", "reader")["born"].images == len(DOUBTS)
