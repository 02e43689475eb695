"""Farthest-point sampling: few points of a set that are spread as evenly as its own points allow."""

from __future__ import annotations

import torch

from dr_kfs.geometry.point_sets import Points, PointSets, as_point_sets

__all__ = ["farthest_points"]


def farthest_points(points: Points, num_points: int, *, seed: int | None = None) -> PointSets:
    """Choose points one by one, each the farthest from all chosen before.

        i_0 = any,    i_k = argmax_i min_{j < k} ||x_i - x_{i_j}||

    Every point of the set is then within 2 r of a chosen one, where r is the least radius that any choice of as many
    points could reach (Gonzalez 1985). The choice is discrete; positions, normals and weights keep their gradients.
    To spread points over a surface, choose among many of its samples: `farthest_points(PointSets.from_meshes(meshes,
    16 * n, seed=0), n)`. Time grows with `num_points` times the size of the set.

    Args:
        points: B point sets; see `as_point_sets`.
        num_points: to choose from each, 1 to the size of the smallest set. Ties go to the first point.
        seed: draws the first point; the point farthest from the mean by default, which needs no draw and does not
            depend on the order of the points.

    Raises:
        ValueError: fewer than one point, or more than an item has (the message names it).

    References:
        Y. Eldar, M. Lindenbaum, M. Porat, Y. Zeevi: The Farthest Point Strategy for Progressive Image Sampling. IEEE
        Transactions on Image Processing 6 (9), 1997. T. Gonzalez: Clustering to Minimize the Maximum Intercluster
        Distance. Theoretical Computer Science 38, 1985.
    """
    if num_points < 1:
        raise ValueError(f"Expected at least one point to choose, got num_points={num_points}.")
    sets = as_point_sets(points)
    for item, count in enumerate(sets.counts):
        if count < num_points:
            raise ValueError(f"item {item}: expected at least {num_points} points to choose from, got {count}.")
    rows = []
    for start, places in zip(sets.offsets, sets.points_list(), strict=False):
        places = places.detach().to(torch.promote_types(places.dtype, torch.float32))  # a choice has no gradient
        if seed is None:
            first = (places - places.mean(dim=0)).square().sum(dim=1).argmax()
        else:
            generator = torch.Generator().manual_seed(seed)
            first = torch.randint(len(places), (), generator=generator).to(places.device)
        rows.append(start + _spread(places, first, num_points))
    return sets.select(torch.cat(rows), [num_points] * len(rows))


def _spread(points: torch.Tensor, first: torch.Tensor, num_points: int) -> torch.Tensor:
    chosen = torch.empty(num_points, dtype=torch.int64, device=points.device)
    x, y, z = points.T.contiguous()
    nearest = torch.full_like(x, torch.inf)
    current = first
    for number in range(num_points):
        chosen[number] = current  # a tensor throughout: nothing waits for the GPU
        squared = (x - x[current]).square_().addcmul_(d := y - y[current], d).addcmul_(d := z - z[current], d)
        torch.minimum(nearest, squared, out=nearest)
        nearest[current] = -1.0  # among copies of a point, the others come last, and none twice
        current = nearest.argmax()
    return chosen
