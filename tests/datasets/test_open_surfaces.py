from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dr_kfs.datasets.open_surfaces import leaf_blade, membrane
from dr_kfs.datasets.primitives import Solid

FLAT = np.stack(np.broadcast_arrays(np.arange(3.0)[None, :], 0.0, np.arange(4.0)[:, None]), axis=2)


def as_trimesh(solid: Solid) -> trimesh.Trimesh:
    return trimesh.Trimesh(solid.vertices, solid.faces, process=False)


class TestMembrane:
    def test_a_grid(self):
        mesh = as_trimesh(membrane(FLAT))
        assert len(mesh.vertices) == 12
        assert mesh.area == pytest.approx(6)
        assert mesh.is_winding_consistent
        assert not mesh.is_watertight

    @pytest.mark.parametrize("end", [0, -1])
    def test_equal_points_make_a_tip(self, end):
        rows = FLAT.copy()
        rows[end] = rows[end, 1]
        mesh = as_trimesh(membrane(rows))
        assert len(mesh.vertices) == 10
        assert len(mesh.faces) == 10
        assert mesh.area_faces.min() > 0
        assert len(np.unique(mesh.faces)) == len(mesh.vertices)


class TestLeafBlade:
    PATH = np.stack([np.linspace(0, 1, 5), np.zeros(5), np.zeros(5)], axis=1)
    HALF = np.array([0.05, 0.2, 0.3, 0.2, 0.0])

    def test_flat_and_folded(self):
        flat = leaf_blade(self.PATH, self.HALF)
        assert np.allclose(flat.vertices[:, 1], 0)
        assert np.ptp(flat.vertices[:, 2]) == pytest.approx(0.6)
        folded = leaf_blade(self.PATH, self.HALF, fold=0.5)
        assert folded.vertices[:, 1].max() == pytest.approx(0.15)
        assert leaf_blade(self.PATH, self.HALF, fold=-0.5).vertices[:, 1].min() == pytest.approx(-0.15)

    def test_upright(self):
        blade = leaf_blade(self.PATH[:, [1, 0, 2]], self.HALF)
        assert np.ptp(blade.vertices[:, 0]) == pytest.approx(0.6)
