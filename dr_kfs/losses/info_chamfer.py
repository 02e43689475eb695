"""InfoCD: the Chamfer distance as a contrastive loss, which spreads the matched distances."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Points
from dr_kfs.losses._point_pairs import match_nearest, point_mean, point_pair, point_sum, root
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["InfoChamferLoss", "info_chamfer_loss"]


def info_chamfer_loss(
    predicted: Points,
    target: Points,
    *,
    temperature: float = 2.0,
    contrast: float = 1e-7,
    points: Literal["mean", "sum"] = "mean",
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Contrastive Chamfer distance of two point sets.

        l(A, B) = mean_a -log( exp(-d_a / T) / (sum_a' exp(-d_a' / T))^lambda )
                = mean_a d_a / T + lambda log sum_a exp(-d_a / T)
        L       = 1/2 (l(A, B) + l(B, A))

    d is the (unsquared) distance to the nearest point of the other set. The second term falls as distances grow
    together: it asks for matches that are alike. With the published lambda = 1e-7 its gradient is below rounding
    in float32: then InfoCD is the unsquared Chamfer distance (the sum of both directions) over 2 T, and about
    lambda log |A| more. Symmetric; at identity, with `points="mean"`, it is `lambda (log|A| + log|B|) / 2`, not 0.

    Args:
        predicted: B point sets; see `as_point_sets`. With weights, means are `sum(w v) / sum(w)` and the sum inside the
            logarithm is weighted.
        target: as many, or one for all.
        temperature: T, above 0 [world units]; the repository's 2.
        contrast: lambda, at least 0; the repository's 1e-7.
        points: mean or sum over the points; the repository sums (over the batch too: `reduction="sum"`).
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Returns:
        (B,) or a scalar, without unit. The gradient is 0 between coincident points.

    Raises:
        ValueError: point sets that do not go together, or an option out of range.
        TypeError: shapes without `samples`, or something else.

    References:
        F. Lin et al.: InfoCD: A Contrastive Chamfer Distance Loss for Point Cloud Completion. NeurIPS 2023.
        `calc_cd_like_InfoV2` in github.com/ark1234/NeurIPS2023-InfoCD, codes/utils/loss_utils.py, whose 1e-7 inside the
        sum and 1e-9 below squared distances are left out.
    """
    _check(temperature, contrast, points)
    over_points = point_mean if points == "mean" else point_sum
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    one_way = []
    for sets, others in ((ours, theirs), (theirs, ours)):
        energy = root(match_nearest(sets, others).squared) / temperature
        scores = -energy if sets.weights is None else sets.weights.log() - energy
        total = torch.stack([part.logsumexp(dim=0) for part in scores.split(list(sets.counts))])
        counts = torch.tensor(sets.counts, device=sets.device)
        one_way.append(over_points(energy + contrast * total.repeat_interleave(counts), sets))
    return reduce_items((one_way[0] + one_way[1]) / 2, reduction)


def _check(temperature: float, contrast: float, points: str) -> None:
    if not temperature > 0.0 or not contrast >= 0.0:
        raise ValueError(
            f"Expected a temperature above 0 and a contrast of at least 0, got {temperature} and {contrast}."
        )
    if points not in ("mean", "sum"):
        raise ValueError(f'points must be "mean" or "sum", got {points!r}.')


class InfoChamferLoss(nn.Module):
    """`info_chamfer_loss` as a module."""

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        temperature: float = 2.0,
        contrast: float = 1e-7,
        points: Literal["mean", "sum"] = "mean",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _check(temperature, contrast, points)
        self.temperature = temperature
        self.contrast = contrast
        self.points: Literal["mean", "sum"] = points
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return info_chamfer_loss(
            predicted,
            target,
            temperature=self.temperature,
            contrast=self.contrast,
            points=self.points,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
