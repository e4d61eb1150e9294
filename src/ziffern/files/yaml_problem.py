"""What is wrong with a YAML file, in one line with its number."""

import yaml

from ziffern.errors import InputError
from ziffern.text.printable import reason

MAX_DEPTH = 40  # of mappings and lists within each other


def yaml_problem(error: Exception, text: str) -> InputError:
    """Return an error of PyYAML, or of Python where `text` is nested too deeply, as one line without an excerpt."""
    if isinstance(error, RecursionError):
        return InputError("records.yaml.too_deep", limit=MAX_DEPTH)
    if isinstance(error, yaml.reader.ReaderError):  # a control character
        line = text.count("\n", 0, error.position) + 1
        return InputError("records.yaml.character", character=f"U+{error.character:04X}", line=line)
    problem, mark, start = (getattr(error, name, None) for name in ("problem", "problem_mark", "context_mark"))
    if not (mark and problem):
        return InputError("records.yaml.invalid", problem=reason(error))
    values = {"problem": problem, "line": mark.line + 1}
    if start and start.line != mark.line:
        return InputError("records.yaml.invalid_from", **values, start=start.line + 1)
    return InputError("records.yaml.invalid_line", **values)
