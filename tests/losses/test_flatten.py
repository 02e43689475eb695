from __future__ import annotations

import math

import pytest
import torch

from dr_kfs.geometry import Meshes
from dr_kfs.losses import FlattenLoss, flatten_loss


def hinge(degrees: float) -> Meshes:
    """Two triangles that bend by an angle at the edge from vertex 0 to 1."""
    bend = math.radians(degrees)
    vertices = [[0, 0, 0], [1, 0, 0], [0.3, 1, 0], [0.7, -math.cos(bend), math.sin(bend)]]
    return Meshes.from_list([torch.tensor(vertices, dtype=torch.float64)], [torch.tensor([[0, 1, 2], [1, 0, 3]])])


class TestFlattenLoss:
    @pytest.mark.parametrize("degrees", [0, 30, 90, 150, 180])
    def test_value(self, degrees: float) -> None:
        # SoftRas writes the angle between the faces, 180 degrees where they are flat.
        theta = math.radians(180 - degrees)
        assert flatten_loss(hinge(degrees)).item() == pytest.approx((math.cos(theta) + 1) ** 2, abs=1e-12)

    def test_gradcheck(self) -> None:
        meshes = hinge(50)
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: flatten_loss(meshes.with_vertices(v)), leaf)

    def test_module(self) -> None:
        assert torch.equal(FlattenLoss(reduction="sum")(hinge(30)), flatten_loss(hinge(30), reduction="sum"))
