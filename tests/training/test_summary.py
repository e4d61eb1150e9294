"""The terminal before and after a training, in the terminal's language."""

from collections.abc import Iterator

import pytest

from ziffern.text.language import terminal_language


@pytest.fixture
def german() -> Iterator[None]:
    token = terminal_language.set("de")
    yield
    terminal_language.reset(token)


@pytest.mark.usefixtures("german")
def test_a_training_speaks_the_terminals_language(run, capsys) -> None:
    metrics = run("trainer.max_epochs=1", "data.split=official", "data.val_from=test").metrics
    out = capsys.readouterr().out
    accuracy = f"{100 * metrics['test/acc']:.2f}".replace(".", ",")
    assert "HINWEIS: DATENLECK: " in out
    assert "nn: 12.730 Parameter, höchstens 1 Epoche auf cpu (1 Thread)" in out
    assert "Epoche 1 von 1 · Training: Verlust " in out
    line = next(line for line in out.splitlines() if line.startswith("Testgenauigkeit "))
    assert f"{accuracy}\N{NO-BREAK SPACE}%  (95-%-Intervall " in line
    assert "für 1 Epoche\n" in out


def test_english_is_the_default(run, capsys) -> None:
    run("trainer.max_epochs=2")
    out = capsys.readouterr().out
    assert "nn: 12,730 parameters, up to 2 epochs on cpu (1 thread)" in out
    assert "Test accuracy        " in out
    assert "for 2 epochs\n" in out
