"""A grid with a layer of outside around it, so that every surface closes, and points on the edges of that grid."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.geometry._cell_surface import sample_coordinates
from dr_kfs.geometry._field_kinds import check_values, outside_value
from dr_kfs.geometry.voxels import VoxelGrid


def padded_samples(grid: VoxelGrid, level: float) -> Float[Tensor, "B X2 Y2 Z2"]:
    """The values of a grid with one layer of outside all around, in at least float32.

    Raises:
        ValueError: values or spacings that are wrong; the message names the item.
    """
    dtype = torch.promote_types(grid.dtype, torch.float32)
    values = grid.values.to(dtype)
    _check_items(values, grid)
    outside = outside_value(level, grid.kind, grid.spacing.to(dtype))
    sizes = (size + 2 for size in values.shape[1:])
    samples = outside[:, None, None, None].expand(-1, *sizes).clone()
    samples[:, 1:-1, 1:-1, 1:-1] = values
    return samples


def points_on_edges(
    grid: VoxelGrid,
    samples: Float[Tensor, "B X2 Y2 Z2"],
    start: Int[Tensor, " N"],
    axis: Int[Tensor, " N"],
    place: Float[Tensor, " N"],
) -> Float[Tensor, "N 3"]:
    """Points on edges of the padded grid [world units], differentiable in place, origin and spacing.

    Args:
        grid: whose origin and spacing count.
        samples: its padded samples.
        start: the sample where each edge starts, as numbered in `samples.flatten()`.
        axis: the axis it runs along: 0, 1, 2 for x, y, z.
        place: of the point, 0 at the start of the edge and 1 at its end.
    """
    item = item_numbers(samples, start)
    along = torch.nn.functional.one_hot(axis, 3) * place[:, None]
    index = sample_coordinates(start, samples.shape) - 1  # of the grid without its padding
    return grid.origin.to(samples.dtype)[item] + (index + along) * grid.spacing.to(samples.dtype)[item]


def item_numbers(samples: Float[Tensor, "B X2 Y2 Z2"], rows: Int[Tensor, " R"]) -> Int[Tensor, " R"]:
    """The item that each sample belongs to.

    Args:
        samples: of a batch, padded.
        rows: samples as numbered in `samples.flatten()`.
    """
    return rows // samples.shape[1:].numel()


def item_offsets(samples: Float[Tensor, "B X2 Y2 Z2"], rows: Int[Tensor, " R"]) -> tuple[int, ...]:
    """First row of every item, and the total.

    Args:
        samples: of a batch, padded.
        rows: the sample that each row belongs to, as numbered in `samples.flatten()`, ascending.
    """
    starts = torch.arange(len(samples) + 1, device=samples.device) * samples.shape[1:].numel()
    return tuple(torch.searchsorted(rows, starts).tolist())


def _check_items(values: Tensor, grid: VoxelGrid) -> None:
    """Raises ValueError with the first item whose values are wrong; the whole batch is read first, at once."""
    try:
        check_values(values, grid.kind, "the grid")
    except ValueError:
        for number, item in enumerate(values):
            check_values(item, grid.kind, f"item {number}")
    if not (grid.spacing > 0).all():
        item = int((~(grid.spacing > 0).all(dim=1)).nonzero()[0])
        raise ValueError(f"item {item}: expected positive spacings, got {tuple(grid.spacing[item].tolist())}.")
