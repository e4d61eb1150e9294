"""`ziffern verify`: check the doubtful fields of a batch in a browser, and export what people have read."""

import argparse
from pathlib import Path
from typing import Any

from ziffern.cli.access import add_access
from ziffern.files.atomic import refuse_existing


def add_parser(commands: Any) -> None:
    """Add the command to the console script."""
    parser = commands.add_parser("verify", help="check the doubtful fields of a batch in a browser")
    parser.add_argument("folder", metavar="BATCH", type=Path, help="the folder of a batch, which has reading.json")
    parser.add_argument("--double", action="store_true", help="each field by two different people, from now on")
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the final values (CSV) and BATCH/examples")
    add_access(parser, port=7870)
    parser.set_defaults(run=verify)


def verify(arguments: argparse.Namespace) -> None:
    """Serve or export the folder that the command names."""
    if arguments.export is not None:
        from ziffern.reading.verified import export
        from ziffern.text.language import terminal_words

        refuse_existing(arguments.export)
        count = export(arguments.folder, arguments.export)
        print(terminal_words()("verify.exported", path=arguments.export, count=count, folder=arguments.folder))
        return
    from ziffern.web.people import read_people
    from ziffern.web.verify.server import serve

    people = read_people(arguments.people) if arguments.people else {}
    where = (arguments.host, arguments.port, people, arguments.public_host)
    serve(arguments.folder, *where, arguments.double, not arguments.no_browser)
