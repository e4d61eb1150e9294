"""The plain convolutional networks of An, Lee, Park, Yang and So (2020, arXiv 2008.10400): M3, M5 and M7."""

from collections.abc import Sequence

from torch import nn

from ziffern.data.spec import image_shape, in_words
from ziffern.errors import InputError


class An2020(nn.Sequential):
    """Convolutions of one kernel size without padding or pooling, each with batch norm and ReLU; one linear layer.

    At ten classes and MNIST's shape M3 (3×3, 32 to 176 channels in steps of 16) has 1,124,180 parameters, M5 (5×5,
    32 to 160 in steps of 32) 1,128,180, M7 (7×7, 48 to 192 in steps of 48) 2,291,972. No layer has a bias: batch norm
    follows.

    Args:
        kernel_size: Kernel size of every convolution; each shrinks the image by kernel_size - 1.
        channels: Output channels of each convolution.
        image: Channels, height and width of the images; None is MNIST's shape.
        num_classes: Logits per image.

    Raises:
        InputError: The image is too small for the convolutions, or a size is below 1.
    """

    def __init__(
        self,
        kernel_size: int,
        channels: Sequence[int],
        image: Sequence[int] | None = None,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        in_channels, *size = image_shape(image)
        height, width = (side - len(channels) * (kernel_size - 1) for side in size)
        if kernel_size < 1 or min(height, width) < 1 or any(count < 1 for count in channels):
            values = {"kernel_size": kernel_size, "channels": str(list(channels)), "size": in_words(size)}
            raise InputError("models.an2020.nothing_left", **values)
        layers: list[nn.Module] = []
        for before, count in zip([in_channels, *channels], channels, strict=False):
            layers += [nn.Conv2d(before, count, kernel_size, bias=False), nn.BatchNorm2d(count), nn.ReLU()]
        self.features = nn.Sequential(*layers)  # (B, channels[-1], height, width)
        units = [in_channels, *channels][-1] * height * width
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(units, num_classes, bias=False), nn.BatchNorm1d(num_classes)
        )
