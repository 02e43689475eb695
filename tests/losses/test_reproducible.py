"""The gradient of a loss is the same bits in every run, however many threads a CPU has."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dr_kfs import icosphere
from dr_kfs.losses import (
    ChamferLoss,
    CotangentLaplacianLoss,
    DensityAwareChamferLoss,
    EdgeLengthLoss,
    FlattenLoss,
    NormalConsistencyLoss,
    QALLoss,
    UniformLaplacianLoss,
)

OF_MESHES = (UniformLaplacianLoss, CotangentLaplacianLoss, EdgeLengthLoss, NormalConsistencyLoss, FlattenLoss)
OF_POINTS = (ChamferLoss, QALLoss, DensityAwareChamferLoss)


@pytest.mark.parametrize("make", [*OF_MESHES, *OF_POINTS])
def test_gradients_are_the_same_bits(make: type[nn.Module]) -> None:
    sphere, loss = icosphere(6), make()  # so many rows that torch's own gathers would add them up in threads
    target = icosphere(3).vertices * torch.tensor([1.0, 0.6, 0.8])
    found = set()
    for _ in range(8):
        vertices = sphere.vertices.clone().requires_grad_()
        moved = sphere.with_vertices(vertices)
        value = loss(moved) if make in OF_MESHES else loss(moved, target, samples=20_000, seed=1)
        (gradient,) = torch.autograd.grad(value, vertices)
        found.add(gradient.numpy().tobytes())
    assert len(found) == 1
