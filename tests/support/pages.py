"""Reading a page as a person does."""

import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "img", "br", "input", "link"}


class Page(HTMLParser):
    """The visible text of a page, after checking that its elements are balanced and need nothing from outside."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.open = "", []
        source = path.read_text(encoding="utf-8")
        self.feed(source)
        assert self.open == []
        assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", source), "something would be fetched"
        assert "url(http" not in source
        self.source = source

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "link")
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f" {' '.join(data.split())}"
