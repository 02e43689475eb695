"""Fit a voxel grid to the pictures of a chair: a leg is missing, a part is too many, or all is blurred.

    python examples/04_fit_voxels.py     (about 2 minutes on a core; writes outputs/fit_voxels.png)

Each start is fitted twice by `VoxelFit`: `"soft"`, which first lets parts appear, and `"hard"`, through marching cubes
alone. There is no supervision but views of the target: shade, silhouette and DR-KFS. Results are measured as marching
cubes at 0.5, against the target's own voxels. Another shape, a finer grid:

    DRKFS_EXAMPLE_GRID=64 DRKFS_EXAMPLE_SHAPE=7 DRKFS_EXAMPLE_STARTS=missing python examples/04_fit_voxels.py
"""

import os
from pathlib import Path

import torch
from torch import Tensor

import dr_kfs
from dr_kfs.audit.voxels import CellLattice, lattice_of, solid_voxels
from dr_kfs.datasets import LabelledShape, generate
from dr_kfs.report import fit_sheet, save_image

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
GRID = int(os.environ.get("DRKFS_EXAMPLE_GRID", "48"))  # samples along each side
STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "220"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
IMAGE = int(os.environ.get("DRKFS_EXAMPLE_IMAGE", "128"))  # of the fit [px]; distances are measured at 256
SHAPE = int(os.environ.get("DRKFS_EXAMPLE_SHAPE", "4"))  # which chair
STARTS = os.environ.get("DRKFS_EXAMPLE_STARTS", "missing,foreign,blurred").split(",")


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
    low, high = ((lattice.center + side * half).tolist() for side in (-1, 1))
    target = dr_kfs.marching_cubes(dr_kfs.VoxelGrid.in_box(whole, (low, high)))
    stages = dr_kfs.DRKFSLoss(renderer=dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS]))
    settings = dr_kfs.VoxelFitSettings(steps=STEPS, image_size=IMAGE)
    code = stages.encode(target)

    rows: dict[str, dr_kfs.Meshes] = {}
    for start in STARTS:
        values, where = starts[start]
        results = {"start": dr_kfs.VoxelGrid.in_box(values, (low, high))}
        for form in ("soft", "hard"):
            fit = dr_kfs.VoxelFit(results["start"], target, form=form, settings=settings, drkfs=stages)
            while not fit.done:
                terms = fit.step()
                if fit.step_count % 20 == 0:
                    print(f"  {form} step {fit.step_count:3d}: loss {terms['total']:.4f}")
            results[form] = fit.volume()
        for form, result in results.items():
            surface = dr_kfs.marching_cubes(result)
            score = MEASURES[start](result.values > 0.5, values > 0.5, where > 0.5)
            print(f"{start:>8} {form:>5}: DR-KFS {stages(surface, code).item():.4f}, {score}")
            rows[f"{start}\n{form}"] = surface
    rows["target"] = target
    OUT.mkdir(parents=True, exist_ok=True)
    save_image(OUT / "fit_voxels.png", fit_sheet(rows, stages.renderer))
    print(f"wrote {OUT / 'fit_voxels.png'}")


if __name__ == "__main__":
    main()
