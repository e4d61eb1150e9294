"""`ziffern verify`: check the doubtful fields of a batch in a browser, and export what people have read."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to the console script."""
    parser = commands.add_parser("verify", help="check the doubtful fields of a batch in a browser")
    parser.add_argument("folder", metavar="BATCH", type=Path, help="the folder of a batch, which has reading.json")
    parser.add_argument("--double", action="store_true", help="each field by two different people, from now on")
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the final values (CSV) and BATCH/examples")
    parser.add_argument("--port", metavar="N", type=int, default=7870, help="or the next free one (default: 7870)")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: this machine)"
    )
    parser.add_argument(
        "--people", metavar="FILE", type=Path, help="who may use it, as written by ziffern studio --add-person"
    )
    parser.add_argument(
        "--public-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a host name under which a proxy on this machine serves the page with TLS; may be repeated",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    parser.set_defaults(run=verify)


def verify(arguments: argparse.Namespace) -> None:
    """Serve or export the folder that the command names."""
    if arguments.export is not None:
        from ziffern.reading.verified import export
        from ziffern.text.language import terminal_words

        count = export(arguments.folder, arguments.export)
        print(terminal_words()("verify.exported", path=arguments.export, count=count, folder=arguments.folder))
        return
    from ziffern.web.people import read_people
    from ziffern.web.verify.server import Options, serve

    people = read_people(arguments.people) if arguments.people else {}
    names, shown = arguments.public_host, not arguments.no_browser
    serve(Options(arguments.folder, arguments.host, arguments.port, people, names, arguments.double, shown))
