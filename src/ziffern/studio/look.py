"""The style of the page: the colors of the reports within Gradio's frame."""

from pathlib import Path
from typing import Any

from ziffern.report.page import stylesheet
from ziffern.studio.theory import theory_css

FOLDER = Path(__file__).parent


def css() -> str:
    """Return the page's style: the reports' rules hold within `.zf`."""
    return stylesheet(".zf") + (FOLDER / "studio.css").read_text(encoding="utf-8") + theory_css()


def head(language: str) -> str:
    """Return what goes into the page's head: our style, and a script that sets the language of Gradio's own texts."""
    script = (FOLDER / "studio.js").read_text(encoding="utf-8")
    icon = "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='6'/%3E"
    icon += "%3Ctext x='16' y='25' font-size='26' text-anchor='middle' fill='white'%3E7%3C/text%3E%3C/svg%3E"
    return (
        f'<link rel="icon" href="data:image/svg+xml,{icon}">'
        f"<style>{css()}</style>"  # not by Gradio's `css`, which rewrites selectors
        f"<script>for (const [name, value] of [['language', '{language}'], ['languages', ['{language}']]]) "
        "Object.defineProperty(navigator, name, {get: () => value, configurable: true}); "
        f"document.documentElement.lang = '{language}';</script><script>{script}</script>"
    )


def theme() -> Any:
    """Return Gradio's theme: system fonts, so that nothing is fetched, and enough contrast in light and dark mode."""
    import gradio as gr

    fonts = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif")
    mono = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
    plain = gr.themes.Base(
        primary_hue=gr.themes.colors.blue, neutral_hue=gr.themes.colors.slate, font=fonts, font_mono=mono
    )
    both: dict[str, str] = {}
    for name, light, dark in (
        ("body_background_fill", "#ffffff", "#14171b"),
        ("background_fill_primary", "#ffffff", "#14171b"),
        ("background_fill_secondary", "#f4f5f7", "#1f242b"),
        ("block_background_fill", "#ffffff", "#1b2026"),
        ("body_text_color", "#1b1f24", "#e8eaed"),
        ("body_text_color_subdued", "#4b545e", "#b6bfc9"),
        ("block_info_text_color", "#4b545e", "#b6bfc9"),
        ("block_label_text_color", "#1b1f24", "#e8eaed"),
        ("block_title_text_color", "#1b1f24", "#e8eaed"),
        ("input_placeholder_color", "#5d6772", "#a5afba"),
        ("input_border_color", "#7a8591", "#76818d"),
        ("border_color_primary", "#d5dae0", "#3a424c"),
        ("link_text_color", "#0a5fb4", "#6cb0ff"),
        ("button_primary_background_fill", "#0a5fb4", "#0a5fb4"),
        ("button_primary_background_fill_hover", "#084c90", "#0b6ccb"),
        ("button_primary_text_color", "#ffffff", "#ffffff"),
        ("button_secondary_background_fill", "#e6eaef", "#2b323b"),
        ("button_secondary_text_color", "#1b1f24", "#e8eaed"),
        ("checkbox_label_text_color", "#1b1f24", "#e8eaed"),
        ("error_text_color", "#b3202c", "#ff9a93"),
    ):
        both |= {name: light, f"{name}_dark": dark}
    return plain.set(**both)
