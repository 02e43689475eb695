"""Matching patches of photographs, to state what a descriptor of PoI maps knows of the world outside them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.descriptors.patches import PATCH_SIZE
from dr_kfs.training.repeatability import strongest_points
from dr_kfs.training.view_geometry import windows_at

PHOTOGRAPHS = ("astronaut", "brick", "camera", "coffee", "coins", "grass", "gravel", "moon", "page", "rocket")
"""Images that come inside scikit-image: nothing is downloaded."""
POINTS = 60
"""Of each photograph and homography, at most."""
CORNER_SHIFT = 0.12
"""How far a homography moves the corners of the image [sides]."""


def photograph_pairs(
    homographies: int, *, generator: torch.Generator
) -> tuple[Float[Tensor, "K 32 32"], Float[Tensor, "K 32 32"]]:
    """Patches around Shi-Tomasi corners, and around the same points under random homographies; grey, in [0, 1].

    Args:
        homographies: of each photograph.
        generator: of the homographies.
    """
    from kornia.feature import gftt_response
    from kornia.geometry.transform import get_perspective_transform, warp_perspective
    from skimage import color, data, util

    before, after = [], []
    for name in PHOTOGRAPHS:
        picture = util.img_as_float32(getattr(data, name)())
        grey = torch.from_numpy(color.rgb2gray(picture) if picture.ndim == 3 else picture).float()
        height, width = grey.shape
        points = strongest_points(gftt_response(grey[None, None])[0, 0], 4 * POINTS, radius=8)
        for _ in range(homographies):
            corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
            moved = corners + CORNER_SHIFT * min(height, width) * torch.randn(4, 2, generator=generator)
            matrix = get_perspective_transform(corners[None], moved[None])
            warped = warp_perspective(grey[None, None], matrix, (height, width))[0, 0]
            homogeneous = torch.cat([points, torch.ones(len(points), 1)], 1) @ matrix[0].T
            places = homogeneous[:, :2] / homogeneous[:, 2:]
            margin = PATCH_SIZE // 2
            size = torch.tensor([width, height])
            inside = ((places > margin) & (places < size - margin)).all(1)
            inside &= ((points > margin) & (points < size - margin)).all(1)
            chosen = inside.nonzero().squeeze(1)[:POINTS]
            before.append(_windows(grey, points[chosen]))
            after.append(_windows(warped, places[chosen]))
    return torch.cat(before), torch.cat(after)


def _windows(image: Tensor, points: Tensor) -> Tensor:
    """Patches of an image of any shape: `windows_at` clamps to squares, so it gets one."""
    side = max(image.shape)
    square = torch.nn.functional.pad(image, (0, side - image.shape[1], 0, side - image.shape[0]))
    return windows_at(square, points, PATCH_SIZE)
