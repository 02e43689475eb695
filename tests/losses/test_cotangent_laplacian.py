from __future__ import annotations

import math

import pytest
import torch

from dr_kfs.geometry import Meshes
from dr_kfs.losses import CotangentLaplacianLoss, cotangent_laplacian_loss


def fan(height: float = 0.0) -> Meshes:
    """A vertex inside an irregular ring of six, raised above it by `height`; all angles are acute enough."""
    angles = torch.tensor([0.0, 0.8, 2.0, 3.1, 4.3, 5.2], dtype=torch.float64)
    ring = torch.stack([angles.cos(), angles.sin(), torch.zeros(6)], dim=1)
    inside = torch.tensor([[0.1, -0.05, height]], dtype=torch.float64)
    faces = torch.tensor([[6, i, (i + 1) % 6] for i in range(6)])
    return Meshes.from_list([torch.cat([ring, inside])], [faces])


def by_hand(meshes: Meshes) -> torch.Tensor:
    """Offsets (N, 3), from angles one at a time."""
    vertices = meshes.vertices
    weight = torch.zeros(len(vertices), len(vertices), dtype=torch.float64)
    for face in meshes.faces.tolist():
        for turn in range(3):
            apex, u, v = face[turn:] + face[:turn]
            one, other = vertices[u] - vertices[apex], vertices[v] - vertices[apex]
            angle = math.acos(float((one @ other) / (one.norm() * other.norm())))
            weight[u, v] += 1 / math.tan(angle)
            weight[v, u] += 1 / math.tan(angle)
    weight = weight.clamp(min=0)
    return (weight @ vertices) / weight.sum(1, keepdim=True) - vertices


class TestCotangentLaplacianLoss:
    @pytest.mark.parametrize("power", [1, 2])
    def test_value(self, power: int) -> None:
        expected = by_hand(fan(0.4)).norm(dim=1).pow(power).mean()
        assert cotangent_laplacian_loss(fan(0.4), squared=power == 2).item() == pytest.approx(expected.item())

    def test_an_irregular_plane_is_smooth_inside(self) -> None:
        meshes = fan()
        assert by_hand(meshes)[6].norm() < 1e-12
        assert (meshes.vertices[:6].mean(0) - meshes.vertices[6]).norm() > 0.05  # the uniform Laplacian's offset
        rim = by_hand(meshes)[:6].norm(dim=1).sum() / 7
        assert cotangent_laplacian_loss(meshes, squared=False).item() == pytest.approx(rim.item())

    def test_gradcheck(self) -> None:
        meshes = fan(0.4)
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda v: cotangent_laplacian_loss(meshes.with_vertices(v), weight_gradient=True), leaf
        )

    def test_by_default_the_weights_are_constants(self) -> None:
        gradients = []
        for weight_gradient in (False, True):
            leaf = fan(0.4).vertices.clone().requires_grad_()
            loss = cotangent_laplacian_loss(fan(0.4).with_vertices(leaf), weight_gradient=weight_gradient)
            gradients.append(torch.autograd.grad(loss, leaf)[0])
        assert not torch.allclose(*gradients, rtol=1e-2)

    def test_module(self) -> None:
        loss = CotangentLaplacianLoss(squared=False, weight_gradient=True, reduction="none")
        expected = cotangent_laplacian_loss(fan(1.0), squared=False, weight_gradient=True, reduction="none")
        assert torch.equal(loss(fan(1.0)), expected)
