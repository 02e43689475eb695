from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit.decimation import decimate
from dr_kfs.audit.surface import SurfaceIndex
from dr_kfs.fitting import icosphere


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def edge_counts(faces: np.ndarray) -> set[int]:
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    return set(np.unique(edges, axis=0, return_counts=True)[1].tolist())


class TestDecimate:
    def test_a_fine_cube_becomes_a_cube(self, cube):
        fine = cube.refined(longest=0.2).parts["seat"]
        vertices, faces = decimate(fine.vertices, fine.faces, 12)
        assert len(faces) == 12
        assert volume(vertices, faces) == pytest.approx(1, abs=1e-6)
        assert edge_counts(faces) == {2}

    def test_a_sphere_stays_closed_and_close(self):
        sphere = icosphere(3)
        before, triangles = sphere.vertices.double().numpy(), sphere.faces.numpy()
        vertices, faces = decimate(before, triangles, 200)
        assert len(faces) == 200
        assert edge_counts(faces) == {2}
        assert volume(vertices, faces) == pytest.approx(volume(before, triangles), rel=0.03)
        used = vertices[np.unique(faces)]
        error = SurfaceIndex(before[triangles], 0.05).distances(used).max()
        assert error < 0.05 * np.ptp(before[:, 0])

    def test_an_open_sheet_keeps_its_rim(self, cube):
        fine = cube.refined(longest=0.3).parts["seat"]
        sheet = fine.faces[(fine.vertices[fine.faces][:, :, 1] == 0).all(axis=1)]
        vertices, faces = decimate(fine.vertices, sheet, 2)
        used = vertices[np.unique(faces)]
        np.testing.assert_allclose([used.min(0), used.max(0)], [[0, 0, 0], [1, 0, 1]], atol=1e-6)

    def test_stops_where_nothing_can_go(self, cube):
        part = cube.parts["seat"]
        _, faces = decimate(part.vertices, part.faces, 0)
        assert 0 < len(faces) <= 12
        assert edge_counts(faces) == {2}

    def test_keeping_all_changes_nothing(self, cube):
        part = cube.parts["seat"]
        vertices, faces = decimate(part.vertices, part.faces, 12)
        np.testing.assert_array_equal(vertices, part.vertices)
        np.testing.assert_array_equal(faces, part.faces)
