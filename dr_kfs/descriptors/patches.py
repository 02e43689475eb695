"""PoI maps to patches: 32x32 windows, 16 px apart, and their normalisation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

PATCH_SIZE = 32
PATCH_STRIDE = 16


def patch_grid(image_size: int, *, size: int = PATCH_SIZE, stride: int = PATCH_STRIDE) -> int:
    """Patches along one side of the image: 15 for 256 px, so 225 per view."""
    if image_size < size or (image_size - size) % stride:
        raise ValueError(
            f"Patches of {size} px every {stride} px do not tile an image of {image_size} px; "
            f"use {size} + k * {stride} px (256 is the paper's)."
        )
    return (image_size - size) // stride + 1


def extract_patches(
    maps: Float[Tensor, "*batch H W"], *, size: int = PATCH_SIZE, stride: int = PATCH_STRIDE
) -> Float[Tensor, "*batch P S S"]:
    """Sliding windows over the whole map, row by row from the top left.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 3.1, "Continuous patch features".
    """
    counts = [patch_grid(side, size=size, stride=stride) for side in maps.shape[-2:]]
    if not torch.compiler.is_compiling():
        return maps.unfold(-2, size, stride).unfold(-2, size, stride).flatten(-4, -3)
    # Inductor's gradient of two overlapping unfolds is another one (seen with torch 2.13).
    inside = torch.arange(size, device=maps.device)
    rows, columns = ((torch.arange(count, device=maps.device)[:, None] * stride + inside).flatten() for count in counts)
    windows = maps.index_select(-2, rows).index_select(-1, columns)
    return windows.unflatten(-1, (counts[1], size)).unflatten(-3, (counts[0], size)).transpose(-3, -2).flatten(-4, -3)


def normalize_patches(
    patches: Float[Tensor, "*batch S S"], *, floor: float = 1e-2, kornia_compat: bool = False
) -> Float[Tensor, "*batch S S"]:
    """Zero mean, unit deviation: `(x - mean) / (std + floor)`, with the gradient through mean and std.

    HardNet's own code (and kornia's) detaches mean and std and divides by `std + 1e-6`: its gradient on a blank patch
    reaches 3e5 and is not the gradient of the value.

    Args:
        patches: PoI values [0, 1].
        floor: keeps faint patches faint and blank ones at 0 [PoI].
        kornia_compat: do exactly as kornia does.
    """
    mean = patches.mean((-2, -1), keepdim=True)
    if kornia_compat:
        std = patches.std((-2, -1), keepdim=True)  # the unbiased estimate, as there
        return (patches - mean.detach()) / (std.detach() + 1e-6)  # detached as there
    variance = (patches - mean).square().mean((-2, -1), keepdim=True)
    # sqrt has an infinite slope at 0; a shift of (floor / 100)^2 bounds it and is invisible beside the floor.
    tiny = 1e-2 * floor
    return (patches - mean) / ((variance + tiny * tiny).sqrt() + (floor - tiny))
