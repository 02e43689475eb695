"""Shapes as solid voxels, and voxels as a surface again."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from dr_kfs.audit.surface import small_pieces
from dr_kfs.geometry import Meshes, VoxelGrid, marching_cubes

__all__ = ["CellLattice", "lattice_of", "solid_voxels", "voxel_surface"]


class CellLattice:
    """Space cut into cubes: cell (i, j, k) spans `center + ([i, j, k], [i + 1, j + 1, k + 1]) * size`.

    Args:
        center: (3,) corner that the cells (-1, -1, -1) and (0, 0, 0) share [world units].
        size: side of a cell [world units].
    """

    def __init__(self, center: Float[np.ndarray, " 3"], size: float) -> None:
        self.center = center
        self.size = size

    def cells(self, points: Float[np.ndarray, "M 3"]) -> Int[np.ndarray, "M 3"]:
        """The cell that each point lies in; a point between two, to rounding, belongs to the inner one."""
        place = (points - self.center) / self.size
        return np.floor(place - 1e-6 * np.sign(place)).astype(np.int64)


def lattice_of(triangles: Float[np.ndarray, "F 3 3"], side: int) -> CellLattice:
    """The lattice in which the shape's longest side spans `side` cells, centred on its box."""
    corners = triangles.reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return CellLattice((low + high) / 2, float((high - low).max()) / side)


def solid_voxels(triangles: Float[np.ndarray, "F 3 3"], lattice: CellLattice) -> Int[np.ndarray, "K 3"]:
    """The cells that the surface passes through, and those that it encloses; sorted.

    As binvox does: parts thinner than a cell survive, and neither winding nor overlapping parts matter. The solid is
    larger than the shape by half a cell on average, by one at most. The surface is tested at points up to half a
    cell apart: a cell of which it cuts off less may be missed. A shape with an opening encloses nothing.
    """
    from scipy import ndimage

    pieces, _ = small_pieces(triangles, lattice.size / 2)
    points = np.concatenate([pieces.reshape(-1, 3), pieces.mean(axis=1)])
    cells = lattice.cells(points)
    low = cells.min(axis=0)
    solid = np.zeros(cells.max(axis=0) - low + 1, dtype=bool)
    solid[tuple((cells - low).T)] = True
    filled = ndimage.binary_fill_holes(solid)
    assert filled is not None  # it is where an output array is passed
    return np.argwhere(filled) + low


def voxel_surface(cells: Int[np.ndarray, "K 3"], lattice: CellLattice) -> Meshes:
    """Marching cubes over the centres of the cells: 1 inside, 0 outside, level 0.5.

    Vertices lie half way between the centre of a full cell and that of an empty neighbour, so on the faces of the
    full cells: there is no shift by half a cell.
    """
    low = cells.min(axis=0)
    full = np.zeros(cells.max(axis=0) - low + 1, dtype=bool)
    full[tuple((cells - low).T)] = True
    corners = lattice.center + np.stack([low, low + full.shape]) * lattice.size
    return marching_cubes(VoxelGrid.in_box(full, tuple(corners.tolist())))
