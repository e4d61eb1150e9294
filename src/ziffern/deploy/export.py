"""Export a run's model to a file of another format, which is compared with the original before it gets its name.

Decisions: the file is loaded by the program that will use it, and compared on the whole test part; an export that
answers differently leaves no file; the comparison is written beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ziffern.deploy.extra import require
from ziffern.deploy.network import Network, config_of, facts_of
from ziffern.deploy.parity import Parity
from ziffern.errors import InputError
from ziffern.experiment.evaluation import NO_EFFECT
from ziffern.experiment.run_data import tested_data
from ziffern.files.atomic import write_atomically, write_json
from ziffern.runs.predictor import TorchClassifier
from ziffern.runs.run import Run

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule

FORMATS = {"onnx": ".onnx", "int8": ".int8.onnx", "html": ".html", "safetensors": ".safetensors"}
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Export:
    """The content of an exported file, how it answers, and what computes it."""

    content: bytes
    probabilities: Callable[[Images], NDArray[np.float32]]
    runtime: str
    precision: str = "float32"


def export(
    run: Run,
    format: str,
    output: Path | None = None,
    data: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Path, Parity]:
    """Write a run's model as a file of `format`, one of FORMATS, and return its path and its parity.

    Args:
        run: A run with a checkpoint.
        format: onnx, int8, html or safetensors.
        output: The new file, replaced if it exists; NAME.onnx and so on in the working directory if None.
        data: Data to compare on, as for `ziffern evaluate`; None is the test part of the run's own.
        settings: Settings of the data, such as data.dir.

    Raises:
        InputError: A missing package, unusable data, a network that the format cannot express, or failed parity.
    """
    require("export", *([] if format == "safetensors" else ["onnx", "onnxscript", "onnxruntime"]), "safetensors")
    network = Network.of(run)
    image = network.normalize.image
    facts = facts_of(run, image)
    tested, part = part_of(run, image, data, None, settings or {})
    index = tested.parts.test
    images, target = tested.dataset.images[index], tested.dataset.labels[index]
    if not len(target):
        raise InputError("deploy.export.no_test", data=tested.dataset.name)
    own_folder = {key: value for key, value in (settings or {}).items() if key == "data.dir" and data is None}
    made = _made(run, format, network, facts, own_folder)
    original = TorchClassifier(run.load_model(), network.temperature)
    own, other = original.probabilities(images), made.probabilities(images)
    parity = Parity.of(own, other, target, made.precision != "float32")
    record = parity.record(
        **{"format": format, "run": facts["run"], "data": tested.dataset.name, "part": part},
        **{"fingerprint": tested.dataset.fingerprint, "runtime": made.runtime, "precision": made.precision},
        **{"bytes": len(made.content), "created": datetime.now(UTC).isoformat(timespec="seconds")},
    )
    if not parity.passed:
        values = {"images": parity.images, "changed": parity.changed, "rule": record["rule"]}
        lost = parity.only_model - parity.only_export
        raise InputError(
            "deploy.export.parity", format=format, lost=lost, difference=f"{parity.max_difference:.2g}", **values
        )
    path = output or Path(f"{facts['run']}{FORMATS[format]}")
    write_atomically(path, lambda file: file.write(made.content))
    write_json(path.with_name(f"{path.name}.parity.json"), record)
    return path, parity


def part_of(
    run: Run, image: tuple[int, int, int], data: str | None, part: str | None, settings: Mapping[str, Any]
) -> tuple["ImageDataModule", str]:
    """Return data whose test part is the named part (None: the test part) of the run's data or of other data.

    Raises:
        InputError: A setting that is none of the data, or see `tested_data`.
    """
    for key in settings:
        if key in NO_EFFECT or not key.startswith("data."):
            raise InputError("experiment.evaluation.setting", key=key)
    material = run.material
    if material is None:
        raise InputError("records.file.missing", path=run.folder / "data.npz")
    return tested_data(run, material, data, part, settings, image)


def _made(run: Run, format: str, network: Network, facts: dict[str, Any], settings: Mapping[str, Any]) -> Export:
    if format == "safetensors":
        return _safetensors(network, {"network": config_of(run), **facts})
    from ziffern.deploy.onnx_file import CALIBRATION, OnnxClassifier, onnx_model, quantized, with_facts

    try:
        model = onnx_model(network, network.normalize.image)
    except ValueError as error:
        raise InputError("deploy.export.failed", format=format, reason=error) from error
    if format == "html":
        from ziffern.deploy.page import html_page, net_of
        from ziffern.deploy.page_net import interpreted

        page, precision = html_page(model, facts)
        return Export(page.encode(), lambda images: interpreted(net_of(page), images), "numpy", precision)
    precision = "float32"
    if format == "int8":
        training, _ = part_of(run, network.normalize.image, None, "train", settings)
        index = training.parts.test
        chosen = np.random.default_rng(0).permutation(len(index))[:CALIBRATION]
        model, precision = quantized(model, training.dataset.images[index[chosen]]), "int8"
    content = with_facts(model, facts)
    runtime = OnnxClassifier(content)
    return Export(content, runtime.probabilities, f"onnxruntime {version('onnxruntime')}", precision)


def _safetensors(network: Network, config: dict[str, Any]) -> Export:
    from ziffern.deploy.weights import parse_weights, weights_file

    content = weights_file(network, config)
    loaded, _ = parse_weights(content, Path(FORMATS["safetensors"]))
    return Export(content, loaded.probabilities, f"safetensors {version('safetensors')}")
