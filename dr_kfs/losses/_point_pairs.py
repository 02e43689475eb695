"""What all losses of points share: two batches that go together, nearest points, means over points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dr_kfs.geometry import Points, PointSets, as_point_sets, nearest_neighbors
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._reductions import item_mean


@dataclass(frozen=True, eq=False)
class Matches:
    """For each point of one batch, the nearest point of the other."""

    index: Tensor
    """(M,) packed row of the other's points, without gradient."""
    squared: Tensor
    """(M,) squared distance, differentiable in both."""


def point_pair(
    predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
) -> tuple[PointSets, PointSets]:
    """Both sides as point sets, B of each, in one dtype of at least float32.

    Args:
        predicted: B point sets or shapes.
        target: as many, or one for all.
        samples: points to draw from each surface.
        seed: of these. The two sides draw from seeds 2 s and 2 s + 1, so that their samples are independent.

    Raises:
        ValueError: different numbers of items or devices, or what `as_point_sets` refuses.
        TypeError: shapes without `samples`, or something else.
    """
    ours = as_point_sets(predicted, samples=samples, seed=None if seed is None else 2 * seed)
    theirs = as_point_sets(target, samples=samples, seed=None if seed is None else 2 * seed + 1)
    if len(theirs) not in (1, len(ours)):
        raise ValueError(
            f"predicted holds {len(ours)} point sets and target {len(theirs)}; they must be equal, or the target one."
        )
    if ours.device != theirs.device:
        raise ValueError(
            f"Expected both sides on one device, got predicted on {ours.device} and target on {theirs.device}. "
            "Move one with .to(device)."
        )
    if len(theirs) != len(ours):
        theirs = theirs.repeat(len(ours))
    dtype = torch.promote_types(torch.promote_types(ours.dtype, theirs.dtype), torch.float32)
    return ours.to(dtype=dtype), theirs.to(dtype=dtype)


def match_nearest(sets: PointSets, others: PointSets) -> Matches:
    """The nearest point of `others` for each point of `sets`."""
    index = nearest_neighbors(sets, others)
    return Matches(index, (sets.points - rows_at(others.points, index)).square().sum(dim=1))


def root(squared: Tensor) -> Tensor:
    """Square roots; at 0 the gradient is 0, as a distance of 0 has no direction."""
    positive = squared > 0
    # The root of 1 stands in for the root of 0, whose gradient is infinite.
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def point_mean(values: Tensor, sets: PointSets) -> Tensor:
    """(B,) means of one value per point: `sum(w v) / sum(w)` where the points have weights."""
    if sets.weights is None:
        return item_mean(values, sets.counts)
    return item_mean(sets.weights * values, sets.counts) / item_mean(sets.weights, sets.counts)


def point_sum(values: Tensor, sets: PointSets) -> Tensor:
    """(B,) sums of one value per point, `sum(w v)` where the points have weights."""
    if sets.weights is not None:
        values = sets.weights * values
    return torch.stack([part.sum() for part in values.split(list(sets.counts))])


def pair_distances(points: Tensor, others: Tensor) -> Tensor:
    """All Euclidean distances (N, M), from differences; gradient 0 where points coincide."""
    x, y, z = ((points[:, None, axis] - others[None, :, axis]).square() for axis in range(3))
    return root(x + y + z)


def check_pairs(sets: PointSets, others: PointSets, name: str, bytes_per_pair: int, max_memory: float) -> None:
    """Raise ValueError, naming the item, where a loss that needs all N x M pairs would take more than `max_memory`."""
    for item, (count, other) in enumerate(zip(sets.counts, others.counts, strict=True)):
        needed = bytes_per_pair * count * other
        if needed > max_memory:
            raise ValueError(
                f"item {item}: {name} needs all {count} x {other} pairs, about {needed:.2g} bytes, more than "
                f"max_memory={max_memory:.2g}. Take fewer points (farthest_points, samples=...) or raise max_memory."
            )
