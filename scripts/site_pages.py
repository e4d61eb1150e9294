"""The generated parts of the documentation: a hook that MkDocs calls when it builds the site.

Decisions: the API reference finds modules by walking `src`, so that a moved module needs no change here; commands in
text blocks are run, and the fields of a run folder are read from their schema, when the site is built, so that both are
always the present ones.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from settings_page import settings_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = "<!-- the settings in conf/ -->"
FIELDS = re.compile(r"<!-- fields of (\S+) -->")
COMMAND = re.compile(r"(?m)^```text\n\$ (.+)\n```$")
WIDTH = 88  # characters of a command's output


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Add the pages of the API reference to the navigation."""
    (reference,) = (section["Reference"] for section in config.nav or [] if "Reference" in section)
    reference.append({"Python API": [{room: _place(room)} for room in rooms(ROOT / "src")]})
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages of the API reference."""
    from mkdocs.structure.files import File

    for room, modules in rooms(ROOT / "src").items():
        files.append(File.generated(config, _place(room), content=api_page(room, modules)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the settings, the fields of files, and the output of commands."""
    if SETTINGS in markdown:
        markdown = markdown.replace(SETTINGS, settings_page(ROOT / "conf"))
    markdown = FIELDS.sub(lambda match: fields_table(match[1]), markdown)
    return COMMAND.sub(lambda match: f"```text\n$ {match[1]}\n{output(match[1])}```", markdown)


def rooms(source: Path) -> dict[str, list[str]]:
    """Return the public modules below `source` by the room (the package of the second level) that they belong to."""
    modules: dict[str, list[str]] = {}
    for file in source.rglob("*.py"):
        parts = file.relative_to(source).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            modules.setdefault(".".join(parts[:2]), []).append(".".join(parts))
    return {
        room: sorted(modules[room]) for room in sorted(modules, key=lambda room: (not room.startswith("ziffern"), room))
    }


def api_page(room: str, modules: Sequence[str]) -> str:
    """Return the page of a room: its docstring, then each of its modules.

    The members of a package that has modules are documented where they are defined.
    """
    parts = [f"# {room}\n"]
    for module in modules:
        has_modules = any(other.startswith(f"{module}.") for other in modules)
        options = {"members": "false"} if has_modules and module.startswith("ziffern") else {}
        if module == room:
            options["show_root_heading"] = "false"
        lines = "".join(f"      {name}: {value}\n" for name, value in options.items())
        parts.append(f"::: {module}\n" + (f"    options:\n{lines}" if lines else ""))
    return "\n".join(parts)


def fields_table(file: str) -> str:
    """Return the fields of a file of a run folder; of progress.jsonl with the events that have them.

    Raises:
        ValueError: The schema has no such file.
    """
    from ziffern.records.arrays import MAX_NUMBER
    from ziffern.records.schema import describe

    events: dict[tuple[str, str, str], list[str]] = {}  # by field, type and description
    for entry in describe():
        name, _, event = entry.file.partition(", event ")
        if name == file:
            kind = entry.type.replace(f" from {-MAX_NUMBER:g} to {MAX_NUMBER:g}", "")
            kind = kind.replace(f" from 0 to {MAX_NUMBER:g}", ", 0 or more")
            events.setdefault((entry.field, kind, entry.description), []).append(event)
    if not events:
        raise ValueError(f"{file}: not a file of a run folder")
    known = list(dict.fromkeys(event for names in events.values() for event in names))
    has_events = known != [""]
    header = ["field", *(["events"] if has_events else []), "type", "meaning"]
    rows = [header, ["---"] * len(header)]
    for (field, kind, description), names in events.items():
        where = "all" if names == known else ", ".join(f"`{name}`" for name in names)
        rows.append([f"`{field}`", *([where] if has_events else []), kind, description])
    intro = f"The events are {', '.join(f'`{name}`' for name in known)}.\n\n" if has_events else ""
    return intro + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def output(command: str) -> str:
    """Return what a command prints; the programs are those beside the Python that builds the site."""
    program, *arguments = shlex.split(command)
    path = sys.executable if program == "python" else str(Path(sys.executable).with_name(program))
    environment = {**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    done = subprocess.run([path, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}\n"


def _place(room: str) -> str:
    return f"reference/api/{room}.md"
