"""One HTML file from a template, with everything in it: no script, no network, no file beside it.

Decisions: light or dark is the reader's system's choice, the language is whoever made the report's; every value
from data or configuration is escaped by the template engine; the file is written whole or not at all. The studio
shows parts of the same pages: they are blocks of the templates.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ziffern.files.atomic import write_text
from ziffern.report.pictures import data_uri
from ziffern.text.language import Language

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")


def write_page(path: Path, template: str, language: Language, context: dict[str, Any]) -> None:
    """Render `template` (`run.html`, say) with `context` into the file `path`."""
    page = environment(language).get_template(template).render(context)
    # A file name that is no text has characters that UTF-8 cannot write.
    write_text(path, page.encode(errors="replace").decode())


def render_block(template: str, block: str, language: Language, context: dict[str, Any]) -> str:
    """Return one block of `template` as HTML, without the page around it."""
    found = environment(language).get_template(template)
    return "".join(found.blocks[block](found.new_context(context)))


def stylesheet(within: str = "") -> str:
    """Return the style of all pages; the rules for their content hold `within` a selector, where one is given."""
    colors, rules = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("colors.css", "style.css"))
    return f"{colors}{within} {{\n{rules}}}\n" if within else colors + rules


def environment(language: Language, *folders: Path) -> "Environment":
    """Return what renders templates of this package and of `folders`, in `language`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        loader=FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {
        "t": language,
        "language": language.code,
        "style": Markup(stylesheet()),
        "chart": Markup,  # what `charts` drew: matplotlib has escaped the text in it
    }
    found.filters |= {
        "number": language.number,
        "percent": language.percent,
        "points": language.points,
        "duration": language.duration,
        "picture": data_uri,
    }
    macros = found.get_template("macros.html").module
    found.globals |= {name: getattr(macros, name) for name in ("card", "digits")}
    return found
