"""Fit an implicit network, as IM-Net is one, to the pictures of a chair, and say what memory that took.

    python examples/05_implicit.py       (about 2 minutes on 2 cores; writes outputs/implicit.obj and .png)

The network maps points to logits of being inside. It starts as a ball; from then on there is no supervision but
views of the target. Every step extracts its surface from 128^3 cells, sampled coarse to fine, and the gradient reaches
the weights through the points of the surface: nothing of the size of the grid is kept. In these steps seat and back
form; thin legs that the ball does not reach need `soft_surface` or many more. Memory at other resolutions:

    for n in 64 128 256; do DRKFS_EXAMPLE_RESOLUTION=$n DRKFS_EXAMPLE_STEPS=3 python examples/05_implicit.py; done
"""

import os
import sys
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.losses import image_loss
from dr_kfs.report import fit_sheet, save_image

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
RESOLUTION = int(os.environ.get("DRKFS_EXAMPLE_RESOLUTION", "128"))  # cells along each side; 32 times a power of two
STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "120"))
BALL_STEPS = 300
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
IMAGE = int(os.environ.get("DRKFS_EXAMPLE_IMAGE", "128"))  # of the fit [px]; distances are measured at 256
VIEWS_PER_STEP = min(4, VIEWS)
RATE, WARM_UP = 1e-3, 20
"""Learning rate, and the steps until it is reached."""
RADIUS = 0.3
"""Of the ball [target diagonals]."""


class Field(nn.Module):
    """Points (M, 3) to logits (M,): waves of the coordinates, then a perceptron."""

    def __init__(self, *, width: int = 96, octaves: int = 4) -> None:
        super().__init__()
        self.octaves = octaves
        sizes = (3 + 6 * octaves, width, width, width)
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.Softplus(20))]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, points: Tensor) -> Tensor:
        """The logits."""
        waves = [f(torch.pi * 2**k * points) for k in range(self.octaves) for f in (torch.sin, torch.cos)]
        return self.layers(torch.cat([points, *waves], dim=1)).squeeze(1)


def start_as_ball(field: Field) -> None:
    """Teach the network the signed distance to a sphere, five logits to a tenth of the diagonal.

    What it learns in a fixed number of steps varies with the machine's rounding, so the steps go on until the middle is
    inside and the corners of the box are outside: there is a surface then.
    """
    optimizer = torch.optim.Adam(field.parameters(), lr=2e-3)
    ends = torch.cat([torch.zeros(1, 3), torch.cartesian_prod(*[torch.tensor([-0.5, 0.5])] * 3)])
    inside = torch.tensor([True] + [False] * 8)
    for step in range(20 * BALL_STEPS):
        points = torch.rand(2048, 3) - 0.5
        loss = (field(points) - 50 * (RADIUS - points.norm(dim=1))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():  # a look at it
            if step >= BALL_STEPS - 1 and ((field(ends) > 0) == inside).all():
                return
    raise RuntimeError(f"The network has not become a ball in {20 * BALL_STEPS} steps.")


def peak_memory() -> float:
    """The most memory that this process has had [MB]; not a number on Windows, which keeps no such record."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kB elsewhere


def main() -> None:
    """Fit, and write the mesh and a picture of before, after and target."""
    torch.manual_seed(0)
    shape = generate("chair", 4, style={"legs": "four", "bars": "none", "arms": "none", "back": "solid"})
    target = dr_kfs.normalize(shape.to_meshes())
    rig = dr_kfs.hemisphere_rig()[:VIEWS]
    renderer = dr_kfs.SoftRenderer(cameras=rig, image_size=IMAGE, sigma=1e-5 * (256 / IMAGE) ** 2)
    loss_fn = dr_kfs.DRKFSLoss(renderer=renderer, normalize="none")
    distance = dr_kfs.DRKFSLoss(renderer=dr_kfs.SoftRenderer(cameras=rig), normalize="none")
    with torch.no_grad():  # the target is a constant
        seen = renderer(target)
    code, fine_code = loss_fn.encode(target), distance.encode(target)

    field = Field()
    start_as_ball(field)

    def surface_of_field() -> dr_kfs.Meshes:
        return dr_kfs.extract_surface(field, RESOLUTION, kind="logit", coarse_resolution=32)

    with torch.no_grad():  # a picture and a number
        before = surface_of_field()
    print(f"DR-KFS before: {distance(before, fine_code).item():.4f}; memory {peak_memory():.0f} MB")
    optimizer = torch.optim.Adam(field.parameters(), lr=RATE)
    for step in range(1, STEPS + 1):
        surface = surface_of_field()
        views = torch.randperm(VIEWS)[:VIEWS_PER_STEP].tolist()
        rendered = renderer(surface, rig[views])
        pixels = image_loss(rendered, seen[views]) + image_loss(rendered, seen[views], channel="alpha")
        loss = pixels + 0.02 * loss_fn(surface, code, views=views[:1])
        optimizer.zero_grad()
        loss.backward()
        # Adam's first steps are whole ones whatever the gradient, and may turn a ball inside out: they start small.
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, step / WARM_UP)
        optimizer.step()
        if step % 20 == 0 or step in (1, STEPS):
            faces = len(surface.faces)
            print(f"step {step:3d}: loss {loss.item():.4f}, {faces} faces; memory {peak_memory():.0f} MB")
    with torch.no_grad():  # a picture and a number
        after = surface_of_field()
    print(f"DR-KFS after: {distance(after, fine_code).item():.4f}")
    print(f"peak memory at {RESOLUTION}^3: {peak_memory():.0f} MB")

    OUT.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(after, OUT / "implicit.obj")
    save_image(OUT / "implicit.png", fit_sheet({"before": before, "after": after, "target": target}, renderer))
    print(f"wrote {OUT / 'implicit.obj'} and {OUT / 'implicit.png'}")


if __name__ == "__main__":
    main()
