"""The name, the tags and the debug mark of a run, for loggers and comparisons."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ziffern.config.command import is_multirun
from ziffern.text.catalog import Message


@dataclass(frozen=True)
class Labels:
    """Name, tags and mark of a run, which do not affect its results.

    Args:
        name: The setting `name`.
        tags: The setting `tags`.
        debug: The option of the group `debug`; the run is not a result.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    debug: str = ""

    @property
    def all_tags(self) -> list[str]:
        """The tags, among them the mark of a debug run."""
        return [*self.tags, *([f"debug={self.debug}"] if self.debug else [])]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Name and tags as the loggers record them beside the settings."""
        name = {"name": self.name} if self.name else {}
        return name | ({"tags": ", ".join(self.all_tags)} if self.all_tags else {})

    @property
    def note(self) -> Message | None:
        """The warning that this is not a result."""
        return Message("training.debug", option=self.debug) if self.debug else None


def run_name(folder: Path) -> str:
    """Return the name of a run in loggers: its folder's, with that of the multirun where it belongs to one."""
    is_one_of_several = is_multirun() or (folder.parent / "multirun.yaml").is_file()  # Hydra's record of a multirun
    return f"{folder.parent.name}/{folder.name}" if is_one_of_several else folder.name
