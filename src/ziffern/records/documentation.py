"""The contract of a run folder as a table, generated from its declarations."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import inspect

from ziffern.analysis.metrics import registered
from ziffern.records import schema
from ziffern.records.arrays import DATA, PREDICTIONS
from ziffern.records.convert import expected
from ziffern.text.language import Language


class Entry(NamedTuple):
    """A row of the table."""

    file: str
    field: str
    type: str
    description: str


def describe() -> Iterator[Entry]:
    """Yield each field of each file of a run folder, in English."""
    yield from _fields("metrics.json", schema.models().metrics)
    yield from _fields("history.csv", schema.Epoch)
    for table, file in ((PREDICTIONS, "predictions.npz"), (DATA, "data.npz")):
        for name, array in table.items():
            shape = ", ".join(map(str, array.shape))
            yield Entry(file, name, f"{array.kind} ({shape})", array.description)
    yield from _fields("environment.json", schema.Environment)
    for event, model in schema.models().events.items():
        yield from _fields(f"progress.jsonl, event {event}", model)


def _fields(file: str, model: Any) -> Iterator[Entry]:
    t = Language()
    labels = {metric.key: t(f"metrics.{metric.name}.label") for metric in registered()}
    info = inspect.type_info(model)
    assert isinstance(info, inspect.TypedDictType)
    fields = {field.name: field for field in info.fields}
    for field in (fields[name] for name in model.__annotations__):  # in the declared order; msgspec sorts them
        extra = field.type.extra_json_schema if isinstance(field.type, inspect.Metadata) else None
        description = (extra or {}).get("description") or labels[field.name]
        yield Entry(file, field.name, expected(field.type).in_language("en"), description)
