"""Nothing is written through a link that leads out of a run folder, which somebody else may have placed there."""

import os
import stat
from pathlib import Path

from ziffern.errors import InputError


def check_links(folder: Path, setting: str = "hydra.run.dir") -> None:
    """Raise InputError where a write into `folder` could go elsewhere: a link out of it, a pipe, a device.

    Links within the folder are kept (W&B makes some). Another process may be writing there, so a file that vanishes
    during the check is no error.

    Args:
        folder: The folder of a run or a multirun.
        setting: What chooses another folder, for the message.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(root):
        for path in (Path(place, name) for name in (*folders, *files)):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # such as a temporary file that was renamed
                continue
            if stat.S_ISLNK(mode):
                if not path.resolve().is_relative_to(root):
                    raise InputError("experiment.folder.link", path=path, setting=setting)
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError("experiment.folder.special_file", path=path, setting=setting)
