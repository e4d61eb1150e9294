"""`ziffern form`: write, check and print the template of a form."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ziffern.errors import InputError
from ziffern.experiment.failure import complain
from ziffern.files.atomic import refuse_existing, writing
from ziffern.text.language import LANGUAGES, terminal_language, terminal_words
from ziffern.text.printable import printable

EXAMPLES = Path(__file__).with_name("examples")


def add_parser(commands: Any) -> None:
    """Add `ziffern form` and its three commands."""
    form = commands.add_parser("form", help="make a form: new, check and print TEMPLATE")
    kinds = form.add_subparsers(title="commands", metavar="COMMAND", required=True)
    new = kinds.add_parser("new", help="write an example of a template, with comments, to change")
    new.set_defaults(run=_new)
    check = kinds.add_parser("check", help="list all mistakes of a template, or what it contains")
    check.add_argument("--preview", metavar="FILE.png", type=Path, help="draw its boxes over the form or blank page")
    check.set_defaults(run=_check)
    printing = kinds.add_parser("print", help="write a PDF to print, with markers and QR codes")
    printing.add_argument("-o", "--output", metavar="FILE.pdf", type=Path, help="(default: beside the template)")
    printing.set_defaults(run=_print)
    for command in (new, check, printing):
        command.add_argument("template", metavar="TEMPLATE", type=Path, help="a YAML file")
        command.add_argument("--language", metavar="CODE", help="en or de (default: the terminal's)")


def _new(arguments: argparse.Namespace) -> None:
    path, language = arguments.template, terminal_language.get()
    example = EXAMPLES / f"form_{language}.yaml"
    text = (example if example.exists() else EXAMPLES / f"form_{LANGUAGES[0]}.yaml").read_text(encoding="utf-8")
    with writing(path):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError as error:
            raise InputError("files.exists", path=path) from error
    print(terminal_words()("form.new", path=printable(path)))


def _check(arguments: argparse.Namespace) -> None:
    from ziffern.reading.codes import encode
    from ziffern.reading.layout import Blank, Frame, Markers
    from ziffern.reading.preview import write_previews
    from ziffern.reading.template import check_template

    template, problems = check_template(arguments.template)
    for problem in problems:
        complain(InputError("cli.form.mistake", path=arguments.template, problem=problem))
    if template is None:
        sys.exit(2)
    words = terminal_words()
    for page in template.pages:
        if isinstance(page.register, Blank):
            _ = page.register.gray  # raises if it is not a page
        boxes = sum(len(field.boxes) for field in page.fields)
        register = words(f"form.register.{type(page.register).__name__}")
        size = {"width": f"{page.width:g}", "height": f"{page.height:g}", "register": register}
        print(words("form.page", name=page.name, count=len(page.fields), boxes=boxes, **size))
        if arguments.preview and isinstance(page.register, Frame):
            print(words("form.no_picture", name=page.name))
    is_alone = encode(template) and all(isinstance(page.register, Markers) for page in template.pages)
    print(words("form.alone" if is_alone else "form.with_template", path=printable(arguments.template)))
    language = terminal_language.get()
    for path in write_previews(template, arguments.preview, language) if arguments.preview else ():
        print(printable(path))


def _print(arguments: argparse.Namespace) -> None:
    from ziffern.reading.form import make_form
    from ziffern.reading.template import load_template

    template, words = load_template(arguments.template), terminal_words()
    path = arguments.output or arguments.template.with_suffix(".pdf")
    refuse_existing(path)
    is_enough = make_form(template, path, terminal_language.get())
    print(printable(path))
    print(words("form.alone" if is_enough else "form.with_template", path=printable(arguments.template)))
