"""The API reference finds modules by itself, and pages have the output of commands."""

from pathlib import Path

import pytest

from site_pages import api_page, fields_table, on_page_markdown, rooms


def test_modules_are_found_by_room(tmp_path: Path) -> None:
    for name in ("ziffern/__init__", "ziffern/data/__init__", "ziffern/data/a", "ziffern/data/b/c", "ziffern/_private"):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = rooms(tmp_path)
    assert found == {"ziffern": ["ziffern"], "ziffern.data": ["ziffern.data", "ziffern.data.a", "ziffern.data.b.c"]}


def test_a_package_does_not_document_what_its_modules_do() -> None:
    page = api_page("ziffern.data", ["ziffern.data", "ziffern.data.a"])
    assert page.startswith("# ziffern.data\n\n::: ziffern.data\n    options:\n      members: false\n")
    assert page.endswith("\n::: ziffern.data.a\n")


def test_a_command_is_followed_by_its_output() -> None:
    page = on_page_markdown("Before\n\n```text\n$ python -c 'print(6 * 7)'\n```\n")
    assert page == "Before\n\n```text\n$ python -c 'print(6 * 7)'\n42\n```\n"


def test_fields_of_a_file_follow_from_the_schema() -> None:
    page = on_page_markdown("Before\n\n<!-- fields of history.csv -->\n\nAfter\n")
    assert page.startswith(
        "Before\n\n| field | type | meaning |\n| --- | --- | --- |\n| `epoch` | a whole number, 0 or more |"
    )
    assert page.endswith(" |\n\n\nAfter\n")
    assert "e+15" not in page


def test_fields_of_events_name_the_events_that_have_them() -> None:
    intro, _, table = fields_table("progress.jsonl").partition("\n\n")
    rows = {row.split(" | ")[0]: row.split(" | ")[1] for row in table.splitlines()}
    assert intro.startswith("The events are `start`, `step`,")
    assert rows["| `time`"] == "all"
    assert rows["| `reason`"] == "`failed`, `pruned`"
    assert rows["| `max_epochs`"] == "`start`"


def test_a_misspelled_file_stops_the_build() -> None:
    with pytest.raises(ValueError, match=r"metric\.json"):
        fields_table("metric.json")
