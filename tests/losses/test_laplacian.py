from __future__ import annotations

import pytest
import torch

from dr_kfs.geometry import Meshes
from dr_kfs.losses import UniformLaplacianLoss, uniform_laplacian_loss

# A square of two triangles, and a vertex that no face uses.
VERTICES = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [7, 7, 7]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def square(dtype: torch.dtype = torch.float64) -> Meshes:
    return Meshes.from_list([VERTICES.to(dtype)], [FACES])


class TestUniformLaplacianLoss:
    @pytest.mark.parametrize("squared", [True, False])
    def test_value(self, squared: bool) -> None:
        neighbours = {0: [1, 2, 3], 1: [0, 2], 2: [0, 1, 3], 3: [0, 2]}
        offsets = torch.stack([VERTICES[near].mean(0) - VERTICES[v] for v, near in neighbours.items()])
        expected = offsets.norm(dim=1).pow(2 if squared else 1).mean()
        loss = uniform_laplacian_loss(square(), squared=squared)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)

    def test_regular_ring_of_triangles_is_flat(self) -> None:
        # The middle of a hexagon is the mean of its corners.
        angle = torch.arange(6) * (torch.pi / 3)
        ring = torch.stack([angle.cos(), angle.sin(), torch.zeros(6)], dim=1).double()
        faces = torch.tensor([[6, i, (i + 1) % 6] for i in range(6)])
        vertices = torch.cat([ring, torch.zeros(1, 3)]).requires_grad_()
        loss = uniform_laplacian_loss(Meshes.from_list([vertices], [faces]), squared=False)
        # Of a corner: the mean of two corners at 60 degrees and the middle is 1/3 of it.
        assert loss.item() == pytest.approx(6 / 7 * 2 / 3)
        (gradient,) = torch.autograd.grad(loss, vertices)
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("squared", [True, False])
    def test_gradcheck(self, squared: bool) -> None:
        meshes = square()
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda v: uniform_laplacian_loss(meshes.with_vertices(v), squared=squared), leaf
        )

    def test_unreferenced_vertices_do_not_count(self) -> None:
        bare = Meshes.from_list([VERTICES[:4].double()], [FACES])
        assert torch.equal(uniform_laplacian_loss(bare), uniform_laplacian_loss(square()))

    def test_far_from_the_origin(self) -> None:
        # 1024 + multiples of 1/2 are exact in float32.
        moved = square(torch.float32).with_vertices(VERTICES + 1024)
        assert torch.equal(uniform_laplacian_loss(moved), uniform_laplacian_loss(square(torch.float32)))

    def test_module(self) -> None:
        loss = UniformLaplacianLoss(squared=False, reduction="none")
        assert torch.equal(loss(square()), uniform_laplacian_loss(square(), squared=False, reduction="none"))
        assert list(loss.parameters()) == []
