"""Fit a sphere to a chair by gradient descent on its vertices.

    python examples/02_fit_mesh.py       (about 5 minutes on 2 cores; writes outputs/fit_mesh.obj and .png)

The same from the command line, with checkpoints: dr-kfs fit chair.obj -o fit_mesh.obj. With another preset as the loss:

    DRKFS_EXAMPLE_PRESET=fine python examples/02_fit_mesh.py
"""

import os
from pathlib import Path

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.report import fit_sheet, save_image

OUT = Path(os.environ.get("DRKFS_EXAMPLE_OUT", "outputs"))
STEPS = int(os.environ.get("DRKFS_EXAMPLE_STEPS", "240"))
VIEWS = int(os.environ.get("DRKFS_EXAMPLE_VIEWS", "25"))
SUBDIVISIONS = int(os.environ.get("DRKFS_EXAMPLE_SUBDIVISIONS", "4"))  # 2,562 vertices
PRESET = os.environ.get("DRKFS_EXAMPLE_PRESET", "default")


def main() -> None:
    """Fit, and write the mesh and a picture of before, after and target."""
    target = generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none"}).to_meshes()
    renderer = dr_kfs.SoftRenderer(cameras=dr_kfs.hemisphere_rig()[:VIEWS])
    loss_fn = dr_kfs.DRKFSLoss.from_preset(PRESET, renderer=renderer)
    fit = dr_kfs.MeshFit(
        dr_kfs.icosphere(SUBDIVISIONS),
        target,
        settings=dr_kfs.FitSettings(steps=STEPS, views_per_step=min(6, VIEWS)),
        drkfs=loss_fn,
    )
    before = fit.meshes()
    print(f"DR-KFS before: {fit.distance():.4f}")
    while not fit.done:
        terms = fit.step()
        if fit.step_count % 20 == 0 or fit.done:
            print(f"step {fit.step_count:3d}: " + ", ".join(f"{name} {value:.4f}" for name, value in terms.items()))
    print(f"DR-KFS after: {fit.distance():.4f}")
    for name in ("default", "fine"):
        judge = dr_kfs.DRKFSLoss.from_preset(name, renderer=renderer)
        values = [judge(mesh, target).item() for mesh in (before, fit.meshes())]
        print(f"by the preset {name}: {values[0]:.4f} before, {values[1]:.4f} after")

    OUT.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(fit.meshes(), OUT / "fit_mesh.obj")
    rows = {"before": before, "after": fit.meshes(), "target": target}
    save_image(OUT / "fit_mesh.png", fit_sheet(rows, loss_fn.renderer))
    print(f"wrote {OUT / 'fit_mesh.obj'} and {OUT / 'fit_mesh.png'}")


if __name__ == "__main__":
    main()
