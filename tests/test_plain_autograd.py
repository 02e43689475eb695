"""What would lose a gradient silently is refused."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad

from dr_kfs import DRKFSLoss, SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.losses import ChamferLoss, ImageLoss

RENDERER = SoftRenderer(cameras=hemisphere_rig()[[1]], image_size=64)
SPHERE = icosphere(0)


@pytest.mark.filterwarnings("default")  # torch's own, of what it compiles on a first dual number
@pytest.mark.parametrize("loss_fn", [DRKFSLoss(renderer=RENDERER), ImageLoss(renderer=RENDERER)])
def test_forward_mode(loss_fn) -> None:
    with forward_ad.dual_level():
        vertices = forward_ad.make_dual(SPHERE.vertices * 0.9, SPHERE.vertices)
        with pytest.raises(TypeError, match="do not reach through"):
            loss_fn(SPHERE.with_vertices(vertices), SPHERE)


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.vmap])
def test_transforms_of_points(transform) -> None:
    points = torch.rand(1, 9, 3)
    with pytest.raises(TypeError, match="a batch of shapes instead of vmap"):
        transform(lambda sets: ChamferLoss()(sets, points[0]))(points)


def test_a_loss_made_in_inference_mode_trains() -> None:
    with torch.inference_mode():
        loss_fn = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1]], image_size=64))
    vertices = (SPHERE.vertices * 0.9).requires_grad_()
    loss_fn(SPHERE.with_vertices(vertices), icosphere(1)).backward()
    assert vertices.grad.abs().max() > 0


def test_without_gradient_no_step_is_made() -> None:
    loss_fn = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9, 20]], image_size=64), views_per_step=1)
    with torch.no_grad():
        loss_fn(SPHERE, icosphere(1))
    assert loss_fn.steps_taken == 0
