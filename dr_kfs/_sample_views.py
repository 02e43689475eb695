"""What views say of single points of space: where something may be amiss, and what no view can see."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dr_kfs.geometry import Meshes
from dr_kfs.rendering import Cameras, Views

_DEEPER = 2.0
"""A point counts as behind the surface this far behind it [spacings]: pixels blur depth, and samples are sparse."""


def doubt_of_points(
    points: Float[Tensor, "N 3"], cameras: Cameras, shown: Views, wanted: Views, spacing: float
) -> Float[Tensor, " N"]:
    """How much speaks for something at each point that is not shown there [0, 2].

        doubt = max_v (|I - I'| + |A - A'|) min_v A'

    of the pixels that the point is seen in: some picture must be wrong there, and no view may look past the target,
    as a solid lies within its visual hull. The largest values within a pixel count. Views in which a surface is shown
    well in front of the point say nothing of an error.

    Args:
        points: in the rig's frame.
        cameras: V views.
        shown: of one shape, what is there now.
        wanted: the pictures that it should have.
        spacing: of the points [world units].
    """
    error = ((shown.images - wanted.images).abs() + (shown.alpha - wanted.alpha).abs())[0]
    place = cameras.to(points.device, points.dtype).project(points)
    pixel = _pixels(place, shown.depth.shape[-1])
    behind = place[..., 2] > shown.depth[0].flatten(1).gather(1, pixel) + _DEEPER * spacing
    found = torch.where(behind, 0.0, _widened(error).flatten(1).gather(1, pixel))
    return found.amax(0) * _widened(wanted.alpha[0]).flatten(1).gather(1, pixel).amin(0)


def hidden_points(
    points: Float[Tensor, "N 3"], renderer: Any, cameras: Cameras, meshes: Meshes, spacing: float
) -> Bool[Tensor, " N"]:
    """Which points lie behind the surface of one mesh in every view: its insides, and what no view looks into.

    Args:
        points: in the rig's frame.
        renderer: `(Meshes, Cameras) -> Views`.
        cameras: V views.
        meshes: one mesh.
        spacing: of the points [world units].
    """
    cameras = cameras.to(points.device, points.dtype)
    hidden = torch.ones(len(points), dtype=torch.bool, device=points.device)
    for view in range(len(cameras)):
        camera = cameras[[view]]
        # The deepest surface within a pixel, so that outlines hide nothing beside them.
        depth = _widened(renderer(meshes, camera).depth[0]).flatten()
        left = hidden.nonzero().squeeze(1)
        place = camera.project(points[left])[0]
        hidden[left] = place[:, 2] > depth[_pixels(place, renderer.image_size)] + _DEEPER / 2 * spacing
    return hidden


def _widened(maps: Float[Tensor, "V H W"]) -> Float[Tensor, "V H W"]:
    """The largest value of each pixel and its eight neighbours."""
    return nn.functional.max_pool2d(maps[None], 3, stride=1, padding=1)[0]


def _pixels(place: Float[Tensor, "*N 3"], size: int) -> Tensor:
    """The pixel of each projected point, row by row; those outside the image count to its border."""
    column = ((1 + place[..., 0]) / 2 * size).long().clamp(0, size - 1)
    row = ((1 - place[..., 1]) / 2 * size).long().clamp(0, size - 1)
    return row * size + column
