"""A known motion of a real mesh is found again from its images alone: outlines pull in every direction."""

import math

import pytest
import torch

from dr_kfs import Meshes, SoftRenderer, hemisphere_rig, load_meshes, normalize
from dr_kfs.losses import image_loss

STARTS = 20
STAGES = ((32, 3e-3, 30, 0.04), (64, 3e-4, 40, 0.013))
"""Image side [px], sigma [NDC^2], steps, learning rate: from coarse to fine."""
TOLERANCE = {"scale": 0.01, "translation": 0.005, "rotation": math.radians(1.0)}
"""How near is found again: share of the size, share of the diagonal, angle."""


def random_starts(kind, generator):
    """Scales of 0.7 to 1.4 (logarithms), shifts of up to 0.15 each way, rotations by 10 to 45 degrees (vectors)."""
    if kind == "scale":
        return (torch.rand(STARTS, 1, generator=generator) * 2 - 1) * math.log(1.4)
    if kind == "translation":
        return (torch.rand(STARTS, 3, generator=generator) * 2 - 1) * 0.15
    axis = torch.nn.functional.normalize(torch.randn(STARTS, 3, generator=generator), dim=1)
    return axis * torch.deg2rad(10 + 35 * torch.rand(STARTS, 1, generator=generator))


def moved(kind, motion, vertices):
    """(STARTS, N, 3) copies of the vertices, each moved by its own motion."""
    if kind == "scale":
        return vertices * motion.exp()[:, None]
    if kind == "translation":
        return vertices + motion[:, None]
    x, y, z = motion.unbind(1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).view(-1, 3, 3)
    return vertices @ torch.linalg.matrix_exp(cross).transpose(1, 2)


@pytest.mark.parametrize("kind", TOLERANCE)
def test_nineteen_of_twenty_random_starts_are_recovered(real_data, kind):
    mesh = normalize(load_meshes(real_data / "common" / "spot.obj"))
    motion = random_starts(kind, torch.Generator().manual_seed(0)).requires_grad_()
    batch = Meshes.cat([mesh] * STARTS)
    for size, sigma, steps, rate in STAGES:
        renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 3, 10]], image_size=size, sigma=sigma)
        target = renderer(mesh)
        optimizer = torch.optim.Adam([motion], lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=rate / 20)
        for _ in range(steps):
            shapes = batch.with_vertices(moved(kind, motion, mesh.vertices).flatten(0, 1))
            loss = image_loss(renderer(shapes), target, reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    found = (motion.detach().norm(dim=1) < TOLERANCE[kind]).sum().item()
    assert found >= 19, f"{found} of {STARTS}"
