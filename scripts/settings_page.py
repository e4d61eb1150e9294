"""Write the reference of all settings from the files of `conf/`.

Decisions: the comments in `conf/` are the descriptions, so that a setting is described once, beside its value. YAML is
composed to nodes, which know their lines; loading it would lose the comments.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

PACKAGE = re.compile(r"# @package (\S+)")
SKIPPED = ("defaults", "published")  # shown as choices, and on the page of results
INTERNAL = ("hydra",)  # of train.yaml: how Hydra is set up here


@dataclass(frozen=True)
class Setting:
    """A key as it is typed on the command line; a section has a description and no value."""

    name: str
    value: str
    description: str


@dataclass(frozen=True)
class Option:
    """One file of `conf/`: an option of a group."""

    group: str
    name: str
    description: str
    choices: tuple[str, ...]  # options of other groups that it chooses, or of its own that it extends
    settings: tuple[Setting, ...]


def read_option(conf: Path, file: Path) -> Option:
    """Return a file of `conf` with the names that its keys have on the command line."""
    text = file.read_text(encoding="utf-8")
    group = file.parent.relative_to(conf).as_posix().removeprefix(".")
    header = list(takewhile(lambda line: line.startswith("#"), text.splitlines()))
    packages = [match[1] for line in header if (match := PACKAGE.match(line))]
    prefix = packages[0].removeprefix("_global_") if packages else group.replace("/", ".")
    description = " ".join(line.removeprefix("#").strip() for line in header if not PACKAGE.match(line))
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        root.value = [(key, value) for key, value in root.value if key.value not in SKIPPED]
    defaults = (yaml.safe_load(text) or {}).get("defaults", [])
    choices = tuple(choice for entry in defaults if (choice := _choice(entry, group)))
    return Option(group, file.stem, description, choices, tuple(_settings(root, prefix, text)))


def settings_page(conf: Path) -> str:
    """Return the Markdown of all settings and groups below `conf`."""
    base = read_option(conf, conf / "train.yaml")
    own = [setting for setting in base.settings if setting.name.split(".")[0] not in INTERNAL]
    sections = dict.fromkeys(setting.name.split(".")[0] if "." in setting.name else "" for setting in own)
    parts = ["## Settings of every run\n"]
    for section in sections:
        rows = [setting for setting in own if (setting.name.split(".")[0] if "." in setting.name else "") == section]
        parts += [f"### `{section}`\n" if section else "", _table(rows)]
    groups: dict[str, list[Option]] = {}
    for file in sorted(conf.rglob("*/*.yaml")):
        option = read_option(conf, file)
        groups.setdefault(option.group, []).append(option)
    for group, options in sorted(groups.items()):
        parts.append(f"## The group `{group}`\n")
        parts += [part for option in options for part in _option(option)]
    return "\n".join(parts)


def _choice(entry: Any, group: str) -> str:
    if isinstance(entry, str):
        return "" if entry == "_self_" else f"{group}={entry}"
    key, option = next(iter(entry.items()))
    return f"{key.removeprefix('override ').lstrip('/')}={option}"


def _settings(node: yaml.Node | None, prefix: str, text: str) -> Iterator[Setting]:
    """Yield the settings of a mapping in `text`, those of nested mappings under their dotted names."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{prefix}.{key.value}" if prefix else str(key.value)
        is_section = isinstance(value, yaml.MappingNode) and not value.flow_style
        description = _description(text, key.start_mark, (key if is_section else value).end_mark)
        if not is_section:
            yield Setting(name, text[value.start_mark.index : value.end_mark.index], description)
            continue
        if description:
            yield Setting(name, "", description)
        yield from _settings(value, name, text)


def _description(text: str, start: yaml.Mark, end: yaml.Mark) -> str:
    """Return the indented comment lines directly above `start` and the comment on the line of `end`."""
    before = reversed(text.splitlines()[: start.line])
    above = list(takewhile(lambda line: line.startswith(" ") and line.lstrip().startswith("#"), before))
    beside = text[end.index :].partition("\n")[0].partition("#")[2]
    return " ".join(line.strip().removeprefix("#").strip() for line in [*reversed(above), beside]).strip()


def _option(option: Option) -> Iterator[str]:
    yield f"### `{option.group}={option.name}`\n"
    if option.description:
        yield f"{option.description}\n"
    if option.choices:
        yield f"Includes {', '.join(f'`{choice}`' for choice in option.choices)}.\n"
    yield _table(option.settings) if option.settings else "Sets nothing itself.\n"


def _table(settings: Sequence[Setting]) -> str:
    rows = (f"| `{each.name}` | {_code(each.value)} | {each.description} |\n" for each in settings)
    return f"| setting | value | meaning |\n| --- | --- | --- |\n{''.join(rows)}"


def _code(value: str) -> str:
    return f"`{value}`".replace("|", "\\|") if value else ""
