"""ONNX: a file that ONNX Runtime, and many other programs, compute with.

Decisions: torch's exporter by torch.export (TorchScript is deprecated); one stated opset; any number of images at once;
weights inside the file; static int8 quantization by ONNX Runtime (QDQ), calibrated on training images and on them
alone, with one scale per output channel.
"""

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ziffern.deploy.network import Network

OPSET = 20  # the first with GELU; ONNX Runtime 1.17 and later reads it
INPUT, OUTPUT = "images", "probabilities"
BATCH = 1000  # images at once
QUANTIZED = ("Conv", "Gemm", "MatMul")  # operations with weights
CALIBRATION = 1000  # training images
KEY = "ziffern."  # before the keys of the metadata


class OnnxClassifier:
    """A model of this project in ONNX Runtime.

    Args:
        model: The content of the file, or its path.
        threads: Of the runtime; 0 is its own choice.
    """

    def __init__(self, model: bytes | Path, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        source = str(model) if isinstance(model, Path) else model
        self.session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities (N, K) of images (N, C, H, W)."""
        parts = [images[at : at + BATCH] for at in range(0, max(1, len(images)), BATCH)]
        return np.concatenate([self.session.run([OUTPUT], {INPUT: np.ascontiguousarray(part)})[0] for part in parts])

    def facts(self) -> dict[str, Any]:
        """Return the facts that the file carries."""
        saved = self.session.get_modelmeta().custom_metadata_map
        return {key.removeprefix(KEY): json.loads(value) for key, value in saved.items() if key.startswith(KEY)}


def onnx_model(network: Network, image: tuple[int, ...]) -> Any:
    """Return the ONNX model (a ModelProto) of a network for images (N, *image).

    Raises:
        ValueError: The exporter cannot express the network.
    """
    import torch

    example = torch.zeros(2, *image, dtype=torch.uint8)
    with warnings.catch_warnings():  # the exporter's own, of functions that it calls itself
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(torch|onnxscript|onnx)\.")
        try:
            program = torch.onnx.export(
                network.folded(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: "N"},),
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ValueError(str(error).strip().splitlines()[0]) from error
    assert program is not None
    return program.model_proto


def with_facts(model: Any, facts: Mapping[str, Any]) -> bytes:
    """Return the content of an ONNX file with these facts in its metadata."""
    import onnx

    for node in model.graph.node:  # lines of the program that exported it
        del node.metadata_props[:]
    del model.graph.value_info[:], model.graph.metadata_props[:]
    model.producer_name, model.producer_version = "ziffern", facts["versions"]["ziffern"]
    onnx.helper.set_model_props(model, {f"{KEY}{key}": json.dumps(value) for key, value in facts.items()})
    content: bytes = model.SerializeToString()
    return content


def quantized(model: Any, images: NDArray[np.uint8]) -> Any:
    """Return an ONNX model with weights and activations in int8, calibrated on training images (N, C, H, W)."""
    import onnx
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.uint8]] = iter(np.array_split(images, max(1, len(images) // 100)))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    # Its preprocessing folds batch norm, which is folded already; without this mark the root logger would warn.
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "int8.onnx")
        quantization.quantize_static(
            model,
            str(result),
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(str(result))
