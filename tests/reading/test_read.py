"""Pages of a form from the printer to the table, with real digits."""

import errno
import fcntl
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from tests.reading.test_find import FORMS, real
from tests.support import rendered

import ziffern as zf
from filled_forms import Pens, blank_pages, fill, write_scan
from paper import degraded
from ziffern.cli import main as cli
from ziffern.errors import InputError
from ziffern.reading.batch import BatchFolder
from ziffern.reading.calibrate import Calibration, write_calibration
from ziffern.reading.decide import LabeledDigits
from ziffern.reading.folder import load_reading
from ziffern.reading.model import ReaderModel
from ziffern.reading.page import PageProblem
from ziffern.reading.pages import pages_of
from ziffern.reading.read import read_pages
from ziffern.reading.result import Limits
from ziffern.reading.template import load_template

EXAM = """
name: exam
fields:
  student: {at: [20, 40], cells: 4, values: students.csv:number, unique: yes}
  q1:      {at: [20, 65], cells: 2, range: [0, 20]}
  q2:      {at: [60, 65], cells: 2, range: [0, 20], required: no}
  total:   {at: [100, 65], cells: 2, range: [0, 40]}
  passed:  {at: [140, 67], ticks: [yes, no], choose: 1}
  zip:     {at: [20, 90], string: [60, 12], length: 5}
  name:    {at: [20, 110], crop: [80, 10]}
sums:
  total: [q1, q2]
"""
VALUES = [
    {"student": "1001", "q1": "12", "q2": "8", "total": "20", "passed": "yes", "zip": "43725"},
    {"student": "2457", "q1": "7", "q2": "", "total": "7", "passed": "no", "zip": "10969"},
    {"student": "3690", "q1": "15", "q2": "4", "total": "19", "passed": "yes", "zip": "80331"},
]


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a template, its list of students, and scans of three filled-in forms."""
    folder = tmp_path_factory.mktemp("exam")
    (folder / "exam.yaml").write_text(EXAM)
    (folder / "students.csv").write_text("number\n1001\n2457\n3690\n4418\n")
    template = load_template(folder / "exam.yaml")
    fields = {field.name: field for field in template.pages[0].fields}
    (blank,), pens = blank_pages(template), Pens(3)
    for number, values in enumerate(VALUES):
        page = fill(blank, {fields[name]: value for name, value in values.items()}, pens)
        write_scan(folder / f"scans/{number}.png", degraded(page, number).image)
    return folder


@pytest.fixture
def ziffern(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call `ziffern ARGS` in this process; return exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ziffern", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return call


def read(exam: Path, **options: object) -> zf.Reading:
    return zf.read(exam / "scans", template=exam / "exam.yaml", **{"max_error": 0.05, **options})  # type: ignore[arg-type]


def test_all_kinds_of_fields_are_read_and_most_are_accepted(exam: Path) -> None:
    table = read(exam).to_frame()
    for row, values in zip(table.to_dict("records"), VALUES, strict=True):
        for name, value in values.items():
            assert row[name] in (value, None), name
        assert (row["name"], row["name_status"]) == ("", "picture")  # which does not count as an accepted value
    guesses = table[[f"{name}_guess" for name in VALUES[0]]].to_numpy()
    assert (guesses == [list(values.values()) for values in VALUES]).mean() > 0.9
    accepted = table[list(VALUES[0])].notna()
    assert accepted.to_numpy().mean() > 0.7
    assert table["q2_status"].tolist()[1] == "empty"
    assert table["file"].tolist() == [str(exam / f"scans/{number}.png") for number in range(3)]


def test_the_command_writes_table_pictures_report_and_nothing_half(
    exam: Path, tmp_path: Path, ziffern: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["read", str(exam / "scans"), "--template", str(exam / "exam.yaml"), "--max-error", "5%", "-o"]
    assert ziffern(*given, "marks.csv")[0] == 0
    table = pd.read_csv("marks.csv", dtype=str, keep_default_na=False)
    assert table["student_guess"].tolist() == [values["student"] for values in VALUES]
    result = load_reading(Path("marks"))
    assert [page.kind for page in result.pages] == ["exam"] * 3
    assert result.lists["student"] == ["1001", "2457", "3690", "4418"]
    assert result.limits["q1"] == Limits(length=(1, 2), range=(0, 20))
    assert result.lists["passed"] == ["yes", "no"]
    assert result.limits["passed"] == Limits(choose=(1, 1))
    assert set(result.limits) == {"student", "q1", "q2", "total", "passed", "zip"}
    for page in result.pages:
        assert Path("marks", page.image).stat().st_size > 1000
        assert all(Path("marks", item.crop).exists() for item in page.fields)
        assert page.residual is not None
        assert page.residual < 0.3
    report = Path("marks/report.html").read_text()
    assert "http" not in report.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert {path.name for path in tmp_path.iterdir()} == {"marks", "marks.csv"}
    code, _, err = ziffern(*given, "marks.csv")
    assert (code, err.count("\n")) == (2, 1)  # people may have checked the folder
    assert "already exists" in err
    Path("mine.csv").write_text("not ours")
    assert ziffern(*given, "mine.csv")[0] == 2
    assert Path("mine.csv").read_text() == "not ours"
    assert ziffern(*given, "again.parquet")[0] == 0
    typed = pd.read_parquet("again.parquet")
    assert typed["student_guess"].tolist() == table["student_guess"].tolist()
    assert (str(typed["page"].dtype), str(typed["student_probability"].dtype)) == ("int64", "float64")
    Path("again.parquet").unlink()
    shutil.rmtree("again")
    code, out, _ = ziffern("read", str(exam / "scans/0.png"), "--template", str(exam / "exam.yaml"))
    assert code == 0
    assert "name:" not in out  # an area that is kept as a picture
    assert ziffern(*given, "again.json")[0] == 0
    assert msgspec.json.decode(Path("again.json").read_bytes(), type=zf.Reading).pages == result.pages


@real
def test_strings_on_a_real_form_are_accepted_with_a_guarantee(tmp_path: Path) -> None:
    import cv2

    boxes = [  # left, top, width, height in pixels, and the value
        (136, 810, 606, 99, "0123456789"),
        (790, 808, 607, 99, "0123456789"),
        (1446, 806, 610, 99, "0123456789"),
        (137, 968, 129, 101, "16"),
        (373, 968, 190, 101, "899"),
        (672, 967, 251, 100, "0124"),
        (1031, 966, 307, 101, "43744"),
        (1446, 963, 611, 102, "403875"),
        (138, 1129, 189, 101, "821"),
        (435, 1129, 249, 100, "7358"),
        (792, 1128, 310, 100, "55925"),
        (1211, 1125, 608, 102, "116213"),
        (1928, 1124, 130, 99, "86"),
        (139, 1290, 248, 97, "4949"),
        (495, 1289, 309, 97, "20044"),
        (913, 1287, 606, 99, "625502"),
        (1629, 1286, 131, 97, "80"),
        (1869, 1284, 189, 97, "681"),
        (140, 1446, 306, 100, "79192"),
        (555, 1446, 608, 99, "676687"),
        (1271, 1444, 129, 99, "49"),
        (1509, 1443, 192, 99, "213"),
        (1810, 1441, 249, 99, "3055"),
        (141, 1606, 606, 100, "803797"),
        (855, 1606, 132, 101, "02"),
        (1094, 1605, 189, 99, "791"),
        (1390, 1603, 251, 100, "3678"),
        (1751, 1601, 309, 100, "03536"),
    ]
    blank, mm, truth = cv2.imread(str(FORMS / "nist/hsf.png"), 0), 25.4 / 300, {}
    lines = [f"name: hsf\npage: [{blank.shape[1] * mm:.2f}, {blank.shape[0] * mm:.2f}]"]
    lines += ["register: {blank: blank.png}", "fields:"]
    for number, (left, top, width, height, value) in enumerate(boxes):
        x, y, w, h = (side * mm for side in (left + 4, top + 4, width - 8, height - 8))
        lines.append(f"  n{number}: {{at: [{x:.2f}, {y:.2f}], string: [{w:.2f}, {h:.2f}], length: {len(value)}}}")
        blank[top + 7 : top + height - 7, left + 7 : left + width - 7] = 255
        truth[f"n{number}"] = value
    cv2.imwrite(str(tmp_path / "blank.png"), blank)
    (tmp_path / "hsf.yaml").write_text("\n".join(lines))
    for max_error, least in ((0.05, 26), (0.01, 18)):
        (page,) = zf.read(FORMS / "nist/hsf.png", template=tmp_path / "hsf.yaml", max_error=max_error).pages
        accepted = {item.name: item.value for item in page.fields if item.value is not None}
        assert len(accepted) >= least
        assert accepted.items() <= truth.items()


def test_options_without_effect_are_refused_or_reported(
    exam: Path, tmp_path: Path, ziffern: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scan, template = str(exam / "scans/0.png"), str(exam / "exam.yaml")
    code, out, err = ziffern("read", scan, "--template", template, "--what", "grid", "-o", "marks.csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: --what grid has no effect with a template")
    assert not list(tmp_path.iterdir())
    for option, value in {"--what": "row", "--template": template, "--max-error": "2%", "--run": "r"}.items():
        code, _, err = ziffern("read", "calibrate", "marks", "-o", "calibration.json", option, value)
        assert (code, err) == (2, f"error: {option} has no effect on `ziffern read calibrate`: omit it\n")
    Path("calibration.json").write_text("mine")
    assert ziffern("read", "calibrate", "marks", "-o", "calibration.json")[0] == 2
    assert ziffern("verify", "marks", "--export", "calibration.json")[0] == 2
    assert Path("calibration.json").read_text() == "mine"
    checked = Calibration(1, ReaderModel.builtin().name, {"amount": [(0.9, True)]})
    write_calibration(checked, Path("other.json"))
    _, _, err = ziffern("read", scan, "--template", template, "--calibration", "other.json")
    assert "none of its fields is on these pages (amount)" in err
    write_calibration(msgspec.structs.replace(checked, fields={"q1": [(0.9, True)]}), Path("own.json"))
    assert (
        "calibration has no effect" not in ziffern("read", scan, "--template", template, "--calibration", "own.json")[2]
    )


def test_what_a_killed_reading_left_is_removed_by_the_next_one_of_the_name(tmp_path: Path) -> None:
    start = "import sys; from pathlib import Path; from ziffern.reading.batch import BatchFolder"
    script = f"{start}; BatchFolder(Path(sys.argv[1])); print(flush=True); input()"
    command = [sys.executable, "-c", script, str(tmp_path / "marks")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (left,) = tmp_path.iterdir()
        own = tmp_path / ".marks-mynotes1"
        shutil.copytree(left, own)
        (own / "thesis.txt").touch()
        BatchFolder(tmp_path / "marks").discard()
        assert left.exists()  # its process runs
        other.kill()
    BatchFolder(tmp_path / "marks").discard()
    assert list(tmp_path.iterdir()) == [own]


def test_a_file_system_without_locks_keeps_what_others_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    other = BatchFolder(tmp_path / "marks")
    BatchFolder(tmp_path / "marks").discard()
    assert list(tmp_path.iterdir()) == [other.partial]
    other.discard()
    assert not list(tmp_path.iterdir())


def test_a_printed_form_is_read_without_options(
    exam: Path, tmp_path: Path, ziffern: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "plain.yaml").write_text(EXAM.replace("values: students.csv:number, unique: yes", "length: 4"))
    plain = load_template(tmp_path / "plain.yaml")
    fields = {field.name: field for field in plain.pages[0].fields}
    page = fill(blank_pages(plain)[0], {fields[name]: value for name, value in VALUES[0].items()}, Pens(5))
    reading = zf.read(degraded(page, 1).image, max_error=0.05)
    assert {item.name: item.guess for item in reading.pages[0].fields if item.name != "name"} == VALUES[0]
    assert reading.template == "exam"
    assert zf.read(degraded(page, 1).image, what="row").pages[0].kind == "row"  # as the user says
    (cut,) = zf.read(page[: len(page) * 2 // 3]).pages
    assert cut.problem is not None
    assert (cut.problem.code, cut.problem.values["count"]) == ("reading.registration.markers", 2)
    wrong = VALUES[0] | {"total": "31"}
    page = fill(blank_pages(plain)[0], {fields[name]: value for name, value in wrong.items()}, Pens(5))
    write_scan(tmp_path / "wrong.png", page)
    code, out, err = ziffern("read", str(tmp_path / "wrong.png"), "--max-error", "5%")
    assert (code, out.count("q1 + q2 is not total")) == (0, 3), err  # the sum in the code is checked, too


def test_pages_that_cannot_be_read_keep_their_rows(exam: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    write_scan(tmp_path / "white.png", np.full((2339, 1654), 255, np.uint8))
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.write(exam / "scans/0.png", "0.png")
    sources = [tmp_path / "broken.png", tmp_path / "white.png", tmp_path / "scans.zip"]
    result = zf.read(sources, template=exam / "exam.yaml", max_error=0.05)
    broken, white, page = result.pages
    assert broken.problem
    assert white.problem
    assert white.problem.code.startswith("reading.registration.")
    assert page.fields
    assert result.to_frame()["problem"].astype(bool).tolist() == [True, True, False]


def test_what_cannot_be_guaranteed_is_not_accepted(exam: Path) -> None:
    strict = read(exam, max_error=1e-5)  # people can still check the pages
    accepted = {item.name for page in strict.pages for item in page.fields if item.status == "accepted"}
    assert accepted <= {"passed"}
    assert not strict.guarantees
    texts = [warning.text("en") for warning in strict.warnings]
    names = sorted(text.partition(": ")[0].split(", ") for text in texts)
    assert names == [["q1", "q2", "total", "zip"], ["student"]]  # whose evidence are digits, and fields by their list
    assert all("at most 0.001% of" in text for text in texts)
    with pytest.raises(InputError, match="between 0 and 1"):
        read(exam, max_error=0)
    empty = np.zeros(0, np.int64)
    unknown = LabeledDigits(np.zeros((0, 10), np.float32), empty, empty.astype(bool))
    foreign = replace(ReaderModel.builtin(), calibration=unknown)
    template = load_template(exam / "exam.yaml")
    result = read_pages(pages_of([exam / "scans/0.png"]), foreign, template=template)
    assert {item.name for item in result.pages[0].fields if item.status == "accepted"} <= {"passed"}
    assert result.warnings


def test_a_problem_of_a_page_is_kept_in_every_language(exam: Path) -> None:
    problem = PageProblem("a.pdf", 3, InputError("reading.pages.unknown", path="a.pdf"))
    (page,) = read_pages([problem], ReaderModel.builtin()).pages
    assert (page.source, page.number) == ("a.pdf", 3)
    assert page.problem
    assert page.problem.text("de") != page.problem.text("en")
    assert json.loads(msgspec.json.encode(page))["problem"]["code"] == "reading.pages.unknown"


TWO_PAGES = """
name: two
pages:
  grid:
    fields:
      q1:    {at: [20, 65], cells: 2}
      q2:    {at: [60, 65], cells: 2}
      total: {at: [100, 65], cells: 2}
    sums: {total: [q1, q2]}
  row:
    fields:
      q1:    {at: [20, 85], cells: 2}
      q2:    {at: [60, 85], cells: 2}
      total: {at: [100, 85], cells: 2}
"""


def test_a_sum_holds_on_its_own_kind_of_page_and_comes_with_the_qr_code(
    tmp_path: Path, ziffern: Callable[..., tuple[int, str, str]]
) -> None:
    (tmp_path / "two.yaml").write_text(TWO_PAGES)
    template = load_template(tmp_path / "two.yaml")
    values = {"q1": "12", "q2": "8", "total": "44"}
    for number, (kind, blank) in enumerate(zip(template.pages, blank_pages(template), strict=True)):
        page = fill(blank, {field: values[field.name] for field in kind.fields}, Pens(3))
        write_scan(tmp_path / f"scans/{number}.png", degraded(page, number).image)
    for options in ({}, {"template": tmp_path / "two.yaml"}):
        first, second = zf.read(tmp_path / "scans", max_error=0.05, **options).pages  # type: ignore[arg-type]
        assert {item.reason.code for item in first.fields if item.reason} == {"reading.reason.sum"}
        assert [item.guess for item in second.fields] == ["12", "8", "44"]
        assert not any(item.reason and item.reason.code == "reading.reason.sum" for item in second.fields)
    code, out, err = ziffern("read", str(tmp_path / "scans/0.png"))  # of a kind that is called like a grid
    assert (code, out.count("\n")) == (0, 3)
    assert "without a template" not in err


def test_a_full_disk_and_a_folder_in_the_way_are_one_line(
    exam: Path, tmp_path: Path, ziffern: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["read", str(exam / "scans/0.png"), "--template", str(exam / "exam.yaml"), "-o"]
    (tmp_path / "folder.csv").mkdir()
    code, _, err = ziffern(*given, str(tmp_path / "folder.csv"))
    assert (code, err.count("\n")) == (2, 1)
    (tmp_path / "file").touch()
    code, _, err = ziffern(*given, str(tmp_path / "file/marks.csv"))
    assert (code, err.count("\n")) == (2, 1)
    assert "write elsewhere" in err

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, err = ziffern(*given, str(tmp_path / "marks.csv"))
    assert (code, err.count("\n")) == (2, 1)
    assert "No space left" in err
    assert "write elsewhere" in err
    assert {path.name for path in tmp_path.iterdir()} == {"folder.csv", "file"}


def test_progress_counts_files_and_pages_of_a_single_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", b"damaged")
    write_scan(tmp_path / "a.png", np.full((400, 300), 255, np.uint8))
    pages = pages_of([tmp_path, np.zeros((400, 300), np.uint8)])
    assert pages.files == 3
    assert [pages.begun(page) for page in pages] == [1, 1, 0, 0, 1]


def test_a_page_that_nobody_expected_does_not_take_the_others_with_it(exam: Path) -> None:
    broken = replace(ReaderModel.builtin(), answer=lambda images, _: images[:, 1])  # of shape (N, 1, 28, 28)
    template = load_template(exam / "exam.yaml")
    (page,) = read_pages(pages_of([exam / "scans/0.png"]), broken, template=template).pages
    assert page.problem
    assert page.problem.code == "reading.pages.failed"
    assert "IndexError" in page.problem.text("en")


def test_the_report_of_one_grid_has_no_row_for_each_cell(tmp_path: Path) -> None:
    gray, _ = rendered.grid(6, 6, 50, seed=4)
    write_scan(tmp_path / "grid.png", gray)
    zf.read(tmp_path / "grid.png", folder=tmp_path / "batch", max_error=0.05)
    page = (tmp_path / "batch/report.html").read_text()
    assert re.search(r">r1c\d … r6c\d<", page)
    assert ">r2c" not in page
