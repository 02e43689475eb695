"""The demo: how far apart are chairs, to the eye, and what does the loss do to a sphere?

    make demo            (or: python examples/demo.py; about 5 minutes on 2 cores)

1. A chair against itself (exactly 0), with its bars shifted by about 5 px, with its bars removed, against another
   chair, and against an airplane.
2. A sphere of 2,562 vertices is fitted to a chair through DR-KFS and mesh regularisers. Before, after and target
   go to outputs/demo/fit.png, the mesh to outputs/demo/fit.obj.
"""

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import dr_kfs
from dr_kfs.datasets import generate
from dr_kfs.report import fit_sheet, save_image

OUT = Path(os.environ.get("DRKFS_DEMO_OUT", "outputs/demo"))
STEPS = int(os.environ.get("DRKFS_DEMO_STEPS", "300"))
CHAIR = generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none", "back": "slatted"})
# A sphere has no holes, so its target has none either: the same chair with a solid back and no bars.
TARGET = generate("chair", 4, style={"legs": "four", "bars": "none", "arms": "none", "back": "solid"})


def compare_chairs(console: Console, loss_fn: dr_kfs.DRKFSLoss) -> None:
    """Print the table of distances to the chair."""
    shift = 0.024 * float(dr_kfs.bounding_frame(CHAIR.to_meshes()).scale[0])  # 5 px of a 256 px view
    others = {
        "itself": CHAIR,
        "bars shifted up by 5 px": CHAIR.moved("bar_*", (0.0, shift, 0.0)),
        "bars removed": CHAIR.without("bar_*"),
        "another chair": generate("chair", 11),
        "an airplane": generate("airplane", 3),
    }
    table = Table("a chair against", "DR-KFS", title="25 views, 256x256; 0 is identical, larger is more different")
    code = loss_fn.encode(CHAIR.to_meshes())
    with console.status("rendering and matching 5 x 25 views ..."):
        for name, shape in others.items():
            table.add_row(name, f"{loss_fn(shape.to_meshes(), code).item():.4f}")
    console.print(table)


def fit_sphere(console: Console, loss_fn: dr_kfs.DRKFSLoss) -> None:
    """Fit the sphere and write the picture."""
    target = TARGET.to_meshes()
    fit = dr_kfs.MeshFit(dr_kfs.icosphere(4), target, settings=dr_kfs.FitSettings(steps=STEPS), drkfs=loss_fn)
    before, start = fit.meshes(), fit.distance()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("fitting a sphere", total=STEPS)
        while not fit.done:
            terms = fit.step()
            progress.update(task, advance=1, description=f"fitting a sphere, DR-KFS {terms['drkfs']:.3f}")
    end = fit.distance()
    OUT.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(fit.meshes(), OUT / "fit.obj")
    rows = {"before": before, "after": fit.meshes(), "target": target}
    save_image(OUT / "fit.png", fit_sheet(rows, loss_fn.renderer))
    console.print(f"DR-KFS to the chair: {start:.4f} before, {end:.4f} after ({end / start:.0%})")
    console.print(f"wrote {OUT / 'fit.png'} and {OUT / 'fit.obj'}")


def main() -> None:
    """Both parts."""
    console = Console()
    loss_fn = dr_kfs.DRKFSLoss()
    compare_chairs(console, loss_fn)
    fit_sphere(console, loss_fn)


if __name__ == "__main__":
    main()
