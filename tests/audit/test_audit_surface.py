from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit.surface import SurfaceIndex, seeded_samples, small_pieces, triangles_of


def areas(triangles: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1) / 2


class TestSmallPieces:
    def test_same_surface_in_short_edges(self, chair):
        triangles = triangles_of(chair.to_meshes())
        pieces, source = small_pieces(triangles, 0.05)
        assert np.linalg.norm(pieces - np.roll(pieces, 1, axis=1), axis=2).max() <= 0.05
        per_face = np.bincount(source, weights=areas(pieces), minlength=len(triangles))
        np.testing.assert_allclose(per_face, areas(triangles), atol=1e-12)

    def test_small_faces_stay(self):
        triangles = np.eye(3)[None] * 0.01
        pieces, source = small_pieces(triangles, 1.0)
        np.testing.assert_array_equal(pieces, triangles)
        assert source.tolist() == [0]


class TestSurfaceIndex:
    def test_distances_to_a_cube_are_exact(self, cube):
        surface = SurfaceIndex(triangles_of(cube.to_meshes()), 0.05)
        points = np.random.default_rng(0).uniform(-0.5, 1.5, (2000, 3))
        outside = np.linalg.norm(np.maximum(np.maximum(-points, points - 1), 0), axis=1)
        inside = np.minimum(points, 1 - points).min(axis=1)
        expected = np.where(inside > 0, inside, outside)
        np.testing.assert_allclose(surface.distances(points), expected, atol=1e-9)

    def test_degenerate_faces_are_lines_and_points(self):
        line = np.array([[[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[5, 0, 0], [5, 0, 0], [5, 0, 0]]], dtype=np.float64)
        points = np.array([[0.5, 2.0, 0.0], [5.0, 0.0, 3.0], [-1.0, 0.0, 0.0]])
        np.testing.assert_allclose(SurfaceIndex(line, 0.5).distances(points), [2, 3, 1])

    def test_samples_lie_on_the_surface(self, chair):
        meshes = chair.to_meshes()
        points = seeded_samples(meshes, 500, 0)
        np.testing.assert_array_equal(points, seeded_samples(meshes, 500, 0))
        assert SurfaceIndex(triangles_of(meshes), 0.03).distances(points).max() < 1e-6

    def test_never_too_small(self, chair):
        triangles = triangles_of(chair.to_meshes())
        points = np.random.default_rng(1).uniform(-0.5, 1.0, (100, 3))
        dense = np.unique(small_pieces(triangles, 0.02)[0].reshape(-1, 3), axis=0)
        brute = np.linalg.norm(points[:, None] - dense[None], axis=2).min(axis=1)  # at most 0.02 too large
        found = SurfaceIndex(triangles, 0.05).distances(points)
        assert (found <= brute + 1e-9).all()
        assert found == pytest.approx(brute, abs=0.02)
