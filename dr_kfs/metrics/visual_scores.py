"""Visual recall, precision and F-score: how much of a shape's look is found in the other, at distance thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.comparison import Comparison, Direction
from dr_kfs.descriptors import PatchScales
from dr_kfs.metrics.f_score import f_score

__all__ = ["VisualScores", "visual_scores"]

STEPS = 33
"""Thresholds of the default curve."""


@dataclass(frozen=True, eq=False)
class VisualScores:
    """Scores of B pairs at T thresholds, all in [0, 1], rising with the threshold. Higher is better."""

    tau: Float[Tensor, " T"]
    """Thresholds [descriptor distance]."""
    recall: Float[Tensor, "B T"]
    """Share of the target's patch weight that the prediction shows within tau; what is missing lowers it."""
    precision: Float[Tensor, "B T"]
    """Share of the prediction's patch weight that the target shows within tau; what does not belong lowers it."""

    @property
    def f1(self) -> Float[Tensor, "B T"]:
        """F-score: harmonic mean of precision and recall; 0 where both are 0."""
        return f_score(self.precision, self.recall)


def visual_scores(comparison: Comparison, taus: float | Sequence[float] | None = None) -> VisualScores:
    """Precision, recall and F-score curves of patches, as Cov@tau, precision@tau and F1@tau are of points.

        recall(tau) = mean_v [ sum_i w_i 1(d_i <= tau) / sum_i w_i ]    over the target's patches i in view v

    and precision over the prediction's; d_i is the distance of patch i to its best match nearby and w_i its mean PoI,
    as in DR-KFS (Eq. 2), whose two directions are the means of the same d_i. The mean is over the views (and scales)
    in which the side shows any keypoint; without one, the score is 0. The weights of the directions in the loss do
    not enter. Values of other weights or settings are other metrics: `comparison.settings` names them.

    >>> scores = visual_scores(loss_fn.compare(predicted, target), taus=[0.005, 0.01])
    >>> scores.recall, scores.precision, scores.f1      # (B, 2) each

    Args:
        comparison: of B pairs; what `DRKFSLoss.compare` returns.
        taus: T thresholds of at least 0 [mean squared difference per descriptor dimension]; 33 from 0 to 4 / D by
            default, the largest distance of two unit descriptors of length D (0.031 for D = 128).

    Raises:
        ValueError: no threshold, or one below 0.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Eq. 2, for the distances and weights; A. Knapitsch et al.: Tanks and Temples.
        ACM Transactions on Graphics 36 (4), 2017, Sec. 5, for the scores of points. Scores of patches are ours.
    """
    weights = comparison.predicted.weights
    if taus is None:
        length = comparison.predicted.descriptors.shape[-1]
        tau = torch.linspace(0.0, 4.0 / length, STEPS, dtype=weights.dtype, device=weights.device)
    else:
        thresholds = np.array(taus, dtype=float, ndmin=1).tolist()
        if not thresholds or not all(tau >= 0.0 for tau in thresholds):
            raise ValueError(f"Expected at least one threshold, all at least 0, got {thresholds}.")
        tau = torch.tensor(thresholds, dtype=weights.dtype, device=weights.device)
    return VisualScores(
        tau=tau,
        recall=_within(comparison.target_to_predicted, comparison.scales, tau),
        precision=_within(comparison.predicted_to_target, comparison.scales, tau),
    )


def _within(direction: Direction, scales: PatchScales, tau: Tensor) -> Float[Tensor, "B T"]:
    """Mean share of patch weight within each threshold, over the views and scales that have weight."""
    shares, seen = [], []
    pairs = (scales.split(each, -1) for each in (direction.patch_distance, direction.weights))
    for distance, weight in zip(*pairs, strict=True):
        total = weight.sum(-1)  # (B, V)
        inside = torch.stack([(weight * (distance <= each)).sum(-1) for each in tau], dim=-1)
        shares.append(inside / torch.where(total > 0, total, 1.0)[..., None])
        seen.append(total > 0)
    count = torch.stack(seen).sum((0, 2)).clamp(min=1)  # (B,)
    return torch.stack(shares).sum((0, 2)) / count[:, None]
