"""APML, the adaptive probabilistic matching loss: every point is matched to all others, nearly one to one."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Points
from dr_kfs.losses._point_pairs import check_pairs, pair_distances, point_pair
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["SoftMatchingLoss", "soft_matching_loss"]

MARGIN = 1e-8
"""Added to sums and gaps that are divided by, as in the published code."""


def soft_matching_loss(
    predicted: Points,
    target: Points,
    *,
    min_probability: float = 0.8,
    iterations: int = 20,
    max_memory: float = 2e9,
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Adaptive probabilistic matching loss (APML) of two point sets.

        L = sum_ij P_ij ||a_i - b_j||,    P = Sinkhorn_20( (softmin over j + softmin over i) / 2 )

    The temperature of each softmin is set so that the nearest point gets at least `min_probability`:
    T = log((M - 1) / (1 - p)) / (second smallest - smallest distance). Sinkhorn then scales rows and columns to sum 1.
    P is a constant of the step, as in the published code, so the gradient is that of the distances. At least 0; small
    and not 0 at identity. The last scaling is of the columns: every target point is given a mass of 1, so the value
    grows with the number of target points, and is symmetric only for sets of one size.

    Args:
        predicted: B point sets without weights; see `as_point_sets`.
        target: as many, or one for all.
        min_probability: p, in (0, 1); the published 0.8.
        iterations: of Sinkhorn.
        max_memory: bytes that one pair may take; all N x M distances are needed, about 65 bytes a pair in float32.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Returns:
        (B,) or a scalar [world units]. The gradient is 0 between coincident points.

    Raises:
        ValueError: sets with weights, too many points for `max_memory` (the message names the item), point sets that do
            not go together, or an option out of range.
        TypeError: shapes without `samples`, or something else.

    References:
        S. Sharifipour et al.: APML: Adaptive Probabilistic Matching Loss for Robust 3D Point Cloud Reconstruction.
        NeurIPS 2025 (arXiv 2509.08104). github.com/apm-loss/apml, apml_loss.py.
    """
    _check(min_probability, iterations)
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    if ours.weights is not None or theirs.weights is not None:
        raise ValueError("APML counts every point once: expected point sets without weights.")
    check_pairs(ours, theirs, "APML", 17 * ours.points.element_size(), max_memory)
    values = []
    for points, others in zip(ours.points_list(), theirs.points_list(), strict=True):
        cost = pair_distances(points, others)
        values.append((_plan(cost.detach(), min_probability, iterations) * cost).sum())
    return reduce_items(torch.stack(values), reduction)


def _plan(cost: Tensor, min_probability: float, iterations: int) -> Tensor:
    """P of the formula."""
    plan = (_softmin(cost, min_probability) + _softmin(cost.T, min_probability).T) / 2
    for _ in range(iterations):
        plan = plan / (plan.sum(dim=1, keepdim=True) + MARGIN)
        plan = plan / (plan.sum(dim=0, keepdim=True) + MARGIN)
    return plan


def _softmin(cost: Tensor, min_probability: float) -> Tensor:
    """Each row as probabilities, the least cost with at least `min_probability`; all alike where that is shared."""
    count = cost.shape[1]
    if count == 1:
        return torch.ones_like(cost)
    above = cost - cost.amin(dim=1, keepdim=True)
    gap = above.topk(2, dim=1, largest=False).values[:, 1:]
    sharpness = -math.log((1.0 - min_probability) / (count - 1)) / (gap + MARGIN)
    return torch.where(gap == 0, 1.0 / count, torch.softmax(-above * sharpness, dim=1))


def _check(min_probability: float, iterations: int) -> None:
    if not 0.0 < min_probability < 1.0 or iterations < 0:
        raise ValueError(
            f"Expected min_probability in (0, 1) and at least 0 iterations, got {min_probability} and {iterations}."
        )


class SoftMatchingLoss(nn.Module):
    """`soft_matching_loss` as a module."""

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        min_probability: float = 0.8,
        iterations: int = 20,
        max_memory: float = 2e9,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check(min_probability, iterations)
        self.min_probability = min_probability
        self.iterations = iterations
        self.max_memory = max_memory
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return soft_matching_loss(
            predicted,
            target,
            min_probability=self.min_probability,
            iterations=self.iterations,
            max_memory=self.max_memory,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
