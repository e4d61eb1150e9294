"""Make the files of the reader's model from a recorded run: `python scripts/make_reader.py RUN --data DIR`.

The packaged run was `python train.py experiment=reader data.dir=DIR seed=0 threads=2`. The script writes the network as
ONNX and, beside it, temperature, not-a-digit score and calibration cells: validation digits of MNIST on rendered paper,
cut out and read. It fails if both files have more than 150 kB, or if OpenCV answers otherwise than torch.
"""

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paper_cells import paper_cells
from ziffern.analysis.not_digit import NotDigit, fit
from ziffern.analysis.temperature import fit_temperature
from ziffern.config.instantiate import build
from ziffern.data.cutout import digit_image, ink_of
from ziffern.data.datamodule import ImageDataModule
from ziffern.data.negatives import make_negatives
from ziffern.deploy.network import Network
from ziffern.experiment.run_data import data_of_run
from ziffern.files.atomic import write_atomically
from ziffern.models import Views
from ziffern.reading.model import NETWORK, NUMBERS, QUANTILES, OpenCVNetwork, figures
from ziffern.runs.run import Run

MAX_BYTES = 150_000  # of both files
MNIST_TRAIN = 60_000  # printed digits follow
CELLS = 10_000
KEPT = 7_400  # of the cells that calibrate, so that the files stay small
TOP = 3  # probabilities kept of each cell
MAX_DIFFERENCE = 1e-3  # between OpenCV and torch
FITTED = 2000  # cells that fit the temperature and the score; the others calibrate
NEGATIVES = 4000


def write_network(run: Run) -> None:
    """Write the network, without views and temperature, as ONNX."""
    network = Network.of(run).folded()
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
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    write_atomically(NETWORK, lambda file: file.write(model.SerializeToString()))


def unseen_digits(run: Run, folder: str) -> tuple[Any, Any]:
    """Return the digits of MNIST that the run was validated on, (N, 28, 28), and their labels."""
    data = build(data_of_run(run, folder), "data", ImageDataModule)
    data.setup()
    places = data.parts.val[data.parts.val < MNIST_TRAIN][:CELLS]
    return data.dataset.images[places, 0], data.dataset.labels[places]


def main() -> None:
    """Write both files, and check their size and their answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("--data", default="data", help="the folder of data sets")
    arguments = parser.parse_args()
    run = Run(arguments.run)
    write_network(run)
    digits, labels = unseen_digits(run, arguments.data)
    cells = np.stack([digit_image(ink_of(cell, is_dark=True)) for cell in paper_cells(digits, seed=0)])
    read = np.flatnonzero(cells.any((1, 2)))
    cells, labels = cells[read], labels[read]
    print(f"{len(digits) - len(read)} of {len(digits)} cells are taken for empty")
    plain = OpenCVNetwork(NETWORK.read_bytes(), 1.0).probabilities(cells[:, None])
    logits = np.log(np.maximum(plain, 1e-12))
    temperature = fit_temperature(logits[:FITTED], labels[:FITTED])
    network = OpenCVNetwork(NETWORK.read_bytes(), temperature)
    probabilities = network.probabilities(cells[:, None])
    negatives = make_negatives(digits[:FITTED, None], NEGATIVES, seed=0)
    both = np.concatenate([cells[:FITTED], digits[read[:FITTED]]])[:, None]  # clean digits are digits, too
    twice = np.tile(labels[:FITTED], 2)
    score = fit((network.probabilities(both), both), (network.probabilities(negatives), negatives), twice, 10)
    save(score, temperature, cells[FITTED:], probabilities[FITTED:], labels[FITTED:])
    wrong = 1 - float((probabilities.argmax(1) == labels).mean())
    model = Network.of(run)
    model.temperature = temperature
    difference = float(np.abs(model.probabilities(cells[:1000, None]) - probabilities[:1000]).max())
    size = sum(path.stat().st_size for path in (NETWORK, NUMBERS))
    print(
        f"{size:,} bytes; temperature {temperature:.3f}; {wrong:.2%} of {len(cells):,} cells read wrong; OpenCV and "
        f"torch differ by at most {difference:.6f}"
    )
    if size > MAX_BYTES or difference > MAX_DIFFERENCE:
        sys.exit(1)


def save(score: NotDigit, temperature: float, cells: Any, probabilities: Any, labels: Any) -> None:
    """Write the numbers beside the network."""
    scores = score.scores(probabilities, cells[:, None])
    order = np.argsort(-probabilities, 1)
    ordered = np.take_along_axis(probabilities, order, 1).astype(np.float64)
    small = np.concatenate([ordered[:, 1:TOP], ordered[:, TOP:].sum(1, keepdims=True)], 1)
    arrays = {
        "temperature": np.float64(temperature),
        "means": score.means,
        "basis": score.basis,
        "weights": score.weights,
        "threshold": np.float64(score.threshold),
        "labels": labels[:KEPT].astype(np.uint8),
        "top": order[:KEPT, :TOP].astype(np.uint8),
        "small": _short(small[:KEPT]),  # the first is 1 less these, which half precision could not tell from 1
        "scores": np.rint(scores[:KEPT] * 255).astype(np.uint8),
        "quantiles": np.quantile(figures(cells, probabilities, scores), QUANTILES, axis=0).T.astype(np.float32),
    }

    write_atomically(NUMBERS, lambda file: np.savez_compressed(file, **arrays))


def _short(values: Any) -> Any:
    """Return half precision of which only five bits are used, so that it compresses."""
    return (values.astype(np.float16).view(np.uint16) + 16 & 0xFFE0).view(np.float16)


if __name__ == "__main__":
    main()
