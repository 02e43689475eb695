"""Chamfer distance: the mean distance to the nearest point, both ways, in every published convention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Points, PointSets
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._point_pairs import Matches, match_nearest, point_mean, point_pair, point_sum, root
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["CHAMFER_PRESETS", "ChamferConvention", "ChamferLoss", "chamfer_loss"]

Preset = Literal["pytorch3d", "occnet-l1", "occnet-l2", "pointr-l1", "pointr-l2", "psgn", "point-cloud-utils"]
Average = Literal["mean", "sum"]


@dataclass(frozen=True, kw_only=True)
class ChamferConvention:
    """What a paper means by "Chamfer distance"."""

    squared: bool
    """Squared distances [world units^2] or distances [world units]."""
    points: Average
    """Mean or sum over the points of a set."""
    directions: Average
    """Mean or sum of the two directions."""
    source: str
    """The file that defines it."""


CHAMFER_PRESETS: dict[Preset, ChamferConvention] = {
    "pytorch3d": ChamferConvention(
        squared=True, points="mean", directions="sum", source="facebookresearch/pytorch3d pytorch3d/loss/chamfer.py"
    ),
    "occnet-l1": ChamferConvention(
        squared=False,
        points="mean",
        directions="mean",
        source="autonomousvision/occupancy_networks im2mesh/eval.py, 'chamfer-L1'",
    ),
    "occnet-l2": ChamferConvention(
        squared=True,
        points="mean",
        directions="mean",
        source="autonomousvision/occupancy_networks im2mesh/eval.py, 'chamfer-L2'",
    ),
    "pointr-l1": ChamferConvention(
        squared=False,
        points="mean",
        directions="mean",
        source="yuxumin/PoinTr extensions/chamfer_dist/__init__.py, ChamferDistanceL1",
    ),
    "pointr-l2": ChamferConvention(
        squared=True,
        points="mean",
        directions="sum",
        source="yuxumin/PoinTr extensions/chamfer_dist/__init__.py, ChamferDistanceL2",
    ),
    "psgn": ChamferConvention(
        squared=True, points="sum", directions="sum", source="Fan, Su, Guibas, CVPR 2017, Sec. 3.2"
    ),
    "point-cloud-utils": ChamferConvention(
        squared=False,
        points="mean",
        directions="sum",
        source="fwilliams/point-cloud-utils, chamfer_distance(x, y)",
    ),
}
"""The same pair has 4.0e-4 in one and 2.8e-2 in another: name the convention with every value."""


def chamfer_loss(
    predicted: Points,
    target: Points,
    *,
    preset: Preset = "pytorch3d",
    squared: bool | None = None,
    points: Average | None = None,
    directions: Average | None = None,
    normal_weight: float = 0.0,
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Chamfer distance of two point sets.

        L = mean_a d(a, T)^p + mean_b d(b, P)^p,    d(x, S) = min_{s in S} ||x - s||,    p = 2 (or 1)

    in the default convention, PyTorch3D's; `CHAMFER_PRESETS` names others, and every part of one can be changed.
    Symmetric, at least 0, and 0 exactly where both sets hold the same positions. It does not count: a point that is
    repeated a hundred times changes little, a hole costs only the distance to its rim. Differentiable in both sets
    (in the vertices, where shapes are sampled); the nearest points are found exactly, see `nearest_neighbors`.

    Args:
        predicted: B point sets P; see `as_point_sets`. With weights, means are `sum(w d) / sum(w)`, sums `sum(w d)`.
        target: as many T, or one for all.
        preset: a published convention.
        squared: overrides the preset's.
        points: overrides the preset's.
        directions: overrides the preset's.
        normal_weight: adds this times `1 - |cos|` of the normals of matched points, averaged in the same way; both
            sets need normals. A normal of length 0 is perpendicular to everything.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Returns:
        (B,) or a scalar [world units^2, or world units if not squared]. The gradient is 0 between coincident points.

    Raises:
        ValueError: point sets that do not go together, normals that are missing, or an unknown option.
        TypeError: shapes without `samples`, or something else.

    References:
        H. Fan, H. Su, L. Guibas: A Point Set Generation Network for 3D Object Reconstruction from a Single Image. CVPR
        2017, Sec. 3.2. The sources of the presets are in `CHAMFER_PRESETS`.
    """
    convention = _convention(preset, squared, points, directions)
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    over_points = point_mean if convention.points == "mean" else point_sum
    total = None
    for sets, others in ((ours, theirs), (theirs, ours)):
        matches = match_nearest(sets, others)
        values = matches.squared if convention.squared else root(matches.squared)
        if normal_weight != 0.0:
            values = values + normal_weight * _normal_difference(sets, others, matches)
        one_way = over_points(values, sets)
        total = one_way if total is None else total + one_way
    assert total is not None
    return reduce_items(total / 2 if convention.directions == "mean" else total, reduction)


def _convention(
    preset: Preset, squared: bool | None, points: Average | None, directions: Average | None
) -> ChamferConvention:
    if preset not in CHAMFER_PRESETS:
        raise ValueError(f"preset must be one of {', '.join(map(repr, CHAMFER_PRESETS))}, got {preset!r}.")
    for name, value in (("points", points), ("directions", directions)):
        if value not in (None, "mean", "sum"):
            raise ValueError(f'{name} must be "mean" or "sum", got {value!r}.')
    base = CHAMFER_PRESETS[preset]
    return ChamferConvention(
        squared=base.squared if squared is None else squared,
        points=base.points if points is None else points,
        directions=base.directions if directions is None else directions,
        source=base.source,
    )


def _normal_difference(sets: PointSets, others: PointSets, matches: Matches) -> Tensor:
    """`1 - |cos|` (M,) of the normals of matched points."""
    if sets.normals is None or others.normals is None:
        raise ValueError("normal_weight needs normals on both sides: PointSets.from_list(..., normals=...).")
    one, other = sets.normals, rows_at(others.normals, matches.index)
    dot = (one * other).sum(dim=1)
    lengths = root(one.square().sum(dim=1)) * root(other.square().sum(dim=1))
    exists = lengths > 0
    cosine = torch.where(exists, dot / torch.where(exists, lengths, 1.0), 0.0)
    return 1.0 - cosine.abs()


class ChamferLoss(nn.Module):
    """`chamfer_loss` as a module, with its settings as attributes."""

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        preset: Preset = "pytorch3d",
        squared: bool | None = None,
        points: Average | None = None,
        directions: Average | None = None,
        normal_weight: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _convention(preset, squared, points, directions)
        self.preset: Preset = preset
        self.squared = squared
        self.points: Average | None = points
        self.directions: Average | None = directions
        self.normal_weight = normal_weight
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return chamfer_loss(
            predicted,
            target,
            preset=self.preset,
            squared=self.squared,
            points=self.points,
            directions=self.directions,
            normal_weight=self.normal_weight,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
