"""`dr-kfs compare`: how far apart two shapes look, and where they differ."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from dr_kfs import Comparison
from dr_kfs.cli.outputs import print_line, text_console
from dr_kfs.cli.stages import (
    SHAPE_HELP,
    Descriptor,
    Detector,
    Device,
    Normalize,
    PresetName,
    build_loss,
    load_shape,
    load_target,
    pick_device,
)
from dr_kfs.cli.volumes import Volumes, volume_options
from dr_kfs.report import comparison_sheet, comparison_table, save_image, seen_sheet, view_runs, weights_text


def compare_command(
    predicted: Annotated[Path, typer.Argument(help=SHAPE_HELP, show_default=False)],
    target: Annotated[Path, typer.Argument(help="Shape file that it should look like.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON, and nothing else.")] = False,
    save_views: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write views, PoI maps and error maps to this folder.", show_default=False),
    ] = None,
    normalize: Annotated[
        Normalize, typer.Option(help="Box to normalise with: the target's for both, each its own, or none.")
    ] = Normalize.TARGET,
    device: Device = None,
    detector: Detector = None,
    descriptor: Descriptor = None,
    preset: PresetName = None,
    volumes: Volumes = "",
) -> None:
    """Print the perceptual distance of two shapes, and the views in which they differ most.

    0 is identical. Values of different weights are different metrics: the weights are always named.
    """
    place = pick_device(device)
    reading = volume_options(volumes, predicted, target)
    ours, theirs = load_shape(predicted, place, reading), load_target(target, place, reading)
    loss = build_loss(device=place, normalize=normalize, detector=detector, descriptor=descriptor, preset=preset)
    if save_views is not None:
        save_views.mkdir(parents=True, exist_ok=True)
    with text_console(stderr=True).status(f"comparing {loss.view_count} views on {place} ..."):
        comparison = loss.compare(ours, theirs)
        written = [] if save_views is None else _write_sheets(comparison, save_views)
    if not comparison.predicted.weights.any():
        warnings.warn(f"no view shows anything of {predicted}: is it empty, or far from the target?", stacklevel=1)
    if as_json:
        files = {"predicted": str(predicted), "target": str(target), "files": [str(path) for path in written]}
        print(json.dumps({**files, "volumes": reading, **comparison.to_dict()}, indent=2))
        return
    console = text_console()
    print_line(console, f"{predicted} against {target}")
    console.print(comparison_table(comparison, worst=5))
    for line in (weights_text(comparison.settings), *(f"wrote {path}" for path in written)):
        print_line(console, line)


def _write_sheets(comparison: Comparison, directory: Path) -> list[Path]:
    """The worst views, all views by elevation, and either shape with its PoI maps."""
    sheets = {"worst_views": comparison_sheet(comparison)}
    for run in view_runs(comparison):
        sheets[f"views_{run[0]:02d}-{run[-1]:02d}"] = comparison_sheet(comparison, views=run)
    for side in ("predicted", "target"):
        sheets[f"{side}_poi"] = seen_sheet(comparison, side)
    paths = []
    for name, sheet in sheets.items():
        paths.append(directory / f"{name}.png")
        save_image(paths[-1], sheet)
    return paths
