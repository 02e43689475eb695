from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit.surface import SurfaceIndex, triangles_of
from dr_kfs.audit.surface_edits import voxelized
from dr_kfs.audit.voxels import lattice_of, solid_voxels, voxel_surface


def solid(shape, side: int):
    triangles = triangles_of(shape.to_meshes())
    lattice = lattice_of(triangles, side)
    return solid_voxels(triangles, lattice), lattice


class TestSolidVoxels:
    def test_cube_is_full_and_in_place(self, cube):
        cells, lattice = solid(cube, 8)
        assert len(cells) == 8**3
        assert (cells.min(), cells.max()) == (-4, 3)
        corners = lattice.center + np.stack([cells.min(0), cells.max(0) + 1]) * lattice.size
        np.testing.assert_allclose(corners, [[0, 0, 0], [1, 1, 1]], atol=1e-9)

    def test_overlap_and_winding_do_not_matter(self, chair):
        cells, lattice = solid(chair, 32)
        flipped = triangles_of(chair.to_meshes())[:, ::-1]
        np.testing.assert_array_equal(solid_voxels(np.concatenate([flipped, flipped]), lattice), cells)

    def test_every_point_of_the_surface_is_inside(self, chair):
        cells, lattice = solid(chair, 24)
        meshes = chair.refined(longest=0.03).to_meshes()
        full = set(map(tuple, cells.tolist()))
        assert all(tuple(cell) in full for cell in lattice.cells(triangles_of(meshes).mean(axis=1)).tolist())

    def test_a_plate_thinner_than_a_cell_survives(self, cube):
        plate = cube.scaled("*", (1.0, 0.001, 1.0))
        assert len(solid(plate, 16)[0]) in (16 * 16, 2 * 16 * 16)

    def test_an_open_shape_encloses_nothing(self, cube):
        triangles = triangles_of(cube.to_meshes())
        lattice = lattice_of(triangles, 8)
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        lidless = triangles[normals[:, 1] < 0.5]
        # 8^3 without the 7 x 6 x 6 inside and above: the open side has no wall
        assert len(solid_voxels(lidless, lattice)) == 8**3 - 7 * 6 * 6


class TestVoxelSurface:
    def test_cube_keeps_its_place(self, cube):
        vertices = voxel_surface(*solid(cube, 16)).vertices.numpy()
        np.testing.assert_allclose(vertices.min(0), 0, atol=1e-6)
        np.testing.assert_allclose(vertices.max(0), 1, atol=1e-6)

    @pytest.mark.parametrize("side", [16, 64])
    def test_surface_lies_up_to_a_voxel_outside(self, chair, side):
        """Half a voxel on average: on the faces of the cells that the surface touches."""
        triangles = triangles_of(chair.to_meshes())
        lattice = lattice_of(triangles, side)
        vertices = voxel_surface(solid_voxels(triangles, lattice), lattice).vertices.double().numpy()
        distance = SurfaceIndex(triangles, lattice.size).distances(vertices) / lattice.size
        assert distance.max() <= 1.5**0.5 + 1e-6  # from the middle of a cell's face to its farthest corner
        assert 0.25 < distance.mean() < 0.75

    def test_no_shift(self, chair):
        """The box grows alike on opposite sides, by half a voxel at most beyond the touched cell's share."""
        vertices, faces, _ = chair.to_mesh()
        low, high = vertices[faces].min((0, 1)), vertices[faces].max((0, 1))
        for side in (16, 64):
            grown = voxelized(chair, 1 / side).vertices.double().numpy()
            size = (high - low).max() / side
            margins = np.stack([low - grown.min(0), grown.max(0) - high]) / size
            assert (margins > -1e-4).all()
            assert (margins < 1.0).all()
            np.testing.assert_allclose(margins[0], margins[1], atol=1e-3)
