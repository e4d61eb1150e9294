"""Small convolutional networks, written as a list of layers: what the recipes `fast` and `champion` are made of."""

import re
from collections.abc import Sequence

from torch import Tensor, nn

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.errors import InputError

CONVOLUTION = re.compile(r"([1-9]\d*)x([1-9]\d*)")
WORDS = "KERNELxCHANNELS such as 3x32, pool (2×2 maximum), unshuffle (2×2 pixels to 4 channels), or mean"


class ConvNet(nn.Module):
    """Convolutions without padding, each with batch norm and ReLU, between other layers; one linear layer at the end.

    No convolution has a bias: batch norm follows. With `unshuffle` in front, the first convolution sees a quarter of
    the places with four channels each: several times fewer operations for nearly the same network.

    Args:
        layers: `3x32` for a convolution of 3×3 to 32 channels, `pool`, `unshuffle`, `mean`.
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
                kernel, before, channels = int(match[1]), channels, int(match[2])
                size -= kernel - 1
                modules += [
                    nn.Conv2d(before, channels, kernel, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(inplace=True),
                ]
            elif word == "pool":
                size //= 2
                # The ReLU of the maximum is the maximum of the ReLUs, at a quarter of the places.
                at = len(modules) - (bool(modules) and isinstance(modules[-1], nn.ReLU))
                modules.insert(at, nn.MaxPool2d(2))
            elif word == "unshuffle" and size % 2 == 0:
                size, channels = size // 2, 4 * channels
                modules.append(nn.PixelUnshuffle(2))
            elif word == "mean":
                size = min(size, 1)
                modules.append(nn.AdaptiveAvgPool2d(1))
            else:
                even = " at an odd number of pixels" if word == "unshuffle" else ""
                raise InputError(f"model.net.layers: {word}{even}: expected {WORDS}")
            if size < 1:
                raise InputError(
                    f"model.net.layers={list(layers)}: nothing is left of {IMAGE_SIZE} pixels at {word}: each "
                    "convolution takes kernel - 1 of them, pool and unshuffle half: use fewer or smaller ones"
                )
        self.features = nn.Sequential(*modules)  # (B, channels, size, size)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 1, 28, 28)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
