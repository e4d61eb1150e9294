"""The theory tab: what a neural network is, as text and pictures to play with.

Decision: plain files beside this one, without requests to the server. The texts are in one HTML fragment per language
with the same structure, so that one script without texts serves all.
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("theory")


def theory(language: str) -> tuple[str, str]:
    """Return the tab's HTML in a language, and the script that brings it to life.

    Args:
        language: `en` or `de`.

    Returns:
        The HTML, and the body of a function of `element`, the DOM element that contains it.
    """
    html, script = (_text(name) for name in (f"{language}.html", "theory.js"))
    return f'<div class="zf">{html}</div>', script


def theory_css() -> str:
    """Return the tab's rules, which hold within `.zf .theory`."""
    return _text("theory.css")


def _text(name: str) -> str:
    """Return the content of a file of the tab."""
    return (FOLDER / name).read_text(encoding="utf-8")
