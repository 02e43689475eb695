"""`torch.compile` of the losses: values and gradients are those of the uncompiled ones.

In an interpreter of its own, without the checks of types, which torch cannot compile.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(torch.__version__ < "2.7", reason="the compiler of torch 2.6 fails on the losses")
CASES = ("drkfs", "unfused", "image", "normals", "hybrid", "chamfer", "qal", "patches", "one patch")


@pytest.fixture(scope="module")
def differences() -> dict[str, list[float]]:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_same_value_and_gradient(case: str, differences: dict[str, list[float]]) -> None:
    value, gradient = differences[case]
    assert value < 1e-5
    assert gradient < 1e-3


def difference(function, compiled, leaf: torch.Tensor) -> list[float]:
    """Of the value and of the gradient, relative."""
    found = []
    for each in (function, compiled):
        own = leaf.clone().requires_grad_()
        value = each(own)
        value = (value * torch.linspace(0.5, 1.0, value.numel()).view_as(value)).sum()
        found.append((value.detach(), torch.autograd.grad(value, own)[0]))
    (value, gradient), (other_value, other_gradient) = found
    assert gradient.norm() > 0
    return [
        float((other_value - value).abs() / value.abs()),
        float((other_gradient - gradient).norm() / gradient.norm()),
    ]


def main() -> None:
    from dr_kfs import DRKFSLoss, HybridLoss, SoftRenderer, hemisphere_rig, icosphere
    from dr_kfs.descriptors.patches import extract_patches
    from dr_kfs.losses import ChamferLoss, ImageLoss, NormalConsistencyLoss, QALLoss

    torch.manual_seed(0)
    renderer = SoftRenderer(cameras=hemisphere_rig()[[1, 9]], image_size=64)
    sphere = icosphere(2)
    target = sphere.with_vertices(sphere.vertices * torch.tensor([1.0, 0.6, 0.4]))
    vertices = sphere.vertices * torch.tensor([0.8, 0.7, 0.4])
    terms = {"drkfs": DRKFSLoss(renderer=renderer), "qal": QALLoss()}
    of_shapes = {
        "drkfs": DRKFSLoss(renderer=renderer),
        "unfused": DRKFSLoss(renderer=renderer, fused=False),
        "image": ImageLoss(renderer=renderer),
        "hybrid": HybridLoss(terms, balance="fixed", samples=64, seed=1).eval(),
    }
    found = {}
    for name, loss_fn in of_shapes.items():
        compiled = torch.compile(loss_fn)
        found[name] = difference(
            lambda leaf, loss_fn=loss_fn: loss_fn(sphere.with_vertices(leaf), target),
            lambda leaf, compiled=compiled: compiled(sphere.with_vertices(leaf), target),
            vertices,
        )
    normals = NormalConsistencyLoss()
    compiled_normals = torch.compile(normals)
    found["normals"] = difference(
        lambda leaf: normals(sphere.with_vertices(leaf)),
        lambda leaf: compiled_normals(sphere.with_vertices(leaf)),
        vertices,
    )
    points, others = torch.rand(2, 40, 3).unbind(0)
    for name, loss_fn in (("chamfer", ChamferLoss()), ("qal", QALLoss())):
        compiled = torch.compile(loss_fn)
        found[name] = difference(
            lambda leaf, loss_fn=loss_fn: loss_fn(leaf, others),
            lambda leaf, compiled=compiled: compiled(leaf, others),
            points,
        )
    compiled_patches = torch.compile(extract_patches, fullgraph=True)
    for name, size in (("patches", (64, 96)), ("one patch", (32, 32))):
        found[name] = difference(extract_patches, compiled_patches, torch.rand(2, 3, *size))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
