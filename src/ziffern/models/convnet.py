"""Small convolutional networks, written as a list of layers: the recipes `fast` and `champion`."""

import math
import re
from collections.abc import Sequence

from torch import nn

from ziffern.data.spec import image_shape, in_words
from ziffern.errors import InputError

CONVOLUTION = re.compile(r"([1-9]\d*)x([1-9]\d*)(?:/([1-9]\d*))?")


class ConvNet(nn.Sequential):
    """Convolutions without padding, each with batch norm and ReLU, between other layers; one linear layer at the end.

    No convolution has a bias: batch norm follows. A first convolution of stride 2 computes a quarter of the
    outputs; `8x16/2` equals a 4×4 convolution of the image rearranged by 2×2 blocks into channels (pixel unshuffle).

    Args:
        layers: `3x32` for a 3×3 convolution to 32 channels, `8x16/2` for one of stride 2, `pool` for 2×2 max-pooling,
            `mean` for global average pooling.
        image: Channels, height and width of the images; None is MNIST's shape.
        num_classes: Logits per image.

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
                modules += [nn.Conv2d(channels, width, kernel, stride, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
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
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels * math.prod(size), num_classes))
