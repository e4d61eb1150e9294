"""Writes checkpoint files atomically on any file system."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from ziffern.files.atomic import write_atomically
from ziffern.records.checkpoint import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write to a temporary file in the same folder, then rename.

    Lightning writes to the system's temporary folder and moves the file; on another file system, the move is a copy
    onto the old checkpoint, and a kill during it destroys both.

    Attributes:
        checked: The content of the checkpoint that is resumed: it is restored without reading the file again.
    """

    checked: dict[str, Any] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save `checkpoint` at `path`."""
        content = io.BytesIO()  # torch would hide a full disk behind an error of its own
        torch.save(checkpoint, content)
        write_atomically(Path(path), lambda file: file.write(content.getbuffer()))

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the content that was checked; without one, read the file."""
        checked, self.checked = self.checked, None
        return read_checkpoint(Path(path)) if checked is None else checked
