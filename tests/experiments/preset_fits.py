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
from statistics import mean

import torch
from experiment_options import add_shared_options, setup_of
from experiment_rows import Row, rows_so_far, write_rows
from fit_rows import fits_sheet, shape_of, whole_shapes
from hybrid_fits import Shape, shapes, target_mesh
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import dr_kfs
from dr_kfs.losses import SilhouetteIoULoss
from dr_kfs.presets import PRESETS
from dr_kfs.report import save_image

JUDGES = ("default", "fine")
"""Presets that every fit is measured by."""


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
    presets = dict.fromkeys((*options.presets, *JUDGES))
    losses = {name: dr_kfs.DRKFSLoss.from_preset(name).to(options.device) for name in presets}
    status = 0
    try:
        for shape in shapes(options.shapes):
            for preset in options.presets:
                if not any((shape_of(row), row["preset"]) == (shape, preset) for row in rows):
                    rows.append(_row(shape, preset, losses, setup, options))
                    write_rows(options.json, settings, rows)
                    console.print(_sentence(rows[-1]), soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    whole = whole_shapes(rows, "preset")
    if whole:
        console.print(_table([row for row in rows if shape_of(row) in whole]))
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(row["preset"] for row in rows))
        sheet = fits_sheet(rows, "preset", names, whole[:6], options.json.parent, image_size=128)
        save_image(options.picture, sheet)
        console.print(f"wrote {options.picture}", markup=False, soft_wrap=True)
    return status


def _row(
    shape: Shape, preset: str, losses: dict[str, dr_kfs.DRKFSLoss], setup: Setup, options: argparse.Namespace
) -> Row:
    """One fit and what is measured of it; the mesh goes to a folder beside the rows."""
    target = target_mesh(*shape).to(options.device)
    template = dr_kfs.icosphere(setup.subdivisions).to(options.device)
    settings = dr_kfs.FitSettings(steps=setup.steps, views_per_step=setup.views)
    start = time.perf_counter()
    fit = dr_kfs.MeshFit(template, target, settings=settings, drkfs=losses[preset])
    while not fit.done:
        fit.step()
    seconds = time.perf_counter() - start
    fitted = fit.meshes()
    mesh = options.json.with_suffix(".meshes") / f"{shape[0]}-{shape[1]}-{preset}.obj"
    mesh.parent.mkdir(parents=True, exist_ok=True)
    dr_kfs.save_mesh(fitted.to("cpu"), mesh)
    with torch.no_grad():  # a measurement
        judged = {f"drkfs {name}": float(losses[name](fitted, target)) for name in JUDGES}
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
    count = len(set(map(shape_of, rows)))
    table = Table(box=SIMPLE_HEAD, title=f"means over {count} shapes")
    table.add_column("fitted through")
    for heading, _ in COLUMNS.values():
        table.add_column(heading, justify="right")
    for preset in dict.fromkeys(row["preset"] for row in rows):
        own = [row for row in rows if row["preset"] == preset]
        table.add_row(preset, *(f"{mean(row[name] for row in own):{form}}" for name, (_, form) in COLUMNS.items()))
    return table


if __name__ == "__main__":
    sys.exit(main())
