"""Augmentation of whole batches, on the device that trains.

Decisions: one resampling for rotation and translation together, since each one blurs; on grey levels before
the normalisation, so that what comes in from outside is the background's black; random numbers are drawn from
torch's own stream, which the module seeds for every epoch, so that a resumed run sees the same pictures.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ziffern.errors import InputError


class RandomAffine(nn.Module):
    """Shift each image at random, then rotate it about the centre; bilinear, black where nothing was.

    Args:
        degrees: Rotation, uniform in [-degrees, degrees], about the centre.
        translate: Shift along each side, uniform in [-translate, translate], as a share of the side.

    Raises:
        InputError: degrees outside 0 to 180, or translate outside 0 to 1.
    """

    def __init__(self, degrees: float = 20.0, translate: float = 0.2) -> None:
        super().__init__()
        for name, value, most in (("degrees", degrees, 180), ("translate", translate, 1)):
            if not 0 <= value <= most:
                raise InputError(f"model.augment.{name}={value}: must lie between 0 and {most}")
        self.degrees, self.translate = degrees, translate

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return float32 grey levels (B, H, H) of uint8 images (B, H, H)."""
        draws = torch.rand(3, len(images), device=images.device) * 2 - 1  # (3, B)
        angle = draws[0] * math.radians(self.degrees)
        cosine, sine = angle.cos(), angle.sin()
        shift_x, shift_y = draws[1:] * self.translate * 2  # the grid runs from -1 to 1
        theta = torch.stack((cosine, -sine, shift_x, sine, cosine, shift_y), 1).view(-1, 2, 3)
        grid = F.affine_grid(theta, [len(images), 1, *images.shape[1:]], align_corners=False)
        return F.grid_sample(images.unsqueeze(1).float(), grid, align_corners=False).squeeze(1)
