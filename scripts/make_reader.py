"""Make the files of the reader's model from a recorded run: `python scripts/make_reader.py RUN --data DIR`.

The packaged run was `python train.py experiment=reader data.dir=DIR seed=0 threads=2`. The script writes the network of
the last epoch as ONNX in half precision and, beside it, temperature, threshold and calibration cells: validation digits
of MNIST, which have chosen nothing, on rendered paper, cut out and read. It fails if the network has more than 150 kB,
or if OpenCV and torch differ.
"""

import argparse
import copy
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from ziffern.analysis.temperature import fit_temperature
from ziffern.config.instantiate import build
from ziffern.data.cutout import digit_image, ink_of
from ziffern.data.datamodule import ImageDataModule
from ziffern.data.paper import paper_cells
from ziffern.deploy.network import Network
from ziffern.experiment.run_data import data_of_run
from ziffern.files.atomic import write_atomically
from ziffern.models import Views
from ziffern.reading.model import DIGITS, LEAST, NETWORK, NUMBERS, QUANTILES, VIEWS, OpenCVNetwork, figures
from ziffern.runs.run import Run

MAX_BYTES = 150_000  # of the network
TOP = 3  # probabilities kept of each cell
MAX_DIFFERENCE = 1e-2  # between OpenCV with half precision and torch
FITTED = 2000  # cells that fit the temperature and the threshold; the others calibrate
FLAGGED = 0.007  # of the digits on paper are taken for none


def write_network(run: Run) -> None:
    """Write the network, without views and temperature, as ONNX."""
    network = Network.of(run, "last").folded()
    net = network.net.net if isinstance(network.net, Views) else network.net

    class Logits(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> Any:
            return net((images - network.normalize.mean) / network.normalize.std)

    NETWORK.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Logits().eval(),
            (torch.zeros(2, 1, 28, 28),),
            dynamo=True,
            opset_version=18,
            dynamic_shapes=({0: torch.export.Dim("N", min=1, max=1 << 16)},),
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:  # names of source lines are half of the file
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, tensor.name))
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    write_atomically(NETWORK, lambda file: file.write(model.SerializeToString()))


def unseen(run: Run, folder: str) -> tuple[Any, Any, Any]:
    """Return the digits of MNIST that the run was validated on, (N, 28, 28), their labels, and images of no digits."""
    settings = data_of_run(run, folder)
    data, plain = (build(each, "data", ImageDataModule) for each in (settings, plain_of(settings)))
    data.setup()
    plain.setup()
    digits, val = data.source.paper.validation(plain.dataset.train_size), data.parts.val
    others = val[data.dataset.labels[val] == DIGITS]
    return plain.dataset.images[digits, 0], plain.dataset.labels[digits], data.dataset.images[others]


def plain_of(settings: Any) -> Any:
    """Return the settings of the data set without what was made for paper."""
    plain = copy.deepcopy(settings)
    plain["source"]["paper"], plain["num_classes"] = None, DIGITS
    return plain


def main() -> None:
    """Write both files, and check their size and their answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--data", default="data", help="the folder of data sets")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    write_network(run)
    digits, labels, others = unseen(run, arguments.data)
    cells = np.stack([digit_image(ink_of(cell, is_dark=True)) for cell in paper_cells(digits, seed=1)])
    read = np.flatnonzero(cells.any((1, 2)))
    cells, labels = cells[read][:, None], labels[read]
    print(f"{len(digits) - len(read)} of {len(digits)} cells are taken for empty")
    plain, _ = OpenCVNetwork(NETWORK.read_bytes(), 1.0).answer(cells)
    temperature = fit_temperature(np.log(np.maximum(plain, LEAST))[:FITTED], labels[:FITTED])
    network = OpenCVNetwork(NETWORK.read_bytes(), temperature)
    probabilities, scores = network.answer(cells)
    threshold = float(np.quantile(scores[:FITTED], FLAGGED))
    save(temperature, threshold, *(each[FITTED:] for each in (cells[:, 0], probabilities, scores, labels)))
    wrong = 1 - float((probabilities.argmax(1) == labels).mean())
    passed = float((network.answer(others)[1] >= threshold).mean())
    model = Network.of(run, "last")
    model.temperature = 1.0
    both = model.probabilities(cells[:1000]), network.mean(cells[:1000], VIEWS)
    difference = float(np.abs(both[0] - both[1]).max())
    size = NETWORK.stat().st_size
    print(
        f"{size:,} bytes of weights; temperature {temperature:.3f}; {wrong:.2%} of {len(cells):,} cells read wrong; "
        f"{passed:.1%} of {len(others):,} images of no digit pass {threshold:.3f}; "
        f"OpenCV and torch differ by at most {difference:.6f}"
    )
    if size > MAX_BYTES or difference > MAX_DIFFERENCE:
        sys.exit(1)


def save(temperature: float, threshold: float, cells: Any, probabilities: Any, scores: Any, labels: Any) -> None:
    """Write the numbers beside the network."""
    order = np.argsort(-probabilities, 1)
    ordered = np.take_along_axis(probabilities, order, 1).astype(np.float64)
    small = np.concatenate([ordered[:, 1:TOP], ordered[:, TOP:].sum(1, keepdims=True)], 1)
    arrays = {
        "temperature": np.float64(temperature),
        "threshold": np.float64(threshold),
        "labels": labels.astype(np.uint8),
        "top": order[:, :TOP].astype(np.uint8),
        "small": _short(small),  # the first is 1 less these, which half precision could not tell from 1
        "is_digit": scores >= threshold,
        "quantiles": np.quantile(figures(cells, probabilities, scores), QUANTILES, axis=0).T.astype(np.float32),
    }

    write_atomically(NUMBERS, lambda file: np.savez_compressed(file, **arrays))


def _short(values: Any) -> Any:
    """Return half precision of which only five bits are used, so that it compresses."""
    return (values.astype(np.float16).view(np.uint16) + 16 & 0xFFE0).view(np.float16)


if __name__ == "__main__":
    main()
