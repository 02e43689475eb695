"""Which preset is the better loss: spheres fitted to shapes through each, and judged by both and by points.

    python tests/experiments/preset_fits.py              # 6 shapes, default and fine: half an hour on one core
    python tests/experiments/preset_fits.py --resume     # go on after Ctrl-C

Equal steps, views, rates and regularisers of `MeshFit`; only the patches and their descriptor differ. Chamfer distance
(`occnet-l1`) is in units of the target's diagonal; the silhouettes are those of the 25 views.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from experiment_options import add_shared_options, setup_of
from experiment_rows import Row, rows_so_far, write_rows
from hybrid_fits import Shape, shapes, target_mesh
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import dr_kfs
from dr_kfs.losses import SilhouetteIoULoss
from dr_kfs.presets import PRESETS
from dr_kfs.report import contact_sheet, save_image

SHOWN_VIEW = 9
"""From the front left, 30 degrees up."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The same for every preset."""

    steps: int = 120
    """Gradient steps."""
    views: int = 6
    """Per step at 256 px, see `FitSettings`."""
    subdivisions: int = 4
    """Of the sphere: 2,562 vertices."""
    samples: int = 8192
    """Points of each surface for the Chamfer distance."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, measure, print; the exit status is 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, default=6, help="how many targets; %(default)s by default")
    parser.add_argument("--presets", nargs="+", choices=tuple(PRESETS), default=("default", "fine"), metavar="NAME")
    add_shared_options(parser, "preset_fits", Setup(), rows="the rows; meshes go beside it", picture="the fits")
    options = parser.parse_args(arguments)
    setup = setup_of(options, Setup)
    console = Console(width=None if sys.stdout.isatty() else 130)
    settings = {"setup": asdict(setup), "device": options.device, "torch": torch.__version__}
    rows = rows_so_far(options.json, settings, resume=options.resume)
    status = 0
    try:
        for shape in shapes(options.shapes):
            for preset in options.presets:
                if not any((_shape(row), row["preset"]) == (shape, preset) for row in rows):
                    rows.append(_row(shape, preset, setup, options))
                    write_rows(options.json, settings, rows)
                    console.print(_sentence(rows[-1]), soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    whole = whole_shapes(rows)
    if whole:
        console.print(_table([row for row in rows if _shape(row) in whole]))
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        save_image(options.picture, _sheet(rows, whole[:6], options.json.parent))
        console.print(f"wrote {options.picture}", markup=False, soft_wrap=True)
    return status


def whole_shapes(rows: list[Row]) -> list[Shape]:
    """The shapes that were fitted through every preset that occurs: others would make means of different shapes."""
    presets = {row["preset"] for row in rows}
    found = {shape: {row["preset"] for row in rows if _shape(row) == shape} for shape in map(_shape, rows)}
    return [shape for shape, names in found.items() if names == presets]


def _shape(row: Row) -> Shape:
    return row["family"], row["seed"]


def _row(shape: Shape, preset: str, setup: Setup, options: argparse.Namespace) -> Row:
    """One fit and what is measured of it; the mesh goes to a folder beside the rows."""
    target = target_mesh(*shape).to(options.device)
    loss: Any = dr_kfs.DRKFSLoss.from_preset(preset).to(options.device)  # type: ignore[arg-type]
    template = dr_kfs.icosphere(setup.subdivisions).to(options.device)
    settings = dr_kfs.FitSettings(steps=setup.steps, views_per_step=setup.views)
    start = time.perf_counter()
    fit = dr_kfs.MeshFit(template, target, settings=settings, drkfs=loss)
    while not fit.done:
        fit.step()
    seconds = time.perf_counter() - start
    fitted = fit.meshes()
    mesh = options.json.with_suffix(".meshes") / f"{shape[0]}-{shape[1]}-{preset}.obj"
    mesh.parent.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(fitted.to("cpu"), mesh)
    with torch.no_grad():  # a measurement
        judged = {
            f"drkfs {name}": float(dr_kfs.DRKFSLoss.from_preset(name).to(options.device)(fitted, target))  # type: ignore[arg-type]
            for name in ("default", "fine")
        }
        chamfer = dr_kfs.ChamferLoss(preset="occnet-l1")
        return {
            "family": shape[0],
            "seed": shape[1],
            "preset": preset,
            **judged,
            "chamfer": float(chamfer(fitted, target, samples=setup.samples, seed=0)),
            "silhouettes": 1.0 - float(SilhouetteIoULoss()(fitted, target)),
            "seconds": seconds,
            "mesh": mesh.relative_to(options.json.parent).as_posix(),
        }


COLUMNS = {
    "drkfs default": ("DR-KFS, default", ".3f"),
    "drkfs fine": ("DR-KFS, fine", ".3f"),
    "chamfer": ("Chamfer (occnet-l1)", ".4f"),
    "silhouettes": ("IoU of silhouettes", ".3f"),
    "seconds": ("s", ".0f"),
}


def _sentence(row: Row) -> str:
    found = ", ".join(f"{heading} {row[name]:{form}}" for name, (heading, form) in COLUMNS.items())
    return f"{row['family']} {row['seed']} through {row['preset']}: {found}"


def _table(rows: list[Row]) -> Table:
    """Means over the shapes."""
    count = len(set(map(_shape, rows)))
    table = Table(box=SIMPLE_HEAD, title=f"means over {count} shapes")
    table.add_column("fitted through")
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for preset in dict.fromkeys(row["preset"] for row in rows):
        own = [row for row in rows if row["preset"] == preset]
        table.add_row(preset, *(f"{mean(row[name] for row in own):{form}}" for name, (_, form) in COLUMNS.items()))
    return table


def _sheet(rows: list[Row], shown: list[Shape], folder: Path) -> Any:
    """Presets as rows, shapes as columns, the targets at the bottom."""
    names = list(dict.fromkeys(row["preset"] for row in rows))
    meshes = {(_shape(row), row["preset"]): folder / row["mesh"] for row in rows}
    renderer = dr_kfs.SoftRenderer(image_size=128, cameras=dr_kfs.hemisphere_rig()[[SHOWN_VIEW]])
    lines = [[dr_kfs.load_meshes(meshes[shape, name]) for shape in shown] for name in names]
    lines.append([target_mesh(*shape) for shape in shown])
    with torch.no_grad():  # a picture has no gradient
        images = [torch.stack([renderer(mesh).images[0, 0] for mesh in line]) for line in lines]
    return contact_sheet(torch.stack(images), [*names, "target"], captions=[family for family, _ in shown])


if __name__ == "__main__":
    sys.exit(main())
