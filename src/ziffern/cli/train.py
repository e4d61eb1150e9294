"""The Hydra entry point behind `python train.py` and `ziffern train`.

Decisions: nothing heavy is imported until a job runs, so `--help` and `--cfg job` are fast; a mistake of the user is
reported in one line with exit code 2, without a traceback and without leaving a folder behind; any other exception is a
bug and shows its traceback. HYDRA_FULL_ERROR=1 always shows it.
"""

import logging
import os
import re
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra import version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig

from hydra_study import check_finished_studies, when_multirun_ends
from ziffern.cli.job import compare_runs, error_line, job
from ziffern.cli.terminal import language_of_terminal, readable_streams
from ziffern.config import conf_folder
from ziffern.config.command import PRIMARY, invocation
from ziffern.config.environment import load_environment
from ziffern.config.foreign import checked_configs
from ziffern.config.typed import check_blanks, grammatical
from ziffern.errors import InputError
from ziffern.experiment import run_folder
from ziffern.experiment.failure import fail
from ziffern.experiment.naming import register_resolvers
from ziffern.machine import processes
from ziffern.search.agreement import check_data
from ziffern.text.language import terminal_language, terminal_words

FULL_ERROR = "HYDRA_FULL_ERROR"
ALL_FOLDS, FOLDS, KFOLD, DEFAULT_FOLDS = "data.fold=all", "data.folds=", "data.split=kfold", 5
SEARCH = ("hparams_search=", "hydra/sweeper=")  # overrides that choose the sweeper of a search


def train(arguments: Sequence[str] | None = None) -> None:
    """Compose the configuration from arguments and run it; exits with 2 on bad input.

    Args:
        arguments: Hydra's options, and overrides; those of this process if None.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    terminal_language.set(language_of_terminal(os.environ, arguments))
    readable_streams()
    _check_encoding(arguments)
    options = _options(arguments)
    register_resolvers()
    check_finished_studies(check_data)
    when_multirun_ends(compare_runs)
    logging.raiseExceptions = False  # a line of train.log that cannot be written is no reason for a traceback
    if processes.launched() > 1 and _is_multirun(options):
        if any(item.startswith(SEARCH) for item in options.overrides):
            fail(InputError("cli.train.search_in_processes", count=processes.launched()))
        options.overrides = ["hydra/sweeper=basic", *options.overrides]  # all processes train each run together
    if not processes.is_first() and processes.launched() > 1:
        # The first process writes the configuration, as with the processes that Lightning starts.
        options.overrides += ["hydra.output_subdir=null", f"hydra.job.name=train_rank_{processes.rank()}"]
    given, before = os.environ.get(FULL_ERROR), HydraConfig.instance().cfg
    os.environ[FULL_ERROR] = "1"  # so that Hydra raises its exceptions instead of printing them
    try:
        load_environment(Path.cwd())
        version.setbase("1.3")
        with checked_configs():  # as `hydra.main` does, which would parse `sys.argv` itself
            _run_hydra(options, get_args_parser(), job, config_path=str(conf_folder()), config_name=PRIMARY)
    except KeyboardInterrupt:
        print(terminal_words()("cli.stopped_early"), file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if given == "1" and "LOCAL_RANK" not in os.environ:  # Lightning's other processes inherit ours
            raise
        _explain_and_exit(error, options)
    finally:
        run_folder.release()
        HydraConfig.instance().cfg = before  # --cfg sets it
        if given is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = given


def _options(arguments: Sequence[str]) -> Namespace:
    """Return Hydra's options and overrides, in any order; exits with 2 on options that do not exist or do not fit."""
    try:
        check_blanks(arguments, invocation.get())
    except InputError as error:
        fail(error)
    parser = get_args_parser()
    parser.error = lambda message: fail(InputError("cli.train.options", problem=message))  # type: ignore[method-assign]
    options = parser.parse_intermixed_args(arguments)
    if options.experimental_rerun is not None:
        fail(InputError("cli.train.rerun"))
    modes = {
        "run": "--run",
        "multirun": "-m",
        "cfg": "--cfg",
        "info": "--info",
        "shell_completion": "--shell-completion",
    }
    given = [flag for name, flag in modes.items() if getattr(options, name)]
    if len(given) > 1:
        fail(InputError("cli.train.several_modes", first=given[0], others=given[1:]))
    for name in ("resolve", "package"):
        if getattr(options, name) and not (options.cfg or (options.help and name == "resolve")):
            fail(InputError("cli.train.without_cfg", flag=f"--{name}"))
    if options.config_dir:
        options.config_dir = str(Path(options.config_dir).expanduser())
    if ALL_FOLDS in options.overrides:
        options.overrides = _with_every_fold(options)
    options.overrides = [grammatical(item, _is_multirun(options)) for item in options.overrides]
    return options


def _with_every_fold(options: Namespace) -> list[str]:
    """Return the overrides with one run for each fold of a cross-validation, whose number they name."""
    overrides = [item for item in options.overrides if item != ALL_FOLDS]
    counts = [item.removeprefix(FOLDS) for item in overrides if item.startswith(FOLDS)]
    are_counts = all(re.fullmatch("[1-9][0-9]*", count) for count in counts)
    has_other = any(item.startswith((*SEARCH, "data.fold=")) for item in overrides)
    if not (_is_multirun(options) and are_counts and KFOLD in overrides) or has_other:
        fail(InputError("cli.train.all_folds"))
    count = counts[-1] if counts else DEFAULT_FOLDS
    return [*overrides, f"data.fold=range({count})", *([] if counts else [f"{FOLDS}{count}"])]


def _is_multirun(options: Namespace) -> bool:
    return options.multirun or "hydra.mode=MULTIRUN" in options.overrides


def _check_encoding(arguments: Sequence[str]) -> None:
    for text in (*arguments, str(Path.cwd())):
        try:
            text.encode()
        except UnicodeEncodeError:
            fail(InputError("cli.train.not_in_locale", text=text, encoding=sys.getfilesystemencoding()))


def _explain_and_exit(error: Exception, options: Namespace) -> NoReturn:
    from ziffern.config.explain import COMPOSITION_ERRORS, explain

    if line := error_line(error, _is_multirun(options)):
        fail(line)
    if isinstance(error, COMPOSITION_ERRORS):
        fail(explain(error, options.overrides, conf_folder(), options.config_dir))
    raise error


if __name__ == "__main__":  # a child process of DDP that `ziffern train` started
    train()
