"""Fit a voxel grid to the pictures of a chair: a leg is missing, a part is too many, or all is blurred.

    python examples/04_fit_voxels.py     (about 10 minutes on 2 cores; writes outputs/fit_voxels.png)

Each start is fitted twice: through `soft_surface`, which can grow and lose parts, and through `marching_cubes`. There
is no supervision but views of the target: shade, silhouette and DR-KFS. Results are measured as marching cubes at 0.5,
against the target's own voxels. Other shapes and sizes, for a table:

    DRKFS_EXAMPLE_GRID=64 DRKFS_EXAMPLE_SHAPE=7 DRKFS_EXAMPLE_STARTS=missing python examples/04_fit_voxels.py
"""

import os
from pathlib import Path

import torch
from torch import Tensor

import dr_kfs
from dr_kfs.audit.voxels import CellLattice, lattice_of, solid_voxels
from dr_kfs.datasets import LabelledShape, generate
from dr_kfs.losses import image_loss
from dr_kfs.report import fit_sheet, save_image

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
GRID = int(os.environ.get("DRKFS_EXAMPLE_GRID", "32"))  # samples along each side
STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "120"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
IMAGE = int(os.environ.get("DRKFS_EXAMPLE_IMAGE", "128"))  # of the fit [px]; distances are measured at 256
SHAPE = int(os.environ.get("DRKFS_EXAMPLE_SHAPE", "4"))  # which chair
STARTS = os.environ.get("DRKFS_EXAMPLE_STARTS", "missing,foreign,blurred").split(",")
DRKFS_WEIGHT = float(os.environ.get("DRKFS_EXAMPLE_DRKFS", "0.02"))  # beside the two mean squared errors; 0 without

VIEWS_PER_STEP = min(4, VIEWS)
EXPLORED = 0.05
"""Share of the samples that a step asks whether something should be there."""
LEAST_OPACITY = 0.03
LOWEST, HIGHEST = 0.03, 0.97
"""Probabilities are kept between: one of 1 hides what is behind it, and at 0 and 1 logits, and so places, are steep."""
POLISH = 0.4
"""Share of the steps, the last ones, in which the soft fit goes on as marching cubes: its surface is what is wanted."""


def occupancy(shape: LabelledShape, lattice: CellLattice) -> Tensor:
    """1 in the voxels of a shape, 0 elsewhere: (1, GRID, GRID, GRID)."""
    vertices, faces, _ = shape.to_mesh()
    inside = torch.zeros(1, GRID, GRID, GRID)
    x, y, z = torch.from_numpy(solid_voxels(vertices[faces], lattice) + GRID // 2).unbind(1)
    inside[0, x, y, z] = 1.0
    return inside


def blurred(inside: Tensor) -> Tensor:
    """The grid blurred over 3 voxels, twice."""
    for _ in range(2):
        inside = torch.nn.functional.avg_pool3d(inside[None], 3, stride=1, padding=1)[0]
    return inside


def inward(part: Tensor) -> int:
    """The direction along x from a part to the middle of the grid."""
    return 1 if part.nonzero()[:, 1].float().mean() < GRID / 2 else -1


def fit(grid: dr_kfs.VoxelGrid, target: dr_kfs.Meshes, form: str) -> dr_kfs.VoxelGrid:
    """Gradient descent on the probabilities; `form` is "soft" or "hard"."""
    generator = torch.Generator().manual_seed(0)
    rig = dr_kfs.hemisphere_rig()[:VIEWS]
    renderer = dr_kfs.SoftRenderer(cameras=rig, image_size=IMAGE, sigma=1e-5 * (256 / IMAGE) ** 2)
    loss_fn = dr_kfs.DRKFSLoss(renderer=renderer, normalize="none")
    with torch.no_grad():  # the target is a constant
        seen, code = renderer(target), loss_fn.encode(target)
    values = grid.values.clamp(LOWEST, HIGHEST).requires_grad_()
    # The large eps keeps probabilities still whose gradient is noise.
    optimizer = torch.optim.Adam([values], lr=0.05, betas=(0.8, 0.95), eps=1e-4)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.005)
    for step in range(1, STEPS + 1):
        current = grid.with_values(values)
        if form == "soft" and step <= (1 - POLISH) * STEPS:
            explore = torch.rand(values.shape, generator=generator) < EXPLORED
            surface = dr_kfs.soft_surface(current, explore=explore, least_opacity=LEAST_OPACITY)
        else:
            surface = dr_kfs.marching_cubes(current)
        views = torch.randperm(VIEWS, generator=generator)[:VIEWS_PER_STEP].tolist()
        rendered = renderer(surface, rig[views])
        loss = image_loss(rendered, seen[views]) + image_loss(rendered, seen[views], channel="alpha")
        if DRKFS_WEIGHT > 0:
            loss = loss + DRKFS_WEIGHT * loss_fn(surface, code, views=views[:1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
        with torch.no_grad():  # back to probabilities
            values.clamp_(LOWEST, HIGHEST)
        if step % 20 == 0:
            print(f"  {form} step {step:3d}: loss {loss.item():.4f}")
    return grid.with_values(values.detach())


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union."""
    return ((one & other).sum() / (one | other).sum()).item()


MEASURES = {
    "missing": lambda inside, start, part: f"IoU of what has grown with the part {overlap(inside & ~start, part):.2f}",
    "foreign": lambda inside, start, part: f"share of the part that is left {(inside[part]).float().mean().item():.2f}",
    "blurred": lambda inside, start, whole: f"IoU {overlap(inside, whole):.2f}",
}
"""What is said of a result; all three take what is inside in the result, in the start, and where they differ."""


def main() -> None:
    """Fit from every start in both forms; print a table and write a picture."""
    shape = generate("chair", SHAPE, style={"legs": "four", "bars": "none", "arms": "none"})
    vertices, faces, _ = shape.to_mesh()
    lattice = lattice_of(vertices[faces], GRID - 6)
    whole = occupancy(shape, lattice)
    leg = shape.part_names("leg*")[0]
    part = whole * (1 - occupancy(shape.without(leg), lattice))
    # The same leg, moved inwards by as many voxels as it takes to stand free.
    free = next(moved for by in range(2, GRID) if not ((moved := part.roll(by * inward(part), 1)) * whole).any())
    # Where each start differs from the target: there is a part to grow, one to lose, or everything to sharpen.
    starts = {"missing": (whole - part, part), "foreign": (whole + free, free), "blurred": (blurred(whole), whole)}

    half = GRID / 2 * lattice.size
    box = tuple((lattice.center + side * half).tolist() for side in (-1, 1))
    mesh = dr_kfs.marching_cubes(dr_kfs.VoxelGrid.in_box(whole, box))
    frame = dr_kfs.bounding_frame(mesh)
    mesh = dr_kfs.normalize(mesh, frame)
    center, scale = frame.center[0], frame.scale[0]
    place = tuple(((torch.tensor(corner) - center) / scale).tolist() for corner in box)
    distance = dr_kfs.DRKFSLoss(renderer=dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS]), normalize="none")
    code = distance.encode(mesh)

    rows: dict[str, dr_kfs.Meshes] = {}
    for start in STARTS:
        values, where = starts[start]
        grid = dr_kfs.VoxelGrid.in_box(values, place)
        results = {"start": grid, **{form: fit(grid, mesh, form) for form in ("soft", "hard")}}
        for form, result in results.items():
            surface = dr_kfs.marching_cubes(result)
            score = MEASURES[start](result.values > 0.5, values > 0.5, where > 0.5)
            print(f"{start:>8} {form:>5}: DR-KFS {distance(surface, code).item():.4f}, {score}")
            rows[f"{start}\n{form}"] = surface
    rows["target"] = mesh
    OUT.mkdir(parents=True, exist_ok=True)
    save_image(OUT / "fit_voxels.png", fit_sheet(rows, distance.renderer))
    print(f"wrote {OUT / 'fit_voxels.png'}")


if __name__ == "__main__":
    main()
