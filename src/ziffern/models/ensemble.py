"""Several networks as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ziffern.models.normalization import Normalize


class Ensemble(nn.Module):
    """The mean of the members' probabilities, each behind its own normalisation.

    The module around it normalises by `unit`; from that each member's grey levels follow.

    Args:
        nets: Each maps images (B, 1, 28, 28) to logits (B, C).
        normalize: One for each net; their numbers come with the weights.
    """

    def __init__(self, nets: Sequence[nn.Module], normalize: Sequence[Normalize]) -> None:
        super().__init__()
        self.nets, self.normalize = nn.ModuleList(nets), nn.ModuleList(normalize)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities (B, C) of images (B, 1, 28, 28) from 0 to 1."""
        grey = images.squeeze(1) * 255
        said = [net(fit(grey)).float().softmax(1) for net, fit in zip(self.nets, self.normalize, strict=True)]
        return torch.stack(said).mean(0).clamp_min(1e-12).log()
