"""Volumes and meshes agree on where things are: a shape's voxels have its surface, without a shift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dr_kfs.audit.surface import SurfaceIndex, triangles_of
from dr_kfs.datasets import generate
from dr_kfs.geometry import Meshes, VoxelGrid, load_meshes, load_shapes, load_voxels, marching_cubes, save_voxels


def voxels_inside(meshes: Meshes, side: int) -> VoxelGrid:
    """The voxels of a cube around a closed shape whose centres are inside of it.

    Along each column of centres, faces that turn down are entered and faces that turn up are left; where the shape's
    parts overlap, a point is inside as long as more were entered than left.
    """
    triangles = triangles_of(meshes)
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    spacing = (high - low).max() / (side - 2)
    low = (low + high) / 2 - spacing * side / 2
    # In units of voxels, centres at whole numbers; a hair aside, so that no column runs through an edge.
    corners = (triangles - low) / spacing - 0.5 + np.array([1.7e-6, 2.3e-6, 0.0])
    steps = np.zeros((side, side, side + 1), dtype=np.int64)
    for a, b, c in corners:
        first, last = (np.stack([a, b, c])[:, :2].min(0), np.stack([a, b, c])[:, :2].max(0))
        columns = [np.arange(int(np.ceil(f)), int(np.floor(t)) + 1) for f, t in zip(first, last, strict=True)]
        x, y = np.meshgrid(*columns, indexing="ij")
        double = np.cross(b - a, c - a)[2]
        if x.size == 0 or double == 0:
            continue
        v = ((x - a[0]) * (c - a)[1] - (y - a[1]) * (c - a)[0]) / double
        w = ((b - a)[0] * (y - a[1]) - (b - a)[1] * (x - a[0])) / double
        hit = (v >= 0) & (w >= 0) & (v + w <= 1)
        z = np.ceil((a[2] + v * (b - a)[2] + w * (c - a)[2])[hit]).astype(int)
        np.add.at(steps, (x[hit], y[hit], np.clip(z, 0, side)), -1 if double > 0 else 1)
    inside = steps.cumsum(axis=2)[:, :, :side] > 0
    return VoxelGrid.in_box(inside, (tuple(low.tolist()), tuple((low + side * spacing).tolist())))


def shape(name: str, request: pytest.FixtureRequest) -> Meshes:
    if name == "chair":
        return generate("chair", 4).to_meshes()
    return load_meshes(request.getfixturevalue("real_data") / name)


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("name", ["chair", "common/spot.obj"])
def test_surface_of_the_voxels_is_within_half_a_voxel_of_the_shape(
    name: str, side: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    meshes = shape(name, request)
    grid = voxels_inside(meshes, side)
    spacing = float(grid.spacing[0, 0])
    save_voxels(grid, tmp_path / "shape.binvox")
    surface = load_shapes(tmp_path / "shape.binvox")
    torch.testing.assert_close(surface.vertices, marching_cubes(grid).vertices, atol=1e-5, rtol=0)
    assert len(surface.vertices) > side**2
    # A vertex is in the middle of an edge of the grid, and the shape's surface somewhere on that edge: with a shift
    # by half a voxel the largest distance would be a whole one.
    index = SurfaceIndex(triangles_of(meshes), spacing)
    assert index.distances(surface.vertices.double().numpy()).max() <= 0.5 * spacing * (1 + 1e-3)


def test_axes_of_a_file_are_those_of_the_mesh(tmp_path: Path) -> None:
    """A box of 2 x 4 x 8 in a cube of 16: no two axes can be mistaken, in any format."""
    values = np.zeros((16, 16, 16), dtype=np.float32)
    values[7:9, 3:7, 8:16] = 1.0
    grid = VoxelGrid.in_box(values, (0.0, 16.0))
    save_voxels(grid, tmp_path / "a.binvox")
    save_voxels(grid, tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", values)
    grids = [load_voxels(tmp_path / name, bounds=(0.0, 16.0)) for name in ("a.binvox", "a.npz", "a.npy")]
    for meshes in map(marching_cubes, grids):
        assert meshes.vertices.amin(0).tolist() == [7.0, 3.0, 8.0]
        assert meshes.vertices.amax(0).tolist() == [9.0, 7.0, 16.0]
