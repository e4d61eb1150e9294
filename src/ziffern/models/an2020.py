"""The plain convolutional networks of An, Lee, Park, Yang and So (2020, arXiv 2008.10400): M3, M5 and M7."""

from collections.abc import Sequence

from torch import Tensor, nn

from ziffern.data.dataset import IMAGE_SIZE
from ziffern.errors import InputError


class An2020(nn.Module):
    """Convolutions of one kernel size without padding or pooling, each with batch norm and ReLU; one linear layer.

    At ten classes: M3 (3×3, 32 to 176 channels in steps of 16) has 1,124,180 parameters, M5 (5×5, 32 to 160 in
    steps of 32) 1,128,180, M7 (7×7, 48 to 192 in steps of 48) 2,291,972. No layer has a bias: batch norm follows.

    Args:
        kernel_size: Of every convolution; each makes the image smaller by kernel_size - 1.
        channels: Output channels of each convolution.
        num_classes: Logits an image.

    Raises:
        InputError: The image would have no pixel left.
    """

    def __init__(self, kernel_size: int, channels: Sequence[int], num_classes: int = 10) -> None:
        super().__init__()
        size = IMAGE_SIZE - len(channels) * (kernel_size - 1)
        if kernel_size < 1 or size < 1 or any(count < 1 for count in channels):
            raise InputError(
                f"model.net.kernel_size={kernel_size} with model.net.channels={list(channels)}: nothing is left of "
                f"{IMAGE_SIZE} pixels: each convolution takes kernel_size - 1 of them and needs at least 1 channel"
            )
        layers: list[nn.Module] = []
        for before, count in zip([1, *channels], channels, strict=False):
            layers += [nn.Conv2d(before, count, kernel_size, bias=False), nn.BatchNorm2d(count), nn.ReLU()]
        self.features = nn.Sequential(*layers)  # (B, channels[-1], size, size)
        units = [1, *channels][-1] * size**2
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(units, num_classes, bias=False), nn.BatchNorm1d(num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, 1, 28, 28)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits
