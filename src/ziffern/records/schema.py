"""The contract of a run folder: the fields of each of its files, declared once.

Decisions: writer, reader, error messages and documentation come from these declarations; keys are those of the files,
so a record is the mapping that is stored in the file; an undeclared key is neither written nor read; the scores in
metrics.json are those of the registry of metrics. The arrays are declared in `ziffern.records.arrays`.
"""

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, Required, TypedDict

from msgspec import Meta, inspect

from ziffern.analysis import metrics as registry
from ziffern.analysis.metrics import Kind, Metric
from ziffern.records.arrays import DATA, MAX_NUMBER, PREDICTIONS
from ziffern.records.convert import expected
from ziffern.text.language import Language

Share = Annotated[float, Meta(ge=0, le=1)]
Difference = Annotated[float, Meta(ge=-1, le=1)]
Number = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Count = Annotated[int, Meta(ge=0, le=int(MAX_NUMBER))]
Text = Annotated[str, Meta(max_length=10_000)]
TYPES: dict[Kind, Any] = {
    Kind.SHARE: Share,
    Kind.DIFFERENCE: Difference,
    Kind.SCORE: Number,
    Kind.COUNT: Count,
    Kind.SECONDS: Number,
}


class RecordedMessage(TypedDict):
    """A message as code and values, so that a report can show it in another language."""

    code: Text
    values: dict[Text, Any]


def _field(kind: Any, description: str, is_required: bool = False) -> Any:
    kind = Annotated[kind, Meta(description=description)]
    return Required[kind] if is_required else kind


DESCRIPTION: dict[str, Any] = {
    "model": _field(Text, "option of the group `model`", True),
    "params": _field(Count, "parameters of the net", True),
    "seed": _field(Count, "seed of weights and batches", True),
    "normalize": _field(Text, "how images are normalized"),
    "threads": _field(Count, "CPU threads of torch"),
    "init_from": _field(Text, "fingerprint of the weights that training started from"),
    "data/name": _field(Text, "name of the data set", True),
    "data/fingerprint": _field(Text, "hash of images, labels and their order", True),
    "data/prepare": _field(Text, "how pictures became images: none, digit or resize"),
    "data/split": _field(Text, "the split with its parameters", True),
    "data/train": _field(Count, "training images", True),
    "data/val": _field(Count, "validation images", True),
    "data/test": _field(Count, "test images", True),
    "data/batch_size": _field(Count, "images per batch"),
    "data/leak": _field(Text, "warning that validation and test share images, in English"),
    "data/leak_message": _field(RecordedMessage | None, "the same as code and values"),
    "data/note": _field(Text, "other warning about the data, in English"),
    "data/note_message": _field(RecordedMessage | None, "the same as code and values"),
    "data/notes": _field(list[Text], "what was assumed, left out or noticed about the data, in English"),
    "data/notes_message": _field(list[RecordedMessage], "the same as codes and values"),
    "data/limit": _field(Text, "images that an epoch used, where it did not use all, in English"),
    "data/limit_message": _field(RecordedMessage | None, "the same as code and values"),
}
LABELS: dict[str, Any] = {
    "debug": _field(Text, "warning that the run is not a result (debug=…), in English"),
    "debug_message": _field(RecordedMessage | None, "the same as code and values"),
    "own_metrics": _field(dict[Text, Number | None], "values of the setting `metrics` on the test part, by key"),
}
ENDING: dict[str, Any] = {
    "ended": _field(Text, "why training ended before the maximum number of epochs, in English"),
    "ended_message": _field(RecordedMessage | None, "the same as code and values"),
}
EPOCH: dict[str, Any] = {
    "epoch": _field(Count, "counted from 1"),
    "step": _field(Count, "optimizer steps so far"),
    "train/loss": _field(Number, "mean over the epoch"),
    "train/acc": _field(Share, "mean over the epoch, while the weights change"),
    "val/loss": _field(Number, "after the epoch"),
    "val/acc": _field(Share, "after the epoch"),
    "seconds": _field(Number, "time of the epoch, validation included"),
}
Epoch = TypedDict("Epoch", EPOCH)  # type: ignore[misc]  # a row of history.csv
PROGRESS: dict[str, Any] = {
    **{key: EPOCH[key] for key in ("epoch", "step", "train/loss", "train/acc", "val/loss", "val/acc")},
    "steps": _field(Count, "steps of the whole run"),
    "eta_seconds": _field(Number | None, "estimated time left without early stopping"),
}


class Environment(TypedDict, total=False):
    """environment.json: where and how the run was trained."""

    command: Annotated[Text, Meta(description="command as typed")]
    git_commit: Annotated[Text | None, Meta(description="commit of the checkout, with -dirty if files were changed")]
    python: Annotated[Text, Meta(description="version of Python")]
    versions: Annotated[dict[Text, Text], Meta(description="versions of packages")]
    platform: Annotated[Text, Meta(description="operating system")]
    processor: Annotated[Text, Meta(description="model of the CPU")]
    cpu_count: Annotated[Count | None, Meta(description="CPUs of the machine")]
    threads: Annotated[Count, Meta(description="CPU threads of torch")]
    device: Annotated[Text, Meta(description="device used for training")]
    devices: Annotated[Count, Meta(description="number of devices")]
    precision: Annotated[Text, Meta(description="precision of the trainer")]


class Ensemble(TypedDict):
    """The entry `ensemble` of a configuration."""

    members: list[Text]


class Evaluation(TypedDict):
    """The entry `evaluation` of a configuration: the run and the checkpoint that were tested, and the part of data."""

    run: Text
    checkpoint: Text
    part: Text


class Event(TypedDict):
    """The field that every line of progress.jsonl has."""

    event: Text


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields, total=False)  # type: ignore[operator]


class Models(NamedTuple):
    """The models that follow from the registry of metrics."""

    metrics: Any  # of metrics.json: the description of the run and its metrics
    published: Any  # of the entry `published` in a configuration: results of the recipe's authors
    events: dict[str, Any]  # of a line of progress.jsonl, by the name of its event


def models() -> Models:
    """Return the models for the metrics that are currently registered."""
    return _models(registry.METRICS)


@cache
def _models(registered: tuple[Metric, ...]) -> Models:
    optional = {metric.key: TYPES[metric.kind] | None for metric in registered}
    required = {metric.key: Required[TYPES[metric.kind]] for metric in registered if metric.is_required}
    metrics = _typed_dict("Metrics", {**DESCRIPTION, **LABELS, **ENDING, **optional, **required})
    published = {"source": Required[Text], "verdict": Text | None, **optional}
    common = {"event": _field(Text, "name of the event", True), "time": _field(Text, "UTC, in ISO 8601")}
    ending = {"reason": _field(Text, "why the run ended early")}
    events: dict[str, dict[str, Any]] = {
        "start": {**DESCRIPTION, **LABELS, "max_epochs": _field(Count | None, "maximum number of epochs")},
        "step": PROGRESS,
        "epoch": PROGRESS,
        "trained": {},
        "failed": ending,
        "pruned": ending,
        "end": {"metrics": _field(metrics, "as in metrics.json")},
    }
    return Models(
        metrics,
        _typed_dict("Published", published),
        {name: _typed_dict(name, {**common, **fields}) for name, fields in events.items()},
    )


class Entry(NamedTuple):
    """A field of a file of a run folder."""

    file: str
    field: str
    type: str
    description: str


def describe() -> Iterator[Entry]:
    """Yield each field of each file of a run folder, in English."""
    yield from _fields("metrics.json", models().metrics)
    yield from _fields("history.csv", Epoch)
    for table, file in ((PREDICTIONS, "predictions.npz"), (DATA, "data.npz")):
        for name, array in table.items():
            shape = ", ".join(map(str, array.shape))
            yield Entry(file, name, f"{array.kind} ({shape})", array.description)
    yield from _fields("environment.json", Environment)
    for event, model in models().events.items():
        yield from _fields(f"progress.jsonl, event {event}", model)


def _fields(file: str, model: Any) -> Iterator[Entry]:
    t = Language()
    labels = {metric.key: t(f"metrics.{metric.name}.label") for metric in registry.registered()}
    info = inspect.type_info(model)
    assert isinstance(info, inspect.TypedDictType)
    fields = {field.name: field for field in info.fields}
    for field in (fields[name] for name in model.__annotations__):  # in the declared order; msgspec sorts them
        extra = field.type.extra_json_schema if isinstance(field.type, inspect.Metadata) else None
        description = (extra or {}).get("description") or labels[field.name]
        yield Entry(file, field.name, expected(field.type).in_language("en"), description)
