"""Classifiers of torchvision: built by name, for gray and color, with weights of the user's and without a network."""

from pathlib import Path

import pytest
import torch
import torchvision

from ziffern.errors import InputError
from ziffern.models import TorchvisionClassifier


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file as torchvision publishes them: 1,000 classes, of old without counters of batches."""
    torch.manual_seed(1)
    state = torchvision.models.resnet18(weights=None).state_dict()
    torch.save({key: value for key, value in state.items() if "num_batches" not in key}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


@pytest.mark.parametrize("image", [[1, 28, 28], [3, 32, 32]])
def test_resnet18_takes_gray_and_color(image: list[int]) -> None:
    net = TorchvisionClassifier("resnet18", image=image, num_classes=7).eval()
    assert net(torch.rand(2, *image)).shape == (2, 7)
    assert sum(each.numel() for each in net.parameters()) == 11_176_512 + 7 * 513


@pytest.mark.parametrize(
    ("name", "image", "options"),
    [
        ("squeezenet1_1", [3, 32, 32], None),
        ("googlenet", [3, 32, 32], None),
        ("vit_b_32", [3, 32, 32], {"image_size": 32}),
    ],
)
def test_any_classifier_by_its_name(name: str, image: list[int], options: dict[str, object] | None) -> None:
    net = TorchvisionClassifier(name, image=image, num_classes=5, options=options)
    assert net(torch.rand(2, *image)).shape == (2, 5)


def test_weights_are_taken_but_for_the_last_layer(weights: Path) -> None:
    net = TorchvisionClassifier("resnet18", str(weights), num_classes=10).state_dict()
    given = torch.load(weights, weights_only=True)
    assert torch.equal(net["net.conv1.weight"], given["conv1.weight"])
    assert net["net.fc.weight"].shape == (10, 512)
    whole = TorchvisionClassifier("resnet18", str(weights), num_classes=1000).state_dict()
    assert torch.equal(whole["net.fc.weight"], given["fc.weight"])


def test_other_weights_and_damaged_files_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights belong to another classifier"):
        TorchvisionClassifier("resnet34", str(weights))
    (tmp_path / "bad.pth").write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"bad\.pth: not a readable file of weights"):
        TorchvisionClassifier("resnet18", str(tmp_path / "bad.pth"))
    with pytest.raises(InputError, match=r"none\.pth: cannot be read"):
        TorchvisionClassifier("resnet18", str(tmp_path / "none.pth"))


def test_nothing_in_a_file_of_weights_is_unpickled(tmp_path: Path) -> None:
    torch.save({"fc.weight": Path("x")}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match=r"trap\.pth: not a readable file of weights"):
        TorchvisionClassifier("resnet18", str(tmp_path / "trap.pth"))


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"name": "resnet17"}, "name"),
        ({"name": "fcn_resnet50"}, "name"),  # segments, and classifies nothing
        ({"name": "resnet18", "image": [2, 32, 32]}, "channels"),
        ({"name": "resnet18", "options": {"weights": "DEFAULT"}}, "option"),
        ({"name": "resnet18", "options": {"colors": 3}}, "options"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], code: str) -> None:
    with pytest.raises(InputError) as error:
        TorchvisionClassifier(**settings)  # type: ignore[arg-type]
    assert error.value.code == f"models.torchvision.{code}"
