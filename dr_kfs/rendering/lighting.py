"""How bright a surface is: one directional light, an ambient term, Lambert's law on both sides of a face."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._constants import constant

Shading = Literal["flat", "smooth"]


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """A fixed directional light: `shade = ambient + diffuse * max(0, n . l)`, grey, in [ambient, ambient + diffuse].

    The paper says that "a fixed position light source is aptly placed"; direction and weights are ours.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 3.1.
    """

    direction: tuple[float, float, float] = (0.3, 1.0, 0.5)
    """Towards the light, in the world frame (need not be of unit length)."""
    ambient: float = 0.5
    """Light that reaches every face [0, 1]."""
    diffuse: float = 0.5
    """Weight of the Lambert term [0, 1]; ambient + diffuse is at most 1."""

    def __post_init__(self) -> None:
        if not (self.ambient >= 0 and self.diffuse >= 0 and self.ambient + self.diffuse <= 1 + 1e-6):
            raise ValueError(
                "Lighting needs ambient, diffuse >= 0 and ambient + diffuse <= 1, got "
                f"{self.ambient} and {self.diffuse}."
            )
        if not any(self.direction) or not all(map(math.isfinite, self.direction)):
            raise ValueError(f"Lighting needs a finite direction that is not zero, got {self.direction}.")

    def lambert(self, normals: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape"]:
        """Shade of unit normals that already face the camera."""
        return self.shade(self.cosine(normals))

    def cosine(self, normals: Float[Tensor, "*shape 3"]) -> Float[Tensor, "*shape"]:
        """Of the angle between unit normals and the direction to the light."""
        length = math.hypot(*self.direction)
        light = constant(tuple(part / length for part in self.direction), normals.dtype, normals.device)
        return normals @ light

    def shade(self, cosine: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """`ambient + diffuse max(0, cosine)`."""
        return self.ambient + self.diffuse * cosine.clamp_min(0.0)


def shade_faces(
    vertices: Float[Tensor, "N 3"],
    faces: Int[Tensor, "F 3"],
    eye: Float[Tensor, "V 3"],
    *,
    lighting: Lighting,
    shading: Shading = "flat",
) -> Float[Tensor, "V F C"]:
    """Shade in [0, 1] of every face, as each camera sees it: C is 1 with flat shading, else 3, one at each corner.

    **Two-sided**: a face's normal is turned to the camera before it is shaded, so that winding does not matter
    (CAD meshes are polygon soup). `"flat"`: one shade per face. `"smooth"`: the turned normals are averaged at the
    vertices, weighted by area; it therefore depends on which vertices are merged, flat does not.

    Args:
        vertices: world positions.
        faces: indices into `vertices`.
        eye: camera centres [world units].
        lighting: the light.
        shading: `"flat"` or `"smooth"` normals.
    """
    # `vertices[faces]`, by a gather whose gradient is a plain sum.
    corners = vertices.index_select(0, faces.flatten()).view(-1, 3, 3)
    first, second, third = corners.unbind(1)
    # Twice the area times the unit normal: the natural weight for averaging at the vertices.
    area_normal = torch.linalg.cross(second - first, third - first)
    # On which side of the face's plane the camera is. The sign is piecewise constant: it has no gradient to lose.
    plane = area_normal.detach()
    to_eye = eye @ plane.T - (plane * corners.detach().mean(1)).sum(-1)
    facing = torch.where(to_eye < 0, -1.0, 1.0).to(vertices.dtype)
    if shading == "flat":
        # Turning a normal turns the sign of its cosine, which is one number per face and not three.
        cosine = lighting.cosine(torch.nn.functional.normalize(area_normal, dim=-1))
        return lighting.shade(facing * cosine).unsqueeze(-1)
    if shading == "smooth":
        turned = facing.unsqueeze(-1) * area_normal
        at_vertices = torch.zeros(eye.shape[0], vertices.shape[0], 3, dtype=vertices.dtype, device=vertices.device)
        for corner in range(3):
            at_vertices = at_vertices.index_add(1, faces[:, corner], turned)
        shade = lighting.lambert(torch.nn.functional.normalize(at_vertices, dim=-1))
        return shade[:, faces]
    raise ValueError(f'shading must be "flat" or "smooth", got {shading!r}.')
