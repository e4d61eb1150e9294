"""A tiny model in ONNX, made without training, and its service in the test process."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import uvicorn
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from starlette.testclient import TestClient
from tests.support.digits import synthetic_digits

from ziffern.records.inference import Inference
from ziffern.web.app import make_app
from ziffern.web.connection import Connection
from ziffern.web.limits import Limits
from ziffern.web.model import ServedModel
from ziffern.web.sockets import free_socket

SHAPE = (1, 28, 28)
IMAGES, LABELS = synthetic_digits(40, seed=3)


def onnx_model(shape: tuple[int, int, int] = SHAPE) -> bytes:
    """Return a linear classifier whose weights are the mean synthetic digits, from uint8 images to probabilities."""
    pixels = int(np.prod(shape))
    if shape == SHAPE:
        images, labels = synthetic_digits(200, seed=4)
        rows = np.asarray(images).reshape(len(images), -1) / 255
        weights = np.stack([rows[labels == label].mean(0) - rows.mean(0) for label in range(10)], 1)
    else:
        weights = np.random.RandomState(0).randn(pixels, 10)
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["levels"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array((weights / 50).astype(np.float32), "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def served(prepare: str = "digit", dark_ground: bool = True, shape: tuple[int, int, int] = SHAPE) -> ServedModel:
    """Return the model as a server would load it."""
    inference = Inference(prepare=prepare, dark_ground=dark_ground)
    return ServedModel("tiny", onnx_model(shape), inference, tuple("abcdefghij"), shape)


@contextmanager
def client(
    model: ServedModel | None = None, keys: frozenset[bytes] = frozenset(), **limits: int
) -> Iterator[TestClient]:
    """Yield a client of the service, which runs."""
    with TestClient(make_app(model or served(), Limits(**limits), keys), raise_server_exceptions=False) as web:
        yield web


def png(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return pixels (H, W) or (H, W, C) as a picture file."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind)
    return file.getvalue()


@contextmanager
def listening(model: ServedModel | None = None) -> Iterator[int]:
    """Serve the model on a free port, in a thread of this process; yield the port."""
    with free_socket("127.0.0.1", 0, tries=1) as taken:
        server = uvicorn.Server(
            uvicorn.Config(make_app(model or served(), Limits()), http=Connection, ws="none", log_level="warning")
        )
        thread = threading.Thread(target=server.run, args=([taken],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield taken.getsockname()[1]
        server.should_exit = True
        thread.join()
