"""Exact nearest neighbours between batches of point sets, on any device and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from dr_kfs.geometry.point_sets import Points, as_point_sets

__all__ = ["nearest_neighbors"]

NEAR_POINTS = 32
"""The tree's reach is the median distance of this many neighbours among the references: few leaves to open."""
PROBES = 64
"""References that the median is taken of."""
BLOCK = 64
"""Points in a block: small ones fit the surface closely, large ones keep the hardware busy."""
NEAREST_BLOCKS = 24
"""Blocks that are searched in order of distance before the rest is listed."""
ALL_PAIRS = 2**22
"""Up to so many pairs, 2,048 x 2,048, nothing is sorted into blocks."""
BLOCKS_AT_A_TIME = 2**13
"""Pairs of blocks whose points are gathered at a time."""
BOX_PAIRS = 2**21
"""Pairs of boxes that are held at a time, with some 50 bytes each at most."""


def nearest_neighbors(query: Points, reference: Points) -> Int[Tensor, " M"]:
    """For each query point the nearest reference point of the same item: a packed row of `reference.points`.

    Exact: the least squared Euclidean distance, from differences of coordinates (in at least float32), not from
    `|q|^2 - 2 q.r + |r|^2`, whose digits cancel far from the origin. Among equally near points any one is returned, the
    same in every run on a device. Indices have no gradient: take the distances anew from the points.

    How. On the CPU, scipy's k-d tree first looks within the distance that typically holds 32 reference points, on as
    many threads as torch has. Queries that are farther off, and all on CUDA, search by blocks, in plain torch: both
    sets are sorted along a Morton curve and cut into blocks of 64 points, and a block of queries visits blocks of
    references in the order of the distances of their boxes, until the next box is farther than all its points found.

    Why both. Measured for 100,000 against 100,000 points, one way on one thread of an EPYC: between two samples of one
    sphere the tree takes 0.13 s and blocks 0.26 s; for 2,048 points 1 ms and 7 ms. But a tree alone has no bound. Both
    ways, a sphere against itself moved by 0.3 took scipy's default tree 24 s, and points near the centre of a sphere,
    as an untrained network predicts them, 221 s; tree and blocks take 1.4 s and 17 s, as nearly every pair must be
    looked at there. Warp's hash grid wants a radius that holds for all queries, which is what is not known.

    Memory: never all pairs, but parts of fixed size (`BOX_PAIRS`, `BLOCKS_AT_A_TIME`). For those 100,000 points it adds
    72 MB between spheres and 148 MB where all pairs are looked at, and no more for larger sets but some numbers per
    point; on CUDA another 64 MB.

    Args:
        query: B point sets; see `as_point_sets`.
        reference: B point sets on the same device.

    Raises:
        ValueError: different numbers of items, or different devices.
    """
    query, reference = as_point_sets(query), as_point_sets(reference)
    if len(query) != len(reference):
        raise ValueError(f"Expected as many reference as query sets, got {len(query)} query and {len(reference)}.")
    if query.device != reference.device:
        raise ValueError(f"Expected point sets on one device, got {query.device} and {reference.device}.")
    with torch.no_grad():  # which point is nearest is a discrete choice
        dtype = torch.promote_types(torch.promote_types(query.dtype, reference.dtype), torch.float32)
        rows = []
        items = zip(query.points_list(), reference.points_list(), reference.offsets, strict=False)
        for points, others, start in items:
            points, others = _in_range(points.to(dtype), others.to(dtype))
            rows.append(start + _nearest_row(points, others))
        return torch.cat(rows)


@torch.library.custom_op(
    "dr_kfs::nearest_row", mutates_args=(), schema="(Tensor points, Tensor others) -> Tensor"
)  # one operation to torch.compile, which would look into scipy's
def _nearest_row(points: Tensor, others: Tensor) -> Tensor:
    return (_tree_search if points.device.type == "cpu" else _search)(points, others)


@_nearest_row.register_fake
def _(points, others):  # type: ignore[no-untyped-def]
    return points.new_empty(len(points), dtype=torch.int64)


def _in_range(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Both scaled by one power of 2, which rounds nothing, so that squares do not overflow."""
    largest = torch.maximum(points.abs().amax(), others.abs().amax()).clamp(min=torch.finfo(points.dtype).tiny)
    exponent = torch.frexp(largest).exponent
    return torch.ldexp(points, -exponent), torch.ldexp(others, -exponent)


def _squared(points: Tensor, others: Tensor, squared: Tensor, difference: Tensor) -> Tensor:
    """Squared distances (..., n, m) of points (3, ..., n) and others (3, ..., m), in the memory given."""
    torch.sub(points[0].unsqueeze(-1), others[0].unsqueeze(-2), out=squared).square_()
    for axis in (1, 2):
        torch.sub(points[axis].unsqueeze(-1), others[axis].unsqueeze(-2), out=difference)
        squared.addcmul_(difference, difference)
    return squared


def _nearest_squared(points: Tensor, others: Tensor) -> Tensor:
    """The least squared distance (n, BLOCK) of the points (3, n, BLOCK) to the others of the same row."""
    result = torch.empty_like(points[0])
    size = min(_pairs_at_a_time(points.device) // BLOCK**2, len(result))
    # The same memory for every part: fresh memory costs more than the arithmetic.
    squared, difference = points.new_empty(2, size, BLOCK, BLOCK).unbind(0) if size else (result, result)
    for first in range(0, len(result), max(size, 1)):
        part = slice(first, first + size)
        count = len(result[part])
        torch.amin(
            _squared(points[:, part], others[:, part], squared[:count], difference[:count]), dim=-1, out=result[part]
        )
    return result


def _pairs_at_a_time(device: torch.device) -> int:
    """Pairs of points that are held at a time: what fits a core's cache, or what fills a GPU."""
    return 2**18 if device.type == "cpu" else 2**23


def _tree_search(points: Tensor, others: Tensor) -> Tensor:
    """On the CPU: by a tree what is near, by `_search` what is far, where a tree would open all its leaves."""
    from scipy.spatial import KDTree

    places, query = others.double().numpy(), points.double().numpy()
    # Splits at midpoints are found faster than medians, and serve as well.
    tree = KDTree(places, balanced_tree=False, compact_nodes=False)
    some = places[:: max(1, len(places) // PROBES)]
    near = tree.query(some, k=min(NEAR_POINTS, len(places)))[0].reshape(len(some), -1)
    reach = float(np.median(near[:, -1]))
    index = tree.query(query, distance_upper_bound=reach, workers=torch.get_num_threads())[1]
    found = torch.from_numpy(index)
    far = found == len(places)
    if far.any():
        found[far] = _search(points[far], others)
    return found


def _search(points: Tensor, others: Tensor) -> Tensor:
    return (_all_pairs if len(points) * len(others) <= ALL_PAIRS else _block_search)(points, others)


def _all_pairs(points: Tensor, others: Tensor) -> Tensor:
    rows = max(1, _pairs_at_a_time(points.device) // len(others))
    columns = others.T.contiguous()
    squared, difference = points.new_empty(2, min(rows, len(points)), len(others)).unbind(0)
    parts = points.split(rows)
    return torch.cat([_squared(p.T, columns, squared[: len(p)], difference[: len(p)]).argmin(dim=-1) for p in parts])


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Points along a Morton curve, N blocks of `BLOCK`; the last is filled with copies of its last point."""

    order: Tensor
    """(N, BLOCK) which point."""
    points: Tensor
    """(3, N, BLOCK)."""
    low: Tensor
    """(3, N) of the boxes."""
    high: Tensor
    """(3, N)."""


def _blocks(points: Tensor) -> _Blocks:
    low = points.amin(dim=0)
    extent = (points.amax(dim=0) - low).amax().clamp(min=torch.finfo(points.dtype).tiny)
    cell = ((points - low) / extent * 1023).to(torch.int64)
    order = _spaced(cell[:, 0]).bitwise_or_(_spaced(cell[:, 1]) << 1).bitwise_or_(_spaced(cell[:, 2]) << 2).argsort()
    order = torch.cat([order, order[-1:].expand(-len(points) % BLOCK)]).view(-1, BLOCK)
    packed = points[order].permute(2, 0, 1).contiguous()
    return _Blocks(order, packed, packed.amin(dim=2), packed.amax(dim=2))


def _spaced(values: Tensor) -> Tensor:
    """The 10 bits of each number, two zeros between neighbours."""
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        values = (values | (values << shift)) & mask
    return values


def _block_search(points: Tensor, others: Tensor) -> Tensor:
    query, reference = _blocks(points), _blocks(others)
    found = torch.empty(len(points), dtype=torch.int64, device=points.device)
    rows = max(1, BOX_PAIRS // reference.low.shape[1])
    for first in range(0, query.low.shape[1], rows):
        part = slice(first, first + rows)
        block = _best_blocks(query.points[:, part], _box_gaps(query, part, reference), reference)
        for some in torch.arange(len(block), device=block.device).split(_pairs_at_a_time(points.device) // BLOCK**2):
            # The nearest in the block that holds the nearest.
            candidates = reference.points[:, block[some]]  # (3, rows, BLOCK, BLOCK)
            squared = (query.points[:, part][:, some].unsqueeze(-1) - candidates).square_().sum(dim=0)
            number = squared.argmin(dim=-1)
            found[query.order[part][some]] = reference.order[block[some], number]
    return found


def _box_gaps(query: _Blocks, part: slice, reference: _Blocks) -> Tensor:
    """Squared distances of the boxes (n, N): 0 where they overlap."""
    gaps = torch.zeros(1, device=query.low.device, dtype=query.low.dtype)
    for axis in range(3):
        above = reference.low[axis] - query.high[axis, part, None]
        below = query.low[axis, part, None] - reference.high[axis]
        gap = torch.maximum(above, below).clamp_(min=0.0)
        gaps = torch.addcmul(gaps, gap, gap)
    return gaps


@dataclass(frozen=True, eq=False)
class _Search:
    """What has been found for n blocks of queries."""

    points: Tensor
    """(3, n, BLOCK)."""
    gaps: Tensor
    """(n, N) from `_box_gaps`."""
    reference: _Blocks
    best: Tensor
    """(n, BLOCK) least squared distance so far."""
    block: Tensor
    """(n, BLOCK) the reference block that it was found in."""

    def visit(self, rows: Tensor, others: Tensor) -> None:
        """Look at pairs of blocks, unless their boxes are no nearer than the worst that was found."""
        useful = self.gaps[rows, others] < self.best.amax(dim=1)[rows]
        rows, others = rows[useful], others[useful]
        if len(rows) == 0:
            return
        nearest = _nearest_squared(self.points[:, rows], self.reference.points[:, others])
        index = rows[:, None].expand(-1, BLOCK)
        best = self.best.scatter_reduce(0, index, nearest, "amin")
        # Among blocks of equally near points the first: the same in every run.
        none = self.reference.points.shape[1]
        wins = torch.where((nearest < self.best[rows]) & (nearest == best[rows]), others[:, None], none)
        first = torch.full_like(self.block, none).scatter_reduce(0, index, wins, "amin")
        torch.where(first < none, first, self.block, out=self.block)
        self.best.copy_(best)


def _best_blocks(points: Tensor, gaps: Tensor, reference: _Blocks) -> Tensor:
    """Which reference block holds the nearest point of each query, (n, BLOCK)."""
    best = torch.full(points.shape[1:], torch.inf, device=points.device, dtype=points.dtype)
    search = _Search(points, gaps, reference, best, torch.zeros_like(best, dtype=torch.int64))
    near = gaps.topk(min(NEAREST_BLOCKS, gaps.shape[1]), dim=1, largest=False).indices
    everything = torch.arange(len(gaps), device=points.device)
    for others in near.unbind(dim=1):
        search.visit(everything, others)
    # Few query blocks see more; theirs are long lists: visit 1, 2, 4, ... of each at once.
    left = (gaps < best.amax(dim=1, keepdim=True)).scatter_(1, near, False)
    rows, others = left.nonzero(as_tuple=True)
    counts = left.sum(dim=1)
    rank = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    order = rank.argsort(stable=True)
    reach = 1
    sizes = torch.bincount(rank).tolist()
    while sizes:
        some, order = order.split([sum(sizes[:reach]), sum(sizes[reach:])])
        for part in some.split(BLOCKS_AT_A_TIME):
            search.visit(rows[part], others[part])
        sizes, reach = sizes[reach:], 2 * reach
    return search.block
