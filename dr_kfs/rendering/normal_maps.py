"""Normal maps: the visible surface's normal at every pixel, rendered like shade."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Meshes
from dr_kfs.rendering.cameras import Cameras
from dr_kfs.rendering.lighting import Lighting
from dr_kfs.rendering.renderer import SoftRenderer

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class _Component(Lighting):
    """A "light" whose shade is the normal's component along its direction, negative ones too."""

    def shade(self, cosine: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return cosine


def render_normals(
    renderer: SoftRenderer, meshes: Meshes, cameras: Cameras | None = None
) -> Float[Tensor, "B V 3 H W"]:
    """Normal maps of meshes, as `renderer` draws them, with its outlines, blending and flat or smooth normals.

    Each component (x, y, z of the world) takes the place of the shade, so that a map is `n * alpha` on 0: of length
    at most 1, exactly 1 where a pixel shows one flat face. Normals are turned to the camera, as in shading: the
    winding of faces does not matter. Differentiable like the images. It costs three renderings.

    Args:
        renderer: its lighting is not used.
        meshes: B meshes, in the rig's frame.
        cameras: instead of the renderer's: a part of them, say.

    Raises:
        TypeError: another kind of renderer, whose shading is not known here.
    """
    if not isinstance(renderer, SoftRenderer):
        raise TypeError(f"render_normals needs a SoftRenderer, got {type(renderer).__name__}.")
    maps = []
    for axis in AXES:
        along = copy.copy(renderer)
        along.lighting = _Component(direction=axis)
        maps.append(along(meshes, cameras).images)
    return torch.stack(maps, dim=2)
