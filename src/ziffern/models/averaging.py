"""Networks that average the probabilities of several networks, or of several views of an image."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ziffern.errors import InputError
from ziffern.models.normalization import Normalize


class Ensemble(nn.Module):
    """The mean of the members' probabilities, each after its own normalization.

    The surrounding module normalizes by `unit`, from which each member's input is recovered.

    Args:
        nets: Each maps images (B, C, H, W) to logits (B, K).
        normalize: One per net; their statistics are loaded with the weights.
    """

    def __init__(self, nets: Sequence[nn.Module], normalize: Sequence[Normalize]) -> None:
        super().__init__()
        self.nets, self.normalize = nn.ModuleList(nets), nn.ModuleList(normalize)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities (B, K) of images (B, C, H, W) in [0, 1]."""
        levels = images * 255
        members = zip(self.nets, self.normalize, strict=True)
        return _log_mean(net(normalize(levels)) for net, normalize in members)


class Views(nn.Module):
    """In training, the network itself; in evaluation, its mean probability over shifted copies of each image.

    The copies are shifted by up to `pixels` pixels up, down, left or right in total: 5 copies for one pixel, the
    original included. The border takes the color of the image's first pixel. Each copy costs one evaluation; there are
    no additional parameters.

    Args:
        net: Maps images (B, C, H, W) to logits (B, K).
        pixels: 0 is the network itself.

    Raises:
        InputError: pixels below 0 or above 4.
    """

    def __init__(self, net: nn.Module, pixels: int = 1) -> None:
        super().__init__()
        if not 0 <= pixels <= 4:  # noqa: PLR2004
            raise InputError("models.views.pixels", pixels=pixels)
        self.net, self.pixels = net, pixels

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K), in evaluation the logarithms of mean probabilities, of images (B, C, H, W)."""
        if self.training or not self.pixels:
            logits: Tensor = self.net(images)
            return logits
        height, width = images.shape[2:]
        background = images[:, :, :1, :1]
        padded = F.pad(images - background, [self.pixels] * 4) + background
        steps = range(-self.pixels, self.pixels + 1)
        places = [(self.pixels + y, self.pixels + x) for y in steps for x in steps if abs(y) + abs(x) <= self.pixels]
        return _log_mean(self.net(padded[:, :, y : y + height, x : x + width]) for y, x in places)


def _log_mean(logits: Iterable[Tensor]) -> Tensor:
    """Return the logarithms of the mean probabilities (B, K) of several logits (B, K)."""
    return torch.stack([each.float().softmax(1) for each in logits]).mean(0).clamp_min(1e-12).log()
