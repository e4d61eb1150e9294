"""Environment variables from the file `.env` in the launch folder, such as WANDB_API_KEY.

Decisions: no other folder is searched; variables that are already set take precedence; variables that control what code
is executed are refused, since the folder may come from somebody else.
"""

import os
import re
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream
from dotenv.variables import parse_variables

from ziffern.errors import InputError
from ziffern.files.untrusted import read_text

MAX_BYTES = 100_000
CODE = re.compile(
    r"PATH|BROWSER|MPLBACKEND|GCONV_PATH|CUDA_INJECTION64_PATH|(PYTHON|LD_|DYLD_|GIT_|WANDB__|ZIFFERN_)\w*"
)


def load_environment(folder: Path) -> None:
    """Set those variables of a folder's `.env` that are not set yet.

    Raises:
        InputError: It cannot be read, a line is not NAME=VALUE, or a variable controls what code is executed.
    """
    path = folder / ".env"
    if not path.is_file():  # a folder may be somebody's virtual environment
        return
    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(read_text(path, MAX_BYTES))):
        name, value, original = binding.key, binding.value, binding.original
        if binding.error or (name is not None and value is None) or "\0" in original.string:
            raise InputError("config.environment.invalid", path=path, number=original.line)
        if name is None or value is None:  # a remark
            continue
        if CODE.fullmatch(name):
            raise InputError("config.environment.code", path=path, name=name)
        if not original.string.partition("=")[2].lstrip().startswith("'"):  # single quotes are literal, as in a shell
            value = "".join(atom.resolve(values | os.environ) for atom in parse_variables(value))
        values[name] = value
    os.environ.update(values | os.environ)
