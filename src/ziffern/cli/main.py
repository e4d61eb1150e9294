"""The console script `ziffern`: one subcommand per job.

`ziffern train` is `python train.py` for an installed package; the others read finished runs.
"""

import argparse
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from ziffern.cli import export, form, predict, read, serve, verify
from ziffern.cli.access import add_access
from ziffern.cli.terminal import chosen_language, language_of_terminal, readable_streams
from ziffern.config.command import invocation
from ziffern.errors import InputError
from ziffern.experiment.failure import complain, describe
from ziffern.runs.builtin import find_run
from ziffern.text.catalog import os_reason
from ziffern.text.language import terminal_language, terminal_words
from ziffern.text.printable import printable


def main() -> None:
    """Run the subcommand named by the first argument."""
    if sys.argv[1:2] == ["train"]:
        from ziffern.cli.train import train

        # Lightning starts the child processes of DDP with the arguments in sys.argv, and the module in __spec__.
        del sys.argv[1]
        sys.modules["__main__"].__spec__ = find_spec("ziffern.cli.train")
        invocation.set("ziffern train")
        train()
        return
    terminal_language.set(language_of_terminal(os.environ))
    parser = _parser()
    arguments, rest = parser.parse_known_args(sys.argv[1:] or ["--help"])
    if rest and (
        not (arguments.run in (_evaluate, _prepare) or "takes_settings" in arguments)
        or not all("=" in item and item[0] != "-" for item in rest)
    ):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.settings = rest  # of `evaluate` and `prepare`, before and after their options
    readable_streams()
    try:
        if getattr(arguments, "language", None) is not None:
            terminal_language.set(chosen_language(arguments.language).code)
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (InputError, OSError) as error:
        kind = "FOLDER" if arguments.run in (_ensemble, _evaluate) else "FILE"
        elsewhere = "OUT" if arguments.run is _prepare else f"--output {kind}"
        complain(error if isinstance(error, InputError) else describe(error, elsewhere))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _report(arguments: argparse.Namespace) -> None:
    from ziffern.report.run_page import write_report
    from ziffern.runs.run import Run

    if arguments.output and len(arguments.folder) > 1:
        raise InputError("cli.output.several_runs", path=arguments.output, count=len(arguments.folder))
    if arguments.output and arguments.output.is_dir():
        raise InputError("cli.output.folder", path=arguments.output)
    failed = False
    for folder in arguments.folder:
        try:
            print(printable(write_report(Run(folder), arguments.output, arguments.language)))
        except InputError as error:
            complain(error)
            failed = True
    if failed:
        sys.exit(2)


def _compare(arguments: argparse.Namespace) -> None:
    from ziffern.cli.compare import compare

    compare(arguments.folder, arguments.output, terminal_language.get(), arguments.margin / 100, arguments.speed)


def _ensemble(arguments: argparse.Namespace) -> None:
    from ziffern.experiment.ensemble import ensemble
    from ziffern.report.run_page import write_report
    from ziffern.runs.run import Run

    print(printable(write_report(Run(ensemble(arguments.folder, arguments.output, arguments.data)))))


def _evaluate(arguments: argparse.Namespace) -> None:
    from ziffern.cli.evaluate import evaluate_run, parsed

    settings = parsed(arguments.settings)
    evaluate_run(arguments.folder, settings, arguments.data, arguments.split, arguments.checkpoint, arguments.output)


def _prepare(arguments: argparse.Namespace) -> None:
    from ziffern.cli.prepare import prepare

    prepare(arguments.folder, arguments.out, arguments.settings)


def _studio(arguments: argparse.Namespace) -> None:
    from ziffern.studio.server import Options, serve
    from ziffern.web.people import add_person, read_people

    if arguments.add_person is not None:
        if not arguments.people:
            raise InputError("cli.person.no_file", name=arguments.add_person)
        try:
            is_new = add_person(arguments.people, arguments.add_person)
        except OSError as error:
            raise InputError("cli.person.not_written", path=arguments.people, reason=os_reason(error)) from error
        print(terminal_words()(f"cli.person_{'added' if is_new else 'changed'}", name=arguments.add_person))
        return
    people = read_people(arguments.people) if arguments.people else {}
    shown, names = not arguments.no_browser, arguments.public_host
    serve(Options(arguments.output, arguments.data, arguments.host, arguments.port, people, shown, names))


def _sweep_report(arguments: argparse.Namespace) -> None:
    import optuna

    from ziffern.report.sweep_page import write_sweep_report
    from ziffern.search.study import open_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = open_study(arguments.folder)
    print(printable(write_sweep_report(study, arguments.folder, arguments.output, terminal_language.get())))


def _sweep_dashboard(arguments: argparse.Namespace) -> None:
    from ziffern.search.study import locate, open_study

    _, journal = locate(arguments.folder)
    dashboard = Path(sys.executable).with_name("optuna-dashboard")
    if not dashboard.exists():
        raise InputError("cli.dashboard.missing")
    open_study(arguments.folder)  # the dashboard itself does not check what it reads
    sys.exit(subprocess.run([str(dashboard), str(journal)], check=False).returncode)


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line; argparse's own texts are English."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message}: see {self.prog} --help")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    from ziffern import __version__

    parser = _Parser(prog="ziffern", description="Train and compare classifiers of small images.")
    parser.add_argument("--version", action="version", version=f"ziffern {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("train", help="train, test and record: [GROUP=OPTION ...] [SETTING=VALUE ...]", add_help=False)
    report = commands.add_parser("report", help="write report.html for a run, finished or not")
    report.add_argument("folder", metavar="RUN", type=Path, nargs="+", help="a run folder")
    report.set_defaults(run=_report)
    compare = commands.add_parser("compare", help="compare runs: a table, comparison.html, and which model to use")
    compare.add_argument("folder", metavar="RUN", nargs="+", help="a run folder, a sweep folder, or a pattern of them")
    compare.add_argument(
        "--margin",
        metavar="POINTS",
        type=float,
        default=0.2,
        help="percentage points by which a larger model must be better to be recommended (default: 0.2)",
    )
    compare.add_argument("--speed", action="store_true", help="also load the models, and measure their size and speed")
    compare.set_defaults(run=_compare)
    ensemble = commands.add_parser(
        "ensemble", help="average the probabilities of several runs; the result is a run of its own"
    )
    ensemble.add_argument("folder", metavar="RUN", type=Path, nargs="+", help="a run folder; at least two")
    ensemble.add_argument("--data", metavar="FOLDER", help="the folder of the data (default: that of the first run)")
    ensemble.add_argument("--output", metavar="FOLDER", type=Path, help="the new run folder")
    ensemble.set_defaults(run=_ensemble)
    evaluate = commands.add_parser(
        "evaluate",
        usage="%(prog)s [options] RUN [SETTING=VALUE ...]",
        help="test a finished run again, on its own or other data",
        epilog="Settings are those of the data, such as data.dir=FOLDER, and trainer=cpu, gpu or mps.",
    )
    evaluate.add_argument("folder", metavar="RUN", type=find_run, help="a run folder, or builtin")
    evaluate.add_argument("--data", metavar="NAME|PATH", help="a data set, or your own data (default: the run's own)")
    evaluate.add_argument(
        "--split", metavar="PART", help="train, val, test or all (default: test; of other data than the run's, all)"
    )
    evaluate.add_argument("--checkpoint", metavar="NAME", default="best", help="best or last (default: best)")
    evaluate.add_argument("--output", metavar="FOLDER", type=Path, help="the new folder for the results")
    evaluate.set_defaults(run=_evaluate)
    prepare = commands.add_parser(
        "prepare",
        usage="%(prog)s [options] DATA OUT [SETTING=VALUE ...]",
        help="write your own pictures as a model sees them, and a contact sheet to look at",
        epilog="Settings are those of data=local, such as data.prepare=digit or data.image=[3,32,32].",
    )
    prepare.add_argument("folder", metavar="DATA", type=Path, help="a folder or ZIP of pictures, a CSV or an npz")
    prepare.add_argument("out", metavar="OUT", type=Path, help="the new folder: OUT/PART/CLASS/NUMBER.png")
    prepare.set_defaults(run=_prepare)
    studio = commands.add_parser("studio", help="open a page for people who do not program")
    studio.add_argument("--data", metavar="FOLDER", type=Path, help="the folder of data sets, and of downloads")
    studio.add_argument(
        "--output", metavar="FOLDER", type=Path, default=Path("outputs"), help="the folder for runs (default: outputs)"
    )
    add_access(studio, port=7860)
    studio.add_argument("--add-person", metavar="NAME", help="prompt for a password, and add NAME to --people FILE")
    studio.set_defaults(run=_studio, folder=[])
    sweep = commands.add_parser("sweep", help="inspect a hyperparameter search: sweep report FOLDER")
    kinds = sweep.add_subparsers(title="commands", metavar="COMMAND", required=True)
    search = kinds.add_parser("report", help="write sweep.html: the trials, their results, and which settings mattered")
    search.set_defaults(run=_sweep_report)
    dashboard = kinds.add_parser("dashboard", help="open optuna-dashboard for a search, even while it runs")
    dashboard.set_defaults(run=_sweep_dashboard, output=None)
    for module in (predict, export, serve, form, read, verify):
        module.add_parser(commands)
    for command in (search, dashboard):
        command.add_argument("folder", metavar="SWEEP", type=Path, help="the folder of a search")
    for command in (report, compare, search, prepare):
        command.add_argument("--language", metavar="CODE", help="en or de (default: the run's own, or the terminal's)")
    for command in (report, compare, search):
        command.add_argument("--output", metavar="FILE", type=Path, help="where to write the page")
    return parser
