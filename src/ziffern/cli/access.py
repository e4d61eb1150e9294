"""The options of commands that open a page: where it listens, and who may use it."""

import argparse
from pathlib import Path


def add_access(parser: argparse.ArgumentParser, port: int) -> None:
    """Add the options to a command whose page has this port."""
    parser.add_argument("--port", metavar="N", type=int, default=port, help=f"or the next free one (default: {port})")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: this machine)"
    )
    parser.add_argument("--people", metavar="FILE", type=Path, help="who may use it: names and hashed passwords")
    parser.add_argument(
        "--public-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a host name under which a proxy on this machine serves the page with TLS; may be repeated",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
