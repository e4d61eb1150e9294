"""`ziffern serve`: answer images over HTTP."""

import argparse
from pathlib import Path
from typing import Any

from ziffern.web.limits import Limits

LIMITS = {
    "max_body": "bytes of a request",
    "max_images": "images of a request, and of a batch",
    "max_pixels": "pixels of a picture",
    "max_requests": "requests at the same time, per process",
    "max_client": "requests of one client at the same time, per process",
}


def add_parser(commands: Any) -> None:
    """Add the command to the console script."""
    parser = commands.add_parser("serve", help="answer images over HTTP, with the model of a run")
    parser.add_argument("folder", metavar="RUN", help="a run folder, or builtin for the model of the package")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: this machine)"
    )
    parser.add_argument("--port", metavar="N", type=int, default=8000, help="default: 8000; 0 is any free one")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--keys", metavar="FILE", type=Path, help="API keys, one per line; requests need one of them")
    for name, text in LIMITS.items():
        option, default = f"--{name.replace('_', '-')}", getattr(Limits, name)
        parser.add_argument(
            option, metavar="N", type=int, default=default, help=f"at most this many {text} (default: {default})"
        )
    parser.set_defaults(run=serve_run)


def serve_run(arguments: argparse.Namespace) -> None:
    """Serve the run that the command names."""
    from ziffern.runs.builtin import find_run
    from ziffern.runs.run import Run
    from ziffern.web.server import serve

    limits = Limits(**{name: getattr(arguments, name) for name in LIMITS})
    run = Run(find_run(arguments.folder))
    serve(run, arguments.host, arguments.port, arguments.workers, arguments.keys, limits)
