"""Commands as they are typed in the launch folder, among them that of the running Hydra job.

Decision: nothing parses `sys.argv`, so a job composed in Python, one job of a multirun and a trial of a search are
described by their own overrides, as a command that runs just this job.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import ListConfig, OmegaConf

from ziffern.config import conf_folder
from ziffern.text.printable import printable

PRIMARY = "train"  # the configuration's name, conf/train.yaml
invocation: ContextVar[str] = ContextVar("invocation", default="python train.py")  # how users start a run


def is_multirun() -> bool:
    """Return whether the running job is one of several; False outside of Hydra."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def this_command(start: Sequence[str] = (), **replaced: object) -> str:
    """Return the command that runs the running job, with overrides `replaced` or added.

    Outside of a Hydra job it is this process's own command line. The command begins with the words `start`; the
    default is the same on every machine.
    """
    assignments = [assignment(key, value) for key, value in replaced.items()]
    if not HydraConfig.initialized():
        return shlex.join(["python", *sys.argv, *assignments])
    context = HydraConfig.get()
    overrides = plain(context.overrides.task)
    if context.mode != RunMode.MULTIRUN:  # Hydra's settings of a multirun do not apply to one of its jobs
        overrides += [item for item in plain(context.overrides.hydra) if not item.startswith("hydra.mode=")]
    kept = [item for item in overrides if item.split("=")[0] not in replaced]
    return shlex.join([*(start or invocation.get().split(" ")), *_options(), *kept, *assignments])


def task_overrides() -> list[str]:
    """Return the overrides of the running Hydra job as they were typed; none outside of one."""
    return plain(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def start_words() -> list[str]:
    """Return the program and the script, or the subcommand, that start a run from the launch folder."""
    first, script = invocation.get().split(" ")
    if first == "python":
        typed = launch_folder() / sys.argv[0]
        is_script = typed.name == script and getattr(sys.modules["__main__"], "__spec__", None) is None
        path = typed if is_script and typed.is_file() else conf_folder().parent / script
        if not path.is_file():
            return [program("ziffern"), "train"]
        script = relative(path)
    return [program(first), script]


def assignment(key: str, value: object) -> str:
    """Return an override that gives a setting this value, whatever characters it contains."""
    return f"{key}={quoted_value(value)}"


def quoted_value(value: object) -> str:
    """Return a value in Hydra's grammar, in quotation marks if it needs them."""
    text = str(value)
    if re.fullmatch(r"[\w/.-]+", text, re.ASCII):
        return text
    # A backslash is special only before a quotation mark.
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{escaped}'"


def plain(overrides: ListConfig | list[str]) -> list[str]:
    """Return overrides as they were typed, interpolations unresolved."""
    typed = OmegaConf.to_container(overrides, resolve=False) if OmegaConf.is_config(overrides) else overrides
    return [str(item) for item in typed] if isinstance(typed, list) else []


def _options() -> Iterable[str]:
    """Yield the options that add a folder of configurations, or replace the package's own."""
    context = HydraConfig.get()
    for source in context.runtime.config_sources:
        path = Path(source.path)
        if source.provider == "command-line":
            yield from ("--config-dir", relative(path))
        elif source.provider == "main" and path != conf_folder():
            yield from ("--config-path", str(path))
    if context.job.config_name != PRIMARY:
        yield from ("--config-name", str(context.job.config_name))


def launch_folder() -> Path:
    """Return the folder in which the command was typed, also if hydra.job.chdir changed the working directory."""
    if HydraConfig.initialized() and not OmegaConf.is_missing(HydraConfig.get().runtime, "cwd"):
        return Path(HydraConfig.get().runtime.cwd)
    return Path.cwd()


def relative(path: Path) -> str:
    """Return a path relative to the launch folder if it lies in it."""
    return str(path.relative_to(launch_folder()) if path.is_relative_to(launch_folder()) else path)


def quoted(path: Path) -> str:
    """Return a path as `relative` does, quoted for a shell, with escapes in place of unprintable characters."""
    return printable(shlex.quote(relative(path)))


def shell_words(words: Iterable[str]) -> str:
    """Return a command, quoted for a shell, with escapes in place of unprintable characters."""
    return printable(shlex.join(words))


def tool(name: str) -> str:
    """Return a program of this environment as `program` does, quoted for a shell."""
    return printable(shlex.quote(program(name)))


def program(name: str) -> str:
    """Return how a program of this environment is called from the launch folder."""
    here = Path(sys.executable).with_name(name)
    on_path = shutil.which(name)
    if on_path and Path(on_path).parent == here.parent:
        return name
    return relative(Path(sys.executable) if name == "python" else here)
