"""How much of a pixel a triangle fills: the definition in plain PyTorch, and the oracle of the kernels.

The share of face T at the pixel with centre p is the integral over T of a bump of radius R,

    s = integral over q in T of k(|q - p|) dq        k(r) = 2 / (pi R^2) (1 - r^2 / R^2) for r < R, else 0,

whose own integral is 1. Shares add: those of a face's parts to the face's, however it is divided, and those of the
faces of a surface to 1, except at its outline, where they fade from 1 at R inside to 0 at R outside. By Stokes' theorem
s is a sum over the edges, each a closed formula of where it lies; its gradient is the bump's integral along the edges.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering._softras_reference import MIN_AREA


def dense_shares(corners: Float[Tensor, "F 3 2"], pixels: Float[Tensor, "P 2"], radius: float) -> Float[Tensor, "F P"]:
    """The share of every face at every pixel, [0, 1]; 0 for faces of no area.

    Args:
        corners: x, y [NDC].
        pixels: centres [NDC].
        radius: R [NDC].
    """
    total = corners.new_zeros(len(corners), len(pixels))
    for first in range(3):
        second = (first + 1) % 3
        edge = corners[:, second] - corners[:, first]
        length = edge.norm(dim=-1).clamp_min(1e-20)[:, None]
        direction = edge[:, None] / length[..., None]
        # From the pixel's centre, in units of R: the line passes at `height`, the edge runs from `start` to `stop`.
        offset = (corners[:, None, first] - pixels) / radius
        height = offset[..., 0] * direction[..., 1] - offset[..., 1] * direction[..., 0]
        start = (offset * direction).sum(-1)
        stop = start + length / radius
        # Inside the bump the integral of k along a ray is a polynomial in its length, ...
        inside = height.abs() < 1.0
        half = torch.where(inside, 1.0 - height.square(), 1.0).sqrt() * inside
        low, high = start.clamp(-half, half), stop.clamp(-half, half)
        total = total + height * ((1.0 - height.square() / 2) * (high - low) - (high**3 - low**3) / 6) / math.pi
        # ... beyond it is constant, and what counts is the angle under which the rest of the edge is seen.
        total = total + (_angle(height, start, low) + _angle(height, high, stop)) / (2.0 * math.pi)
    turn = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return torch.where(turn.abs() > MIN_AREA, turn.sign(), 0.0)[:, None] * total


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _angle(height: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """The angle under which a part of a line that does not enter the bump is seen; 0 for none."""
    some = start != stop
    along = torch.where(some, height.square() + start * stop, 1.0)
    return torch.where(some, torch.atan2(torch.where(some, height * (stop - start), 0.0), along), 0.0)
