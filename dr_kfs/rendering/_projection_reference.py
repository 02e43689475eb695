"""The formulas of `projection.py` in plain PyTorch: for the other backends, and where the kernels know too little."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.rendering.cameras import Cameras
from dr_kfs.rendering.lighting import Lighting, Shading, shade_faces

DEGENERATE = 1e-7
"""Twice the area over the squared longest edge below which a face is a line or a point, and is not drawn."""
FARTHEST = 1e6
"""Faces with a corner beyond this are not drawn, and pass no gradient [world units]: squares of squares overflow."""


def project_and_shade(
    vertices: Float[Tensor, "N 3"], faces: Int[Tensor, "F 3"], cameras: Cameras, lighting: Lighting, shading: Shading
) -> tuple[Float[Tensor, "V M 3"], Int[Tensor, "F 3"], Float[Tensor, "V F C"]]:
    """Corners, the faces' indices into them, and the faces' shades."""
    near = (vertices.detach().abs() <= FARTHEST).all(-1)
    vertices = torch.where(near[:, None], vertices, 0.0)
    corners = vertices.detach()[faces]
    edges = corners - corners.roll(1, dims=1)
    longest = edges.square().sum(-1).amax(-1)
    doubled_area = torch.linalg.cross(edges[:, 1], edges[:, 2]).norm(dim=-1)
    drawn = (doubled_area > DEGENERATE * longest) & near[faces].all(1)
    projected = torch.nn.functional.pad(cameras.project(vertices), (0, 0, 0, 1))
    index = torch.where(drawn[:, None], faces, len(vertices))
    shade = shade_faces(vertices, faces, cameras.eye, lighting=lighting, shading=shading)
    return projected, index, shade
