"""Checkpoints that somebody else may have written.

Decisions: torch's own `weights_only=True` unpickles nothing else, but allocates whatever a file asks for. So only what
`torch.save` writes is accepted: a ZIP of uncompressed records, whose one pickle names tensors, their storages and
ordered dicts alone. The checked bytes are written to a new ZIP, since two ZIP readers may disagree about one file.
"""

import io
import pickle
import pickletools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Required, TypedDict

import torch
from msgspec import Meta

from ziffern.errors import InputError
from ziffern.files.untrusted import open_regular
from ziffern.records.convert import from_plain
from ziffern.records.schema import Count

MAX_BYTES = 4 * 2**30
MAX_PICKLE = 16 * 2**20  # bytes: everything but the tensors' values
MAX_NODES = 1_000_000
MAX_DEPTH = 60
CALLABLES = {  # that the pickle of a checkpoint may name
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    "torch.serialization _get_layout",
    "torch device",
}
STORAGES = (
    *("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"),
    *("ComplexFloat", "ComplexDouble", "Untyped"),
)
Plain = bool | int | float | Annotated[str, Meta(max_length=100_000)]
_Extra = TypedDict("_Extra", {"pytorch-lightning_version": str}, total=False)


class Checkpoint(_Extra, total=False):
    """The keys that Lightning and this project write into a checkpoint; other keys are allowed."""

    epoch: Required[Count]
    global_step: Required[Count]
    state_dict: Required[dict[str, Any]]
    optimizer_states: Required[list[dict[str, Any]]]
    lr_schedulers: list[dict[str, Any]]
    loops: dict[str, dict[str, Any]]
    callbacks: dict[str, dict[Any, Any]]
    ziffern: dict[str, Plain]
    ziffern_middle: dict[str, Any]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content: plain values and dense tensors on the CPU.

    Raises:
        InputError: It cannot be read, is damaged, would allocate more than its size, or contains pickled objects.
    """
    try:
        with open_regular(path, MAX_BYTES) as file:
            return parse_checkpoint(file)
    except (OSError, InputError) as error:
        raise InputError("records.checkpoint.unreadable", path=path, problem=error) from error


def parse_checkpoint(file: BinaryIO) -> dict[str, Any]:
    """Return the content of an open checkpoint file.

    Raises:
        InputError: See `read_checkpoint`.
    """
    try:
        checkpoint = torch.load(_repacked(file), map_location="cpu", weights_only=True)
        _check_tree(checkpoint)
        from_plain(checkpoint, Checkpoint)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError("records.checkpoint.objects") from error
    except Exception as error:  # parsing a damaged file may raise anything
        raise InputError("records.checkpoint.damaged") from error
    if not all(isinstance(value, torch.Tensor) for value in checkpoint["state_dict"].values()):
        raise InputError("records.checkpoint.no_tensors")
    return dict(checkpoint)


def _repacked(file: BinaryIO) -> io.BytesIO:
    """Return the records of a checkpoint in a new ZIP, after checking them."""
    content = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(content, "w") as target:
        infos = source.infolist()
        _check_records(infos, file.seek(0, io.SEEK_END))
        for info in infos:
            record = source.read(info)
            if info.filename.endswith("/data.pkl"):
                _check_pickle(record)
            target.writestr(info.filename, record)
    content.seek(0)
    return content


def _check_records(infos: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raise InputError if records are not stored as by torch.save, or are larger than the file."""
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        raise InputError("records.checkpoint.compressed")
    if len({info.filename for info in infos}) < len(infos):
        raise InputError("records.checkpoint.twice")
    if sum(info.file_size for info in infos) > size:
        raise InputError("records.checkpoint.larger")


def _check_pickle(record: bytes) -> None:
    """Raise InputError if a pickle is too large or names anything but tensors and their storages."""
    if len(record) > MAX_PICKLE:
        raise InputError("records.checkpoint.too_large", count=len(record), limit=MAX_PICKLE)
    allowed = CALLABLES | {f"torch {name}Storage" for name in STORAGES}
    for opcode, argument, _ in pickletools.genops(record):
        if opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"):
            raise InputError("records.checkpoint.objects")
        if opcode.name == "GLOBAL" and argument not in allowed:
            raise InputError("records.checkpoint.object", name=argument)


def _check_tree(checkpoint: Any) -> None:
    """Raise InputError if there are too many values or levels, or a tensor is larger than its storage."""
    waiting, count = [(checkpoint, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise InputError("records.checkpoint.too_many")
        if isinstance(node, torch.Tensor):
            if (node.storage_offset() + node.numel()) * node.element_size() > node.untyped_storage().nbytes():
                raise InputError("records.checkpoint.tensor")
        elif isinstance(node, dict):
            waiting += [(item, depth + 1) for pair in node.items() for item in pair]
        elif isinstance(node, list | tuple):
            waiting += [(item, depth + 1) for item in node]
