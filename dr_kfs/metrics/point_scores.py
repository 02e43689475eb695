"""Coverage, precision, spurious rate and F1 of points at distance thresholds, and what sampling noise alone scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Points, PointSets, as_meshes
from dr_kfs.losses._point_pairs import match_nearest, point_mean, point_pair, root
from dr_kfs.metrics.f_score import f_score

__all__ = ["PointScores", "point_noise_floor", "point_scores"]


@dataclass(frozen=True, eq=False)
class PointScores:
    """Scores of B pairs at T thresholds, all in [0, 1]. Higher is better, except `spurious`."""

    tau: Float[Tensor, " T"]
    """Thresholds [world units]."""
    coverage: Float[Tensor, "B T"]
    """Cov@tau, recall: share of target points within tau of a prediction."""
    precision: Float[Tensor, "B T"]
    """Share of predictions within tau of the target."""

    @property
    def spurious(self) -> Float[Tensor, "B T"]:
        """Spurious rate: share of predictions farther than tau from the target, `1 - precision`."""
        return 1.0 - self.precision

    @property
    def f1(self) -> Float[Tensor, "B T"]:
        """F-score: harmonic mean of precision and coverage; 0 where both are 0."""
        return f_score(self.precision, self.coverage)


def point_scores(
    predicted: Points,
    target: Points,
    taus: float | Sequence[float],
    *,
    samples: int | None = None,
    seed: int | None = None,
) -> PointScores:
    """How much of the target is there, and how much of the prediction belongs there.

        Cov@tau = 1/|B| #{b : d(b, A) <= tau},    precision@tau = 1/|A| #{a : d(a, B) <= tau}

    A are predicted and B target points, d the distance to the nearest. A distance of exactly tau counts as within.
    Between samples of surfaces the scores depend on their density: report `point_noise_floor` beside them. Weights of
    points weigh their shares. There is no gradient: minimise `QALLoss`.

    Args:
        predicted: B point sets; see `as_point_sets`.
        target: as many, or one for all.
        taus: T thresholds above 0 [world units]; QAL's paper uses 0.03.
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Raises:
        ValueError: no threshold, one that is not above 0, or point sets that do not go together.
        TypeError: shapes without `samples`, or something else.

    References:
        A. Knapitsch, J. Park, Q. Zhou, V. Koltun: Tanks and Temples. ACM Transactions on Graphics 36 (4), 2017, Sec. 5.
        M. Tatarchenko et al.: What Do Single-view 3D Reconstruction Networks Learn? CVPR 2019, Sec. 5. P. Meshram et
        al.: QAL. arXiv 2511.17824 (Cov@tau, spurious points).
    """
    thresholds = np.array(taus, dtype=float, ndmin=1).tolist()
    if not thresholds or not all(tau > 0.0 for tau in thresholds):
        raise ValueError(f"Expected at least one threshold, all above 0, got {thresholds}.")
    with torch.no_grad():  # counts have no gradient
        ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
        tau = torch.tensor(thresholds, dtype=ours.dtype, device=ours.device)
        return PointScores(tau=tau, coverage=_within(theirs, ours, tau), precision=_within(ours, theirs, tau))


def _within(sets: PointSets, others: PointSets, tau: Tensor) -> Tensor:
    """Share of points within each threshold of the others (B, T)."""
    distance = root(match_nearest(sets, others).squared)
    return torch.stack([point_mean((distance <= each).to(distance.dtype), sets) for each in tau], dim=1)


def point_noise_floor(
    shapes: Any, taus: float | Sequence[float], *, samples: int, seed: int | None = None
) -> PointScores:
    """What a perfect prediction scores: two independent samples of each surface against one another.

    Where this is below 1, tau is finer than the samples can tell: take more of them, or a larger tau. A point set
    cannot be drawn again, so it has no such floor.

    Args:
        shapes: B targets; anything that `as_meshes` takes.
        taus: as in `point_scores`.
        samples: points of each sample: as many as are drawn for the scores that this goes with.
        seed: of both samples.

    Raises:
        ValueError: no threshold, one that is not above 0, or a shape without area.
        TypeError: something that is not a shape.
    """
    meshes = as_meshes(shapes)
    return point_scores(meshes, meshes, taus, samples=samples, seed=seed)
