"""The composites of `compositing.py` in plain PyTorch: the definitions, and the oracles of every kernel.

Dense (every face at every pixel, every pair of faces) and therefore slow; differentiated by autograd, in any float
dtype. The formulas are documented in `compositing.py`; the names here are the same.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering._softras_reference import LAYER_MARGIN, DenseFragments

OPAQUE = 1.0 - 1e-4
"""Largest opacity that is computed with: that of 1 would be an infinite optical depth."""
SERIES_BELOW = 0.1
"""Argument below which `absorbed` is its power series; above, it loses a decimal digit at most."""
SERIES_TERMS = 8
"""Terms of the series after the first; the next is below 3e-15 of the sum."""
BACKGROUND_WEIGHT = 1e-10
"""Least weight of the background in `softras`, and its relative inverse depth (PyTorch3D's `eps`)."""
BLUR = 1e-4
"""Coverage below which a face does not reach a pixel in `softras` (PyTorch3D's blur radius)."""


def softras_reach(sigma: float) -> float:
    """Screen distance [NDC] at which `sigmoid(-d^2 / sigma)` has fallen to 1e-4."""
    return math.sqrt(sigma * math.log(1.0 / BLUR - 1.0))


def absorbed(depth: Tensor) -> Tensor:
    """`(1 - exp(-x)) / x`, which is 1 at 0."""
    series = torch.ones_like(depth)
    for step in range(SERIES_TERMS):
        series = 1.0 - depth * series / (SERIES_TERMS + 1 - step)
    large = depth > SERIES_BELOW
    safe = torch.where(large, depth, 1.0)
    return torch.where(large, -torch.expm1(-safe) / safe, series)


def attenuation(opacity: Tensor) -> Tensor:
    """Optical depth `-log(1 - o)` of a face that fills the pixel."""
    # Above OPAQUE the gradient is the one at OPAQUE: a face that is opaque can become translucent again.
    return -torch.log1p(-(opacity + (opacity.clamp(max=OPAQUE) - opacity).detach()))


def composite_translucent_dense(
    fragments: DenseFragments,
    share: Float[Tensor, "K P"],
    opacity: Float[Tensor, " K"],
    *,
    gamma: float,
    far: float,
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Image, alpha and depth of every pixel; needs memory for K x K x P numbers."""
    depth, shade = fragments.depth, fragments.shade
    tau = torch.where(fragments.present, attenuation(opacity)[:, None] * share, 0.0)
    behind = (depth[:, None] - depth[None]) / gamma  # (j, i, P)
    front = (tau * torch.sigmoid(behind - LAYER_MARGIN)).sum(1)
    back = (tau * torch.sigmoid(-behind - LAYER_MARGIN)).sum(1)
    total = tau.sum(0)
    layer = total - front - back
    seen = torch.exp(-front) * absorbed(layer) * tau
    alpha = total * absorbed(total)  # 1 - exp(-total)
    is_seen = seen.sum(0) > 0
    # Where nothing is seen, the limit: image = sum tau_j c_j to first order in tau.
    scale = torch.where(is_seen, alpha / torch.where(is_seen, seen.sum(0), 1.0), 1.0)
    image = scale * (seen * shade).sum(0)
    return image, alpha, scale * (seen * depth).sum(0) + (1.0 - alpha) * far


def composite_softras_dense(
    fragments: DenseFragments, *, sigma: float, gamma: float, near: float, far: float
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"], Float[Tensor, " P"]]:
    """Image, alpha and depth of every pixel, with the faces within PyTorch3D's blur radius."""
    present = fragments.present & (fragments.covers | (fragments.squared < softras_reach(sigma) ** 2))
    signed = torch.where(fragments.covers, fragments.squared, -fragments.squared)
    coverage = torch.where(present, torch.sigmoid(signed / sigma), 0.0)
    inverse = torch.where(present, (far - fragments.depth) / (far - near), 0.0)
    nearest = inverse.amax(0).clamp_min(BACKGROUND_WEIGHT)
    weight = coverage * torch.exp((inverse - nearest) / gamma)
    background = torch.exp((BACKGROUND_WEIGHT - nearest) / gamma).clamp_min(BACKGROUND_WEIGHT)
    total = weight.sum(0) + background
    image = (weight * fragments.shade).sum(0) / total
    depth = ((weight * fragments.depth).sum(0) + background * far) / total
    return image, 1.0 - torch.prod(1.0 - coverage, dim=0), depth
