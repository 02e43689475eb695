"""Localized matching: each patch of one shape finds its best match nearby, in the same view of the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dr_kfs._constants import made_once
from dr_kfs._nearest_patch import nearest_patch
from dr_kfs.descriptors.patch_scales import PatchScales
from dr_kfs.descriptors.patches import PATCH_STRIDE

_TOGETHER = 9
"""Candidates whose descriptors are gathered at a time: all of the paper's, and no more memory for a wider search."""


@dataclass(frozen=True, eq=False)
class PatchMatches:
    """The best match of every query patch."""

    distance: Float[Tensor, "B V P"]
    """Mean squared difference per descriptor dimension; [0, 4 / D] for unit descriptors."""
    index: Int[Tensor, "B V P"]
    """Which patch of the same view of the other shape was matched [0, P)."""


def match_localized(
    query: Float[Tensor, "B V P D"],
    reference: Float[Tensor, "B V P D"],
    *,
    radius: int = PATCH_STRIDE,
    stride: int = PATCH_STRIDE,
    temperature: float | None = None,
) -> PatchMatches:
    """For each query patch the nearest descriptor among the reference patches within +-`radius` px, in the same view.

    `d_i = min_k mean_D (q_i - r_k)^2` over the (2 radius / stride + 1)^2 patches k around i, clipped at the border.
    Many-to-one by design: a long back may match a short one. Half precision is computed in float32. The hard minimum is
    differentiable once; on a GPU the gradient of a patch that many match is summed in no fixed order.

    Args:
        query: descriptors on a square grid of P = g * g patches, row by row.
        reference: the other shape's, on the same grid.
        radius: reach of the search [px]; the paper's sigma, 16 by default: 3x3 candidates. 0 compares in place.
        stride: distance of neighbouring patches [px].
        temperature: if given, the minimum is softened to a softmin-weighted mean with this temperature
            [descriptor distance], which is smooth where the best match changes; the paper's is hard.

    Raises:
        ValueError: different shapes or devices, patches that are not a square grid, or a radius or temperature that is
            none.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 3.1, "Localized Feature matching", Eq. 2.
    """
    if query.shape[:3] != reference.shape[:3] or query.shape[-1] != reference.shape[-1]:
        raise ValueError(f"match_localized needs equal shapes, got {tuple(query.shape)} and {tuple(reference.shape)}.")
    if query.device != reference.device:
        raise ValueError(f"match_localized needs both on one device, got {query.device} and {reference.device}.")
    grid = round(query.shape[2] ** 0.5)
    if grid * grid != query.shape[2]:
        raise ValueError(f"match_localized needs a square grid of patches, got {query.shape[2]} patches per view.")
    _check_search(radius, stride, temperature)
    neighbours, outside, existing = _neighbourhoods(grid, min(radius // stride, grid - 1), query.device)
    dtype = torch.promote_types(torch.promote_types(query.dtype, reference.dtype), torch.float32)
    query, reference = query.to(dtype), reference.to(dtype)
    if temperature is None:
        distance, index = nearest_patch(query.flatten(0, 1), reference.flatten(0, 1), existing)
        return PatchMatches(distance.view(query.shape[:3]), index.view(query.shape[:3]))
    distance = _candidates(query, reference, neighbours, outside)
    nearest = distance.detach().argmin(-1)  # an index has no gradient
    index = neighbours.expand(*nearest.shape, -1).gather(-1, nearest.unsqueeze(-1)).squeeze(-1)
    weights = torch.softmax(-distance / temperature, dim=-1)
    return PatchMatches(distance=(weights * distance.masked_fill(outside, 0.0)).sum(-1), index=index)


def _candidates(
    query: Float[Tensor, "B V P D"],
    reference: Float[Tensor, "B V P D"],
    neighbours: Int[Tensor, "P K"],
    outside: Bool[Tensor, "P K"],
) -> Float[Tensor, "B V P K"]:
    """The distance of every query patch to its K candidates; infinite where there is none."""
    distances = []
    for some in neighbours.split(_TOGETHER, dim=1):
        around = reference.index_select(2, some.flatten()).unflatten(2, some.shape)
        distances.append((query.unsqueeze(3) - around).square().mean(-1))
    distance = distances[0] if len(distances) == 1 else torch.cat(distances, dim=-1)
    return distance.masked_fill(outside, torch.inf)


@made_once(16)
def _neighbourhoods(
    grid: int, reach: int, device: torch.device
) -> tuple[Int[Tensor, "P K"], Bool[Tensor, "P K"], Int[Tensor, "P K"]]:
    """For each patch of a grid those up to `reach` rows and columns away; which are none; and both, with -1 there."""
    place = torch.arange(grid, device=device)
    shift = torch.arange(-reach, reach + 1, device=device)
    along = place[:, None] + shift  # (grid, shifts), of rows as of columns
    missing = (along < 0) | (along >= grid)
    along = along.clamp(0, grid - 1)
    neighbours = (along[:, None, :, None] * grid + along[None, :, None, :]).reshape(grid * grid, -1)
    outside = (missing[:, None, :, None] | missing[None, :, None, :]).reshape(grid * grid, -1)
    return neighbours, outside, neighbours.masked_fill(outside, -1)


def _check_search(radius: int, stride: int, temperature: float | None) -> None:
    if radius < 0 or radius % stride:
        raise ValueError(f"radius must be a multiple of the patches' stride, {stride} px, got {radius}.")
    if temperature is not None and not 0.0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive, or None for the hard minimum, got {temperature}.")


def weighted_similarity(distance: Float[Tensor, "B V P"], weights: Float[Tensor, "B V P"]) -> Float[Tensor, "B V"]:
    """One direction of Eq. 2 per view: `sum_i w_i d_i / sum_i w_i`, 0 where no patch has weight.

    The paper writes the sum and not the division; with it, the values have the magnitude of the paper's tables.
    """
    total = weights.sum(-1)
    return (weights * distance).sum(-1) / torch.where(total > 0, total, 1.0)


def match_scales(
    matcher: nn.Module, query: Float[Tensor, "B V P D"], reference: Float[Tensor, "B V P D"], scales: PatchScales
) -> PatchMatches:
    """The best match of every query patch within its scale."""
    pairs = zip(scales.split(query, 2), scales.split(reference, 2), strict=True)
    found: list[PatchMatches] = [matcher(*pair) for pair in pairs]
    first = accumulate((0, *scales.counts))
    return PatchMatches(
        torch.cat([matches.distance for matches in found], dim=2),
        torch.cat([matches.index + start for matches, start in zip(found, first, strict=False)], dim=2),
    )


def scaled_similarity(
    distance: Float[Tensor, "B V P"], weights: Float[Tensor, "B V P"], scales: PatchScales
) -> Float[Tensor, "B V"]:
    """`weighted_similarity` of each scale, summed: every scale has the same say, however many patches it has."""
    pairs = zip(scales.split(distance, -1), scales.split(weights, -1), strict=True)
    return torch.stack([weighted_similarity(*pair) for pair in pairs]).sum(0)


class LocalizedMatcher(nn.Module):
    """`match_localized` with its settings."""

    def __init__(self, *, radius: int = PATCH_STRIDE, temperature: float | None = None) -> None:
        super().__init__()
        _check_search(radius, PATCH_STRIDE, temperature)
        self.radius = radius
        self.temperature = temperature

    def forward(self, query: Float[Tensor, "B V P D"], reference: Float[Tensor, "B V P D"]) -> PatchMatches:
        """The best match of every query patch."""
        return match_localized(query, reference, radius=self.radius, temperature=self.temperature)

    def settings(self) -> dict[str, object]:
        """What the result depends on, JSON-able."""
        return {"type": "LocalizedMatcher", "radius": self.radius, "temperature": self.temperature}
