"""Environment variables from the file `.env` in the launch folder, such as WANDB_API_KEY.

Decisions: no other folder is searched; variables that are already set take precedence, as with python-dotenv, which is
not installed; variables that control what code is executed are refused, since the folder may come from somebody else.
"""

import os
import re
from pathlib import Path

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text

MAX_BYTES = 100_000
LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*"""
    r"""(?:'(?P<raw>[^']*)'|"(?P<text>[^"]*)"|(?P<bare>[^'"].*?)?)(?:\s+\#.*|\s*)"""
)
REFERENCE = re.compile(r"\$\{(\w+)\}")
CODE = re.compile(r"PATH|(PYTHON|LD_|DYLD_|ZIFFERN_)\w*")


def load_environment(folder: Path) -> None:
    """Set those variables of a folder's `.env` that are not set yet.

    Raises:
        InputError: It cannot be read, a line is not NAME=VALUE, or a variable controls what code is executed.
    """
    path = folder / ".env"
    if not path.is_file():  # a folder may be somebody's virtual environment
        return
    for number, line in enumerate(read_text(path, MAX_BYTES).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise InputError("config.environment.invalid", path=path, number=number)
        name, raw = match["name"], match["raw"]
        if CODE.fullmatch(name):
            raise InputError("config.environment.code", path=path, name=name)
        value = match["text"] if match["bare"] is None else match["bare"]
        expanded = REFERENCE.sub(lambda found: os.environ.get(found[1], ""), value or "")
        os.environ.setdefault(name, expanded if raw is None else raw)
