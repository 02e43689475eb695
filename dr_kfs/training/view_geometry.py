"""Correspondence between renders: pixels to surface points and back, with a depth test."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs.rendering import Cameras
from dr_kfs.rendering.cameras import sphere_points


def jittered_cameras(
    count: int, *, generator: torch.Generator, spread: float = 20.0, distance: float = 2.732
) -> Cameras:
    """`count` cameras around one random direction of the upper hemisphere, within +-`spread` degrees of it."""
    azimuth = 360.0 * torch.rand(1, generator=generator, dtype=torch.float64)
    elevation = 5.0 + 65.0 * torch.rand(1, generator=generator, dtype=torch.float64)
    offset = spread * (2.0 * torch.rand(2, count, generator=generator, dtype=torch.float64) - 1.0)
    offset[:, 0] = 0.0
    eye = sphere_points(azimuth + offset[0], (elevation + offset[1]).clamp(-10.0, 85.0), distance)
    return Cameras.look_at(eye).to(dtype=torch.float32)


def ndc_to_pixels(ndc: Float[Tensor, "*batch 2"], image_size: int) -> Float[Tensor, "*batch 2"]:
    """(x, y) in NDC to (column, row) [px], where a pixel's centre has whole numbers."""
    x, y = ndc.unbind(-1)
    return torch.stack([(x + 1.0) * image_size / 2.0 - 0.5, (1.0 - y) * image_size / 2.0 - 0.5], dim=-1)


def unproject(
    pixels: Float[Tensor, "K 2"], depth: Float[Tensor, " K"], camera: Cameras, image_size: int
) -> Float[Tensor, "K 3"]:
    """World points of pixels (column, row) [px] at the given depths, seen by the one camera of `camera`."""
    x = (pixels[:, 0] + 0.5) * 2.0 / image_size - 1.0
    y = 1.0 - (pixels[:, 1] + 0.5) * 2.0 / image_size
    half = math.tan(math.radians(camera.fov) / 2.0)
    in_camera = torch.stack([x * half * depth, y * half * depth, depth], dim=-1)
    return (in_camera - camera.translation[0]) @ camera.rotation[0]


def nearest_depth(depth: Float[Tensor, "H W"]) -> Float[Tensor, "H W"]:
    """The smallest depth within one pixel: a corner on an outline may be drawn just beside the surface."""
    return -torch.nn.functional.max_pool2d(-depth[None, None], 3, stride=1, padding=1)[0, 0]


def project_visible(
    points: Float[Tensor, "K 3"], camera: Cameras, depth: Float[Tensor, "H W"], *, tolerance: float
) -> tuple[Float[Tensor, "K 2"], Bool[Tensor, " K"]]:
    """Where the one camera of `camera` sees world points [px], and whether the rendered depth agrees to `tolerance`."""
    projected = camera.project(points)[0]
    pixels = ndc_to_pixels(projected[:, :2], depth.shape[0])
    return pixels, (sample_at(nearest_depth(depth), pixels) - projected[:, 2]).abs() < tolerance


def windows_at(values: Float[Tensor, "H W"], centres: Float[Tensor, "K 2"], size: int) -> Float[Tensor, "K S S"]:
    """Square windows around pixels (column, row), zero outside the image; an even window ends one short of `size/2`."""
    half = size // 2
    padded = torch.nn.functional.pad(values[None, None], (half,) * 4)[0, 0]
    column, row = centres.round().long().clamp(0, values.shape[0] - 1).unbind(-1)
    steps = torch.arange(size)
    return padded[row[:, None, None] + steps[:, None], column[:, None, None] + steps]


def sample_at(values: Float[Tensor, "H W"], pixels: Float[Tensor, "K 2"]) -> Float[Tensor, " K"]:
    """The values at the nearest pixels; pixels outside the image read the border."""
    column = pixels[:, 0].round().long().clamp(0, values.shape[1] - 1)
    row = pixels[:, 1].round().long().clamp(0, values.shape[0] - 1)
    return values[row, column]
