"""PyTorch3D's rasterizer behind the same protocol: its fragments, our compositing.

Optional and for comparison: PyTorch3D has no wheel for a current Python or torch, needs 48 bytes per view, pixel and
`faces_per_pixel`, and is two orders of magnitude slower on a CPU.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering._softras_reference import (
    DenseFragments,
    composite_surface,
    interpolate,
    nearest_on_edges,
    pixel_centres,
    reach,
)


def rasterize_view(
    face_ndc: Float[Tensor, "F 3 3"],
    face_shade: Float[Tensor, "F 3"],
    *,
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
    faces_per_pixel: int,
) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Image, alpha and depth of one view; see `soft_rasterize`.

    Which faces are near a pixel, their distance, and depth and barycentrics where they cover it are PyTorch3D's, with
    its gradients (which explode at edge-on faces). Where they do not cover it, its clipped barycentrics name no
    definite point of the face, so depth and shade are those of the nearest point, as in the other backends.

    Raises:
        ImportError: PyTorch3D is not installed.
        ValueError: a pixel has more than `faces_per_pixel` faces, so that some would be dropped.
    """
    kept = (face_ndc[..., 2] > clip).all(-1)
    face_ndc, face_shade = face_ndc[kept], face_shade[kept]
    size = (image_size, image_size)
    if len(face_ndc) == 0:
        blank = (face_ndc.sum() + face_shade.sum()) * 0.0 + face_ndc.new_zeros(size)
        return blank, blank, blank + far
    fragments = fragments_of_view(
        face_ndc, face_shade, image_size=image_size, radius=reach(sigma), faces_per_pixel=faces_per_pixel
    )
    images = composite_surface(fragments, sigma=sigma, gamma=gamma, far=far)
    image, alpha, depth = (values.reshape(size) for values in images)
    return image, alpha, depth


def fragments_of_view(
    face_ndc: Float[Tensor, "F 3 3"],
    face_shade: Float[Tensor, "F 3"],
    *,
    image_size: int,
    radius: float,
    faces_per_pixel: int,
) -> DenseFragments:
    """The `faces_per_pixel` nearest faces within `radius` [NDC] of every pixel."""
    meshes_type, rasterize_meshes = _pytorch3d()
    # PyTorch3D's x points left.
    corners = (face_ndc * face_ndc.new_tensor([-1.0, 1.0, 1.0])).flatten(0, 1).float()
    indices = torch.arange(len(corners), device=corners.device).view(-1, 3)
    faces, depth, barycentric, signed = rasterize_meshes(
        meshes_type(verts=[corners], faces=[indices]),
        image_size=image_size,
        blur_radius=radius * radius,
        faces_per_pixel=faces_per_pixel,
        bin_size=0,  # bins overflow and drop faces
        perspective_correct=True,
        clip_barycentric_coords=True,
        cull_backfaces=False,
    )
    faces, depth, signed = (x[0].flatten(0, 1).T for x in (faces, depth, signed))
    if bool((faces[-1] >= 0).any()):
        raise ValueError(
            f"A pixel has {faces_per_pixel} faces or more, and PyTorch3D drops the rest: raise faces_per_pixel."
        )
    present = faces >= 0
    chosen = faces.clamp_min(0)
    covers = present & (signed < 0)
    shade = (barycentric[0].flatten(0, 1).transpose(0, 1) * face_shade.float()[chosen]).sum(-1)
    pixels = pixel_centres(image_size, dtype=torch.float32, device=face_ndc.device)
    corners = face_ndc.float()[chosen]
    _, on_edge = nearest_on_edges(corners[..., :2], pixels)
    edge_depth, edge_shade = interpolate(on_edge, 1.0 / corners[..., 2], face_shade.float()[chosen])
    depth, shade = torch.where(covers, depth, edge_depth), torch.where(covers, shade, edge_shade)
    return DenseFragments(
        present=present,
        covers=covers,
        squared=torch.where(present, signed.abs(), math.inf),
        depth=torch.where(present, depth, 1.0),
        shade=torch.where(present, shade, 0.0),
    )


def _pytorch3d() -> tuple[Any, Any]:
    try:
        from pytorch3d.renderer.mesh.rasterize_meshes import (  # pyright: ignore[reportMissingImports] - optional
            rasterize_meshes,
        )
        from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            'backend="pytorch3d" needs PyTorch3D, which has no wheel for a current torch: build it from its source '
            '(github.com/facebookresearch/pytorch3d), or use backend="warp".'
        ) from error
    return Meshes, rasterize_meshes
