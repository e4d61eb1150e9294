"""`ziffern export` and `ziffern card`: files that use a trained model elsewhere."""

import argparse
from pathlib import Path
from typing import Any

from ziffern.runs.builtin import find_run
from ziffern.text.language import terminal_words
from ziffern.text.printable import printable


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the two commands to those of `ziffern`."""
    export = commands.add_parser(
        "export",
        usage="%(prog)s [options] RUN --format FORMAT [SETTING=VALUE ...]",
        help="write the model as a file of another format, and check that it answers the same",
        epilog="Settings are those of the data, such as data.dir=FOLDER.",
    )
    export.add_argument("folder", metavar="RUN", type=find_run, help="a run folder, or builtin")
    export.add_argument(
        "--format", required=True, choices=["onnx", "int8", "html", "safetensors"], help="of the new file"
    )
    export.add_argument("-o", "--output", metavar="FILE", type=Path, help="the new file")
    export.add_argument(
        "--data", metavar="NAME|PATH", help="data to compare on (default: the test part of the run's own)"
    )
    export.set_defaults(run=export_run, takes_settings=True)
    card = commands.add_parser("card", help="write a model card, and the weights for the Hugging Face Hub")
    card.add_argument("folder", metavar="RUN", type=find_run, help="a run folder, or builtin")
    card.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="the new folder")
    card.set_defaults(run=card_of_run)


def export_run(arguments: argparse.Namespace) -> None:
    """Export a model, and print the file and the comparison in two lines."""
    from ziffern.cli.evaluate import parsed
    from ziffern.deploy.export import export
    from ziffern.runs.run import Run

    settings = parsed(arguments.settings)
    run = Run(arguments.folder)
    path, parity = export(run, arguments.format, arguments.output, arguments.data, settings)
    words = terminal_words()
    values = {"changed": parity.changed, "p": words.number(parity.p, 2), "data": printable(parity.data)}
    values |= {"difference": words.number(parity.max_difference, 6)}
    shares = {"model": words.percent(parity.accuracy), "export": words.percent(parity.export_accuracy)}
    print(words("export.written", path=printable(path), size=path.stat().st_size))
    print(words("export.parity", count=parity.images, **values, **shares))
    if arguments.data is None and parity.data != run.description.get("data/name"):
        print(words("export.embedded", count=parity.images, name=arguments.folder.name, data=printable(parity.data)))


def card_of_run(arguments: argparse.Namespace) -> None:
    """Write a model card, and print its path."""
    from ziffern.deploy.card import write_card
    from ziffern.runs.run import Run

    print(printable(write_card(Run(arguments.folder), arguments.output) / "README.md"))
