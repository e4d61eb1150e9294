"""What the documentation says of files agrees with the code; MkDocs checks the links between pages."""

import re

import pytest
from tests.support.documents import ROOT

from ziffern.records import schema

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_names_the_test_command() -> None:
    assert len(README.splitlines()) <= 120
    assert "make test" in README


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)", README))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert (ROOT / link).is_file()


@pytest.mark.parametrize("record", [schema.Metrics, schema.Epoch, schema.Environment])
def test_every_key_of_a_record_is_described(record: type) -> None:
    page = (ROOT / "docs/reference/run-folder.md").read_text(encoding="utf-8")
    described = {key for line in page.splitlines() for key in re.findall(r"`([^`]+)`", line.split(" | ")[0])}
    assert set(record.__annotations__) <= described
