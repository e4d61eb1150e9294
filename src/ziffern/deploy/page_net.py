"""The network of the HTML page: a list of operations and packed weights, and an interpreter of exactly these in NumPy.

Decisions: the operations are those of ONNX that the project's networks consist of, so that one interpreter in
JavaScript (`templates/net.js`) suffices; anything else is refused by name, never approximated; weights are packed as
precisely as they fit: float32, float16, or int8 with one scale per output channel.
"""

import base64
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.errors import InputError

Floats = NDArray[np.float32]
PRECISIONS = ("float32", "float16", "int8")  # the most precise first
MIN_ROUNDED = 256  # values: smaller tensors (biases, statistics) stay float32
SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter records the module of an operation
BATCH = 100  # images at once
KEPT: dict[str, tuple[str, ...]] = {  # settings that the interpreters use
    "Conv": ("strides", "pads"),
    "MaxPool": ("kernel_shape", "strides"),
    "Gemm": ("transB",),
    "Softmax": ("axis",),
    "ReduceMean": ("keepdims",),
    "Concat": ("axis",),
}
REQUIRED: dict[str, dict[str, Any]] = {  # the only values that they know of other settings
    "Conv": {"group": 1, "dilations": [1, 1], "auto_pad": b"NOTSET"},
    "MaxPool": {"pads": [0] * 4, "dilations": [1, 1], "ceil_mode": 0, "auto_pad": b"NOTSET"},
    "Gemm": {"alpha": 1.0, "beta": 1.0, "transA": 0},
    "Pad": {"mode": b"constant"},
}


def packed_net(model: Any, precision: str) -> dict[str, Any]:
    """Return the network of an ONNX model (a ModelProto) as values of JSON; `precision` is one of PRECISIONS.

    Raises:
        InputError: An operation that the page does not have; the message names the layer.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    operations = []
    for node in graph.node:
        settings = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        required = REQUIRED.get(node.op_type, {})
        if node.op_type not in OPERATIONS or any(settings.get(key, value) != value for key, value in required.items()):
            scope = next((item.value for item in node.metadata_props if item.key == SCOPES), "")
            layer = scope.replace("'", "").strip("[]").split(", ")
            raise InputError("deploy.page.layer", operation=node.op_type, layer=(layer[-2:-1] or layer)[0] or node.name)
        inputs = [_input(name, constants) for name in node.input]
        kept = {key: settings[key] for key in KEPT.get(node.op_type, ())}
        operations.append([node.op_type, node.output[0], inputs + [None] * (3 - len(inputs)), kept])
    used = {name for _, _, inputs, _ in operations for name in inputs if isinstance(name, str)}
    tensors = {name: _packed(value, precision) for name, value in constants.items() if name in used}
    net = {"tensors": tensors, "operations": operations}
    return {**net, "input": graph.input[0].name, "output": graph.output[0].name}


def _input(name: str, constants: Mapping[str, NDArray[Any]]) -> str | list[int] | None:
    """Return an input's name, or the integers that it consists of; None where it is absent."""
    value = constants.get(name)
    return value.ravel().tolist() if value is not None and value.dtype.kind == "i" else name or None


def _packed(values: NDArray[Any], precision: str) -> list[Any]:
    values = np.ascontiguousarray(values, np.float32)
    shape = list(values.shape)
    if precision == "float32" or values.size < MIN_ROUNDED:
        return [shape, "float32", _text(values)]
    if precision == "float16":
        return [shape, "float16", _text(values.astype(np.float16))]
    rows = values.reshape(len(values), -1)
    scales = np.maximum(np.abs(rows).max(1) / 127, 1e-12).astype(np.float32)
    return [shape, "int8", _text(np.rint(rows / scales[:, None]).astype(np.int8)), _text(scales)]


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def _unpacked(shape: list[int], kind: str, values: str, scales: str = "") -> Floats:
    array = np.frombuffer(base64.b64decode(values), np.dtype(kind).newbyteorder("<")).reshape(shape).astype(np.float32)
    if not scales:
        return array
    scale = np.frombuffer(base64.b64decode(scales), "<f4")
    return np.asarray(array * scale.reshape(-1, *[1] * (len(shape) - 1)), np.float32)


def interpreted(net: Mapping[str, Any], images: NDArray[np.uint8]) -> Floats:
    """Return probabilities (N, K) of images (N, C, H, W) by a packed network."""
    constants = {name: _unpacked(*packed) for name, packed in net["tensors"].items()}
    parts = []
    for at in range(0, len(images), BATCH):
        values: dict[str, Any] = {**constants, net["input"]: images[at : at + BATCH].astype(np.float32)}
        for kind, result, inputs, settings in net["operations"]:
            arguments = [values[item] if isinstance(item, str) else item for item in inputs]
            values[result] = OPERATIONS[kind](*arguments, **settings)
        parts.append(values[net["output"]])
    return np.concatenate(parts)


def _conv(x: Floats, weight: Floats, bias: Floats | None, strides: list[int], pads: list[int]) -> Floats:
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])])
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], (2, 3))  # (N, C, H, W, kh, kw)
    result = np.tensordot(windows[:, :, :: strides[0], :: strides[1]], weight, ([1, 4, 5], [1, 2, 3]))
    return np.asarray((result if bias is None else result + bias).transpose(0, 3, 1, 2))


def _max_pool(x: Floats, *_: None, kernel_shape: list[int], strides: list[int]) -> Floats:
    height, width = (
        (side - kernel) // step + 1 for side, kernel, step in zip(x.shape[2:], kernel_shape, strides, strict=True)
    )
    places = itertools.product(*map(range, kernel_shape))
    shifted = [x[:, :, v :: strides[0], u :: strides[1]][:, :, :height, :width] for v, u in places]
    return np.asarray(np.maximum.reduce(shifted))


def _gemm(x: Floats, weight: Floats, bias: Floats | None, transB: int = 0) -> Floats:  # noqa: N803  # ONNX's name
    result = x @ (weight.T if transB else weight)
    return np.asarray(result if bias is None else result + bias)


def _softmax(x: Floats, *_: None, axis: int) -> Floats:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def _slice(x: Floats, starts: list[int], ends: list[int], axes: list[int], *_: object) -> Floats:
    places = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes, strict=True):
        places[axis] = slice(start, end)
    return x[tuple(places)]


def _pad(x: Floats, pads: list[int], *_: object) -> Floats:
    return np.pad(x, list(zip(pads[: x.ndim], pads[x.ndim :], strict=True)))


def _reshape(x: Floats, shape: Iterable[int], *_: None) -> Floats:
    return x.reshape([x.shape[place] if size == 0 else size for place, size in enumerate(shape)])


def _elementwise(compute: Callable[..., Any]) -> Callable[..., Floats]:
    return lambda *inputs: np.asarray(compute(*(item for item in inputs if item is not None)), np.float32)


OPERATIONS: dict[str, Callable[..., Floats]] = {
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(np.divide),
    "Cast": lambda x, *_: x,
    "Identity": lambda x, *_: x,
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "Sigmoid": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "Tanh": _elementwise(np.tanh),
    "Log": _elementwise(np.log),
    "Clip": np.clip,
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Gemm": _gemm,
    "Softmax": _softmax,
    "ReduceMean": lambda x, axes, *_, keepdims: x.mean(tuple(axes), keepdims=bool(keepdims)),
    "Slice": _slice,
    "Pad": _pad,
    "Reshape": _reshape,
    "Unsqueeze": lambda x, axes, *_: np.expand_dims(x, tuple(axes)),
    "Concat": lambda *parts, axis: np.concatenate([part for part in parts if part is not None], axis),
}
