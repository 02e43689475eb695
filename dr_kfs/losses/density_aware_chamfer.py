"""Density-aware Chamfer distance: a point that many others are matched to counts less."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Points, PointSets
from dr_kfs.losses._point_pairs import match_nearest, point_mean, point_pair
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["DensityAwareChamferLoss", "density_aware_chamfer_loss"]

SizeRatio = Literal["plain", "at least 1", "none"]


def density_aware_chamfer_loss(
    predicted: Points,
    target: Points,
    *,
    alpha: float = 1000.0,
    exponent: float = 1.0,
    size_ratio: SizeRatio = "plain",
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Density-aware Chamfer distance (DCD) of two point sets.

        L       = (l(P, T) + l(T, P)) / 2
        l(X, Y) = mean_x (1 - r / n^lambda exp(-alpha d^2))

    d is the distance of x to the nearest point y of the other set, and n how many points of X have that y as their
    nearest. r = |X| / |Y| makes up for sets of different sizes. Symmetric. In [0, 1] without weights, for an exponent
    of at least 1 or sets of one size; otherwise the larger set's direction can fall below 0, unless r is 1 (`"none"`).
    0 where both sets hold the same positions, each once. Differentiable in both sets through d, not through n.
    exp(-alpha d^2) has no gradient left beyond d of about 3 / sqrt(alpha): points that are far off do not move.

    Args:
        predicted: B point sets; see `as_point_sets`. With weights, the outer means are weighted.
        target: as many, or one for all.
        alpha: how fast a match fades [1 / world units^2]; the repository's 1000 is for shapes in a unit ball.
        exponent: lambda; 0 does not look at densities.
        size_ratio: `"plain"`: |X| / |Y|; `"at least 1"`: its maximum with 1 (the repository's `non_reg`); `"none"`: 1.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Returns:
        (B,) or a scalar, without unit.

    Raises:
        ValueError: point sets that do not go together, or an option out of range.
        TypeError: shapes without `samples`, or something else.

    References:
        T. Wu et al.: Density-aware Chamfer Distance as a Comprehensive Metric for Point Cloud Completion. NeurIPS 2021,
        Eq. 5. `calc_dcd` in github.com/wutong16/Density_aware_Chamfer_Distance, utils_v2/model_utils.py.
    """
    _check(alpha, exponent, size_ratio)
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    one_way = [
        _direction(sets, others, alpha, exponent, size_ratio) for sets, others in ((ours, theirs), (theirs, ours))
    ]
    return reduce_items((one_way[0] + one_way[1]) / 2, reduction)


def _direction(sets: PointSets, others: PointSets, alpha: float, exponent: float, size_ratio: SizeRatio) -> Tensor:
    matches = match_nearest(sets, others)
    crowd = torch.bincount(matches.index, minlength=len(others.points))[matches.index].to(sets.dtype)
    share = crowd.pow(-exponent)
    if size_ratio != "none":
        ratio = [ours / theirs for ours, theirs in zip(sets.counts, others.counts, strict=True)]
        if size_ratio == "at least 1":
            ratio = [max(1.0, each) for each in ratio]
        counts = torch.tensor(sets.counts, device=sets.device)
        share = share * torch.tensor(ratio, dtype=sets.dtype, device=sets.device).repeat_interleave(counts)
    return point_mean(1.0 - share * torch.exp(-alpha * matches.squared), sets)


def _check(alpha: float, exponent: float, size_ratio: SizeRatio) -> None:
    if not alpha > 0.0 or not exponent >= 0.0:
        raise ValueError(f"Expected alpha above 0 and an exponent of at least 0, got {alpha} and {exponent}.")
    if size_ratio not in ("plain", "at least 1", "none"):
        raise ValueError(f'size_ratio must be "plain", "at least 1" or "none", got {size_ratio!r}.')


class DensityAwareChamferLoss(nn.Module):
    """`density_aware_chamfer_loss` as a module."""

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        alpha: float = 1000.0,
        exponent: float = 1.0,
        size_ratio: SizeRatio = "plain",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check(alpha, exponent, size_ratio)
        self.alpha = alpha
        self.exponent = exponent
        self.size_ratio: SizeRatio = size_ratio
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return density_aware_chamfer_loss(
            predicted,
            target,
            alpha=self.alpha,
            exponent=self.exponent,
            size_ratio=self.size_ratio,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
