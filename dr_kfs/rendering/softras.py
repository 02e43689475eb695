"""The soft rasterizer: screen-space triangles to images, with exact gradients.

For every pixel p and face j let d_j be the screen distance [NDC] from p to the edges of the triangle and z_j, c_j the
depth and shade at p (where j covers p) or at its nearest edge point (where it does not). Three steps:

1. **Base.** `z_0 = sum_j q_j z_j` over the faces that cover p, `q = softmax(-z / gamma)`: the visible surface.
2. **Layer.** `c_0 = sum_j s_j c_j / sum_j s_j` over all faces near p. `s_j` is the face's share of the pixel,
   `1 - E_j / 2` where it covers p and `E_j / 2` where it does not, `E_j = exp(-d_j^2 / sigma)`, times a window that
   keeps the faces of the base surface: `b_j = (z_j - z_0) / gamma`, `sigmoid(-b_j) sigmoid(b_j + margin)`. On the two
   sides of a shared edge the shares add to one: no seam, and creases move smoothly.
3. **Occluders.** `D_j = E_j sigmoid(-b_j - margin)` of the faces that do not cover p but reach it from in front of
   the base (from anywhere, where there is no base). `A = max_j D_j`, a function of the distance to the *shape*, and
   `c_A = sum_j D_j^2 c_j / sum_j D_j^2`.

    image = (1 - A) c_0 + A c_A        alpha = 1 where there is a base, else A        (depth as the image)

Background: shade 0, depth `far`. `E` is shifted and scaled to reach exactly 0 at 2.6 sqrt(sigma).

**Departures from SoftRas** (Liu et al., ICCV 2019, Eq. 1-4), and why. There D_j = sigmoid(+-d_j^2 / sigma) is 0.5 on
both sides of every interior edge, alpha is `1 - prod(1 - D_j)` and one depth softmax weighs all faces: a finer
triangulation of the same surface renders differently, outlines grow with the number of faces, and inside the outline
an occluder's reach wins the softmax outright, so that its contour has no gradient. Here coverage depends on the
distance to the surface alone, and inner contours fade as the outer ones do. All faces count in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._kernel_launch import refuse_second_derivative
from dr_kfs.rendering import _softras_launch as launch
from dr_kfs.rendering import _softras_reference as reference
from dr_kfs.rendering._loose_faces import counts_by_view, loose_faces

Backend = Literal["warp", "reference", "pytorch3d"]


@dataclass(frozen=True, eq=False)
class RasterizedViews:
    """What the rasterizer returns, one entry per view."""

    image: Float[Tensor, "T H W"]
    """Shade composited on black [0, 1]."""
    alpha: Float[Tensor, "T H W"]
    """Coverage [0, 1]."""
    depth: Float[Tensor, "T H W"]
    """Depth of the visible surface [world units]; `far` on the background."""


def soft_rasterize(
    face_ndc: Float[Tensor, "R 3 3"], face_shade: Float[Tensor, "R 3"], face_counts: list[int], **settings: Any
) -> RasterizedViews:
    """Render T views of loose triangles, which share no corner and no view.

    Args:
        face_ndc: corners as (x, y [NDC, y up], depth [world units]); the faces of view 0, then of view 1, ...
        face_shade: shade at the corners, interpolated perspective-correctly.
        face_counts: number of faces of each of the T views; they sum to R.
        settings: those of `rasterize_meshes`, from `image_size` on.

    Raises:
        ValueError: counts that do not sum to R, and what `rasterize_meshes` raises.
    """
    if sum(face_counts) != face_ndc.shape[0]:
        raise ValueError(f"face_counts sums to {sum(face_counts)}, but there are {face_ndc.shape[0]} faces.")
    corners = torch.arange(3 * len(face_ndc), device=face_ndc.device).view(-1, 3)
    offsets = [0, *accumulate(face_counts)]
    return rasterize_meshes(face_ndc.reshape(1, -1, 3), corners, face_shade.unsqueeze(0), offsets, **settings)


def rasterize_meshes(
    corners: Float[Tensor, "V N 3"],
    faces: Int[Tensor, "F 3"],
    shade: Float[Tensor, "V F C"],
    face_offsets: Sequence[int],
    *,
    image_size: int = 256,
    sigma: float = 1e-5,
    gamma: float = 1e-3,
    far: float = 3.332,
    clip: float = 0.2132,
    backend: Backend = "warp",
    faces_per_pixel: int = 100,
) -> RasterizedViews:
    """Render B meshes, already projected by V cameras: T = B V views, those of mesh 0, then those of mesh 1, ...

    The formula is in the module's docstring. Differentiable once, exactly, in positions, depths and shades. Half
    precision is computed in float32; float64 is computed as such. On the CPU values and gradients are the same bits
    whatever the number of threads.

    Args:
        corners: the vertices of all meshes as each camera sees them: (x, y [NDC, y up], depth [world units]).
        faces: the faces of all meshes, as indices into the N vertices. Meshes share no vertex that is drawn.
        shade: of each face as each camera sees it: C is 1, or 3 for one at each corner, interpolated
            perspective-correctly.
        face_offsets: where the faces of each mesh start, and their end: B + 1 numbers from 0 to F.
        image_size: side of the square image [px]; pixel centres at +0.5.
        sigma: softness of outlines and edges [NDC^2]; at 1e-5 and 256 px an outline fades over about 1 px.
        gamma: depth below which two surfaces blend [world units].
        far: depth of the background [world units].
        clip: faces with a corner at or nearer than this depth [world units] are dropped.
        backend: `"warp"` (CPU and CUDA kernels), `"reference"` (dense PyTorch, slow: the oracle of the tests) or
            `"pytorch3d"` (its rasterizer, if it is installed; float32, slow).
        faces_per_pixel: of PyTorch3D; more faces at a pixel are an error. The others have no such limit.

    Raises:
        ValueError: sizes or softness that are not positive; offsets or shades that are not the faces'; tensors on
            several devices; meshes that share a vertex (looked for where it would cost gradients: in float32 on a CPU).
        IndexError: a face of a vertex that is not there (torch's own error on a GPU and from `"reference"`).
        ImportError: PyTorch3D is asked for and not installed.
    """
    face_offsets = list(face_offsets)
    if [*face_offsets[:1], *face_offsets[-1:]] != [0, len(faces)] or sorted(face_offsets) != face_offsets:
        raise ValueError(f"face_offsets must rise from 0 to {len(faces)}, the number of faces, got {face_offsets}.")
    if len({corners.device, faces.device, shade.device}) > 1:
        raise ValueError(
            f"corners, faces and shade must be on one device, got {corners.device}, {faces.device} and {shade.device}."
        )
    if shade.shape[0] != corners.shape[0] or shade.shape[1] != len(faces) or shade.shape[2] not in (1, 3):
        raise ValueError(
            f"shade must be ({corners.shape[0]}, {len(faces)}, 1 or 3): cameras, faces, corners; got "
            f"{tuple(shade.shape)}."
        )
    if image_size < 1 or not (sigma > 0 and gamma > 0 and clip > 0):
        raise ValueError(
            f"image_size, sigma, gamma and clip must be positive, got {image_size}, {sigma}, {gamma} and {clip}."
        )
    if corners.dtype not in (torch.float32, torch.float64):
        corners = corners.float()
    shade = shade.to(corners.dtype)
    if backend in ("reference", "pytorch3d"):
        settings: dict[str, Any] = {"image_size": image_size, "sigma": sigma, "gamma": gamma, "far": far, "clip": clip}
        rasterize_view: Any = reference.rasterize_view
        if backend == "pytorch3d":
            from dr_kfs.rendering import pytorch3d_backend

            rasterize_view, settings["faces_per_pixel"] = pytorch3d_backend.rasterize_view, faces_per_pixel
        counts = counts_by_view(len(corners), face_offsets)
        rows = zip(*(x.split(counts) for x in loose_faces(corners, faces, shade, face_offsets)), strict=True)
        views = [rasterize_view(ndc, row, **settings) for ndc, row in rows]
        return RasterizedViews(*(torch.stack(images) for images in zip(*views, strict=True)))
    if backend != "warp":
        raise ValueError(f'backend must be "warp", "reference" or "pytorch3d", got {backend!r}.')
    image, alpha, depth, *_ = _soft_rasterize(corners, faces, shade, face_offsets, image_size, sigma, gamma, far, clip)
    return RasterizedViews(image, alpha, depth)


@torch.library.custom_op(
    "dr_kfs::soft_rasterize",
    mutates_args=(),
    schema="(Tensor corners, Tensor faces, Tensor shade, int[] face_offsets, int image_size, float sigma, "
    "float gamma, float far, float clip) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _soft_rasterize(
    corners: Tensor,
    faces: Tensor,
    shade: Tensor,
    face_offsets: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then what the backward needs: kept, winners, and how the faces are seen."""
    return launch.forward(corners, faces, shade, face_offsets, image_size, sigma, gamma, far, clip)


@_soft_rasterize.register_fake
def _(corners, faces, shade, face_offsets, image_size, sigma, gamma, far, clip):  # type: ignore[no-untyped-def]
    context = torch.library.get_ctx()
    views = len(corners) * (len(face_offsets) - 1)
    shape = (views, image_size, image_size)
    padded = (views, *launch.buffer_size(corners, image_size))
    return (
        corners.new_empty(shape),
        corners.new_empty(shape),
        corners.new_empty(shape),
        corners.new_empty(launch.buffer_count(corners), *padded),
        corners.new_empty(padded, dtype=torch.int32),
        corners.new_empty(context.new_dynamic_size(), dtype=torch.int32),
    )


@torch.library.custom_op(
    "dr_kfs::soft_rasterize_backward",
    mutates_args=(),
    schema="(Tensor corners, Tensor faces, Tensor shade, Tensor kept, Tensor winners, Tensor seen, "
    "Tensor? grad_image, Tensor? grad_alpha, Tensor? grad_depth, int[] face_offsets, "
    "float sigma, float gamma, float clip) -> (Tensor, Tensor)",
)
def _soft_rasterize_backward(
    corners: Tensor,
    faces: Tensor,
    shade: Tensor,
    kept: Tensor,
    winners: Tensor,
    seen: Tensor,
    grad_image: Tensor | None,
    grad_alpha: Tensor | None,
    grad_depth: Tensor | None,
    face_offsets: list[int],
    sigma: float,
    gamma: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `corners` and `shade`."""
    kept_tensors = (kept, winners, seen)
    gradients = (grad_image, grad_alpha, grad_depth)
    return launch.backward(corners, faces, shade, kept_tensors, gradients, face_offsets, sigma, gamma, clip)


@_soft_rasterize_backward.register_fake
def _(corners, faces, shade, *_):  # type: ignore[no-untyped-def]
    return corners.new_empty(corners.shape), shade.new_empty(shade.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    corners, faces, shade, ctx.face_offsets, _, ctx.sigma, ctx.gamma, _, ctx.clip = inputs
    ctx.save_for_backward(corners, faces, shade, *output[3:])
    ctx.mark_non_differentiable(*output[3:])
    ctx.set_materialize_grads(False)  # zeros of every kept buffer would cost more than the kernels


def _backward(ctx, grad_image, grad_alpha, grad_depth, *_):  # type: ignore[no-untyped-def]
    grad_corners, grad_shade = _soft_rasterize_backward(
        *ctx.saved_tensors, grad_image, grad_alpha, grad_depth, ctx.face_offsets, ctx.sigma, ctx.gamma, ctx.clip
    )
    return grad_corners, None, grad_shade, None, None, None, None, None, None


_soft_rasterize.register_autograd(_backward, setup_context=_setup_context)
_soft_rasterize_backward.register_autograd(
    refuse_second_derivative(
        "soft_rasterize", 'Leave out create_graph=True, or use backend="reference", which is plain PyTorch.'
    )
)
