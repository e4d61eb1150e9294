"""The Hydra entry point behind `python train.py` and `ziffern train`.

Decisions: nothing heavy is imported until a job runs, so `--help` and `--cfg job` answer at once; what the
user got wrong is one line and exit code 2, without a traceback and without a folder left behind; anything
else is a bug of ours and shows its traceback. HYDRA_FULL_ERROR=1 shows it always.
"""

import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NoReturn

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.errors import InputError

UNNAMED = ("data=mnist", "data.dir=", "trainer=", "ckpt_path=", "hydra")  # not part of a folder's name
NAME_LENGTH = 80
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


def train() -> None:
    """Compose the configuration from the command line and run it; exits with 2 on bad input."""
    register_resolvers()
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra hands its exceptions on instead of printing them
    decorate = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")
    try:
        decorate(job)()
    except Exception as error:
        if wants_traceback:
            raise
        _explain_and_exit(error)


def job(cfg: DictConfig) -> float | None:
    """Run one composed configuration; return the best validation score to Hydra's sweeper."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from ziffern.experiment import run_experiment

    context = HydraConfig.get()
    folder = Path(context.runtime.output_dir)
    try:
        choices = context.runtime.choices
        return run_experiment(cfg, folder, choices["model"], is_recipe=choices.get("experiment") is not None)
    except InputError as error:
        remove_if_unused(folder)
        if context.mode == RunMode.RUN:
            fail(str(error))  # here, since Hydra would add a line of its own
        raise


def fail(message: str) -> NoReturn:
    """Print one line to standard error and exit with 2; of several processes only the first one prints."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(2)


def remove_if_unused(folder: Path) -> None:
    """Remove a run folder that holds nothing but what Hydra put there, and parents left empty by that."""
    leftovers = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not leftovers <= {".hydra", "train.log"}:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for parent in list(folder.parents)[:2]:
        try:
            parent.rmdir()
        except OSError:
            return


def run_folder(choices: DictConfig, overrides: ListConfig) -> str:
    """Return this process's run folder, below outputs/runs.

    It is named by model and overrides, and is unique also among launches in the same second. The command
    of an unfinished run with its own `ckpt_path` added goes on in that run's folder.
    """
    given = tuple(str(item) for item in overrides)
    unfinished = _unfinished_run(given)
    named = [item for item in given if not item.startswith("model=")]
    return str(unfinished) if unfinished else f"outputs/runs/{choices['model']}{_slug(named)}_{_unique()}"


def sweep_folder() -> str:
    """Return the folder of this multirun, below outputs/sweeps, named by the command's overrides.

    Each job of a multirun asks anew and knows only its own overrides; Hydra hands the first answer on.
    """
    given = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return f"outputs/sweeps/{_slug(given).lstrip('_')}_{_unique()}"


@cache  # asked several times, and the run is no longer unfinished when it has finished
def _unfinished_run(overrides: tuple[str, ...]) -> Path | None:
    checkpoint = next((item.split("=", 1)[1] for item in overrides if item.startswith("ckpt_path=")), "")
    folder = Path(checkpoint.strip("'\"")).parent.parent
    earlier = folder / ".hydra" / "overrides.yaml"
    if not checkpoint or (folder / "metrics.json").exists() or not earlier.is_file():
        return None

    def settings(items: Sequence[str]) -> list[str]:
        return sorted(item for item in items if not item.startswith("ckpt_path="))

    return folder if settings([str(item) for item in OmegaConf.load(earlier)]) == settings(overrides) else None


def _slug(overrides: Sequence[str]) -> str:
    """Return overrides in characters that neither a file system nor Hydra's own grammar minds."""
    parts = [_short(item) for item in overrides if not item.startswith(UNNAMED)]
    return "".join(f"_{part}" for part in parts)[:NAME_LENGTH]


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", Path(value).name if "/" in value else value).strip("-")
    return f"{key.split('.')[-1].split('/')[-1].replace('_', '-')}-{plain}"


@cache
def _unique() -> str:
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def register_resolvers() -> None:
    """Make run_folder and sweep_folder known to the configuration."""
    for resolver in (run_folder, sweep_folder):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, use_cache=True, replace=True)


def _explain_and_exit(error: Exception) -> NoReturn:
    from ziffern.explain import COMPOSITION_ERRORS, explain

    if isinstance(error, InputError):
        fail(str(error))
    if isinstance(error, COMPOSITION_ERRORS):
        overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
        fail(explain(error, overrides, conf_folder()))
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        where = error.filename or "the output folder"
        fail(f"{where}: {error.strerror}: free some space or name another folder with hydra.run.dir=FOLDER")
    raise error
