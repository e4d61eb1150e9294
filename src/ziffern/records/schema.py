"""What the text files of a run folder hold: one declaration for each, checked when it is read.

Decisions: keys are those of the files, so that a record is the file's own mapping; keys that are not declared are left
out, so that nothing unchecked goes further; text comes back printable, since it may be printed in a terminal.
"""

from typing import Annotated, Any, NotRequired, Required, TypedDict, TypeVar

import msgspec
from msgspec import Meta
from msgspec.inspect import (
    DictType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    StrType,
    TypedDictType,
    UnionType,
)

from ziffern.text.printable import printable

MOST = 1e15  # no figure of a run is larger

Share = Annotated[float, Meta(ge=0, le=1)]
Number = Annotated[float, Meta(ge=-MOST, le=MOST)]
Count = Annotated[int, Meta(ge=0, le=int(MOST))]
Text = Annotated[str, Meta(max_length=10_000)]
Record = TypeVar("Record")

_Description = TypedDict(
    "_Description",
    {
        "model": Required[Text],
        "params": Required[Count],
        "seed": Required[Count],
        "normalize": Text,
        "threads": Count,
        "data/name": Required[Text],
        "data/fingerprint": Required[Text],
        "data/split": Required[Text],
        "data/train": Required[Count],
        "data/val": Required[Count],
        "data/test": Required[Count],
        "data/batch_size": Count,
        "data/leak": Text,
        "data/note": Text,
    },
    total=False,
)
_Scores = TypedDict(
    "_Scores",
    {
        "epochs": Required[Count],
        "best_epoch": Required[Count],
        "val/acc": Required[Share],
        "val/loss": Required[Number],
        "train/acc": Share | None,  # None where nothing was trained
        "train/loss": Number | None,
        "train_seconds": Required[Number],
        "test/acc": Share,
        "test/acc_low": Share,
        "test/acc_high": Share,
        "test/loss": Number,
        "test/correct": Count,
        "test/total": Count,
        "baseline/acc": Share,
    },
    total=False,
)


class Metrics(_Description, _Scores):
    """metrics.json."""


class Start(_Description):
    """The event `start` in progress.jsonl."""

    max_epochs: NotRequired[Count | None]


# A row of history.csv
Epoch = TypedDict(
    "Epoch",
    {
        "epoch": Count,
        "step": Count,
        "train/loss": Number,
        "train/acc": Share,
        "val/loss": Number,
        "val/acc": Share,
        "seconds": Number,
    },
)
# The published figures of a recipe, in .hydra/config.yaml
Published = TypedDict(
    "Published",
    {
        "source": Required[Text],
        "test/acc": Share | None,
        "val/acc": Share | None,
        "baseline/acc": Share | None,
        "params": Count | None,
        "epochs": Count | None,
        "train_seconds": Number | None,
        "test/total": Count | None,
        "gap": Number | None,
        "verdict": Text | None,
    },
    total=False,
)


class Environment(TypedDict, total=False):
    """environment.json: where and how the run was made."""

    command: Text
    git_commit: Text | None
    python: Text
    versions: dict[Text, Text]
    platform: Text
    processor: Text
    cpu_count: Count | None
    threads: Count
    device: Text
    devices: Count
    precision: Text


class Ensemble(TypedDict):
    """What the configuration of an ensemble says of its members."""

    members: list[Text]


class Event(TypedDict, total=False):
    """A line of progress.jsonl, as far as any line has it."""

    event: Required[Text]


def from_json(content: str, kind: type[Record]) -> Record:
    """Return JSON as a record.

    Raises:
        ValueError: It is no JSON, or not of that kind; the message names the key, the value and what belongs there.
    """
    try:
        plain = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError(f"no valid JSON: {error}") from error
    return from_plain(plain, kind)


def from_plain(plain: Any, kind: type[Record], from_text: bool = False) -> Record:
    """Return plain containers as a record; numbers may be written as text where `from_text`.

    Raises:
        ValueError: They are not of that kind.
    """
    try:
        record: Record = _printable(msgspec.convert(plain, kind, strict=not from_text))
    except (msgspec.MsgspecError, RecursionError, AttributeError) as error:  # a tensor is half a mapping to msgspec
        raise ValueError(_problem(error, plain, kind)) from error
    return record


def _problem(error: Exception, plain: Any, kind: Any) -> str:
    """Return which key is wrong: `val/acc=1.2 is not a number from 0 to 1`; msgspec's message where it lies deeper."""
    message, _, place = str(error).partition(" - at `$.")
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, TypedDictType) and isinstance(plain, dict):
        for field in info.fields:
            name = field.encode_name
            if name not in plain and f"field `{name}`" in message:
                return f"{name} is missing"
            if place == f"{name}`":
                return f"{name}={repr(plain.get(name))[:60]} is not {_in_words(field.type)}"
    return f"{place.rstrip('`')}: {message}" if place else message


def _in_words(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return " or ".join(map(_in_words, kind.types))
    if isinstance(kind, IntType | FloatType):
        name = "a whole number" if isinstance(kind, IntType) else "a number"
        return f"{name} from {kind.ge:g} to {kind.le:g}" if kind.ge is not None and kind.le is not None else name
    if isinstance(kind, StrType):
        return f"text of at most {kind.max_length} characters" if kind.max_length else "text"
    names = ((NoneType, "null"), (ListType, "a list"), (DictType, "a mapping"))
    return next((name for each, name in names if isinstance(kind, each)), "what belongs there")


def _printable(record: Any) -> Any:
    if isinstance(record, dict):
        return {printable(key): _printable(value) for key, value in record.items()}
    if isinstance(record, list):
        return [_printable(value) for value in record]
    return printable(record) if isinstance(record, str) else record
