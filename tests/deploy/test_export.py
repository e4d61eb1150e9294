"""Exports answer like the model, in the programs that will use them, and carry what a user needs."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ziffern.cli.main import main
from ziffern.deploy import export as exporting
from ziffern.deploy import extra
from ziffern.deploy.export import FORMATS, export
from ziffern.deploy.network import Network
from ziffern.deploy.page import MAX_BYTES, html_page, net_of
from ziffern.deploy.page_net import onnx_of, packed_net
from ziffern.deploy.parity import Parity
from ziffern.deploy.weights import load_weights
from ziffern.errors import InputError
from ziffern.records.inference import Inference
from ziffern.runs.builtin import FOLDER
from ziffern.runs.run import Run

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), np.uint8)


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> Inference:
    """Every run has these settings for new images."""
    inference = Inference(temperature=1.7, prepare="digit", dark_ground=True)
    monkeypatch.setattr(Run, "load_inference", lambda run, checkpoint="best": inference)
    return inference


def calibrated_softmax(run: Run, temperature: float) -> np.ndarray:
    with torch.inference_mode():
        return (run.load_model()(torch.from_numpy(IMAGES)) / temperature).softmax(1).numpy()


@pytest.mark.parametrize(
    "model", ["nn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cnn", "fast", "champion"))]
)
def test_an_onnx_file_contains_everything(trained, tmp_path: Path, calibrated: Inference, model: str) -> None:
    from ziffern.deploy.onnx_file import OPSET, OnnxClassifier

    run, path = trained(f"model={model}", "trainer.max_epochs=0"), tmp_path / "model.onnx"
    export(run, "onnx", path)
    own = OnnxClassifier(path)
    expected = calibrated_softmax(run, 1.7)
    for count in (1, 5):
        np.testing.assert_allclose(own.probabilities(IMAGES[:count]), expected[:count], atol=1e-5)
    facts = own.facts()
    assert facts["class_names"] == list(run.class_names)
    assert (facts["image"], facts["prepare"], facts["dark_ground"]) == ([1, 28, 28], "digit", True)
    assert (facts["temperature"], facts["run"]) == (1.7, run.folder.name)
    assert facts["data"]["fingerprint"] == run.metrics["data/fingerprint"]
    import onnx

    model_proto = onnx.load(path, load_external_data=False)
    assert model_proto.opset_import[0].version == OPSET
    assert sorted(item.name for item in tmp_path.iterdir()) == ["model.onnx", "model.onnx.parity.json", "run"]
    assert "site-packages" not in path.read_bytes().decode("latin-1")  # no lines of this machine's programs


def test_the_parity_is_recorded(trained, tmp_path: Path) -> None:
    path, parity = export(trained(), "onnx", tmp_path / "model.onnx")
    record = json.loads((tmp_path / "model.onnx.parity.json").read_text())
    assert record["passed"] is True
    assert record["images"] == parity.images == 80  # a fifth of 400
    assert record["changed"] == 0
    assert record["max_difference"] < 1e-5
    assert record["bytes"] == path.stat().st_size
    assert record["runtime"].startswith("onnxruntime ")


@pytest.mark.slow
def test_an_ensemble_and_color_are_exported(trained, tmp_path: Path) -> None:
    from ziffern.deploy.onnx_file import OnnxClassifier, onnx_model, with_facts
    from ziffern.models import CNN, MLP, Ensemble
    from ziffern.models.normalization import Normalize

    image = (3, 20, 24)
    members = [MLP([8], image=image), CNN(image=image)]
    network = Network(
        Ensemble(members, [Normalize("unit", image=image)] * 2), Normalize("unit", image=image), 0.7
    ).eval()
    images = np.random.default_rng(1).integers(0, 256, (4, *image), np.uint8)
    model, expected = onnx_model(network, image), network.probabilities(images)
    page = OnnxClassifier(onnx_of(packed_net(model, "float32")))
    np.testing.assert_allclose(page.probabilities(images), expected, atol=1e-5)
    content = with_facts(model, {"versions": {"ziffern": "1"}})
    np.testing.assert_allclose(OnnxClassifier(content).probabilities(images), expected, atol=1e-5)


@pytest.mark.slow
def test_int8_is_calibrated_on_training_images(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ziffern.deploy import onnx_file

    seen, quantized = [], onnx_file.quantized
    monkeypatch.setattr(
        onnx_file, "quantized", lambda model, images: (seen.append(images), quantized(model, images))[1]
    )
    run = trained("model=cnn", "trainer.max_epochs=2")
    path, parity = export(run, "int8", tmp_path / "model.onnx")
    assert parity.is_rounded
    content = path.read_bytes()
    assert b"QuantizeLinear" in content
    train, _ = exporting.data_for(run, (1, 28, 28), None, "train", {})
    known = {image.tobytes() for image in train.dataset.images[train.parts.test]}
    assert len(seen[0]) == len(known)
    assert all(image.tobytes() in known for image in seen[0])
    assert path.stat().st_size < 60_000


def test_safetensors_are_loaded_again(trained, tmp_path: Path, calibrated: Inference) -> None:
    run, path = trained(), tmp_path / "model.safetensors"
    _, parity = export(run, "safetensors", path)
    assert parity.max_difference < 1e-6
    network, config = load_weights(path)
    np.testing.assert_allclose(network.probabilities(IMAGES), calibrated_softmax(run, 1.7), atol=1e-6)
    assert config["class_names"] == list(run.class_names)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"net": {"_target_": "os.system", "command": "true"}}, "config.target.standard_library"),
        ({"net": {"_target_": "ziffern.models.MLP", "hidden": [10**9]}}, "training.weights.other_config"),
        ({"net": {"_target_": "ziffern.models.MLP", "hidden": "${oc.env:HOME}"}}, "config.value.interpolation"),
        ({"net": {}}, "config.target.other_package"),
    ],
)
def test_a_configuration_from_elsewhere_is_not_trusted(trained, tmp_path: Path, change: dict, code: str) -> None:
    path = tmp_path / "model.safetensors"
    export(trained(), "safetensors", path)
    _, config = load_weights(path)
    with pytest.raises(InputError) as caught:
        load_weights(path, {**config, "network": {**config["network"], **change}})
    assert caught.value.code == code


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_weights(path)
    assert caught.value.code == "deploy.weights.damaged"


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("model", ["cnn", "nn", "champion", "fast"])
def test_a_page_is_self_contained(trained, tmp_path: Path, calibrated: Inference, model: str) -> None:
    from ziffern.deploy.onnx_file import OnnxClassifier

    run, path = trained(f"model={model}", "trainer.max_epochs=1"), tmp_path / "page.html"
    _, parity = export(run, "html", path)
    page = path.read_text(encoding="utf-8")
    assert len(page.encode()) < MAX_BYTES
    assert parity.is_rounded == (model == "nn")
    assert not re.search(r"(?:src|href)=|https?://|innerHTML|eval\(", page)
    assert "default-src 'none'" in page
    if model != "nn":
        probabilities = OnnxClassifier(onnx_of(net_of(page))).probabilities(IMAGES)
        np.testing.assert_allclose(probabilities, calibrated_softmax(run, 1.7), atol=1e-5)


def test_a_page_that_would_be_too_large_is_refused(trained, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        export(trained("model=dnn", "trainer.max_epochs=0"), "html", tmp_path / "page.html")
    assert caught.value.code == "deploy.page.too_large"
    assert "567," in str(caught.value)
    assert not (tmp_path / "page.html").exists()


def test_a_layer_that_the_page_cannot_compute_is_named(trained) -> None:
    from ziffern.deploy.onnx_file import onnx_model
    from ziffern.models.normalization import Normalize

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.Softplus())
    model = onnx_model(Network(net, Normalize("unit")), (1, 28, 28))
    with pytest.raises(InputError) as caught:
        html_page(model, {"image": [1, 28, 28]})
    assert caught.value.code == "deploy.page.layer"
    assert caught.value.message.values == {"operation": "Softplus", "layer": "net.2"}


def test_names_of_classes_are_data() -> None:
    from ziffern.deploy.page import _filled

    name = '</script><script>alert("1")</script>'
    page = _filled({}, {"class_names": [name]})
    assert name not in page
    assert json.loads(re.search(r'<script id="model" type="application/json">(.*?)</script>', page)[1])[
        "class_names"
    ] == [name]


def test_failed_parity_leaves_no_file(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "probabilities", lambda network, images: np.full((len(images), 10), 0.1, np.float32))
    with pytest.raises(InputError) as caught:
        export(trained(), "safetensors", tmp_path / "model.safetensors")
    assert caught.value.code == "deploy.export.parity"
    assert [item.name for item in tmp_path.iterdir()] == ["run"]
    assert "no file was written" in str(caught.value)
    german = caught.value.message.in_language("de")
    assert "keine Datei" in german
    assert "erlaubt: keine Wahrscheinlichkeit weicht um mehr als" in german


def answers(count: int, wrong: int, difference: float = 0.0) -> np.ndarray:
    """Return probabilities whose first `wrong` answers are 1 instead of 0."""
    probabilities = np.tile(np.float32([0.6 + difference, 0.4 - difference]), (count, 1))
    probabilities[:wrong] = [0.4, 0.6]
    return probabilities


@pytest.mark.parametrize(
    ("export_answers", "is_rounded", "passed"),
    [
        (answers(10_000, 0, 9e-5), False, True),
        (answers(10_000, 0, 2e-4), False, False),
        (answers(10_000, 0) * np.float32(np.nan), False, False),
        (answers(10_000, 5), True, True),  # 0.05 points
        (answers(10_000, 6), True, False),
        (answers(100, 1), True, True),  # one image of a small test part
        (answers(100, 6), True, False),  # p = 0.03
        (answers(100, 0) * np.float32(np.nan), True, False),
    ],
)
def test_the_rule_of_parity(export_answers: np.ndarray, is_rounded: bool, passed: bool) -> None:
    count = len(export_answers)
    parity = Parity.of(answers(count, 0), export_answers, np.zeros(count, np.int64), is_rounded)
    assert parity.passed is passed
    assert json.loads(json.dumps(parity.record(), allow_nan=False))["passed"] is passed


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, trained, tmp_path: Path) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    run = trained()
    for format in FORMATS:
        with pytest.raises(InputError, match=r"pip install 'ziffern\[export\]'"):
            export(run, format, tmp_path / "file")


def test_settings_are_those_of_the_data(trained, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        export(trained(), "safetensors", tmp_path / "file", settings={"trainer.precision": 16})
    assert caught.value.code == "deploy.export.setting"


def test_the_packaged_model_is_exported_without_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    _, parity = export(Run(FOLDER), "safetensors")
    assert (parity.data, parity.images) == ("mnist5k", 5000)
    names = {"builtin.safetensors", "builtin.safetensors.parity.json"}
    assert {item.name for item in tmp_path.iterdir()} == names
    monkeypatch.setattr(sys, "argv", ["ziffern", "export", "builtin", "--format", "safetensors"])
    main()
    assert "that come with ziffern" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")} == before


def test_what_the_page_ignores_is_noticed() -> None:
    from ziffern.deploy.onnx_file import OnnxClassifier, onnx_model
    from ziffern.models.normalization import Normalize

    net = torch.nn.Sequential(torch.nn.ConstantPad2d(1, 3.0), torch.nn.Flatten(), torch.nn.Linear(900, 10))
    network = Network(net, Normalize("unit")).eval()
    page = OnnxClassifier(onnx_of(packed_net(onnx_model(network, (1, 28, 28)), "float32")))
    parity = Parity.of(network.probabilities(IMAGES), page.probabilities(IMAGES), np.zeros(5, np.int64))
    assert not parity.passed
