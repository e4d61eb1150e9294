"""What errors say on a page in another language."""

import ast
import importlib
import re
import string
from pathlib import Path

import pytest
import yaml
from tests.test_local import write

import ziffern
from ziffern.data.local import read_local
from ziffern.errors import InputError
from ziffern.report.language import LANGUAGES
from ziffern.studio.messages import TEXTS, translated

SOURCE = Path(ziffern.__file__).parent
CODES = [code for code in LANGUAGES if code != "en"]
# What a page asks to be read, and what it does itself; not what is only typed, nor told at the server's start.
ASKED = ("archive", "arrays", "dataset", "idx", "local", "members", "parts", "pictures", "tables", "torchvision_sets")
MODULES = (*(f"data.{name}" for name in ASKED), "drawing", *(f"studio.{name}" for name in ("jobs", "page", "views")))
PUT_IN = "7"


def said(module: str) -> list[str]:
    """Return the messages of a module's errors, each with PUT_IN for whatever is put in."""
    path = SOURCE / f"{module.replace('.', '/')}.py"
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    raised = [call.args[0] for call in calls if getattr(call.func, "id", "") in ("InputError", "DivergedError")]
    return [text for node in raised if (text := text_of(node, module))]


def text_of(node: ast.expr, module: str) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else PUT_IN for part in parts)
        case ast.Name(id=name):
            return str(getattr(importlib.import_module(f"ziffern.{module}"), name))
    return ""


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("module", [*MODULES, "studio.workspace", "studio.settings", "module"])
def test_every_error_that_a_page_can_meet_has_its_words(module: str, code: str) -> None:
    messages = said(module)
    if module == "module":  # the form has no field for the others
        messages = [text for text in messages if "diverged" in text]
    assert messages
    assert [text for text in messages if translated(text, code) == text] == []


@pytest.mark.parametrize("code", CODES)
def test_table_of_errors_puts_in_what_was_put_in(code: str) -> None:
    texts = yaml.safe_load((TEXTS / f"errors_{code}.yaml").read_text(encoding="utf-8"))
    for english, text in texts.items():
        given = [f"value{place}" for place in range(english.count("{}"))]
        asked = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        assert len(asked) <= len(given), english
        shown = translated(english.format(*given), code)
        assert shown == text.format(*given), english
        assert shown != english.format(*given) or not given


def test_unknown_message_and_english_stay_as_they_are() -> None:
    assert translated("something else: 7", "de") == "something else: 7"
    assert translated("no model is chosen: tick at least one", "en") == "no model is chosen: tick at least one"


def test_german_of_a_bad_upload_has_no_english_left(tmp_path: Path) -> None:
    broken = tmp_path / "digits.zip"
    broken.write_bytes(b"no archive")
    with pytest.raises(InputError) as error:
        read_local(broken)
    assert translated(str(error.value), "de") == (
        f"{broken} ist kein ZIP, oder es ist beschädigt (Die Datei ist kein ZIP): bitte neu laden oder neu packen"
    )
    write({"a.txt": ""}, broken)
    with pytest.raises(InputError) as error:
        read_local(broken)
    shown = translated(str(error.value), "de").removeprefix(str(broken))
    assert "(sondern a.txt); es geht ein ZIP mit Ordnern 0/ bis 9/" in shown
    assert not re.search(r"\b(the|of|with|give|is)\b", shown)


def test_wrong_line_of_a_table_is_named_in_german() -> None:
    fix, shown = "write pixels as grey levels from 0 to 255", "Pixel sind Graustufen von 0 bis 255"
    message = f"d.csv: line 5, pixel 3 is 300, expected a whole number from 0 to 255: {fix}"
    expected = f"d.csv: Zeile 5, Pixel 3 ist 300, erwartet ist eine ganze Zahl von 0 bis 255: {shown}"
    assert translated(message, "de") == expected


def test_hostile_file_name_does_not_keep_the_table_busy() -> None:
    name = ": is (): line , pixel 7 and " * 12
    message = f"{name}: lies at {name}, expected train/<class>/<file>: move it"
    assert "erwartet ist train/<Klasse>/<Datei>" in translated(message, "de")
