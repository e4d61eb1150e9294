"""One HTML file from a template, with everything in it: no script, no network, no file beside it.

Decisions: light or dark is the reader's system's choice, the language is whoever made the report's; every value
from data or configuration is escaped by the template engine; the file is written whole or not at all.
"""

from pathlib import Path
from typing import Any

from ziffern.atomic import write_text
from ziffern.report.language import Language
from ziffern.report.pictures import data_uri


def write_page(path: Path, template: str, language: Language, context: dict[str, Any]) -> None:
    """Render `template` (`run.html`, say) with `context` into the file `path`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    templates = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "t": language,
        "language": language.code,
        "style": Markup((templates / "style.css").read_text(encoding="utf-8")),
        "chart": Markup,  # what `charts` drew: matplotlib has escaped the text in it
    }
    environment.filters |= {
        "number": language.number,
        "percent": language.percent,
        "points": language.points,
        "duration": language.duration,
        "picture": data_uri,
    }
    page = environment.get_template(template).render(context)
    # A file name that is no text has characters that UTF-8 cannot write.
    write_text(path, page.encode(errors="replace").decode())
