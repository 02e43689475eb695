"""`dr-kfs render`: what the metric sees of a shape."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from dr_kfs import GHHDetector, SoftRenderer, normalize
from dr_kfs.cli.outputs import check_outputs, text_console
from dr_kfs.cli.stages import SHAPE_HELP, Detector, Device, Shading, load_shape, pick_device
from dr_kfs.cli.volumes import Volumes, volume_options
from dr_kfs.rendering import Views
from dr_kfs.report import render_sheet, save_image
from dr_kfs.report.sheets import IMAGE_SUFFIXES
from dr_kfs.whole_files import check_suffix


def render_command(
    mesh: Annotated[Path, typer.Argument(help=SHAPE_HELP, show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write (png, jpg, webp).")] = Path(
        "views.png"
    ),
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of a view \\[px].")] = 256,
    sigma: Annotated[float, typer.Option(help="Softness of outlines [NDC^2].")] = 1e-5,
    shading: Annotated[Shading, typer.Option(help="Normals of the faces, or averaged at the vertices.")] = Shading.FLAT,
    poi: Annotated[bool, typer.Option("--poi/--no-poi", help="Show the keypoint maps below the views.")] = True,
    device: Device = None,
    detector: Detector = None,
    volumes: Volumes = "",
) -> None:
    """Write the 25 shaded views of a shape and their PoI maps as one picture."""
    check_suffix(output, IMAGE_SUFFIXES)
    if not 0.0 < sigma < 1.0:
        raise ValueError(f"--sigma must be in (0, 1), got {sigma}.")
    check_outputs({"--output": output}, {"the shape": mesh})
    place = pick_device(device)
    meshes = normalize(load_shape(mesh, place, volume_options(volumes, mesh)))
    renderer = SoftRenderer(image_size=size, sigma=sigma, shading=shading.value)
    find_keypoints = None
    if poi:
        find_keypoints = (GHHDetector() if detector is None else GHHDetector(detector)).to(place)
    cameras = renderer.cameras
    with text_console(stderr=True).status(f"rendering {len(cameras)} views on {place} ..."), torch.no_grad():
        # View by view: large maps need much memory.
        parts = [renderer(meshes, cameras[[view]]) for view in range(len(cameras))]
        views = Views(*(torch.cat([getattr(part, name) for part in parts], 1) for name in ("images", "alpha", "depth")))
        maps = None if find_keypoints is None else torch.cat([find_keypoints(part.images) for part in parts], dim=1)
        save_image(output, render_sheet(views, maps, cameras=cameras))
    print(f"wrote {output}")
