"""What the pages say of files agrees with the files; MkDocs checks the links between pages."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.support.documents import ROOT, blocks

from site_pages import on_page_markdown
from ziffern.analysis import metrics
from ziffern.data.sources.source import KINDS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_names_the_test_command() -> None:
    assert len(README.splitlines()) <= 120
    assert "make test" in README


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", README))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()


def fields(folder: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the names in each file of a run folder."""
    for name in ("metrics.json", "environment.json"):
        yield name, set(json.loads((folder / name).read_text()))
    with (folder / "history.csv").open() as file:
        yield "history.csv", set(next(csv.reader(file)))
    for name in ("predictions.npz", "data.npz"):
        with np.load(folder / name) as arrays:
            yield name, set(arrays.files)
    events = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    yield "progress.jsonl", {event["event"] for event in events}


def test_every_field_of_a_run_is_described(imperfect_folder: Path) -> None:
    page = on_page_markdown((ROOT / "docs/reference/run-folder.md").read_text(encoding="utf-8"))
    sections = dict(re.findall(r"## `([^`]+)`\n(.*?)(?=\n## |\Z)", page, re.DOTALL))
    for name, found in fields(imperfect_folder):
        assert found <= set(re.findall(r"`([^`\n]+)`", sections[name])), name


def test_the_page_on_data_sets_lists_the_classes_of_torchvision_that_are_accepted() -> None:
    page = (ROOT / "docs/how-to/add-data-set.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `source.kind`"))
    assert sorted(re.findall(r"`([A-Z]\w+)`", row)) == sorted(KINDS)


def test_the_page_on_languages_lists_every_catalog() -> None:
    page = (ROOT / "docs/how-to/add-language.md").read_text(encoding="utf-8")
    package = ROOT / "src/ziffern"
    files = {path.relative_to(package).as_posix() for path in package.rglob("en.*")}
    assert set(re.findall(r"(?m)^\| `(\S+)`", page)) == files


def test_the_example_of_a_metric_is_one_and_has_a_text() -> None:
    code, text = (block.text for block in blocks() if block.page.endswith("add-metric.md") and block.title)
    (metric,) = eval(f"({code})", vars(metrics))
    assert isinstance(metric, metrics.Metric)
    assert yaml.safe_load(text)["metrics"][metric.name].keys() == {"label", "means"}
