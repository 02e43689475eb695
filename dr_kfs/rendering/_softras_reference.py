"""The soft rasterizer in plain PyTorch: the definition, and the oracle of every kernel.

Dense (every face against every pixel) and therefore slow; differentiated by autograd, in any float dtype. The
formulas are documented in `softras.py`; the names here are the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LAYER_MARGIN = 6.0
"""How far in front of the base surface a face must be to count as an occluder, in units of gamma. Nearer faces
belong to the same surface and are blended by their share of the pixel."""
CUTOFF = 1e-3
"""exp(-d^2 / sigma) below which a face no longer reaches a pixel; subtracted, so that the reach ends continuously."""
MIN_HALO = 1e-15
"""Occluder coverage that counts as none: keeps the occluders' weighted mean away from 0 / 0."""
MIN_AREA = 1e-9
"""Twice the signed NDC area below which a face covers no pixel centre (a pixel of a 256-image has area 6e-5)."""


def reach(sigma: float) -> float:
    """Screen distance [NDC] at which the coverage of a face has fallen to exactly zero."""
    return math.sqrt(sigma * math.log(1.0 / CUTOFF))


def pixel_centres(image_size: int, *, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "P 2"]:
    """NDC centres of the pixels, row by row from the top left; x right, y up, centres at +0.5."""
    steps = (torch.arange(image_size, dtype=dtype, device=device) + 0.5) * (2.0 / image_size) - 1.0
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=-1)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _barycentrics(corners: Float[Tensor, "F 3 2"], pixels: Float[Tensor, "P 2"]) -> tuple[Tensor, Tensor]:
    """Screen barycentrics (F, P, 3) of the pixel centres, and which faces cover them (F, P)."""
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    wide = area.abs() > MIN_AREA
    inverse = torch.where(wide, 1.0 / torch.where(wide, area, 1.0), 0.0)[:, None]
    to_corner = corners[:, None] - pixels[:, None]
    weights = torch.stack(
        [_cross(to_corner[..., (i + 1) % 3, :], to_corner[..., (i + 2) % 3, :]) * inverse for i in range(3)], dim=-1
    )
    return weights, (weights >= 0).all(-1) & wide[:, None]


def nearest_on_edges(corners: Float[Tensor, "K _ 3 2"], pixels: Float[Tensor, "P 2"]) -> tuple[Tensor, Tensor]:
    """Squared distance (K, P) to the triangles' edges, and barycentrics (K, P, 3) of the nearest edge point."""
    squared, barycentric = [], []
    for first in range(3):
        second = (first + 1) % 3
        start = corners[:, :, first]
        edge = corners[:, :, second] - start
        along = ((pixels - start) * edge).sum(-1) / (edge * edge).sum(-1).clamp_min(1e-20)
        along = along.clamp(0.0, 1.0)
        offset = pixels - start - along[..., None] * edge
        squared.append((offset * offset).sum(-1))
        weights = [torch.zeros_like(along)] * 3
        weights[first], weights[second] = 1.0 - along, along
        barycentric.append(torch.stack(weights, dim=-1))
    distance, nearest = torch.stack(squared).min(0)
    index = nearest[None, ..., None].expand(1, *nearest.shape, 3)
    return distance, torch.stack(barycentric).gather(0, index)[0]


def interpolate(
    barycentric: Float[Tensor, "K P 3"], inverse_depth: Float[Tensor, "K _ 3"], shade: Float[Tensor, "K _ 3"]
) -> tuple[Tensor, Tensor]:
    """Depth and shade (K, P) at screen barycentrics: perspective-correct, so that a subdivided face gives the same."""
    depth = 1.0 / (barycentric * inverse_depth).sum(-1)
    return depth, (barycentric * inverse_depth * shade).sum(-1) * depth


@dataclass(frozen=True, eq=False)
class DenseFragments:
    """K faces at P pixels each; a pixel need not list the same faces as its neighbour."""

    present: Bool[Tensor, "K P"]
    """False where an entry stands for no face; the other fields are then finite and mean nothing."""
    covers: Bool[Tensor, "K P"]
    squared: Float[Tensor, "K P"]
    """Squared distance to the triangle's edges [NDC^2]."""
    depth: Float[Tensor, "K P"]
    """Of the pixel's place on the face where it covers the pixel, else of the nearest edge point [world units]."""
    shade: Float[Tensor, "K P"]


def dense_fragments(
    face_ndc: Float[Tensor, "F 3 3"], face_shade: Float[Tensor, "F 3"], *, image_size: int
) -> DenseFragments:
    """Every face at every pixel."""
    pixels = pixel_centres(image_size, dtype=face_ndc.dtype, device=face_ndc.device)
    corners, inverse_depth = face_ndc[..., :2], 1.0 / face_ndc[..., 2]
    screen, covers = _barycentrics(corners, pixels)
    squared, on_edge = nearest_on_edges(corners[:, None], pixels)
    barycentric = torch.where(covers[..., None], screen, on_edge)
    depth, shade = interpolate(barycentric, inverse_depth[:, None], face_shade[:, None])
    return DenseFragments(torch.ones_like(covers), covers, squared, depth, shade)


def fade_of(squared: Tensor, sigma: float) -> Tensor:
    """`E` of `softras.py`."""
    return ((torch.exp(-squared / sigma) - CUTOFF) / (1.0 - CUTOFF)).clamp_min(0.0)


def rasterize_view(
    face_ndc: Float[Tensor, "F 3 3"],
    face_shade: Float[Tensor, "F 3"],
    *,
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Float[Tensor, "H W"], Float[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Image (shade on black), alpha and depth of one view; see `soft_rasterize`. `gamma` is in world units here."""
    kept = (face_ndc[..., 2] > clip).all(-1)
    face_ndc, face_shade = face_ndc[kept], face_shade[kept]
    size = (image_size, image_size)
    if len(face_ndc) == 0:
        blank = (face_ndc.sum() + face_shade.sum()) * 0.0 + face_ndc.new_zeros(size)
        return blank, blank, blank + far
    images = composite_surface(
        dense_fragments(face_ndc, face_shade, image_size=image_size), sigma=sigma, gamma=gamma, far=far
    )
    image, alpha, depth = (values.reshape(size) for values in images)
    return image, alpha, depth


def composite_surface(
    fragments: DenseFragments, *, sigma: float, gamma: float, far: float
) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"], Float[Tensor, " P"]]:
    """The three steps of `softras.py`: image, alpha and depth of every pixel."""
    depth, shade = fragments.depth, fragments.shade
    covers = fragments.covers & fragments.present
    fade = torch.where(fragments.present, fade_of(fragments.squared, sigma), 0.0)

    # Base: the nearest surface that covers the pixel centre.
    has_base = covers.any(0)
    score = torch.where(covers, -depth / gamma, -math.inf)
    score = torch.where(has_base, score, 0.0)
    weight = torch.where(covers, torch.softmax(score, dim=0), 0.0)
    base_depth = torch.where(has_base, (weight * depth).sum(0), far)

    # The same surface, blended by each face's share of the pixel: 1 - fade/2 and fade/2 on the two sides of an edge.
    behind = (depth - base_depth) / gamma
    occludes = torch.where(has_base, torch.sigmoid(-behind - LAYER_MARGIN), 1.0)
    in_layer = torch.sigmoid(-behind) * (1.0 - occludes)
    share = torch.where(covers, 1.0 - fade / 2.0, fade / 2.0) * in_layer
    share = torch.where(has_base & fragments.present, share, 0.0)
    total = torch.where(has_base, share.sum(0), 1.0)
    base_shade = (share * shade).sum(0) / total

    # Occluders: surfaces in front of the base whose silhouette comes near the pixel.
    halo = torch.where(covers, 0.0, fade * occludes)
    halo = torch.where(halo > MIN_HALO, halo, 0.0)
    front = halo.amax(0)
    mix = halo * halo
    mix_total = mix.sum(0)
    mix = mix / torch.where(mix_total > 0, mix_total, 1.0)
    front_shade, front_depth = (mix * shade).sum(0), (mix * depth).sum(0)

    image = (1.0 - front) * base_shade + front * front_shade
    alpha = torch.where(has_base, 1.0, front)
    depth_image = (1.0 - front) * base_depth + front * front_depth
    return image, alpha, depth_image
