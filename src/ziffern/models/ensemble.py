"""Several networks combined into one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
        probabilities = [net(normalize(levels)).float().softmax(1) for net, normalize in members]
        return torch.stack(probabilities).mean(0).clamp_min(1e-12).log()
