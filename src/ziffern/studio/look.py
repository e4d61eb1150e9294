"""The style of the page: the colors of the reports within Gradio's frame."""

from pathlib import Path
from typing import Any

import yaml

from ziffern.report.page import stylesheet
from ziffern.studio.views import Words

FOLDER = Path(__file__).parent
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def read_file(name: str) -> str:
    """Return the content of a file of this package."""
    return (FOLDER / name).read_text(encoding="utf-8")


def head(words: Words) -> str:
    """Return what goes into the page's head: our style, which holds within `.zf`, and our scripts."""
    css = stylesheet(".zf") + read_file("studio.css") + read_file("theory/theory.css")
    return words.render("parts.html", "head", css=css, script=read_file("studio.js"))


def theme() -> Any:
    """Return Gradio's theme: system fonts, so that nothing is fetched, and enough contrast in light and dark mode."""
    import gradio as gr

    colors: dict[str, str] = {}
    for name, (light, dark) in yaml.safe_load(read_file("theme.yaml")).items():
        colors |= {name: light, f"{name}_dark": dark}
    blue, slate = gr.themes.colors.blue, gr.themes.colors.slate
    return gr.themes.Base(primary_hue=blue, neutral_hue=slate, font=FONTS, font_mono=MONO).set(**colors)
