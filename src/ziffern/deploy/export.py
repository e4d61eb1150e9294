"""Export a run's model to a file of another format, which is compared with the original before it gets its name.

Decisions: the file is loaded by the program that will use it, and compared on the whole test part; an export that
answers differently leaves no file; the comparison is written beside it. The packaged model is compared on the embedded
digits where its data is missing, so that a machine that has never trained can export it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ziffern.data.spec import Shape
from ziffern.deploy.extra import require
from ziffern.deploy.network import Network, config_of, facts_of
from ziffern.deploy.parity import Parity
from ziffern.errors import InputError
from ziffern.experiment.evaluation import NO_EFFECT
from ziffern.experiment.run_data import EMBEDDED, tested_data
from ziffern.files.atomic import write_atomically, write_json
from ziffern.runs.builtin import FOLDER
from ziffern.runs.predictor import Classifier, TorchClassifier
from ziffern.runs.run import Run

if TYPE_CHECKING:
    from ziffern.data.datamodule import ImageDataModule

FORMATS = {"onnx": ".onnx", "int8": ".int8.onnx", "html": ".html", "safetensors": ".safetensors"}


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
    image, settings = network.normalize.image, settings or {}
    facts = facts_of(run, image)
    tested, part = data_for(run, image, data, None, settings)
    index = tested.parts.test
    images, target = tested.dataset.images[index], tested.dataset.labels[index]
    if not len(target):
        raise InputError("deploy.export.no_test", data=tested.dataset.name)
    if format == "safetensors":
        content, runtime, classifier, precision = _safetensors(network, {"network": config_of(run), **facts})
    else:
        is_own = tested.dataset.fingerprint == run.description.get("data/fingerprint")
        training = (run, data, settings) if is_own or data is None else (run, None, {})
        content, runtime, classifier, precision = _onnx(network, format, facts, training)
    original = TorchClassifier(run.load_model(), network.temperature).probabilities(images)
    parity = Parity.of(original, classifier.probabilities(images), target, precision != "float32", tested.dataset.name)
    if not parity.passed:
        values = {"images": parity.images, "changed": parity.changed, "rule": parity.rule}
        values |= {"lost": parity.only_model - parity.only_export, "difference": f"{parity.max_difference:.2g}"}
        raise InputError("deploy.export.parity", format=format, **values)
    path = output or Path(f"{facts['run']}{FORMATS[format]}")
    write_atomically(path, lambda file: file.write(content))
    record = parity.record(
        **{"format": format, "run": facts["run"], "part": part, "fingerprint": tested.dataset.fingerprint},
        **{"runtime": runtime, "precision": precision, "bytes": len(content)},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_json(path.with_name(f"{path.name}.parity.json"), record)
    return path, parity


def data_for(
    run: Run, image: Shape, data: str | None, part: str | None, settings: Mapping[str, Any]
) -> tuple["ImageDataModule", str]:
    """Return data whose test part is the named part (None: the test part) of the run's data or of other data.

    Raises:
        InputError: A setting that is none of the data, or see `tested_data`.
    """
    for key in settings:
        if key in NO_EFFECT or not key.startswith("data."):
            raise InputError("deploy.export.setting", key=key)
    material = run.material
    if material is None:
        raise InputError("records.file.missing", path=run.folder / "data.npz")
    try:
        return tested_data(run, material, data, part, settings, image)
    except InputError as error:
        is_missing = error.code == "data.torchvision.not_downloaded" and data is None and "data.dir" not in settings
        if not is_missing or run.folder.resolve() != FOLDER.resolve():
            raise
        return tested_data(run, material, EMBEDDED, None, settings, image)


def _onnx(
    network: Network, format: str, facts: Mapping[str, Any], training: tuple[Run, str | None, Mapping[str, Any]]
) -> tuple[bytes, str, Classifier, str]:
    from ziffern.deploy.onnx_file import CALIBRATION, OnnxClassifier, onnx_model, quantized, with_facts

    runtime = f"onnxruntime {version('onnxruntime')}"
    try:
        model = onnx_model(network, network.normalize.image)
    except ValueError as error:
        raise InputError("deploy.export.failed", format=format, reason=error) from error
    if format == "html":
        from ziffern.deploy.page import html_page, net_of
        from ziffern.deploy.page_net import onnx_of

        page, precision = html_page(model, facts)
        return page.encode(), runtime, OnnxClassifier(onnx_of(net_of(page))), precision
    if format == "int8":
        run, data, settings = training
        images, _ = data_for(run, network.normalize.image, data, "train", settings)
        chosen = np.random.default_rng(0).permutation(images.parts.test)[:CALIBRATION]
        model = quantized(model, images.dataset.images[chosen])
    content = with_facts(model, facts)
    return content, runtime, OnnxClassifier(content), "int8" if format == "int8" else "float32"


def _safetensors(network: Network, config: Mapping[str, Any]) -> tuple[bytes, str, Classifier, str]:
    from ziffern.deploy.weights import parse_weights, weights_file

    content = weights_file(network, config)
    loaded, _ = parse_weights(content, Path(FORMATS["safetensors"]))
    return content, f"safetensors {version('safetensors')}", loaded, "float32"
