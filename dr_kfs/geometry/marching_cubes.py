"""Marching cubes: the surface of a volume as triangles, with gradients to the values of the volume."""

from __future__ import annotations

import torch

from dr_kfs.geometry._cell_surface import cell_surface
from dr_kfs.geometry._field_kinds import check_level, crossing_place, is_inside
from dr_kfs.geometry._padded_grid import item_numbers, item_offsets, padded_samples, points_on_edges
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.voxels import VoxelGrid, expect_grid

__all__ = ["marching_cubes"]


def marching_cubes(grid: VoxelGrid, *, level: float | None = None) -> Meshes:
    """The surface between the samples that are inside and those that are outside.

    A vertex lies on each edge of the grid with one end inside, at `t = (level - a) / (b - a)` of the way from the
    value a to the value b: between logits for probabilities and logits, between the distances themselves for signed
    distances. Triangles follow from which samples are inside alone. They have no gradient: a part that no sample is
    inside of cannot appear, and one can only vanish by shrinking; see `soft_surface` for growing and losing parts.
    Vertices have the exact gradient of their places.

    The surface is closed, and every edge belongs to exactly two faces, which run through it in opposite directions:
    corners run counter-clockwise seen from outside. Samples *at* the level are outside. Around the grid everything is
    outside, so a shape that touches the border is closed there: up to one spacing beyond the last sample, half of
    one for a binary grid, that is on the sides of its voxels. A distance grid ends one spacing of distance away.

    Saturated probabilities are fine: p is read as `1e-6 + (1 - 2e-6) p`, whose logit is within +-13.8 and whose
    gradient is finite at 0 and 1 too. Edges whose ends differ by less than 1e-6 (logits; for distances 1e-6
    spacings) are divided by that much, and have their vertex near the middle.

    Computed in at least float32, on the device of the grid. Faces and vertices are in the order of the cells, item
    by item: a batch gives what a loop over its items gives. Takes about 15 bytes per sample, 23 with the backward pass.

    Args:
        grid: B volumes.
        level: of the surface; 0.5 for probabilities, 0 for logits and distances. 3D-R2N2 is evaluated at 0.4.

    Returns:
        B meshes in world units. An item without a sample inside has no vertices and no faces; a full one is a box.

    Raises:
        TypeError: something other than a `VoxelGrid`.
        ValueError: values that are not finite or no probabilities (the message names the item), or a level that
            is not finite, or not in (0, 1) for probabilities.

    References:
        W. E. Lorensen, H. E. Cline: Marching Cubes: A High Resolution 3D Surface Construction Algorithm. SIGGRAPH
        1987. Their table leaves holes at ambiguous sides; ours is derived in `_marching_cubes_table` and does not.
    """
    expect_grid(grid)
    level = check_level(level, grid.kind)
    samples = padded_samples(grid, level)
    # Detached: which samples are inside is a discrete choice, through which no gradient flows.
    surface = cell_surface(is_inside(samples.detach(), level, grid.kind))

    ends = samples.flatten().index_select(0, torch.cat([surface.edge_start, surface.edge_end])).view(2, -1)
    # Detached: as a floor, the spacing has no gradient.
    unit = grid.spacing.detach().to(samples.dtype)[item_numbers(samples, surface.edge_start), surface.edge_axis]
    place = crossing_place(ends[0], ends[1], level, grid.kind, unit)
    return Meshes(
        vertices=points_on_edges(grid, samples, surface.edge_start, surface.edge_axis, place),
        faces=surface.faces,
        vertex_offsets=item_offsets(samples, surface.edge_start),
        face_offsets=item_offsets(samples, surface.face_cell),
    )
