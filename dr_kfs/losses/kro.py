"""KRO, the k-random-octant loss: how anchor points of the parts of a shape lie around its centre."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dr_kfs.geometry import Points, PointSets, nearest_neighbors
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._point_pairs import point_pair
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["KROLoss", "kro_loss"]

Preset = Literal["paper", "fixed"]
PAIRS = 2**22
"""Of cells and points that are held at a time: 16 MB in float32."""


def kro_loss(
    predicted: Points,
    target: Points,
    *,
    preset: Preset = "fixed",
    k: int | None = None,
    max_k: int = 4,
    softness: float = 0.5,
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """k-random-octant loss of a predicted point set G against a target Y.

    The bounding box is cut into k^3 cells, k drawn uniformly from 1 to `max_k` for every pair and call; for `"fixed"`
    from 2 on, since a single cell's anchor is the centre itself.

    `"paper"`, the formula as published, each set in its own box:

        L = D(Y) - D(G),    D(S) = sum_j ||a_j - c||^2

    a_j is the point of S nearest to the middle of cell j, c the one nearest to the middle of the box. It is signed and
    unbounded below: growing G lowers it for ever, and 0 does not mean equality. For comparison only; the report itself
    finds that training with it diverges.

    `"fixed"`, this project's repair, both sets in the target's box:

        L = mean over cells j with a target point of ||(a_j - c) - (a'_j - c')||^2

    a_j is the mean of all points of a set with weights exp(-|x - m_j|^2 / (2 softness^2)), m_j the middle of the cell
    and lengths in cell sides, none of them below a tenth of the longest: it moves smoothly with every point nearby. c
    is the same with the whole box as the cell. At least 0; 0 at identity, but also between sets with the same anchors:
    it sees the layout of parts, not detail. Not symmetric.

    Args:
        predicted: B point sets; see `as_point_sets`. `"fixed"` multiplies in their weights, `"paper"` ignores them.
        target: as many, or one for all.
        preset: `"fixed"` or `"paper"`.
        k: cells along each axis, instead of drawing it; at least 1, for `"fixed"` 2.
        max_k: the largest k that is drawn; likewise.
        softness: of `"fixed"` [cell sides], above 0.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples and of k; torch's global generator otherwise.

    Returns:
        (B,) or a scalar [world units^2]. Differentiable in both sets; box and cells are constants of the step.

    Raises:
        ValueError: point sets that do not go together, or an option out of range.
        TypeError: shapes without `samples`, or something else.

    References:
        J. Dalal, R. Zou: Improving Generalization Results for 3D Point Cloud Data Reconstruction From 2D Images.
        Stanford CS231A report, Sec. 4.3.
    """
    least = _least_cells(preset, k, max_k, softness)
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    values = []
    for item in range(len(ours)):
        one, other = _item(ours, item), _item(theirs, item)
        cells = int(torch.randint(least, max_k + 1, (), generator=generator)) if k is None else k
        if preset == "paper":
            values.append(_spread(other, cells) - _spread(one, cells))
        else:
            values.append(_anchor_difference(one, other, cells, softness))
    return reduce_items(torch.stack(values), reduction)


def _least_cells(preset: Preset, k: int | None, max_k: int, softness: float) -> int:
    """The fewest cells along an axis that a preset allows."""
    if preset not in ("paper", "fixed"):
        raise ValueError(f'preset must be "paper" or "fixed", got {preset!r}.')
    least = 1 if preset == "paper" else 2
    if (k is not None and k < least) or max_k < least or not softness > 0.0:
        raise ValueError(
            f"Expected k and max_k of at least {least} and a softness above 0, got {k}, {max_k} and {softness}."
        )
    return least


def _item(sets: PointSets, item: int) -> PointSets:
    rows = torch.arange(sets.offsets[item], sets.offsets[item + 1], device=sets.device)
    return sets.select(rows, [len(rows)])


def _grid(points: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Low corner of the box, sides of a cell (3,), and middles of the cells (k^3, 3), x slowest."""
    points = points.detach()  # the box is a constant of the step
    low = points.amin(dim=0)
    extent = points.amax(dim=0) - low
    # A flat set has a box of no volume: its cells get a width that rounding cannot hide.
    least = (1e-6 * extent.amax()).clamp(min=torch.finfo(points.dtype).eps)
    side = extent.clamp(min=least) / k
    steps = torch.arange(k, device=points.device, dtype=points.dtype) + 0.5
    middles = torch.cartesian_prod(steps, steps, steps).view(-1, 3)
    return low, side, low + middles * side


def _spread(sets: PointSets, k: int) -> Tensor:
    """D of the report's formula."""
    low, side, middles = _grid(sets.points, k)
    middle = low + 0.5 * k * side
    queries = PointSets(torch.cat([middles, middle[None]]), (0, len(middles) + 1))
    anchors = rows_at(sets.points, nearest_neighbors(queries, sets))
    return (anchors[:-1] - anchors[-1]).square().sum()


def _anchor_difference(predicted: PointSets, target: PointSets, k: int, softness: float) -> Tensor:
    low, side, middles = _grid(target.points, k)
    cell = ((target.points.detach() - low) / side).long().clamp(0, k - 1)
    number = (cell[:, 0] * k + cell[:, 1]) * k + cell[:, 2]
    middles = middles[number.unique()]  # an empty cell has no anchor to compare with
    layouts = []
    for sets in (predicted, target):
        centre = _anchors(sets, low[None] + 0.5 * k * side, k * side, softness)
        layouts.append(_anchors(sets, middles, side, softness) - centre)
    return (layouts[0] - layouts[1]).square().sum(dim=1).mean()


def _anchors(sets: PointSets, middles: Tensor, side: Tensor, softness: float) -> Tensor:
    """Weighted means of the points around each middle (C, 3)."""
    # Across a thin box one point outweighs all others, and which one changes at a touch: no width below a tenth.
    width = softness * side.clamp(min=0.1 * side.amax())
    means = []
    for part in middles.split(max(1, PAIRS // len(sets.points))):
        # Computed anew in the backward pass, so that no cells x points matrix is kept for it.
        means.append(checkpoint(_weighted_means, sets.points, sets.weights, part, width, use_reentrant=False))
    return torch.cat(means)


def _weighted_means(points: Tensor, weights: Tensor | None, middles: Tensor, width: Tensor) -> Tensor:
    x, y, z = (((points[None, :, axis] - middles[:, None, axis]) / width[axis]).square() for axis in range(3))
    scores = -0.5 * (x + y + z)
    if weights is not None:
        scores = scores + weights.log()
    return torch.softmax(scores, dim=1) @ points


class KROLoss(nn.Module):
    """`kro_loss` as a module."""

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        preset: Preset = "fixed",
        k: int | None = None,
        max_k: int = 4,
        softness: float = 0.5,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _least_cells(preset, k, max_k, softness)
        self.preset: Preset = preset
        self.k = k
        self.max_k = max_k
        self.softness = softness
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return kro_loss(
            predicted,
            target,
            preset=self.preset,
            k=self.k,
            max_k=self.max_k,
            softness=self.softness,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
