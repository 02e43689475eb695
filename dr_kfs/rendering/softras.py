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

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering import _softras_launch as launch
from dr_kfs.rendering import _softras_reference as reference
from dr_kfs.rendering._kernel_launch import refuse_second_derivative

Backend = Literal["warp", "reference", "pytorch3d"]


@dataclass(frozen=True)
class RasterizedViews:
    """What the rasterizer returns, one entry per view."""

    image: Float[Tensor, "T H W"]
    """Shade composited on black [0, 1]."""
    alpha: Float[Tensor, "T H W"]
    """Coverage [0, 1]."""
    depth: Float[Tensor, "T H W"]
    """Depth of the visible surface [world units]; `far` on the background."""


def soft_rasterize(
    face_ndc: Float[Tensor, "R 3 3"],
    face_shade: Float[Tensor, "R 3"],
    face_counts: list[int],
    *,
    image_size: int = 256,
    sigma: float = 1e-5,
    gamma: float = 1e-3,
    far: float = 3.332,
    clip: float = 0.2132,
    backend: Backend = "warp",
    faces_per_pixel: int = 100,
) -> RasterizedViews:
    """Render T views of triangles that are already projected; see the module's docstring for the formula.

    Differentiable once, exactly, in positions, depths and shades. Half precision is computed in float32; float64 is
    computed as such. Values and gradients are the same bits whatever the number of CPU threads.

    Args:
        face_ndc: corners as (x, y [NDC, y up], depth [world units]); the faces of view 0, then of view 1, ...
        face_shade: shade at the corners, interpolated perspective-correctly.
        face_counts: number of faces of each of the T views; they sum to R.
        image_size: side of the square image [px]; pixel centres at +0.5.
        sigma: softness of outlines and edges [NDC^2]; at 1e-5 and 256 px an outline fades over about 1 px.
        gamma: depth below which two surfaces blend [world units].
        far: depth of the background [world units].
        clip: faces with a corner at or nearer than this depth [world units] are dropped.
        backend: `"warp"` (CPU and CUDA kernels), `"reference"` (dense PyTorch, slow: the oracle of the tests) or
            `"pytorch3d"` (its rasterizer, if it is installed; float32, slow).
        faces_per_pixel: of PyTorch3D; more faces at a pixel are an error. The others have no such limit.

    Raises:
        ValueError: counts that do not sum to R; sizes or softness that are not positive.
        ImportError: PyTorch3D is asked for and not installed.
    """
    if sum(face_counts) != face_ndc.shape[0]:
        raise ValueError(f"face_counts sums to {sum(face_counts)}, but there are {face_ndc.shape[0]} faces.")
    if image_size < 1 or not (sigma > 0 and gamma > 0 and clip > 0):
        raise ValueError(
            f"image_size, sigma, gamma and clip must be positive, got {image_size}, {sigma}, {gamma} and {clip}."
        )
    if face_ndc.dtype not in (torch.float32, torch.float64):
        face_ndc = face_ndc.float()
    face_shade = face_shade.to(face_ndc.dtype)
    if backend in ("reference", "pytorch3d"):
        settings: dict[str, Any] = {"image_size": image_size, "sigma": sigma, "gamma": gamma, "far": far, "clip": clip}
        rasterize_view: Any = reference.rasterize_view
        if backend == "pytorch3d":
            from dr_kfs.rendering import pytorch3d_backend

            rasterize_view, settings["faces_per_pixel"] = pytorch3d_backend.rasterize_view, faces_per_pixel
        rows = zip(face_ndc.split(face_counts), face_shade.split(face_counts), strict=True)
        views = [rasterize_view(ndc, shade, **settings) for ndc, shade in rows]
        return RasterizedViews(*(torch.stack(images) for images in zip(*views, strict=True)))
    if backend != "warp":
        raise ValueError(f'backend must be "warp", "reference" or "pytorch3d", got {backend!r}.')
    image, alpha, depth, *_ = _soft_rasterize(face_ndc, face_shade, face_counts, image_size, sigma, gamma, far, clip)
    return RasterizedViews(image, alpha, depth)


@torch.library.custom_op(
    "dr_kfs::soft_rasterize",
    mutates_args=(),
    schema="(Tensor face_ndc, Tensor face_shade, int[] face_counts, int image_size, float sigma, float gamma, "
    "float far, float clip) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _soft_rasterize(
    face_ndc: Tensor,
    face_shade: Tensor,
    face_counts: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then what the backward needs: kept, winners, and the faces that are seen."""
    return launch.forward(face_ndc, face_shade, face_counts, image_size, sigma, gamma, far, clip)


@_soft_rasterize.register_fake
def _(face_ndc, face_shade, face_counts, image_size, sigma, gamma, far, clip):  # type: ignore[no-untyped-def]
    context = torch.library.get_ctx()
    shape = (len(face_counts), image_size, image_size)
    padded = (len(face_counts), *launch.buffer_size(face_ndc, image_size))
    return (
        face_ndc.new_empty(shape),
        face_ndc.new_empty(shape),
        face_ndc.new_empty(shape),
        face_ndc.new_empty(launch.buffer_count(face_ndc), *padded),
        face_ndc.new_empty(padded, dtype=torch.int32),
        face_ndc.new_empty(context.new_dynamic_size(), dtype=torch.int32),
    )


@torch.library.custom_op(
    "dr_kfs::soft_rasterize_backward",
    mutates_args=(),
    schema="(Tensor face_ndc, Tensor face_shade, Tensor kept, Tensor winners, "
    "Tensor seen_faces, Tensor? grad_image, Tensor? grad_alpha, Tensor? grad_depth, int[] face_counts, "
    "float sigma, float gamma, float clip) -> (Tensor, Tensor)",
)
def _soft_rasterize_backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    kept: Tensor,
    winners: Tensor,
    seen_faces: Tensor,
    grad_image: Tensor | None,
    grad_alpha: Tensor | None,
    grad_depth: Tensor | None,
    face_counts: list[int],
    sigma: float,
    gamma: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`."""
    kept_tensors = (kept, winners, seen_faces)
    gradients = (grad_image, grad_alpha, grad_depth)
    return launch.backward(face_ndc, face_shade, kept_tensors, gradients, sigma, gamma, clip, face_counts)


@_soft_rasterize_backward.register_fake
def _(face_ndc, face_shade, *_):  # type: ignore[no-untyped-def]
    return torch.empty_like(face_ndc), torch.empty_like(face_shade)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    face_ndc, face_shade, ctx.face_counts, _, ctx.sigma, ctx.gamma, _, ctx.clip = inputs
    ctx.save_for_backward(face_ndc, face_shade, *output[3:])
    ctx.mark_non_differentiable(*output[3:])
    ctx.set_materialize_grads(False)  # zeros of every kept buffer would cost more than the kernels


def _backward(ctx, grad_image, grad_alpha, grad_depth, *_):  # type: ignore[no-untyped-def]
    grad_ndc, grad_shade = _soft_rasterize_backward(
        *ctx.saved_tensors, grad_image, grad_alpha, grad_depth, ctx.face_counts, ctx.sigma, ctx.gamma, ctx.clip
    )
    return grad_ndc, grad_shade, None, None, None, None, None, None


_soft_rasterize.register_autograd(_backward, setup_context=_setup_context)
_soft_rasterize_backward.register_autograd(
    refuse_second_derivative(
        "soft_rasterize", 'Leave out create_graph=True, or use backend="reference", which is plain PyTorch.'
    )
)
