from __future__ import annotations

import math

import pytest
import torch

from dr_kfs.geometry import Meshes
from dr_kfs.losses import NormalConsistencyLoss, normal_consistency_loss

FACES = torch.tensor([[0, 1, 2], [1, 0, 3]])


def hinge(degrees: float, faces: torch.Tensor = FACES) -> Meshes:
    """Two triangles that bend by an angle at the edge from vertex 0 to 1."""
    bend = math.radians(degrees)
    vertices = [[0, 0, 0], [1, 0, 0], [0.3, 1, 0], [0.7, -math.cos(bend), math.sin(bend)]]
    return Meshes.from_list([torch.tensor(vertices, dtype=torch.float64)], [faces])


class TestNormalConsistencyLoss:
    @pytest.mark.parametrize("degrees", [0, 30, 90, 150, 180])
    @pytest.mark.parametrize("faces", [FACES, FACES[[1, 0]], FACES.flip(1), torch.tensor([[2, 0, 1], [0, 1, 3]])])
    def test_value_whatever_the_winding(self, degrees: float, faces: torch.Tensor) -> None:
        expected = 1 - math.cos(math.radians(degrees))
        assert normal_consistency_loss(hinge(degrees, faces)).item() == pytest.approx(expected, abs=1e-12)

    def test_every_pair_of_a_non_manifold_edge_counts(self) -> None:
        # Four faces at one edge, 90 degrees apart: of 6 pairs 2 lie flat (0) and 4 bend by 90 degrees (1).
        spokes = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]]
        faces = torch.tensor([[0, 1, corner] for corner in (2, 3, 4, 5)])
        meshes = Meshes.from_list([torch.tensor(spokes, dtype=torch.float64)], [faces])
        assert normal_consistency_loss(meshes).item() == pytest.approx(4 / 6)

    def test_cube(self) -> None:
        trimesh = pytest.importorskip("trimesh")
        # 18 edges: 6 diagonals (0) and 12 right angles (1).
        cube = Meshes.from_trimesh(trimesh.creation.box())
        assert normal_consistency_loss(cube).item() == pytest.approx(12 / 18, rel=1e-6)

    @pytest.mark.parametrize("degrees", [20, 90, 160])
    def test_gradcheck(self, degrees: float) -> None:
        meshes = hinge(degrees)
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: normal_consistency_loss(meshes.with_vertices(v)), leaf)

    def test_duplicate_faces_are_no_fold(self) -> None:
        faces = torch.cat([FACES[:1], FACES[:1].flip(1)])
        assert normal_consistency_loss(hinge(0, faces)).item() == 0.0

    def test_degenerate_faces_do_not_count(self) -> None:
        vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 1], [0.5, 0, 0]], requires_grad=True)
        faces = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4], [0, 0, 1]])
        loss = normal_consistency_loss(Meshes.from_list([vertices], [faces]))
        assert loss.item() == pytest.approx(1 - math.cos(math.radians(45)), rel=1e-5)
        (gradient,) = torch.autograd.grad(loss, vertices)
        assert gradient.isfinite().all()
        assert gradient[4].tolist() == [0, 0, 0]

    @pytest.mark.parametrize("size", [1e-36, 1e-20, 1e20, 1e37])
    def test_angles_have_no_size(self, size: float) -> None:
        meshes = hinge(60).to(dtype=torch.float32)
        leaf = (meshes.vertices * size).requires_grad_()
        loss = normal_consistency_loss(meshes.with_vertices(leaf))
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert loss.item() == pytest.approx(0.5, rel=1e-5)
        assert gradient.isfinite().all()

    def test_module(self) -> None:
        loss = NormalConsistencyLoss(reduction="none")
        assert torch.equal(loss(hinge(40)), normal_consistency_loss(hinge(40), reduction="none"))
