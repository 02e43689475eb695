"""What several commands share: their options, and the loss that these describe."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer

from dr_kfs import DRKFSLoss, GHHDetector, Meshes, bounding_frame, load_shapes
from dr_kfs.cli.volumes import VolumeOptions
from dr_kfs.presets import Preset, find_preset

SHAPE_HELP = "Shape file (obj, off, ply, stl, glb, gltf; voxels: binvox, npy, npz, mat)."
"""What `load_shapes` reads."""


class Normalize(str, enum.Enum):
    """Whose box both shapes are normalised with."""

    TARGET = "target"
    EACH = "each"
    NONE = "none"


class Shading(str, enum.Enum):
    """Normals that a view is shaded with."""

    FLAT = "flat"
    SMOOTH = "smooth"


Device = Annotated[
    str | None, typer.Option(help="cpu or cuda; the first CUDA device if there is one.", show_default=False)
]
Detector = Annotated[
    str | None,
    typer.Option(help="Registered name or .safetensors file of the keypoint detector.", show_default=False),
]
Descriptor = Annotated[
    str | None,
    typer.Option(help="Registered name or .safetensors file of the descriptor.", show_default=False),
]

PresetName = Annotated[
    str | None,
    typer.Option("--preset", help="default, fine or paper: named weights and settings.", show_default=False),
]


def load_shape(path: Path | str, device: str = "cpu", volumes: VolumeOptions | None = None) -> Meshes:
    """The one shape in a file; of an array, read as `volumes` says.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no shape, or several; the message names the file.
    """
    meshes = load_shapes(path, device=device, **(volumes or {}))
    if len(meshes) != 1:
        raise ValueError(f"{path}: expected one shape, got {len(meshes)}. Save each to a file of its own.")
    return meshes


def load_target(path: Path | str, device: str = "cpu", volumes: VolumeOptions | None = None) -> Meshes:
    """The one shape in a file, with a box that both sides can be normalised with; see `load_shape`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no shape, several, or one without extent; the message names the file.
    """
    meshes = load_shape(path, device, volumes)
    try:
        bounding_frame(meshes)
    except ValueError:
        extent = "a volume without a surface" if len(meshes.faces) == 0 else "a single point, or beyond all numbers"
        raise ValueError(f"{path}: expected a shape that has a size, to compare with; this is {extent}.") from None
    return meshes


def pick_device(name: str | None) -> str:
    """The device of that name; without a name CUDA where there is one.

    Raises:
        ValueError: no such device.
    """
    available = torch.cuda.is_available()
    if name is None:
        return "cuda" if available else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f'--device must be "cpu" or "cuda", got "{name}".')
    if device.type == "cuda" and (device.index or 0) >= (torch.cuda.device_count() if available else 0):
        raise ValueError(f'There is no CUDA device "{name}" here: use --device cpu.')
    return name


def build_loss(
    *,
    device: str,
    normalize: Normalize = Normalize.TARGET,
    detector: str | None = None,
    descriptor: str | None = None,
    preset: str | None = None,
) -> DRKFSLoss:
    """The loss with the default stages, with other weights, or of a preset.

    Raises:
        ValueError: an unknown preset, or one together with weights of one's own.
    """
    settings: Any = {"normalize": normalize.value, "reduction": "none"}
    if preset is not None:
        if detector is not None or descriptor is not None:
            raise ValueError("A preset names all weights: leave out --detector and --descriptor, or --preset.")
        find_preset(preset)  # so that it is one
        return DRKFSLoss.from_preset(cast(Preset, preset), **settings).to(device)
    if detector is not None:
        settings["detector"] = GHHDetector(detector)
    return DRKFSLoss(descriptor=descriptor, **settings).to(device)
