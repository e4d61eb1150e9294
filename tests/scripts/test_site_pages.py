"""The API reference finds modules by itself, and pages have the output of commands."""

from pathlib import Path

from site_pages import api_page, on_page_markdown, rooms


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
