"""Small convolutional networks, written as a list of layers: what the recipes `fast` and `champion` are made of."""

import re
from collections.abc import Sequence

from torch import Tensor, nn

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.errors import InputError

CONVOLUTION = re.compile(r"([1-9]\d*)x([1-9]\d*)(?:/([1-9]\d*))?")
WORDS = "KERNELxCHANNELS such as 3x32, KERNELxCHANNELS/STRIDE such as 8x16/2, pool (2×2 maximum), or mean"


class ConvNet(nn.Module):
    """Convolutions without padding, each with batch norm and ReLU, between other layers; one linear layer at the end.

    No convolution has a bias: batch norm follows. A first convolution of stride 2 has a quarter of the places to work
    at; `8x16/2` is the same function as a 4×4 convolution of the four 14×14 images that every second pixel makes.

    Args:
        layers: `3x32` for a convolution of 3×3 to 32 channels, `8x16/2` for one of stride 2, `pool` for the maximum of
            2×2, `mean` for that of all places.
        num_classes: Logits an image.

    Raises:
        InputError: Another word, or nothing is left of the image.
    """

    def __init__(self, layers: Sequence[str], num_classes: int = 10) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        channels, size = 1, IMAGE_SIZE
        for word in map(str, layers):
            if match := CONVOLUTION.fullmatch(word):
                kernel, wide, stride = int(match[1]), int(match[2]), int(match[3] or 1)
                modules += [nn.Conv2d(channels, wide, kernel, stride, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
                channels, size = wide, (size - kernel) // stride + 1
            elif word == "pool":
                size //= 2
                # The ReLU of the maximum is the maximum of the ReLUs, at a quarter of the places.
                at = len(modules) - (bool(modules) and isinstance(modules[-1], nn.ReLU))
                modules.insert(at, nn.MaxPool2d(2))
            elif word == "mean":
                size = min(size, 1)
                modules.append(nn.AdaptiveAvgPool2d(1))
            else:
                raise InputError(f"model.net.layers: {word}: expected {WORDS}")
            if size < 1:
                raise InputError(
                    f"model.net.layers={list(layers)}: nothing is left of {IMAGE_SIZE} pixels at {word}: each "
                    "convolution takes kernel - 1 of them, a stride or pool divides them: use fewer or smaller ones"
                )
        self.features = nn.Sequential(*modules)  # (B, channels, size, size)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 1, 28, 28)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
