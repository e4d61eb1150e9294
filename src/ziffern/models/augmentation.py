"""Augmentation of whole batches, on the training device.

Decisions: one resampling for rotation and translation together, since each one blurs; before the normalization, so that
the area outside the image is black; random numbers come from torch's global generator, which the module seeds for every
epoch, so that a resumed run has the same images.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ziffern.errors import InputError


class RandomAffine(nn.Module):
    """Randomly shift, rotate (about the center), shear, scale and bend each image; bilinear, black outside.

    Under mixed precision the coordinates are computed in 16 bits: with bfloat16 they are up to 0.08 pixels off.

    Args:
        degrees: Rotation, uniform in [-degrees, degrees], about the center.
        translate: Shift along each side, uniform in [-translate, translate], as a share of the side.
        scale: Each side is divided by its own factor, uniform in [1 - scale, 1 + scale].
        shear: Slant in degrees, uniform in [-shear, shear].
        elastic: Standard deviation in pixels of a random displacement (Simard, Steinkraus and Platt 2003) at
            GRID × GRID points; between them it is interpolated, and smaller.

    Raises:
        InputError: degrees outside 0 to 180, translate, scale outside 0 to 1, shear outside 0 to 60, elastic
            outside 0 to 10.
    """

    GRID = 5

    def __init__(
        self,
        degrees: float = 20.0,
        translate: float = 0.2,
        scale: float = 0.0,
        shear: float = 0.0,
        elastic: float = 0.0,
    ) -> None:
        super().__init__()
        ranges = {"degrees": degrees, "translate": translate, "scale": scale, "shear": shear, "elastic": elastic}
        for (name, value), limit in zip(ranges.items(), (180, 1, 1, 60, 10), strict=True):
            if not 0 <= value <= limit:
                raise InputError("models.augment.range", name=name, value=value, limit=limit)
        self.degrees, self.translate, self.scale, self.shear, self.elastic = ranges.values()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return float32 images in levels from 0 to 255, from uint8 images; both (B, C, H, W), or gray (B, H, W)."""
        count, (height, width), device = len(images), images.shape[-2:], images.device
        draws = torch.rand(3, count, device=device) * 2 - 1  # (3, B)
        angle = draws[0] * math.radians(self.degrees)
        cosine, sine = angle.cos(), angle.sin()
        shift_x, shift_y = draws[1:] * self.translate * 2  # the grid runs from -1 to 1
        # Rotation in the grid's units, which differ for height and width.
        right, down = sine * (height / width), sine * (width / height)
        columns = (cosine, -right, shift_x, down, cosine, shift_y)
        if self.scale or self.shear:
            draws = torch.rand(3, count, device=device) * 2 - 1
            wide, high = 1 + draws[:2] * self.scale
            slant = (draws[2] * math.radians(self.shear)).tan()
            columns = (
                *(cosine * wide, (cosine * slant - right) * high, shift_x),
                *(down * wide, (down * slant + cosine) * high, shift_y),
            )
        theta = torch.stack(columns, 1).view(-1, 2, 3)
        pictures = images.reshape(count, -1, height, width).float()
        grid = F.affine_grid(theta, list(pictures.shape), align_corners=False)
        if self.elastic:
            pixel = torch.tensor([2 / width, 2 / height], device=device).view(2, 1, 1) * self.elastic
            pushes = torch.randn(count, 2, self.GRID, self.GRID, device=device) * pixel
            pushes = F.interpolate(pushes, size=(height, width), mode="bicubic", align_corners=True)
            grid = grid + pushes.permute(0, 2, 3, 1)
        return F.grid_sample(pictures, grid, align_corners=False).view(images.shape)
