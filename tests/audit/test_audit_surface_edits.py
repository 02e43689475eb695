from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dr_kfs.audit.part_edits import PIXEL
from dr_kfs.audit.surface import SurfaceIndex, triangles_of
from dr_kfs.audit.surface_edits import (
    FINE,
    decimated,
    flipped,
    holed,
    noisy,
    retriangulated,
    rotated,
    smoothed,
    translated,
    voxelized,
)
from dr_kfs.audit.targets import diagonal


def area(triangles: np.ndarray) -> float:
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return float(np.linalg.norm(normals, axis=1).sum() / 2)


def face_set(meshes) -> set[bytes]:
    return {face.tobytes() for face in triangles_of(meshes)}


class TestHoled:
    def test_removes_a_connected_share_of_the_largest_part(self, cube):
        fine = triangles_of(cube.refined(longest=FINE * diagonal(cube)).to_meshes())
        pierced = holed(cube, 0.1)
        left = triangles_of(pierced)
        largest_face = area(fine[:1]) * 4
        assert 0.1 * 6 - largest_face <= 6 - area(left) <= 0.1 * 6 + 1e-6
        kept = face_set(pierced)
        gone = np.array([face for face in fine if face.tobytes() not in kept])
        assert len(gone) == len(fine) - len(left)
        names = np.unique(np.round(gone.reshape(-1, 3), 6), axis=0, return_inverse=True)[1].reshape(-1, 3)
        links = names[:, [[0, 1], [1, 2]]].reshape(-1, 2)
        graph = coo_matrix((np.ones(len(links)), links.T), shape=(names.max() + 1, names.max() + 1))
        assert connected_components(graph, directed=False)[0] == 1

    def test_larger_holes_contain_smaller_ones(self, chair):
        assert face_set(holed(chair, 0.4)) < face_set(holed(chair, 0.1))


class TestNoisy:
    def test_has_that_deviation_and_scales(self, chair):
        before = chair.refined(longest=FINE * diagonal(chair)).to_meshes().vertices
        steps = [(noisy(chair, s).vertices - before).double() / diagonal(chair) for s in (0.005, 0.01)]
        assert float(steps[0].std()) == pytest.approx(0.005, rel=0.03)
        torch.testing.assert_close(2 * steps[0], steps[1], rtol=0, atol=1e-6)


class TestSmoothed:
    def test_rounds_a_cube_off(self, cube):
        areas = [area(triangles_of(smoothed(cube, rounds))) for rounds in (1.0, 4.0, 16.0)]
        assert 6 > areas[0] > areas[1] > areas[2] > 4
        centre = smoothed(cube, 16.0).vertices.mean(0)
        assert centre == pytest.approx(0.5, abs=0.02)


class TestDecimated:
    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_takes_that_share_of_faces(self, chair, share):
        assert len(decimated(chair, share).faces) == pytest.approx((1 - share) * 1540, abs=1)


class TestRetriangulated:
    @pytest.mark.parametrize(("way", "growth"), [(1.0, 2.0), (2.0, 2.9), (3.0, 1.1)])
    def test_same_surface_in_more_triangles(self, chair, way, growth):
        before, after = triangles_of(chair.to_meshes()), triangles_of(retriangulated(chair, way))
        assert len(after) > growth * len(before)
        assert area(after) == pytest.approx(area(before), rel=1e-5)
        surface = SurfaceIndex(before, 0.05)
        assert surface.distances(after.mean(axis=1)).max() < 1e-6


class TestFlipped:
    def test_turns_that_share_and_moves_nothing(self, chair):
        before = chair.to_meshes()
        for share, expected in ((0.5, pytest.approx(0.5, abs=0.05)), (1.0, 1.0)):
            after = flipped(chair, share)
            torch.testing.assert_close(after.vertices, before.vertices)
            turned = (after.faces == before.faces.flip(1)).all(1)
            assert float(turned.double().mean()) == expected
            assert (turned | (after.faces == before.faces).all(1)).all()


class TestRigid:
    def test_translation_has_that_many_pixels(self, chair):
        step = (translated(chair, 2.5).vertices - chair.to_meshes().vertices).double()
        expected = 2.5 * PIXEL * diagonal(chair)
        np.testing.assert_allclose(step.norm(dim=1), expected, rtol=1e-4)
        assert float(step.std(0).max()) < 1e-6

    def test_rotation_about_the_upright_axis_through_the_centre(self, cube):
        vertices = rotated(cube, 90.0).vertices.double().numpy()
        before = cube.parts["seat"].vertices
        # right-handed around y: +z turns to +x
        expected = np.stack([before[:, 2], before[:, 1], 1 - before[:, 0]], axis=1)
        np.testing.assert_allclose(vertices, expected, atol=1e-6)


class TestVoxelized:
    def test_step_is_that_share_of_the_longest_side(self, cube):
        vertices = voxelized(cube.scaled("*", (1.0, 2.0, 1.0), about="origin"), 1 / 16).vertices.numpy()
        heights = np.unique(np.round(vertices[:, 1], 5))
        assert np.diff(heights).min() == pytest.approx(0.5 * 2 / 16, rel=1e-3)  # marching cubes cuts corners
        np.testing.assert_allclose(np.ptp(vertices, axis=0), [1, 2, 1], atol=1e-5)
