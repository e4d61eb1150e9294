"""The code blocks of the README and of the documentation."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "console", "sh", "shell")
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """A fenced block; `title` is the path of the file that it shows, or empty."""

    page: str
    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a shell block."""

    page: str
    variables: dict[str, str]  # set in front of the command
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command as it would be typed."""
        return shlex.join([*(f"{name}={value}" for name, value in self.variables.items()), *self.words])


def blocks() -> list[Block]:
    """Return the fenced blocks of all pages."""
    return [
        Block(str(page.relative_to(ROOT)), *(part or "" for part in found.groups()))
        for page in PAGES
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def commands() -> list[Command]:
    """Return the commands of all shell blocks, each text once."""
    found: dict[str, Command] = {}
    for block in blocks():
        if block.language not in SHELLS:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            count = next((place for place, word in enumerate(words) if not ASSIGNMENT.fullmatch(word)), len(words))
            variables = dict(word.split("=", 1) for word in words[:count])
            command = Command(block.page, variables, tuple(words[count:]))
            if words:
                found.setdefault(command.text, command)
    return list(found.values())
