from __future__ import annotations

import pytest
import torch

from dr_kfs.geometry import Meshes
from dr_kfs.losses import EdgeLengthLoss, edge_length_loss

# Edges of length 3, 4 and 5, each in one or two faces.
VERTICES = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]])
ONE_FACE = torch.tensor([[0, 1, 2]])
TWO_FACES = torch.tensor([[0, 1, 2], [2, 1, 0]])


def triangle(faces: torch.Tensor = ONE_FACE) -> Meshes:
    return Meshes.from_list([VERTICES.double()], [faces])


class TestEdgeLengthLoss:
    @pytest.mark.parametrize(("target", "expected"), [(0.0, 50 / 3), (4.0, 2 / 3), (1.0, (4 + 9 + 16) / 3)])
    def test_value(self, target: float, expected: float) -> None:
        assert edge_length_loss(triangle(), target=target).item() == pytest.approx(expected)

    def test_every_edge_counts_once(self) -> None:
        assert torch.equal(edge_length_loss(triangle(TWO_FACES)), edge_length_loss(triangle()))

    @pytest.mark.parametrize("target", [0.0, 2.0])
    def test_gradcheck(self, target: float) -> None:
        meshes = triangle()
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: edge_length_loss(meshes.with_vertices(v), target=target), leaf)

    def test_edges_of_length_0(self) -> None:
        leaf = torch.zeros(3, 3, requires_grad=True)
        loss = edge_length_loss(Meshes.from_list([leaf], [ONE_FACE]), target=2.0)
        (gradient,) = torch.autograd.grad(loss, leaf)
        assert loss.item() == 4.0
        assert torch.equal(gradient, torch.zeros(3, 3))

    @pytest.mark.parametrize("target", [-1.0, float("nan")])
    def test_rejects(self, target: float) -> None:
        with pytest.raises(ValueError, match="target length of at least 0"):
            edge_length_loss(triangle(), target=target)

    def test_module(self) -> None:
        loss = EdgeLengthLoss(target=1.0, reduction="sum")
        assert torch.equal(loss(triangle()), edge_length_loss(triangle(), target=1.0, reduction="sum"))
