"""`ziffern serve`: answer images over HTTP."""

import argparse
from pathlib import Path
from typing import Any

LIMITS = {
    "max_body": "bytes of a request (default: 16777216)",
    "max_images": "images of a request, and of a batch (default: 256)",
    "max_pixels": "pixels of a picture (default: 16777216)",
    "max_requests": "requests at the same time, per process (default: 512)",
    "max_client": "requests of one client at the same time, per process (default: 256)",
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
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", type=int, help=f"at most this many {text}")
    parser.set_defaults(run=serve_run)


def serve_run(arguments: argparse.Namespace) -> None:
    """Serve the run that the command names."""
    from ziffern.runs.builtin import find_run
    from ziffern.runs.run import Run
    from ziffern.web.server import Options, serve

    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    options = Options(arguments.host, arguments.port, arguments.workers, arguments.keys, limits)
    serve(Run(find_run(arguments.folder)), options)
