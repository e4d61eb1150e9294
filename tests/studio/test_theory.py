import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from ziffern.models import CNN, MLP
from ziffern.studio.look import FOLDER, read_file
from ziffern.text.language import LANGUAGES

CONTROLS = ("input", "select", "textarea")
VOID = ("input", "br", "hr")
COLORS = ("page", "panel", "text", "soft", "line", "accent", "good", "warn", "bad")
SERIES = ("series-1", "series-2", "series-3", "series-4")


class Fragment(HTMLParser):
    """The elements of a language's fragment, after checking that they are balanced."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(read_file(f"theory/{language}.html"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


@pytest.fixture(params=LANGUAGES)
def fragment(request: pytest.FixtureRequest) -> Fragment:
    return Fragment(request.param)


def test_languages_have_the_same_structure() -> None:
    first, second = (Fragment(language) for language in ("en", "de"))
    free = {"aria-label", "data-lang"}
    for (tag, attributes), (other_tag, others) in zip(first.elements, second.elements, strict=True):
        assert (tag, list(attributes)) == (other_tag, list(others))
        told = {name for name in attributes if name.startswith("data-") and name not in ("data-name", "data-digits")}
        same = attributes.keys() - free - told
        assert {name: attributes[name] for name in same} == {name: others[name] for name in same}
        for name in told:
            assert placeholders(attributes[name]) == placeholders(others[name]), name


def placeholders(text: str | None) -> list[str]:
    return sorted(set(re.findall(r"{(\w+)}", text or "")))


def test_no_text_is_left_untranslated() -> None:
    texts = [set(re.findall(r"[^\n]{25,}", Fragment(language).text)) for language in ("en", "de")]
    assert texts[0] & texts[1] == set()


def test_ids_are_unique_and_of_this_tab(fragment: Fragment) -> None:
    ids = fragment.all("id")
    assert len(ids) == len(set(ids))
    assert all(each.startswith("th-") for each in ids)


def test_what_the_script_looks_for_is_there(fragment: Fragment) -> None:
    wanted = set(re.findall(r'"(th-[\w-]+)"', read_file("theory/theory.js")))
    assert wanted
    assert wanted <= set(fragment.all("id"))


def test_words_that_the_script_writes_are_there(fragment: Fragment) -> None:
    wanted = set(re.findall(r"dataset\.(\w+)", read_file("theory/theory.js"))) - {"ready"}
    assert {f"data-{word}" for word in wanted} <= {name for _, attributes in fragment.elements for name in attributes}


def test_controls_have_labels(fragment: Fragment) -> None:
    controls = [attributes for tag, attributes in fragment.elements if tag in CONTROLS]
    labelled = Counter(attributes["for"] for tag, attributes in fragment.elements if tag == "label")
    assert labelled == Counter(attributes["id"] for attributes in controls)
    sliders = [attributes["id"] for attributes in controls if attributes["type"] == "range"]
    assert sliders == [attributes["for"] for tag, attributes in fragment.elements if tag == "output"]
    radios = [attributes for attributes in controls if attributes["type"] == "radio"]
    groups = Counter(attributes["name"] for attributes in radios)
    assert len(sliders) + len(radios) == len(controls)
    assert Counter(attributes["name"] for attributes in radios if "checked" in attributes) == Counter(set(groups))


def test_pictures_and_formulas_are_named(fragment: Fragment) -> None:
    named = [attributes for tag, attributes in fragment.elements if tag in ("svg", "math")]
    assert len(named) > len(fragment.all("viewbox")) > 0
    assert all(attributes.get("aria-label") for attributes in named)
    assert all(attributes["role"] == "img" for tag, attributes in fragment.elements if tag == "svg")


def test_headings_start_at_two(fragment: Fragment) -> None:
    headings = [tag for tag, _ in fragment.elements if re.fullmatch(r"h\d", tag)]
    assert headings == ["h2"] * 7
    assert not fragment.all("tabindex")


def test_numbers_of_parameters_are_those_of_the_models() -> None:
    models = {"NN": MLP([128]), "DNN": MLP([512, 256, 128]), "CNN": CNN()}
    for name, model in models.items():
        count = f"{sum(each.numel() for each in model.parameters()):,}"
        assert f">{name}: {count} parameters<" in read_file("theory/en.html")
        assert f">{name}: {count.replace(',', '.')} Parameter<" in read_file("theory/de.html")


def test_nothing_is_fetched_or_written_as_html() -> None:
    files = sorted((FOLDER / "theory").iterdir())
    assert [path.name for path in files] == ["de.html", "en.html", "theory.css", "theory.js"]
    for path in files:
        text = path.read_text(encoding="utf-8")
        for word in ("http", "//", "url(", "@import", "innerHTML", "outerHTML", "insertAdjacent", "eval(", "fetch("):
            assert word not in text, (path.name, word)
        assert not re.search(r"\s(?:src|href|on\w+)=|window\.|globalThis|<script|<style", text), path.name


def test_rules_hold_for_this_tab_alone() -> None:
    rules = re.sub(r"@media[^{]+{|/\*.*?\*/", "", read_file("theory/theory.css"))
    selectors = [each.strip() for rule in re.findall(r"([^{}]+){", rules) for each in rule.split(",")]
    assert selectors
    assert all(each.startswith(".zf .theory") for each in selectors)
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) <= {*COLORS, *SERIES}
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsla?\(", rules)


def test_another_language_has_no_page() -> None:
    with pytest.raises(FileNotFoundError):
        read_file("theory/fr.html")
