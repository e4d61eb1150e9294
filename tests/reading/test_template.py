"""Templates: what a correct one means, and one line for each mistake."""

import re
from pathlib import Path

import pytest

from ziffern.errors import InputError
from ziffern.reading.template import Box, Frame, Markers, Sum, check_template, load_template, parse_template
from ziffern.text.language import terminal_language

EXAM = """
name: exam
page: a4
register: markers
title: Exam
fields:
  student: {at: [30, 60], cells: 8, size: [7, 9], gap: 2, values: students.csv:number, unique: true}
  q1:      {at: [30, 80], cells: 3, range: [0, 100], required: false}
  q2:      {at: [70, 80], cells: 2}
  total:   {at: [110, 80], cells: 3}
  zip:     {at: [30, 100], string: [60, 12], length: 5}
  passed:  {at: [30, 120], ticks: [yes, no], choose: 1}
  born:    {at: [30, 140], cells: 8, groups: [2, 2, 4], date: DD.MM.YYYY}
  name:    {at: [60, 30], crop: [100, 12], label: "Full name"}
sums:
  total: [q1, q2]
"""


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    (tmp_path / "students.csv").write_text("\ufeffname;number\nAda;00123456\nBob;00123457\nBob;00123457\n;\n")
    path = tmp_path / "exam.yaml"
    path.write_text(EXAM)
    return path


def test_a_template_gives_boxes_in_millimeters_and_rules(exam: Path) -> None:
    template = load_template(exam)
    (page,) = template.pages
    fields = {field.name: field for field in page.fields}
    assert (template.name, page.name, page.width, page.height, page.register) == ("exam", "exam", 210, 297, Markers())
    assert fields["student"].boxes[:2] == (Box(30, 60, 37, 69), Box(39, 60, 46, 69))
    assert fields["student"].rules.values == ("00123456", "00123457")  # once each, with their zeros
    assert fields["student"].rules.unique
    assert (fields["q1"].rules.range, fields["q1"].rules.length, fields["q1"].rules.required) == (
        (0, 100),
        (1, 3),
        False,
    )
    assert (fields["zip"].kind, fields["zip"].boxes, fields["zip"].rules.length) == (
        "string",
        (Box(30, 100, 90, 112),),
        (5, 5),
    )
    assert (fields["passed"].labels, fields["passed"].rules.choose) == (("yes", "no"), (1, 1))
    assert fields["passed"].boxes == (Box(30, 120, 35, 125), Box(55, 120, 60, 125))
    assert fields["born"].rules.date == "DDMMYYYY"
    assert [fields["born"].boxes[place].left for place in (1, 2, 4)] == [39, 51, 72]
    assert (fields["name"].kind, fields["name"].label, fields["name"].rules.required) == ("crop", "Full name", False)
    assert template.pages[0].sums == (Sum("total", ("q1", "q2")),)


def test_the_version_depends_on_what_is_read_alone(exam: Path) -> None:
    version = load_template(exam).version
    exam.write_text(EXAM.replace("title: Exam", "title: Other").replace("Full name", "Your name"))
    assert load_template(exam).version == version
    exam.write_text(EXAM.replace("gap: 2", "gap: 2.5"))
    assert load_template(exam).version != version


def test_pages_have_their_own_sizes_and_registration() -> None:
    text = """
name: two
pages:
  cover: {page: a5 landscape, register: {frame: [20, 20, 100, 50]}, fields: {a: {boxes: [[1, 2, 5, 6], [7, 2, 5, 6]]}}}
  back:  {page: [100, 120.5], fields: {a: {at: [20, 40], ticks: [x, "y"], down: yes, gap: 3}}}
"""
    template, problems = parse_template(text, None)
    assert template is not None, problems
    cover, back = template.pages
    assert (cover.width, cover.height, cover.register) == (210, 148, Frame(Box(20, 20, 120, 70)))
    assert cover.fields[0].boxes == (Box(1, 2, 6, 8), Box(7, 2, 12, 8))
    assert (back.width, back.height, back.fields[0].boxes) == (100, 120.5, (Box(20, 40, 25, 45), Box(20, 48, 25, 53)))


MISTAKES = [  # what is replaced in EXAM, by what, and the beginning or a part of each line
    ("cells: 2", "cels: 2", ["fields.q2: exactly one of cells, boxes", "did you mean cells?"]),
    ("gap: 2", "gpa: 2", ["fields.student.gpa: there is no such key here; did you mean gap?"]),
    ("page: a4", "page: a44", ["page: a44 is wrong: write a3, a4"]),
    ("page: a4", "page: [10, 20]", ["page: [10, 20] is wrong: write a3"]),
    ("cells: 2", "cells: 0", ["fields.q2.cells: 0 is wrong: write a whole number from 1 to 60"]),
    ("at: [30, 60]", "at: 30", ["fields.student.at: 30 is wrong: write two numbers"]),
    ("at: [30, 60], ", "", ["fields.student.at: is missing"]),
    ("at: [30, 60]", "at: [150, 60]", ["fields.student: reaches to 220, 69 mm, outside the page of 210 × 297 mm"]),
    ("at: [70, 80]", "at: [45, 80]", ["fields.q2: its box [45, 80, 52, 89]", "overlaps q1 at [39, 80, 46, 89]"]),
    ("at: [30, 60]", "at: [8, 8]", ["fields.student: its box [8, 8, 15, 17]", "marker or QR code at [6, 6, 14, 14]"]),
    ("at: [60, 30]", "at: [100, 4]", ["fields.name: its box [100, 4, 200, 16]", "QR code at [196, 6, 204, 14]"]),
    ("at: [60, 30]", "at: [80, 20]", ["fields.name: its box [80, 20, 180, 32]", "QR code at [176, 6, 192, 22]"]),
    ("at: [30, 120]", "at: [10, 280]", ["fields.passed: its box [10, 280, 15, 285]", "QR code at [6, 283, 14, 291]"]),
    ("at: [60, 30]", "at: [60, 50]", ["fields.name: its box [60, 50", "overlaps student at [57, 60, 64, 69]"]),
    ("length: 5", "length: [7, 5]", ["fields.zip.length: 7 is larger than 5"]),
    ("length: 5", "length: 5, check: ean", ["fields.zip.check: ean needs 8, 12, 13, 14 digits"]),
    ("length: 5", "pattern: (a+)+", ["fields.zip.pattern: (a+)+ is wrong", "groups are not possible"]),
    ("length: 5", "pattern: '[9-0]'", ["fields.zip.pattern: pattern is not a regular expression"]),
    ("length: 5", "values: [12, 1x]", ["fields.zip.values: the value 1x", "1x contains characters other than digits"]),
    ("length: 5", "required: no, values: ['', 12]", ["fields.zip.values: the value", "nothing is written here"]),
    ("length: 5", "check: luhn, values: [18, 19]", ["fields.zip.values: the value 19", "wrong check digit (luhn)"]),
    ("range: [0, 100]", "length: [1, 4]", ["fields.q1.length: a value of 1 – 4 digits does not fit into 3 cells"]),
    ("range: [0, 100]", "range: 10", ["fields.q1.range: 10 is wrong"]),
    ("range: [0, 100]", "range: [0, 1000]", ["fields.q1.range: the largest number has more digits than 1 – 3"]),
    ("DD.MM.YYYY", "DD.MM", ["fields.born.date: DD.MM is wrong: write day, month and year"]),
    ("DD.MM.YYYY", "DD.MM.YYYY, length: 6", ["fields.born.date: the date has another number of digits than 6"]),
    ("DD.MM.YYYY", "DD.MM.YYYY, range: [0, 99]", ["fields.born.range: the years must lie from 1900 to 2099"]),
    ("[2, 2, 4]", "[2, 2, 2]", ["fields.born: the groups have 6 cells together, but there are 8"]),
    ("choose: 1", "choose: 3", ["fields.passed.choose: more ticks can be chosen than the 2 there are"]),
    ("choose: 1", "check: luhn", ["fields.passed.check: there is no such key here"]),
    ("[yes, no]", "[yes, yes]", ["fields.passed: two ticks have the same label"]),
    ("  q1:", "  kind:", ["fields.kind: the table has a column kind of its own: give the field another name"]),
    ("  q1:", "  q2_guess:", ["fields.q2_guess: the table has a column q2_guess of its own"]),
    ("[q1, q2]", "[q1, q3]", ["sums.total: q3 is not a field of this page with a number; did you mean"]),
    ("[q1, q2]", "[q1, total]", ["sums.total: the sum or one of its parts is named twice"]),
    ("students.csv:number", "../students.csv:number", ["fields.student.values: ../students.csv: a template"]),
    ("students.csv:number", "students.csv:nmber", ["fields.student.values: students.csv has no column nmber"]),
    ("students.csv:number", "absent.csv:number", ["fields.student.values: absent.csv: cannot be read (No such file"]),
    ("register: markers", "register: {blank: /etc/passwd}", ["register: /etc/passwd: a template may only name"]),
    ("register: markers", "register: {frame: [1, 2]}", ["register: {frame: [1, 2]} is wrong: write markers"]),
    ("register: markers", "register: {frame: [100, 2, 150, 9]}", ["register: reaches to 250, 11 mm, outside the page"]),
    ("name: exam", "name: ../x", ["name: ../x is wrong: write a name"]),
    ("name: exam\n", "", ["name: is missing"]),
    ("page: a4", "page: a4\npage: a5", ["the key page is used twice, in lines 3 and 4"]),
    ("page: a4", "page: &x a4\ntitle: *x", ["line 4 has an alias (*name), which is not supported"]),
    ("page: a4", "page: [a4", ["not YAML: expected ',' or ']', but got ':' in line 4 (started in line 3)"]),
    ("page: a4", "page: a4: b", ["not YAML: mapping values are not allowed here in line 3: check the brackets"]),
    ("page: a4", "page: \x01", ["not YAML: the character U+0001 in line 3 is not allowed in YAML"]),
    ("page: a4", "page: " + "[" * 9000, ["not YAML: nested more than 40 levels deep"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "parts"), MISTAKES, ids=[repr((new or old)[:40]) for old, new, _ in MISTAKES])
def test_a_mistake_is_one_line_with_its_place(exam: Path, old: str, new: str, parts: list[str]) -> None:
    assert EXAM.count(old) == 1
    exam.write_text(EXAM.replace(old, new))
    template, problems = check_template(exam)
    assert template is None
    lines = [str(problem) for problem in problems]
    assert len(lines) == 1, lines
    assert lines[0].startswith(parts[0])
    assert all(part in lines[0] for part in parts)
    assert lines[0].isprintable()
    token = terminal_language.set("de")
    try:
        assert str(problems[0]) != lines[0]
    finally:
        terminal_language.reset(token)


def test_a_picture_may_be_kept_of_fields_on_the_form_of_others() -> None:
    text = "name: x\nregister: {frame: [5, 5, 190, 270]}\nfields:\n  a: {at: [30, 60], cells: 4}\n"
    assert parse_template(f"{text}  c: {{at: [4, 4], crop: [150, 70]}}\n", None)[0]


def test_all_mistakes_are_found_at_once(exam: Path) -> None:
    exam.write_text(EXAM.replace("cells: 2", "cells: x").replace("[yes, no]", "[a;b]").replace("page: a4", "page: b"))
    assert [re.match(r"[\w.]+", str(problem))[0] for problem in check_template(exam)[1]] == [
        "fields.q2.cells",
        "fields.passed.ticks",
        "page",
    ]
    with pytest.raises(
        InputError, match=r"exam\.yaml: fields\.q2\.cells: x is wrong.*all 3 mistakes: ziffern form check"
    ):
        load_template(exam)


@pytest.mark.parametrize("text", ["", "[]", "x", "{" * 50_000, "[" * 50_000, "a: " * 3, "fields: {a: []}\nname: 1\n"])
def test_other_content_is_refused(text: str) -> None:
    template, problems = parse_template(text, None)
    assert template is None
    assert problems


HOSTILE = {
    "keys": "name: x\n" + "\n".join(f"k{number}: 1" for number in range(9000)),
    "boxes": "name: x\nfields:\n" + "\n".join(f"  f{n}: {{at: [50, 50], cells: 60, size: [1, 1]}}" for n in range(499)),
    "overlaps": "name: x\nfields:\n" + "\n".join(f"  f{n}: {{at: [50, 50], string: [5, 5]}}" for n in range(499)),
    "sums": EXAM.replace("[q1, q2]", f"[{', '.join(f'b{number}' for number in range(9000))}]"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_templates_are_refused_after_a_limited_number_of_mistakes(kind: str) -> None:
    template, problems = parse_template(HOSTILE[kind].replace(", values: students.csv:number", ""), None)
    assert template is None
    assert 0 < len(problems) <= 100


def test_links_are_not_followed(exam: Path) -> None:
    table = exam.with_name("students.csv")
    table.rename(exam.with_name("other.csv"))
    table.symlink_to("other.csv")
    with pytest.raises(InputError, match=r"students\.csv is a symbolic link"):
        load_template(exam)


def test_without_a_folder_no_file_is_read() -> None:
    template, (problem,) = parse_template(EXAM, None)
    assert template is None
    assert "one from a QR code none" in str(problem)
