"""Object space and image space in one loss: what each sees, and a fit in which they pull equally.

    python examples/06_hybrid.py         (about 3 minutes on 2 cores; writes outputs/hybrid.obj)

1. A fault that no view shows: a second body inside a closed one. DR-KFS is blind to it, points are not.
2. A sphere is fitted to a chair. Points place its parts first; from the middle on the look decides too. The weights set
   themselves so that every term pulls equally at the vertices.
"""

import os
from pathlib import Path

import torch

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.large_steps import LargeSteps
from dr_kfs.losses import UniformLaplacianLoss, cosine, object_space_first

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "100"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
SUBDIVISIONS = int(os.environ.get("DRKFS_EXAMPLE_SUBDIVISIONS", "4"))  # 2,562 vertices
SAMPLES = int(os.environ.get("DRKFS_EXAMPLE_SAMPLES", "4096"))


def hidden_fault(drkfs: dr_kfs.DRKFSLoss) -> None:
    """A sphere against itself, and against itself with a smaller one inside."""
    sphere = dr_kfs.icosphere(3)
    inner = sphere.with_vertices(0.4 * sphere.vertices)
    vertices = torch.cat([sphere.vertices, inner.vertices])
    faulty = dr_kfs.Meshes.from_list([vertices], [torch.cat([sphere.faces, inner.faces + len(sphere.vertices)])])
    terms = {"drkfs": drkfs, "chamfer": dr_kfs.ChamferLoss()}
    loss_fn = dr_kfs.HybridLoss(terms, samples=SAMPLES, seed=0).eval()
    for name, shape in (("itself", sphere), ("a hidden body inside", faulty)):
        loss_fn(shape, sphere)
        found = ", ".join(f"{term} {report.value:.6f}" for term, report in loss_fn.terms.items())
        print(f"{name}: {found}")


def fit(renderer: dr_kfs.SoftRenderer) -> None:
    """Move a sphere's vertices until they are a chair's."""
    target = dr_kfs.normalize(generate("chair", 4, style={"legs": "four", "bars": "none", "arms": "none"}).to_meshes())
    template = dr_kfs.normalize(dr_kfs.icosphere(SUBDIVISIONS))
    drkfs = dr_kfs.DRKFSLoss(renderer=renderer, normalize="none", views_per_step=min(6, VIEWS))
    code = drkfs.encode(target)  # the target's look, described once
    half = STEPS // 2
    loss_fn = dr_kfs.HybridLoss(
        {"qal": dr_kfs.QALLoss(preset="calibrated"), "drkfs": drkfs, "laplacian": UniformLaplacianLoss()},
        weights={"laplacian": 0.3, **object_space_first(visual=["drkfs"], switch=half, steps=half // 2)},
        schedules={"qal.tau": cosine(0.1, 0.02, steps=STEPS)},  # loose at first, then as fine as the samples allow
        balance="gradient-ratio",
        samples=SAMPLES,
        seed=0,
    )
    vertices, descent = template.vertices.clone().requires_grad_(), LargeSteps(template, smoothing=2.0)
    for step in range(1, STEPS + 1):
        loss = loss_fn(template.with_vertices(vertices), target, targets={"drkfs": code})
        (gradient,) = torch.autograd.grad(loss, vertices)
        descent.step(vertices, gradient, rate=1.5e-2 * (1.0 - 0.9 * step / STEPS))
        if step in (1, STEPS) or step % 10 == 0:
            terms = ", ".join(f"{name} {each.value:.3g} x {each.weight:.3g}" for name, each in loss_fn.terms.items())
            print(f"step {step:3d}: {terms}")
    OUT.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(template.with_vertices(vertices.detach()), OUT / "hybrid.obj")
    print(f"wrote {OUT / 'hybrid.obj'}")


def main() -> None:
    """Both parts."""
    torch.manual_seed(0)
    renderer = dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS])
    hidden_fault(dr_kfs.DRKFSLoss(renderer=renderer))
    fit(renderer)


if __name__ == "__main__":
    main()
