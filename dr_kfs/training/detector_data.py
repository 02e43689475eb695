"""Labelled points for the keypoint detector, from renders of procedural shapes.

After LIFT and TILDE, a keypoint is a point that is found again: Shi-Tomasi corners of one view that reproject, by the
rendered depth, onto corners of neighbouring views. Not keypoints: straight outlines and creases, flat shading,
background, the rim around a keypoint, and corners that other views see but do not find (where one part merely
crosses another).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from dr_kfs.geometry import Meshes, normalize
from dr_kfs.rendering import Cameras, Lighting, SoftRenderer
from dr_kfs.training.repeatability import DEPTH_TOLERANCE, IMAGE_SIZE, dilate
from dr_kfs.training.view_geometry import (
    jittered_cameras,
    nearest_depth,
    project_visible,
    sample_at,
    unproject,
    windows_at,
)

FIELD = 25
"""Side of the detector's filters [px]."""
VIEWS = 6
PLAIN = 10
"""Windows of one shade, per view."""
MATCH_RADIUS = 2.5
"""A reprojected corner is found again if a corner lies this near [px]."""


@dataclass(frozen=True, eq=False)
class LabelledPatches:
    """Image windows and whether their centre is a keypoint."""

    windows: UInt8[Tensor, "K S S"]
    """Shade times 255; S is `FIELD`, if they are not `cropped`."""
    is_keypoint: Bool[Tensor, " K"]

    def cropped(self, margin: int) -> LabelledPatches:
        """Their middles, for smaller filters."""
        kept = slice(margin, self.windows.shape[-1] - margin)
        return LabelledPatches(self.windows[:, kept, kept], self.is_keypoint)

    @staticmethod
    def cat(parts: list[LabelledPatches]) -> LabelledPatches:
        """Several sets as one."""
        return LabelledPatches(
            torch.cat([part.windows for part in parts]), torch.cat([part.is_keypoint for part in parts])
        )


@dataclass(frozen=True, eq=False)
class CornerMap:
    """Shi-Tomasi's two eigenvalues of a view and the corners in it."""

    smaller: Float[Tensor, "H W"]
    larger: Float[Tensor, "H W"]
    corners: Float[Tensor, "K 2"]
    """(column, row) [px]."""


def corner_map(image: Float[Tensor, "H W"], *, radius: int = 5, threshold: float = 2e-3) -> CornerMap:
    """Eigenvalues of the structure tensor (Gaussian window of 1.5 px) and the local maxima of the smaller one."""
    from kornia.filters import gaussian_blur2d, spatial_gradient

    gradient = spatial_gradient(image[None, None])[0, 0]
    products = torch.stack([gradient[0] ** 2, gradient[1] ** 2, gradient[0] * gradient[1]])[None]
    xx, yy, xy = gaussian_blur2d(products, (9, 9), (1.5, 1.5))[0]
    mean, spread = (xx + yy) / 2.0, (((xx - yy) / 2.0) ** 2 + xy**2).sqrt()
    smaller, larger = mean - spread, mean + spread
    peak = dilate(smaller, radius)
    row, column = torch.nonzero((smaller == peak) & (smaller > threshold), as_tuple=True)
    return CornerMap(smaller, larger, torch.stack([column, row], dim=-1).float())


def repeated_corners(
    maps: list[CornerMap], depths: list[Float[Tensor, "H W"]], cameras: Cameras, view: int
) -> tuple[Bool[Tensor, " K"], Bool[Tensor, " K"]]:
    """Which corners of `view` are found again in at least two other views, and which are seen there but never found."""
    corners = maps[view].corners
    points = unproject(corners, sample_at(nearest_depth(depths[view]), corners), cameras[view], IMAGE_SIZE)
    seen, found = torch.zeros(len(corners)), torch.zeros(len(corners))
    for other in range(len(maps)):
        if other == view or len(maps[other].corners) == 0:
            continue
        pixels, visible = project_visible(points, cameras[other], depths[other], tolerance=DEPTH_TOLERANCE)
        visible &= ((pixels > 4) & (pixels < IMAGE_SIZE - 5)).all(-1)
        near = torch.cdist(pixels, maps[other].corners).amin(1) < MATCH_RADIUS
        seen += visible
        found += visible & near
    return found >= 2, (seen >= 3) & (found == 0)


def label_shape(meshes: Meshes, *, generator: torch.Generator) -> LabelledPatches:
    """Labelled windows of one shape, seen from `VIEWS` neighbouring cameras."""
    cameras = jittered_cameras(VIEWS, generator=generator)
    jitter = torch.randn(3, generator=generator) * 0.15
    direction = (torch.tensor(Lighting().direction) + jitter).tolist()
    sigma = 10.0 ** (-5.0 + 0.7 * torch.rand(1, generator=generator).item())
    renderer = SoftRenderer(
        cameras=cameras,
        sigma=sigma,
        image_size=IMAGE_SIZE,
        lighting=Lighting(direction=(direction[0], direction[1], direction[2])),
    )
    with torch.no_grad():
        views = renderer(normalize(meshes))
    images, alphas, depths = views.images[0], views.alpha[0], list(views.depth[0])
    maps = [corner_map(image) for image in images]
    parts = []
    for view in range(VIEWS):
        repeated, unstable = repeated_corners(maps, depths, cameras, view)
        parts.append(_label_view(images[view], alphas[view], maps[view], repeated, unstable, generator))
    return LabelledPatches.cat(parts)


def _label_view(
    image: Tensor, alpha: Tensor, found: CornerMap, repeated: Tensor, unstable: Tensor, generator: torch.Generator
) -> LabelledPatches:
    keypoints = _draw(found.corners[repeated], 40, generator)
    away = _far_from(found.corners, image.shape, 6.0)
    edge = (found.larger > 0.02) & (found.smaller < 0.03 * found.larger) & away
    flat = (alpha >= 1.0) & (found.larger < 1e-4) & away
    reach = dilate(alpha, 20) > 0
    background = (alpha == 0) & reach & away
    angle = 6.2832 * torch.rand(len(keypoints), generator=generator)
    rim = 5.0 + 3.0 * torch.rand(len(keypoints), generator=generator)
    around = (keypoints + rim[:, None] * torch.stack([angle.cos(), angle.sin()], -1)).round()
    around = around[_at(_far_from(found.corners, image.shape, 4.5), around)]
    others = [
        _draw(found.corners[unstable], 20, generator),
        around,
        _draw(_pixels(edge), 40, generator),
        _draw(_pixels(flat), 20, generator),
        _draw(_pixels(background), 20, generator),
    ]
    # Large unlit faces are rare among the drawn windows, so plain ones of every shade are added.
    plain = torch.rand(PLAIN, 1, 1, generator=generator).expand(-1, FIELD, FIELD)
    windows = _quantized(torch.cat([windows_at(image, torch.cat([keypoints, *others]), FIELD), plain]))
    return LabelledPatches(windows, torch.arange(len(windows)) < len(keypoints))


def _quantized(windows: Tensor) -> Tensor:
    return (windows * 255.0).round().clamp(0, 255).to(torch.uint8)


def _pixels(mask: Tensor) -> Tensor:
    row, column = torch.nonzero(mask, as_tuple=True)
    return torch.stack([column, row], dim=-1).float()


def _draw(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return points[torch.randperm(len(points), generator=generator)[:count]]


def _at(mask: Tensor, points: Tensor) -> Tensor:
    column, row = points.long().unbind(-1)
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    return inside & mask[row.clamp(0, mask.shape[0] - 1), column.clamp(0, mask.shape[1] - 1)]


def _far_from(points: Tensor, shape: torch.Size, radius: float) -> Tensor:
    """Pixels farther than `radius` [px] from every point."""
    mask = torch.zeros(shape)
    column, row = points.long().unbind(-1)
    mask[row, column] = 1.0
    return dilate(mask, int(radius)) == 0
