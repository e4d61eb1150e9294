"""What errors say on a page in another language."""

import errno
import os
import re
import string
from pathlib import Path

import pytest
import yaml
from tests.support.data_files import write

from ziffern.config.instantiate import conf_folder
from ziffern.data.sources.local import read_local
from ziffern.data.sources.source import Torchvision
from ziffern.errors import InputError, OutputError
from ziffern.experiment.failure import describe
from ziffern.studio.views import Words
from ziffern.text.language import LANGUAGES
from ziffern.text.messages import TEXTS, translated

CODES = [code for code in LANGUAGES if code != "en"]
HOLE = re.compile(r"\{t?\}")


def table(code: str) -> dict[str, str]:
    texts: dict[str, str] = yaml.safe_load((TEXTS / f"old_{code}.yaml").read_text(encoding="utf-8"))
    return texts


@pytest.mark.parametrize("code", CODES)
def test_table_of_errors_puts_in_what_was_put_in(code: str) -> None:
    for english, text in table(code).items():
        plain = HOLE.sub("{}", english)
        given = [f"value{place}" for place in range(plain.count("{}"))]
        assert len([name for _, name, _, _ in string.Formatter().parse(text) if name is not None]) <= len(given), (
            english
        )
        assert translated(plain.format(*given), code) == text.format(*given), english


FILE = "a and b/d.csv"


def mnist(fallback: bool) -> Torchvision:
    """The source of conf/data/mnist.yaml."""
    known = yaml.safe_load((conf_folder() / "data" / "mnist.yaml").read_text())["source"]
    del known["_target_"]
    return Torchvision(**known | {"fallback": fallback})


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"{FILE}: 3,000,000 bytes, and at most 1,000 are read", "hat 3.000.000 Byte, gelesen werden höchstens 1.000"),
    ],
)
def test_what_was_put_in_stays_but_for_numbers_and_words_of_our_own(message: str, shown: str) -> None:
    assert shown in translated(message, "de")


@pytest.mark.parametrize("some", ["", "train-images-idx3-ubyte"])
@pytest.mark.parametrize("fallback", [True, False])
def test_data_that_cannot_be_loaded_are_told_in_german(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, some: str, fallback: bool
) -> None:
    def no_network(*_: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("ziffern.data.sources.source.download", no_network)
    if some:
        write({f"MNIST/raw/{some}": b"x"}, tmp_path)
    source = mnist(fallback)
    try:
        message = source.load(tmp_path, 10).note
    except InputError as error:
        message = error.message
    assert message is not None
    shown = message.in_language("de")
    assert shown.startswith("data=mnist liegt nicht")
    assert ("vollständig (" in shown) == bool(some)
    assert not re.search(r"\b(the|and|not|is|with)\b", shown.replace(str(tmp_path), ""))


def test_full_disk_is_told_without_a_path() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/somebody/outputs")
    assert Words("de").told(error) == "Das konnte der Computer nicht: Die Platte ist voll"
    assert Words("en").told(error) == "The computer could not do that: No space left on device"


def test_unknown_message_and_english_stay_as_they_are() -> None:
    assert translated("something else: 7", "de") == "something else: 7"
    assert translated("no model is chosen: tick at least one", "en") == "no model is chosen: tick at least one"


def test_german_of_a_bad_upload_has_no_english_left(tmp_path: Path) -> None:
    broken = tmp_path / "digits.zip"
    broken.write_bytes(b"no archive")
    with pytest.raises(InputError) as error:
        read_local(broken)
    assert error.value.message.in_language("de") == (
        f"{broken} ist kein ZIP oder beschädigt (Die Datei ist kein ZIP): bitte neu laden oder neu packen"
    )
    write({"a.txt": ""}, broken)
    with pytest.raises(InputError) as error:
        read_local(broken)
    shown = error.value.message.in_language("de").removeprefix(str(broken))
    assert "(sondern a.txt); möglich sind ein Ordner oder ZIP" in shown
    assert not re.search(r"\b(the|of|with|give|is)\b", shown)


def test_wrong_line_of_a_table_is_named_in_german(tmp_path: Path) -> None:
    row = ["1", *["0"] * 784]
    for place, value, expected in ((4, "300", "Pixel 3 ist 300"), (4, "", "Pixel 3 fehlt"), (0, "12", "Klasse ist 12")):
        wrong = [*row]
        wrong[place] = value
        (tmp_path / "d.csv").write_text("\n".join(",".join(cells) for cells in (row, wrong)))
        with pytest.raises(InputError) as error:
            read_local(tmp_path / "d.csv")
        shown = error.value.message.in_language("de")
        assert shown.startswith(f"{tmp_path}/d.csv: Zeile 2, {expected}")
        assert not re.search(r"\b(the|with|expected|is)\b", shown)


@pytest.mark.parametrize("code", CODES)
def test_no_message_has_two_translations(code: str) -> None:
    lines = (TEXTS / f"old_{code}.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line.partition('": "')[0] for line in lines if line.startswith('"')]
    assert [key for key in keys if keys.count(key) > 1] == []


@pytest.mark.parametrize("piece", [": ", ": is of ", "a: b is ", ": label  is out of range ", ": / "])
def test_hostile_text_is_matched_in_linear_time(piece: str) -> None:
    """A note of a foreign file is looked up, too; a regular expression would try for hours."""
    text = piece * 50_000
    assert translated(text, "de") == text


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES])
def test_a_file_that_fails_has_its_words(number: int, code: str) -> None:
    for kind in (OSError, OutputError):
        told = describe(kind(number, os.strerror(number), "a/b"), "hydra.run.dir=FOLDER").in_language(code)
        assert "a/b" in told
        assert os.strerror(number) not in told


def test_what_a_search_is_about_is_german_in_a_german_report() -> None:
    note = "data=mnist is not in data and cannot be downloaded (no network): training on the 5,000 embedded real MNIST "
    note += "digits (mnist5k) instead of 70,000"
    about = f"mnist5k: 3,000 / 1,000 digits to train / validate. NOTE: {note}"
    assert translated(about, "de").startswith(
        "mnist5k: 3.000 Ziffern zum Lernen, 1.000 zur Validierung. HINWEIS: mnist l"
    )
