"""Networks of convolutions without padding, each with batch norm and ReLU, and without a bias, as batch norm follows.

ConvNet is a list of layers (the recipes `fast` and `champion`); An2020 are the plain ones of An, Lee, Park, Yang and
So (2020, arXiv 2008.10400): M3, M5 and M7.
"""

import math
import re
from collections.abc import Sequence

from torch import nn

from ziffern.data.spec import class_count, image_shape, in_words
from ziffern.errors import InputError

CONVOLUTION = re.compile(r"([1-9]\d*)x([1-9]\d*)(?:/([1-9]\d*))?")


class ConvNet(nn.Sequential):
    """Convolutions between other layers; one linear layer at the end.

    A first convolution of stride 2 computes a quarter of the outputs; `8x16/2` equals a 4×4 convolution of the image
    rearranged by 2×2 blocks into channels (pixel unshuffle).

    Args:
        layers: `3x32` for a 3×3 convolution to 32 channels, `8x16/2` for one of stride 2, `pool` for 2×2 max-pooling,
            `mean` for global average pooling.

    Raises:
        InputError: An unknown layer, or an image too small for the layers.
    """

    def __init__(self, layers: Sequence[str], image: Sequence[int] | None = None, num_classes: int = 10) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        channels, *size = shape = image_shape(image)
        for word in map(str, layers):
            if match := CONVOLUTION.fullmatch(word):
                kernel, width, stride = int(match[1]), int(match[2]), int(match[3] or 1)
                modules += _convolution(channels, width, kernel, stride)
                channels, size = width, [(side - kernel) // stride + 1 for side in size]
            elif word == "pool":
                size = [side // 2 for side in size]
                # Pooling before ReLU gives the same result, and ReLU then computes a quarter of the values.
                at = len(modules) - (bool(modules) and isinstance(modules[-1], nn.ReLU))
                modules.insert(at, nn.MaxPool2d(2))
            elif word == "mean":
                size = [min(side, 1) for side in size]
                modules.append(nn.AdaptiveAvgPool2d(1))
            else:
                raise InputError("models.convnet.word", word=word)
            if min(size) < 1:
                raise InputError("models.convnet.nothing_left", layers=layers, word=word, size=in_words(shape[1:]))
        self.features = nn.Sequential(*modules)  # (B, channels, *size)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels * math.prod(size), class_count(num_classes)))


class An2020(nn.Sequential):
    """Convolutions of one kernel size without pooling; one linear layer, also without a bias.

    At ten classes and MNIST's shape M3 (3×3, 32 to 176 channels in steps of 16) has 1,124,180 parameters, M5 (5×5,
    32 to 160 in steps of 32) 1,128,180, M7 (7×7, 48 to 192 in steps of 48) 2,291,972.

    Args:
        kernel_size: Kernel size of every convolution; each shrinks the image by kernel_size - 1.
        channels: Output channels of each convolution.

    Raises:
        InputError: The image is too small for the convolutions, or a size is below 1.
    """

    def __init__(
        self, kernel_size: int, channels: Sequence[int], image: Sequence[int] | None = None, num_classes: int = 10
    ) -> None:
        super().__init__()
        in_channels, *size = image_shape(image)
        height, width = (side - len(channels) * (kernel_size - 1) for side in size)
        if kernel_size < 1 or min(height, width) < 1 or any(count < 1 for count in channels):
            values = {"kernel_size": kernel_size, "channels": str(list(channels)), "size": in_words(size)}
            raise InputError("models.an2020.nothing_left", **values)
        layers: list[nn.Module] = []
        for before, count in zip([in_channels, *channels], channels, strict=False):
            layers += _convolution(before, count, kernel_size)
        self.features = nn.Sequential(*layers)  # (B, channels[-1], height, width)
        units = [in_channels, *channels][-1] * height * width
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(units, class_count(num_classes), bias=False), nn.BatchNorm1d(num_classes)
        )


def _convolution(before: int, channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, channels, kernel, stride, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
