"""Object space against image space: spheres fitted to shapes under DR-KFS, QAL, Chamfer, and DR-KFS with QAL.

    python tests/experiments/hybrid.py              # 20 shapes, 10 objectives: under an hour on one core
    python tests/experiments/hybrid.py --resume     # go on after Ctrl-C, or compare with others: --minus qal

DR-KFS and QAL together are balanced in six ways. All objectives get equal steps of one optimiser. Measured are the
DR-KFS distance, Chamfer distance (`occnet-l1`: mean of the two mean distances, not squared), F1@tau and normal
consistency, in units of the target's diagonal. Steps, rate and smoothing were chosen on two other shapes.

The rule for the default `balance` of `HybridLoss`, set down before the first of these fits: of those that need no help
from the caller ("uncertainty" and "gradnorm" do nothing unless an optimiser gets their parameters, a schedule needs the
number of steps), the one of the best mean rank over the four measures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from experiment_options import add_shared_options, setup_of
from experiment_rows import Row, rows_so_far, write_rows
from fit_rows import fits_sheet, shape_of, whole_shapes
from hybrid_fits import MEASURES, OBJECTIVES, UNAIDED, Fits, FitSetup, Shape, shapes, target_mesh
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

import dr_kfs
from dr_kfs.audit import bootstrap_mean
from dr_kfs.report import save_image

FORMATS = {"drkfs": ".3f", "chamfer": ".4f", "f1": ".3f", "normals": ".3f"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, measure, print; the exit status is 130 after Ctrl-C."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    setup = setup_of(options, FitSetup)
    settings = {"setup": asdict(setup), "device": options.device, "torch": torch.__version__}
    rows = rows_so_far(options.json, settings, resume=options.resume)
    status = 0
    try:
        _run(options, Fits(setup, options.device), settings, rows, console)
    except KeyboardInterrupt:
        console.print("Interrupted; --resume goes on from here.")
        status = 130
    whole = whole_shapes(rows, "objective")
    if whole:
        _print_report(console, rows, whole, options.minus)
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        labels = [name for name in values_of(rows, whole) if name != "sphere"]
        sheet = fits_sheet(rows, "objective", labels, whole[:6], options.json.parent, image_size=80)
        save_image(options.picture, sheet)
        console.print(f"wrote {options.picture}", markup=False, soft_wrap=True)
    console.print(f"wrote {options.json}", markup=False, soft_wrap=True)
    return status


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--shapes", type=int, default=20, help="how many targets; %(default)s by default")
    add("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES, metavar="NAME", help=", ".join(OBJECTIVES))
    add("--minus", choices=OBJECTIVES, default="hybrid fixed", metavar="NAME", help="what the others are compared with")
    add_shared_options(parser, "hybrid", FitSetup(), rows="the rows; meshes go beside it", picture="some of the fits")
    options = parser.parse_args(arguments)
    if options.shapes < 1:
        parser.error(f"--shapes must be at least 1, got {options.shapes}")
    return options


def _run(options: argparse.Namespace, fits: Fits, settings: dict[str, Any], rows: list[Row], console: Console) -> None:
    """Append a row per fit, shape after shape; meshes go to a folder beside the rows."""
    done = {(row["family"], row["seed"], row["objective"]) for row in rows}
    meshes = options.json.with_suffix(".meshes")
    meshes.mkdir(parents=True, exist_ok=True)
    for family, seed in shapes(options.shapes):
        missing = [name for name in options.objectives if (family, seed, name) not in done]
        if not missing:
            continue
        target = target_mesh(family, seed).to(fits.device)
        coarse, fine = fits.encoded(target, measured=False), fits.encoded(target, measured=True)
        for objective in missing:
            start = time.perf_counter()
            fitted = fits.fit(objective, target, coarse)
            seconds = time.perf_counter() - start
            measures = fits.measure(fitted, target, fine)
            mesh = meshes / f"{family}-{seed}-{objective.replace(' ', '-')}.obj"
            dr_kfs.save_mesh(fitted.to("cpu"), mesh)
            place = mesh.relative_to(options.json.parent).as_posix()
            rows.append({"family": family, "seed": seed, "objective": objective, **measures, "mesh": place})
            write_rows(options.json, settings, rows)
            found = ", ".join(f"{name} {measures[name]:{FORMATS[name]}}" for name in MEASURES)
            console.print(f"{family} {seed} {objective}: {found} ({seconds:.1f} s)", soft_wrap=True)


# -- what the rows say -----------------------------------------------------------------------------------------------


def values_of(rows: list[Row], whole: list[Shape]) -> dict[str, dict[str, list[float]]]:
    """Lists over the shapes by objective and measure, in the order of `OBJECTIVES`."""
    by_key = {(shape_of(row), row["objective"]): row for row in rows}
    objectives = [name for name in OBJECTIVES if any(row["objective"] == name for row in rows)]
    return {name: {m: [by_key[shape, name][m] for shape in whole] for m in MEASURES} for name in objectives}


def mean_ranks(values: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Rank within each shape and measure, 1 the best and ties shared, averaged over both; without the plain sphere."""
    fitted = [name for name in values if name != "sphere"]
    ranks = []
    for measure, higher in MEASURES.items():
        table = np.array([values[name][measure] for name in fitted])
        ranks.append(rankdata(-table if higher else table, axis=0).mean(axis=1))
    return dict(zip(fitted, np.mean(ranks, axis=0).tolist(), strict=True))


def _print_report(console: Console, rows: list[Row], whole: list[Shape], reference: str) -> None:
    values = values_of(rows, whole)
    ranks = mean_ranks(values)
    table = Table(box=SIMPLE_HEAD, title=f"means over {len(whole)} shapes")
    for name in ("objective", "DR-KFS", "Chamfer (occnet-l1)", "F1", "normals", "mean rank"):
        table.add_column(name, justify="left" if name == "objective" else "right")
    for name, measured in values.items():
        cells = [f"{np.mean(measured[m]):{FORMATS[m]}}" for m in MEASURES]
        table.add_row(name, *cells, f"{ranks[name]:.2f}" if name in ranks else "")
    console.print(table)
    if reference not in values:
        return
    table = Table(box=SIMPLE_HEAD, title=f"minus {reference}, paired by shape: mean and 95 % bootstrap interval")
    for name in ("objective", *MEASURES):
        table.add_column(name, justify="left" if name == "objective" else "right", no_wrap=True)
    for name in ranks:
        cells = []
        for m in MEASURES:
            paired = zip(values[name][m], values[reference][m], strict=True)
            estimate = bootstrap_mean([own - other for own, other in paired])
            cells.append(f"{estimate.mean:+{FORMATS[m]}} [{estimate.low:+{FORMATS[m]}}, {estimate.high:+{FORMATS[m]}}]")
        if name != reference:
            table.add_row(name, *cells)
    console.print(table)
    among = {name: rank for name, rank in ranks.items() if name in UNAIDED}
    if among:
        console.print(f"Best mean rank of those that need no help: {min(among, key=lambda name: among[name])}")


if __name__ == "__main__":
    sys.exit(main())
