"""What the descriptor is told at the level of the metric: which of two edits is the smaller one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.audit.edits import ANOTHER_SHAPE
from dr_kfs.audit.limb_edits import LIMB_CHANGES
from dr_kfs.descriptors import PatchScales
from dr_kfs.matching import match_localized, weighted_similarity
from dr_kfs.training.structure_data import Change

__all__ = ["labelled_pairs", "ranking_loss", "scale_distances"]

OTHERS: tuple[Change, ...] = ((ANOTHER_SHAPE, 1.0), (ANOTHER_SHAPE, 2.0))
PARTS: tuple[Change, ...] = (("limbs-removed", 1.0), ("bars-removed", 1.0), ("part-removed", 1.0), ("part-added", 1.0))
"""Changes of what a shape consists of."""
MILD: tuple[Change, ...] = (
    ("noise", 0.0005),
    ("noise", 0.002),
    ("smoothing", 1.0),
    ("decimation", 0.5),
    ("voxels", 1 / 128),
    ("voxels", 1 / 64),
    ("translation", 1.0),
    ("translation", 5.0),
    ("rotation", 3.0),
)
"""Changes of how it is shaped or sampled, that cost less than a part."""
SHARPNESS = 3.0
"""Of the logistic function, in the logarithm of the ratio."""
FLOOR = 1e-4
"""Added to distances before their logarithm."""


def labelled_pairs(changes: Sequence[Change]) -> list[tuple[int, int, float]]:
    """(smaller, larger, log of the ratio that is wanted), by position among the changes that are there."""
    place = {change: index for index, change in enumerate(changes)}
    wanted: list[tuple[Change, Change, float]] = []
    for limb_change in LIMB_CHANGES:
        wanted.append(((f"limbs-{limb_change}", 1.0), ("limbs-removed", 1.0), 1.5))
        wanted += [((f"limbs-{limb_change}", 1.0), other, 1.5) for other in OTHERS]
    wanted += [((bars, 5.0), ("bars-removed", 1.0), 2.5) for bars in ("bars-up", "bars-down")]
    for mild in MILD:
        wanted += [(mild, ("part-removed", 1.0), 1.5), (mild, ("part-added", 1.0), 1.3)]
    wanted += [(part, other, 1.5) for part in (*PARTS, ("voxels", 1 / 32)) for other in OTHERS]
    wanted += [(("voxels", fine), ("voxels", 2 * fine), 1.2) for fine in (1 / 128, 1 / 64)]
    return [
        (place[smaller], place[larger], math.log(ratio))
        for smaller, larger, ratio in wanted
        if smaller in place and larger in place
    ]


def scale_distances(
    descriptors: Float[Tensor, "K V P D"], weights: Float[Tensor, "K V P"], scales: PatchScales
) -> Float[Tensor, "S K"]:
    """DR-KFS of each of K shapes to the first, per scale and view: what `DRKFSLoss` sums, times D / 2."""
    found = []
    for described, weight in zip(scales.split(descriptors, 2), scales.split(weights, 2), strict=True):
        first, first_weight = described[:1].expand_as(described), weight[:1].expand_as(weight)
        forth = weighted_similarity(match_localized(described, first).distance, weight)
        back = weighted_similarity(match_localized(first, described).distance, first_weight)
        found.append((forth + back).mean(1) * (descriptors.shape[-1] / 2))
    return torch.stack(found)


def ranking_loss(distances: Float[Tensor, "S K"], changes: Sequence[Change]) -> Float[Tensor, ""]:
    """How far the edits are from the wanted order.

        L = mean over pairs of softplus(s (log d_smaller - log d_larger + log ratio)) / s + 0.1 A
        A = mean over scales of (log d_another - log 0.6)^2

    A fixes the scale that ratios leave open: two shapes of a family are about as far apart as chance.

    Args:
        distances: of the K changed shapes to the first, per scale, from `scale_distances`.
        changes: of the K shapes.
    """
    logs = (distances.sum(0) + FLOOR).log()
    pairs = labelled_pairs(changes)
    if not pairs:
        return distances.sum() * 0.0
    device = distances.device
    smaller, larger = (torch.tensor([pair[side] for pair in pairs], device=device) for side in (0, 1))
    ratio = torch.tensor([pair[2] for pair in pairs], device=device)
    order = torch.nn.functional.softplus(SHARPNESS * (logs[smaller] - logs[larger] + ratio)).mean() / SHARPNESS
    others = [index for index, change in enumerate(changes) if change[0] == ANOTHER_SHAPE]
    anchor = ((distances[:, others] + FLOOR).log() - math.log(0.6)).square().mean()
    return order + 0.1 * anchor


def patch_loss(
    descriptors: Float[Tensor, "2 P D"], weights: Float[Tensor, " P"], grid: Int[Tensor, "P 2"]
) -> Float[Tensor, ""]:
    """HardNet's loss between a view and the same view after a mild edit: the same place against the nearest other.

    Args:
        descriptors: of the patches before and after.
        weights: of the patches before; those of hardly any keypoint teach nothing.
        grid: row and column of each patch; neighbours overlap, and are no negatives of each other.

    References:
        Mishchuk et al., NeurIPS 2017, Eq. 1 and 2.
    """
    index = (weights > 2e-3).nonzero().squeeze(1)
    if len(index) <= 4:
        return descriptors.sum() * 0.0
    before, after = descriptors[:, index]
    distance = (2.0 - 2.0 * before @ after.T).clamp_min(1e-6).sqrt()
    apart = (grid[index, None] - grid[None, index]).abs().amax(-1)
    hardest = distance.masked_fill(apart < 2, 9.0).amin(1)
    return (1.0 + distance.diagonal() - hardest).clamp_min(0.0).mean()
