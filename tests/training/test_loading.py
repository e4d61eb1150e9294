"""A model is loaded as Lightning's users do it, and traced and exported."""

import shutil
from pathlib import Path

import pytest
import torch

from ziffern.errors import InputError
from ziffern.models import MLP
from ziffern.runs.run import Run
from ziffern.training.module import ImageClassifier

IMAGES = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SETTINGS = ("++model.loss.weight=[1,1,1,1,1,9,1,1,1,1]", "callbacks=ema")


@pytest.mark.parametrize("name", ["best", "last"])
@pytest.mark.parametrize("kind", [str, Path])
def test_load_from_checkpoint_gives_the_model_of_the_run(trained, name: str, kind: type) -> None:
    run = trained(*SETTINGS)
    model = ImageClassifier.load_from_checkpoint(kind(run.folder / f"checkpoints/{name}.ckpt"), map_location="cpu")
    assert model.training  # as with Lightning, where `fit` keeps the mode
    assert torch.equal(model.eval()(IMAGES), run.load_model(name)(IMAGES))


@pytest.mark.parametrize("location", [{"cuda:0": "cpu"}, lambda storage, _: storage, torch.device("cpu")])
def test_load_from_checkpoint_takes_every_map_location(trained, location: object) -> None:
    path = trained(*SETTINGS).folder / "checkpoints/best.ckpt"
    model = ImageClassifier.load_from_checkpoint(path, map_location=location)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_load_from_checkpoint_in_a_fixture_of_version_0_1_0() -> None:
    folder = Path(__file__).parents[1] / "fixtures/runs_0_1_0/finished_cnn"
    model = ImageClassifier.load_from_checkpoint(folder / "checkpoints/best.ckpt").eval()
    assert torch.equal(model(IMAGES), Run(folder).load_model()(IMAGES))


def test_a_checkpoint_alone_needs_the_arguments_of_its_model(trained, tmp_path: Path) -> None:
    run = trained()
    alone = shutil.copy(run.folder / "checkpoints/best.ckpt", tmp_path / "alone.ckpt")
    with pytest.raises(InputError) as caught:
        ImageClassifier.load_from_checkpoint(alone)
    assert caught.value.code == "training.weights.no_run"
    net = MLP([16])
    model = ImageClassifier.load_from_checkpoint(alone, net=net, optimizer=torch.optim.Adam, weights_only=True).eval()
    assert torch.equal(model(IMAGES), run.load_model()(IMAGES))


def test_a_link_in_a_run_folder_is_not_followed(trained, tmp_path: Path) -> None:
    path = trained().folder / "checkpoints/best.ckpt"
    path.symlink_to(path.rename(tmp_path / "elsewhere.ckpt"))
    with pytest.raises(InputError, match="links in a run folder are never followed"):
        ImageClassifier.load_from_checkpoint(path)


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("model", ["nn", "cnn", "fast", "m3"])
@pytest.mark.parametrize("images", [IMAGES, IMAGES.float(), IMAGES.float() / 255], ids=["uint8", "levels", "shares"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This property will be removed:DeprecationWarning")  # torchmetrics, of itself
def test_a_model_is_traced_and_exported(trained, model: str, images: torch.Tensor) -> None:
    net = trained(f"model={model}", "trainer.max_epochs=0").load_model()
    expected = net(images[:3])
    traced = torch.jit.trace(net, images)
    torch.testing.assert_close(traced(images[:3]), expected)
    exported = torch.export.export(net, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    torch.testing.assert_close(exported(images[:3]), expected)


@pytest.mark.mostly_slow(fast=1)
@pytest.mark.parametrize("model", ["nn", "cnn", "fast", "m3"])
@pytest.mark.parametrize("lightning", [True, False])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter itself
def test_a_model_is_exported_to_onnx(trained, tmp_path: Path, model: str, lightning: bool) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    net, path = trained(f"model={model}", "trainer.max_epochs=0").load_model(), tmp_path / "model.onnx"
    settings = {"dynamo": True, "dynamic_shapes": ({0: "images"},)}
    if lightning:
        net.to_onnx(path, IMAGES, **settings)
    else:
        torch.onnx.export(net, (IMAGES,), path, **settings)
    session = runtime.InferenceSession(path)
    for images in (IMAGES, IMAGES[:3]):
        (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), net(images).detach(), rtol=1e-3, atol=1e-4)
