"""`dr-kfs render`: what the metric sees of a shape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from dr_kfs import GHHDetector, SoftRenderer, normalize
from dr_kfs.cli.stages import SHAPE_HELP, Detector, Device, Shading, check_suffix, load_shape, pick_device
from dr_kfs.report import render_sheet, save_image
from dr_kfs.report.sheets import IMAGE_SUFFIXES


def render_command(
    mesh: Annotated[Path, typer.Argument(help=SHAPE_HELP, show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write (png, jpg, webp).")] = Path(
        "views.png"
    ),
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of a view [px].")] = 256,
    sigma: Annotated[float, typer.Option(help="Softness of outlines [NDC^2].")] = 1e-5,
    shading: Annotated[Shading, typer.Option(help="Normals of the faces, or averaged at the vertices.")] = Shading.FLAT,
    poi: Annotated[bool, typer.Option("--poi/--no-poi", help="Show the keypoint maps below the views.")] = True,
    device: Device = None,
    detector: Detector = None,
) -> None:
    """Write the 25 shaded views of a shape and their PoI maps as one picture."""
    check_suffix(output, IMAGE_SUFFIXES)
    if not 0.0 < sigma < 1.0:
        raise ValueError(f"--sigma must be in (0, 1), got {sigma}.")
    place = pick_device(device)
    meshes = normalize(load_shape(mesh, place))
    renderer = SoftRenderer(image_size=size, sigma=sigma, shading=shading.value)
    find_keypoints = None
    if poi:
        find_keypoints = (GHHDetector() if detector is None else GHHDetector(detector)).to(place)
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        Console(stderr=True).status(f"rendering {len(renderer.cameras)} views on {place} ..."),
        torch.no_grad(),
    ):
        views = renderer(meshes)
        maps = None if find_keypoints is None else find_keypoints(views.images)
        save_image(output, render_sheet(views, maps, cameras=renderer.cameras))
    print(f"wrote {output}")
