"""Several networks as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ziffern.models.normalization import Normalize


class Ensemble(nn.Module):
    """The mean of the members' probabilities, each after its own normalization.

    The module around it normalizes by `unit`; each member's levels follow from that.

    Args:
        nets: Each maps images (B, C, H, W) to logits (B, K).
        normalize: One for each net; their statistics come with the weights.
    """

    def __init__(self, nets: Sequence[nn.Module], normalize: Sequence[Normalize]) -> None:
        super().__init__()
        self.nets, self.normalize = nn.ModuleList(nets), nn.ModuleList(normalize)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities (B, K) of images (B, C, H, W) from 0 to 1."""
        levels = images * 255
        members = zip(self.nets, self.normalize, strict=True)
        probabilities = [net(normalize(levels)).float().softmax(1) for net, normalize in members]
        return torch.stack(probabilities).mean(0).clamp_min(1e-12).log()
