from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit.chamfer import chamfer, chamfer_target
from dr_kfs.geometry import Meshes


def square(height: float) -> Meshes:
    corners = np.array([[0, height, 0], [1, height, 0], [1, height, 1], [0, height, 1]], dtype=np.float32)
    return Meshes.from_list([corners], [np.array([[0, 1, 2], [0, 2, 3]])])


class TestChamfer:
    def test_identity_and_other_triangles(self, chair):
        target = chamfer_target(chair.to_meshes())
        assert chamfer(chair.to_meshes(), target) < 2e-5
        assert chamfer(chair.refined(longest=0.1).to_meshes(), target) < 2e-5
        assert chamfer(chair.without("leg_0").to_meshes(), target) > 2e-3

    def test_parallel_squares(self):
        """Each point is `height` from the other square: the sum of both means, in diagonals of sqrt(2)."""
        assert chamfer(square(0.25), chamfer_target(square(0.0), samples=200)) == pytest.approx(0.5 / 2**0.5, rel=1e-5)

    def test_a_half_missing(self):
        """Left half of a unit square: missing points are t in (0, 0.5] away, mean 0.25 of one half of the points."""
        half = np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0, 1], [0, 0, 1]], dtype=np.float32)
        predicted = Meshes.from_list([half], [np.array([[0, 1, 2], [0, 2, 3]])])
        value = chamfer(predicted, chamfer_target(square(0.0), samples=20_000))
        assert value == pytest.approx(0.125 / 2**0.5, rel=0.03)  # twice its standard deviation

    def test_units_do_not_matter(self, chair, limbed):
        def moved(meshes: Meshes) -> Meshes:
            return meshes.with_vertices(meshes.vertices * 40 + 3)

        target, predicted = chair.to_meshes(), limbed.without("leg_0").to_meshes()
        value = chamfer(predicted, chamfer_target(target, samples=500))
        assert chamfer(moved(predicted), chamfer_target(moved(target), samples=500)) == pytest.approx(value, rel=1e-3)

    def test_no_floor_from_sampling(self, limbed):
        """A missing leg is far above what other samples of the same shape have."""
        target = chamfer_target(limbed.to_meshes(), samples=1000)
        again = chamfer_target(limbed.to_meshes(), samples=1000, seed=1)
        assert target.surface.distances(again.points).mean() < 1e-5
        assert chamfer(limbed.without("leg_0").to_meshes(), target) > 1e-3
