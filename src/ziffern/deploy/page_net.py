"""The network of the HTML page: a list of ONNX operations and packed weights.

Decisions: the operations are those that the project's networks consist of, so that a small interpreter in JavaScript
(`templates/net.js`) suffices; any other is refused by name, never approximated; the list has only those inputs and
settings that this interpreter uses, so that ONNX Runtime computes exactly the same from it; weights are packed as
precisely as they fit: float32, float16, or int8 with one scale per output channel.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.deploy.onnx_file import OPSET
from ziffern.errors import InputError

PRECISIONS = ("float32", "float16", "int8")  # the most precise first
MIN_ROUNDED = 256  # values: smaller tensors (biases, statistics) stay float32
SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter records the module of an operation
IR_VERSION = 10  # of ONNX files; ONNX Runtime 1.18 and later reads it
OPERATIONS = {  # those of net.js, and how many inputs it uses: others keep ONNX's default there
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pad", "Reshape", "Unsqueeze", "ReduceMean"), 2),
    **dict.fromkeys(("Cast", "Identity", "Relu", "Sigmoid", "Tanh", "Log", "MaxPool", "Softmax"), 1),
    **{"Clip": 3, "Conv": 3, "Gemm": 3, "Slice": 4, "Concat": None},
}
KEPT: dict[str, tuple[str, ...]] = {  # settings that it uses
    "Cast": ("to",),
    "Conv": ("strides", "pads"),
    "MaxPool": ("kernel_shape", "strides"),
    "Gemm": ("transB",),
    "Softmax": ("axis",),
    "ReduceMean": ("keepdims",),
    "Concat": ("axis",),
}
REQUIRED: dict[str, dict[str, Any]] = {  # the only values of other settings that it can compute: ONNX's defaults
    "Cast": {"to": 1},  # float32
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
        inputs = [_input(name, constants) for name in node.input[: OPERATIONS[node.op_type]]]
        kept = {key: settings[key] for key in KEPT.get(node.op_type, ())}
        operations.append([node.op_type, node.output[0], inputs, kept])
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


def onnx_of(net: Mapping[str, Any]) -> bytes:
    """Return the content of an ONNX file that computes a packed network: its operations and weights, nothing else."""
    from onnx import TensorProto, helper, numpy_helper

    weights = [numpy_helper.from_array(_unpacked(*packed), name) for name, packed in net["tensors"].items()]
    nodes = []
    for place, (kind, result, inputs, settings) in enumerate(net["operations"]):
        names = [f"{place}.{k}" if isinstance(item, list) else item or "" for k, item in enumerate(inputs)]
        lists = [(name, item) for name, item in zip(names, inputs, strict=True) if isinstance(item, list)]
        weights += [numpy_helper.from_array(np.array(item, np.int64), name) for name, item in lists]
        nodes.append(helper.make_node(kind, names, [result], **settings))
    image = helper.make_tensor_value_info(net["input"], TensorProto.UINT8, None)
    answer = helper.make_tensor_value_info(net["output"], TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "page", [image], [answer], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    content: bytes = model.SerializeToString()
    return content


def _unpacked(shape: list[int], kind: str, values: str, scales: str = "") -> NDArray[np.float32]:
    array = np.frombuffer(base64.b64decode(values), np.dtype(kind).newbyteorder("<")).reshape(shape).astype(np.float32)
    if not scales:
        return array
    scale = np.frombuffer(base64.b64decode(scales), "<f4")
    return np.asarray(array * scale.reshape(-1, *[1] * (len(shape) - 1)), np.float32)
