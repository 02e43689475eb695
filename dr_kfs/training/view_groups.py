"""Groups of views of one shape with their depth, between which every point of the surface can be carried.

A detector learns from them what is found again: from another direction, on other triangles, on a careless CAD export.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float, Int16, UInt8
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor

from dr_kfs.datasets import generate, retriangulated, with_cad_defects
from dr_kfs.datasets.splits import TRAIN_FAMILIES, TRAIN_SEEDS
from dr_kfs.geometry import bounding_frame, normalize
from dr_kfs.rendering import Cameras, Lighting, SoftRenderer
from dr_kfs.training.repeatability import IMAGE_SIZE
from dr_kfs.training.shape_files import kept_files
from dr_kfs.training.view_geometry import jittered_cameras

FIRST_SEED = TRAIN_SEEDS.start + 3000
DEPTH_STEPS = 20_000
"""Per unit: depth is kept as int16 from `NEAREST_DEPTH` on, 300 times finer than the depth test."""
NEAREST_DEPTH = 2.0


@dataclass(frozen=True, eq=False)
class ViewGroups:
    """G shapes, each in V views."""

    images: UInt8[Tensor, "G V H W"]
    """Shade times 255."""
    depth: Int16[Tensor, "G V H W"]
    """See `DEPTH_STEPS`."""
    rotation: Float[Tensor, "G V 3 3"]
    """Of the cameras, as `Cameras` has it."""
    translation: Float[Tensor, "G V 3"]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: str) -> ViewGroups:
        """The same on a device."""
        return ViewGroups(*(getattr(self, field.name).to(device) for field in fields(self)))

    def save(self, path: Path) -> None:
        """Write a `.safetensors` file."""
        save_file({field.name: getattr(self, field.name) for field in fields(self)}, path)

    @classmethod
    def load(cls, paths: list[Path]) -> ViewGroups:
        """Read what `save` wrote, all files as one."""
        parts = [load_file(path) for path in paths]
        return cls(*(torch.cat([part[field.name] for part in parts]) for field in fields(cls)))


def view_group(index: int) -> ViewGroups:
    """The n-th training shape: from two cameras, on other triangles from the first one, with CAD defects from a third.

    Light and sigma vary.
    """
    family, seed = TRAIN_FAMILIES[index % len(TRAIN_FAMILIES)], FIRST_SEED + index // len(TRAIN_FAMILIES)
    generator = torch.Generator().manual_seed(seed)
    cameras = jittered_cameras(3, generator=generator)[[0, 1, 0, 2]]
    jitter = torch.randn(3, generator=generator) * 0.15
    direction = (torch.tensor(Lighting().direction) + jitter).tolist()
    lighting = Lighting(direction=(direction[0], direction[1], direction[2]))
    sigma = 10.0 ** (-5.0 + 0.7 * torch.rand(1, generator=generator).item())
    shape = generate(family, seed)
    plain, fine = shape.to_meshes(), retriangulated(shape, seed).to_meshes()
    export = retriangulated(with_cad_defects(shape, seed), seed).to_meshes()
    frame = bounding_frame(plain)
    views = []
    for camera, meshes in enumerate((plain, plain, fine, export)):
        renderer = SoftRenderer(cameras=cameras[[camera]], sigma=sigma, image_size=IMAGE_SIZE, lighting=lighting)
        with torch.no_grad():
            views.append(renderer(normalize(meshes, frame)))
    images, depth = (torch.cat([getattr(view, name)[0] for view in views]) for name in ("images", "depth"))
    return ViewGroups(
        (images * 255.0).round().to(torch.uint8)[None],
        ((depth - NEAREST_DEPTH) * DEPTH_STEPS).round().to(torch.int16)[None],
        cameras.rotation[None],
        cameras.translation[None],
    )


def collect(planned: range, folder: Path, *, console: Console) -> list[Path]:
    """Files of the planned shapes; those that are there already are kept."""

    def save(index: int, path: Path) -> None:
        view_group(index).save(path)

    return kept_files(planned, folder, save, label="rendering groups", console=console)


def depth_of(groups: ViewGroups, shapes: Tensor, views: Tensor) -> Float[Tensor, "K H W"]:
    """Depth of some views [world units]."""
    return groups.depth[shapes, views].float() / DEPTH_STEPS + NEAREST_DEPTH


def camera_of(groups: ViewGroups, shapes: Tensor, views: Tensor) -> Cameras:
    """The cameras of some views."""
    return Cameras(rotation=groups.rotation[shapes, views], translation=groups.translation[shapes, views])
