"""Augmentation like handwriting on paper: thin pens, faint and broken strokes, pieces of boxes, specks.

Decisions: half of the images are redrawn from their skeletons in another stroke width, because MNIST has one kind of
pen; the distance to the skeleton is what is rotated and bent, so that the redrawn stroke is smooth; every kind of
damage is rare, since more of it gained nothing (docs/results.md).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ziffern.models.augmentation import RandomAffine

REACH = 3  # pixels around a skeleton whose distance is known
STEPS = 5  # of thinning: strokes up to twice as wide become skeletons
FAR = 1e4  # a squared distance beyond all
BLUR = 3  # pixels that a blur reaches
RING = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))  # neighbors, clockwise from above
INK = 100  # levels from here on are strokes


class PaperAugmentation(RandomAffine):
    """`RandomAffine`, and strokes as paper, pens and scanners leave them.

    Args:
        degrees: Of `RandomAffine`, as the four that follow.
        translate: See there.
        scale: See there.
        shear: See there.
        elastic: See there.
        skeleton: Share of the images that are redrawn from their skeletons.
        width: Least and largest stroke width of these, in pixels.
        level: Share of the others whose strokes are blurred and made thinner or thicker.
        damage: Share of all images with each kind of damage: stronger bending, an erased part, a line, a dot, another
            gamma, a blur.

    Raises:
        InputError: See `RandomAffine`.
    """

    removable: Tensor  # (2, 256)

    def __init__(
        self,
        degrees: float = 15.0,
        translate: float = 0.07,
        scale: float = 0.2,
        shear: float = 10.0,
        elastic: float = 0.5,
        skeleton: float = 0.5,
        width: tuple[float, float] = (1.0, 3.0),
        level: float = 0.3,
        damage: float = 0.1,
    ) -> None:
        super().__init__(degrees, translate, scale, shear, elastic)
        self.skeleton, self.width, self.level, self.damage = skeleton, tuple(width), level, damage
        self.register_buffer("removable", _removable(), persistent=False)
        self.bending = RandomAffine(0, 0, 0, 0, 2.5 * elastic)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return float32 images in levels from 0 to 255, from uint8 images; both (B, 1, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            return self._augmented(images.float())

    def _augmented(self, levels: Tensor) -> Tensor:
        redrawn = self._some(levels, self.skeleton)
        levels = _where(redrawn, levels, self._near_skeleton)
        levels = super().forward(levels)
        levels = _where(self._some(levels, self.damage), levels, self.bending)
        low, high = self.width
        width = torch.rand(len(levels), 1, 1, 1, device=levels.device) * (high - low) + low
        distance = (1 - levels / 255) * (REACH + 1)
        levels = torch.where(redrawn.view(-1, 1, 1, 1), (width / 2 + 0.5 - distance).clamp(0, 1), levels / 255)
        levels = _where(self._some(levels, self.level) & ~redrawn, levels, self._other_level)
        return self._damaged(levels) * 255

    def _some(self, images: Tensor, share: float) -> Tensor:
        return torch.rand(len(images), device=images.device) < share

    def _near_skeleton(self, levels: Tensor) -> Tensor:
        """Return how near each pixel is to the skeleton: 255 on it, 0 from REACH + 1 pixels on."""
        squares = torch.where(self._thinned(levels > INK), 0.0, FAR)  # squared distances, first along rows
        for axis in (3, 2):
            padded = F.pad(squares, [REACH] * 2 if axis == 3 else [0, 0, REACH, REACH], value=FAR)  # noqa: PLR2004
            for step in range(2 * REACH + 1):
                moved = padded.narrow(axis, step, levels.shape[axis]) + (step - REACH) ** 2
                squares = torch.minimum(squares, moved)
        return (1 - squares.sqrt() / (REACH + 1)).clamp_min(0) * 255

    def _thinned(self, mask: Tensor) -> Tensor:
        """Return the skeleton of strokes (Zhang and Suen 1984)."""
        height, width = mask.shape[2:]
        for step in range(2 * STEPS):
            padded = F.pad(mask.float(), [1] * 4)
            code = torch.zeros_like(padded[:, :, 1:-1, 1:-1])
            for place, (top, left) in enumerate(RING):
                code.add_(padded[:, :, top : top + height, left : left + width], alpha=1 << place)
            mask = mask & ~self.removable[step % 2][code.int()]
        return mask

    def _other_level(self, levels: Tensor) -> Tensor:
        """Return blurred strokes whose outline is moved, which makes them thinner, thicker, broken or closed."""
        draws = torch.rand(2, len(levels), 1, 1, 1, device=levels.device)
        soft = _blurred(levels, 0.5 + 0.7 * draws[0])
        return ((soft - (0.2 + 0.5 * draws[1])) * 2.5 + 0.5).clamp(0, 1)

    def _damaged(self, levels: Tensor) -> Tensor:
        """Return images of which some have an erased part, a line, a dot, another gamma or a blur."""
        count, device = len(levels), levels.device
        axis = torch.arange(levels.shape[-1], device=device) - levels.shape[-1] / 2 + 0.5
        x, y = axis.view(1, 1, 1, -1), axis.view(1, 1, -1, 1)
        draw = torch.rand(12, count, 1, 1, 1, device=device)
        happens = torch.rand(5, count, 1, 1, 1, device=device) < self.damage
        place = (draw[:4] - 0.5) * 20  # of the erased part and of the dot
        hole = (torch.hypot(x - place[0], y - place[1]) - (1 + 1.5 * draw[4])).clamp(0, 1)
        levels = torch.where(happens[0], levels * hole, levels)
        dot = (1 + draw[5] - torch.hypot(x - place[2] * 1.3, y - place[3] * 1.3)).clamp(0, 1)
        levels = torch.where(happens[1], torch.maximum(levels, dot), levels)
        angle = (draw[6] * 4).floor() * math.pi / 2 + (draw[7] - 0.5) * 0.2  # near a side, as a box's line
        from_line = (x * angle.cos() + y * angle.sin() - (9 + 5 * draw[8])).abs()
        line = (0.8 + draw[9] - from_line).clamp(0, 1)
        levels = torch.where(happens[2], torch.maximum(levels, line), levels)
        levels = torch.where(happens[3], levels.clamp_min(1e-6) ** (0.5 + 1.5 * draw[10]), levels)
        return _where(happens[4].flatten(), levels, lambda some: _blurred(some, 0.4 + 0.6 * draw[11, : len(some)]))


def _where(chosen: Tensor, images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return images (B, 1, H, W), the chosen ones (B,) changed."""
    if chosen.any():
        images = images.clone()
        images[chosen] = change(images[chosen])
    return images


def _blurred(levels: Tensor, deviations: Tensor) -> Tensor:
    """Return images (B, 1, H, W) blurred by Gaussians of their own standard deviations (B, 1, 1, 1) in pixels."""
    around = torch.arange(-BLUR, BLUR + 1.0, device=levels.device)
    kernel = torch.exp(-(around**2) / (2 * deviations**2))  # (B, 1, 1, 2 * BLUR + 1)
    kernel = kernel / kernel.sum(3, keepdim=True)
    for axis in (3, 2):
        padded = F.pad(levels, [BLUR] * 2 if axis == 3 else [0, 0, BLUR, BLUR])  # noqa: PLR2004
        parts = (
            padded.narrow(axis, step, levels.shape[axis]) * kernel[..., step : step + 1] for step in range(2 * BLUR + 1)
        )
        levels = torch.stack(list(parts)).sum(0)
    return levels


def _removable() -> Tensor:
    """Return for both half steps of thinning which neighborhoods lose their middle, (2, 256).

    Bit k of the index is neighbor k of RING.
    """
    table = torch.zeros(2, 256, dtype=torch.bool)
    for code in range(256):
        ring = [code >> place & 1 for place in range(8)]
        crossings = sum(a < b for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
        top, right, bottom, left = ring[::2]
        fits = 2 <= sum(ring) <= 6 and crossings == 1  # noqa: PLR2004
        table[0, code] = fits and not (top and right and bottom) and not (right and bottom and left)
        table[1, code] = fits and not (top and right and left) and not (top and bottom and left)
    return table
