"""The triangles between the samples of a grid that are inside and those that are outside: topology, no positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from dr_kfs.geometry._marching_cubes_table import AXIS_BITS, EDGE_AXES, EDGE_STARTS, cell_table


@dataclass(frozen=True, eq=False)
class CellSurface:
    """A closed surface whose vertices lie on edges of the grid; samples are numbered as in `inside.flatten()`."""

    edge_start: Int[Tensor, " N"]
    """The sample where the edge of each vertex starts, ascending."""
    edge_end: Int[Tensor, " N"]
    """The sample where it ends."""
    edge_axis: Int[Tensor, " N"]
    """The axis it runs along: 0, 1, 2 for x, y, z."""
    faces: Int[Tensor, "F 3"]
    """Rows of vertices, counter-clockwise seen from outside."""
    face_cell: Int[Tensor, " F"]
    """The cell that each face lies in, named by its lowest sample; ascending."""


@dataclass(frozen=True, eq=False)
class ActiveCells:
    """The cells with samples inside and outside, named by their lowest sample; ascending."""

    index: Int[Tensor, " K"]
    case: Int[Tensor, " K"]
    """Bit 4 x + 2 y + z says whether the sample at the offset (x, y, z) is inside."""


def strides_of(shape: torch.Size | tuple[int, ...]) -> tuple[int, int, int]:
    """How far neighbours along x, y and z are apart in a flattened (..., X, Y, Z)."""
    return shape[-2] * shape[-1], shape[-1], 1


def corner_offsets(shape: torch.Size | tuple[int, ...]) -> list[int]:
    """How far the corners 4 x + 2 y + z of a cell are from its lowest sample."""
    strides = strides_of(shape)
    return [sum(s for s, bit in zip(strides, AXIS_BITS, strict=True) if corner & bit) for corner in range(8)]


def sample_coordinates(number: Int[Tensor, " N"], shape: torch.Size | tuple[int, ...]) -> Int[Tensor, "N 3"]:
    """The indices x, y, z of samples with these numbers in a flattened (X, Y, Z)."""
    parts = [number // stride % size for stride, size in zip(strides_of(shape), shape[-3:], strict=True)]
    return torch.stack(parts, dim=1)


def active_cells(inside: Bool[Tensor, "B X Y Z"]) -> ActiveCells:
    """The cells that the surface passes through.

    Args:
        inside: which samples are inside; all on the border of each item must be outside.
    """
    # On the flattened grid, whose rows, slabs and items all begin and end outside: a "cell" that wraps around the
    # end of a row has no sample inside, and is not active.
    case = inside.flatten().view(torch.uint8)
    for stride, weight in zip(reversed(strides_of(inside.shape)), (2, 4, 16), strict=True):
        case = torch.add(case[:-stride], case[stride:], alpha=weight)
    index = (case + 1 > 1).nonzero().squeeze(1)  # neither 0 nor 255, which wraps to 0
    return ActiveCells(index=index, case=case[index].long())


def cell_surface(inside: Bool[Tensor, "B X Y Z"], cells: ActiveCells | None = None) -> CellSurface:
    """Vertices and triangles of the surface; see `_marching_cubes_table` for why it is closed.

    Args:
        inside: which samples are inside; all on the border of each item must be outside.
        cells: the active cells, if they are known already.
    """
    device, table = inside.device, cell_table()
    cells = active_cells(inside) if cells is None else cells
    index, case = cells.index, cells.case
    strides = torch.tensor(strides_of(inside.shape), device=device)

    crossed = torch.from_numpy(table.crossed).to(device)[case].flatten()
    vertex = crossed.cumsum(0) - 1  # of (cell, axis), where there is one
    owner = crossed.nonzero().squeeze(1)
    start, axis = index[owner // 3], owner % 3

    count = torch.from_numpy(table.counts).to(device)[case]
    ends = count.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    cell = torch.repeat_interleave(count, output_size=total)
    which = torch.arange(total, device=device) - (ends - count)[cell]
    edges = torch.from_numpy(table.triangles).to(device)[case[cell], which]
    offsets = corner_offsets(inside.shape)
    start_offset = torch.tensor([offsets[corner] for corner in EDGE_STARTS], device=device)
    edge_axis = torch.tensor(EDGE_AXES, device=device)
    # The cell at which an edge starts is active too, and owns the vertex.
    owning = torch.searchsorted(index, index[cell][:, None] + start_offset[edges])
    return CellSurface(
        edge_start=start,
        edge_end=start + strides[axis],
        edge_axis=axis,
        faces=vertex[3 * owning + edge_axis[edges]],
        face_cell=index[cell],
    )
