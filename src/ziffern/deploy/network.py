"""A trained model as one function from raw images to calibrated probabilities: what every export contains.

Decisions: normalization, views, ensemble members and temperature are inside, since an export whose user repeats the
preprocessing rarely answers like the original; the facts that a user of the file needs are plain values, so that each
format can carry them; a network that comes from a file is built through the allow list of configurations.
"""

import copy
import itertools
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import fusion

from ziffern import __version__
from ziffern.config.instantiate import build
from ziffern.models.normalization import Normalize
from ziffern.training.loading import without_weights_file

if TYPE_CHECKING:
    from ziffern.runs.run import Run

BATCH = 500  # images at once
FOLDED: dict[tuple[type, type], Callable[..., nn.Module]] = {
    (nn.Conv2d, nn.BatchNorm2d): fusion.fuse_conv_bn_eval,
    (nn.Linear, nn.BatchNorm1d): fusion.fuse_linear_bn_eval,
}


class Network(nn.Module):
    """Maps uint8 images (N, C, H, W) to probabilities (N, K): softmax of the logits divided by the temperature.

    Args:
        net: Maps float images to logits (N, K).
        normalize: The first step, with its statistics.
        temperature: Positive.
    """

    def __init__(self, net: nn.Module, normalize: Normalize, temperature: float = 1.0) -> None:
        super().__init__()
        self.net, self.normalize, self.temperature = net, normalize, float(temperature)

    @classmethod
    def of(cls, run: "Run", checkpoint: str = "best") -> Self:
        """Return the network of a run's `best` or `last` checkpoint.

        Raises:
            InputError: See `Run.load_model`.
        """
        model = run.load_model(checkpoint)
        return cls(model.net, model.normalize, run.load_inference(checkpoint).temperature).eval()

    @classmethod
    def of_config(cls, network: Mapping[str, Any], temperature: float = 1.0) -> Self:
        """Return an untrained network of a configuration that has `net` and `normalize`, which is not trusted.

        Raises:
            InputError: A target or a value is not allowed.
        """
        net = build(dict(network.get("net") or {}), "model.net", nn.Module)
        return cls(net, build(dict(network.get("normalize") or {}), "model.normalize", Normalize), temperature).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities (N, K) of images (N, C, H, W)."""
        logits: Tensor = self.net(self.normalize(images))
        return (logits.float() / self.temperature).softmax(1)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities (N, K) of images (N, C, H, W), some at a time."""
        with torch.inference_mode():
            parts = [self(torch.from_numpy(images[at : at + BATCH])).numpy() for at in range(0, len(images), BATCH)]
        return np.concatenate(parts)

    def folded(self) -> "Network":
        """Return a copy that computes the same with fewer operations: batch norm is part of the layer before it."""
        own = copy.deepcopy(self).to(memory_format=torch.contiguous_format).eval()
        for layers in [module for module in own.modules() if isinstance(module, nn.Sequential)]:
            for place, (first, second) in enumerate(itertools.pairwise(layers)):
                fuse = FOLDED.get((type(first), type(second)))
                if fuse and getattr(second, "running_mean", None) is not None:
                    layers[place], layers[place + 1] = fuse(first, second), nn.Identity()
        return own


def facts_of(run: "Run", image: tuple[int, ...]) -> dict[str, Any]:
    """Return what a user of an export needs beside the weights, as plain values of JSON."""
    inference, about = run.load_inference(), run.description
    counts = inference.counts if inference.counts and np.isfinite(inference.counts.models) else None  # JSON has no inf
    packages = ("torch", "pytorch-lightning", "numpy")
    return {
        "class_names": list(run.class_names),
        "image": list(image),
        "prepare": inference.prepare,
        "dark_ground": inference.dark_ground,
        "temperature": inference.temperature,
        "is_calibrated": inference.counts is not None,
        "counts": None if counts is None else {key: np.asarray(value).tolist() for key, value in vars(counts).items()},
        "run": run.folder.resolve().name,
        "model": str(about.get("model", "")),
        "data": {key: str(about.get(f"data/{key}", "")) for key in ("name", "fingerprint", "split")},
        "versions": {"ziffern": __version__, **{package: version(package) for package in packages}},
    }


def config_of(run: "Run") -> dict[str, Any]:
    """Return the parts of a run's configuration from which `Network.of_config` builds its network."""
    model = without_weights_file(run.config["model"])
    return {"net": model.get("net"), "normalize": model.get("normalize")}
