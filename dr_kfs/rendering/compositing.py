"""Fragments to images: translucent surfaces, and the original SoftRas.

**Translucent** (`composite_translucent`). Every face has an opacity o. With z_j, c_j and s_j the depth, the shade and
the share of face j at the pixel (see `fragments.py`):

    tau_j = -s_j log(1 - o_j)                                                                    (optical depth)
    F_j   = sum_i tau_i sigmoid((z_j - z_i) / gamma - m)                                  (clearly in front of j)
    B_j   = sum_i tau_i sigmoid((z_i - z_j) / gamma - m)                                  (clearly behind j)
    L_j   = sum_i tau_i - F_j - B_j                                                       (the layer j lies in)
    v_j   = exp(-F_j) (1 - exp(-L_j)) / L_j tau_j                                         (what the eye gets of j)
    A     = 1 - exp(-sum_i tau_i)
    image = A sum_j v_j c_j / sum_j v_j     alpha = A     depth = A sum_j v_j z_j / sum_j v_j + (1 - A) far

m = 6 (`LAYER_MARGIN`). No order of the faces enters. Layers that lie apart are composited as one over the other:
alpha = 1 - (1 - a)(1 - b) exactly, image and depth to 2e-3, as sigmoid(-m) of a layer lies in front of itself. Shares
add, and so do optical depths: no seam, and a subdivided face renders as it did. The result is smooth in depth: two
layers that cross blend. Opacities above 1 - 1e-4 count as that. An opacity of 0 is no face, but its gradient is what a
trace of it would add.

**SoftRas** (`composite_softras`), for comparison: Liu et al., Eq. 1-4, in PyTorch3D's reading.

    D_j   = sigmoid(+-d_j^2 / sigma)        zinv_j = (far - z_j) / (far - near)        zinv_0 = eps = 1e-10
    w_j   = D_j exp((zinv_j - zinv_max) / gamma)          w_0 = max(exp((eps - zinv_max) / gamma), eps)
    image = sum_j w_j c_j / (w_0 + sum_j w_j)        alpha = 1 - prod_j (1 - D_j)
    depth = (sum_j w_j z_j + w_0 far) / (w_0 + sum_j w_j)

What is wrong with it is stated in `softras.py`.

References:
    Liu et al., "Soft Rasterizer", ICCV 2019; PyTorch3D 0.7, `renderer/blending.py`, `softmax_rgb_blend` and
    `sigmoid_alpha_blend`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs._kernel_launch import refuse_second_derivative
from dr_kfs.rendering import _compositing_launch as launch
from dr_kfs.rendering._compositing_reference import BACKGROUND_WEIGHT, attenuation, softras_reach
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering.fragments import Fragments
from dr_kfs.rendering.softras import RasterizedViews

_ROUNDING = 1e-6
"""To which a reach is the one asked for."""


def composite_translucent(
    fragments: Fragments, opacity: Float[Tensor, " R"], *, sigma: float, gamma: float, far: float
) -> RasterizedViews:
    """Images of faces that let a part of the light through; see the module's docstring for the formula.

    Differentiable once, exactly, in the fragments and in the opacities, these up to 1 - 1e-4; above, the gradient is
    the one there, so that an opaque face can become translucent again. On the CPU values and gradients are the same
    bits whatever the number of threads.

    Args:
        fragments: from `soft_fragments`, with `reach=reach(sigma)`, which is 2.63 sqrt(sigma): over that distance
            shares, and with them outlines, fade to both sides.
        opacity: of each face [0, 1]; the faces of view 0, then of view 1, ...
        sigma: softness of outlines and edges [NDC^2].
        gamma: depth below which two surfaces blend [world units].
        far: depth of the background [world units].

    Raises:
        ValueError: opacities outside [0, 1] or not one per face; sigma or gamma that are not positive; fragments with
            another reach.
    """
    if not (sigma > 0 and gamma > 0):
        raise ValueError(f"sigma and gamma must be positive, got {sigma} and {gamma}.")
    if not math.isclose(fragments.reach, reach(sigma), rel_tol=_ROUNDING):
        raise ValueError(
            f"Fragments with a reach of {fragments.reach} NDC have other shares than sigma={sigma} asks for, whose "
            f"reach is {reach(sigma)}: pass reach=reach(sigma) to soft_fragments."
        )
    if not torch.compiler.is_compiling():  # the check reads values, which a graph cannot branch on
        _check_opacity(fragments, opacity)
    image, alpha, depth, *_ = _composite_translucent(
        fragments.starts,
        fragments.face,
        fragments.depth,
        fragments.shade,
        fragments.share,
        attenuation(opacity.to(fragments.depth.dtype)),
        gamma,
        far,
    )
    return RasterizedViews(*(values.view(fragments.shape) for values in (image, alpha, depth)))


def composite_softras(
    fragments: Fragments, *, sigma: float, gamma: float = 1e-4, near: float, far: float
) -> RasterizedViews:
    """Images as the original SoftRas makes them; see the module's docstring for the formula. Background 0.

    Args:
        fragments: from `soft_fragments`, with `reach=softras_reach(sigma)`, PyTorch3D's blur radius.
        sigma: softness of outlines [NDC^2].
        gamma: softness of the choice between depths, as a share of `far - near`.
        near: depth whose relative inverse depth is 1 [world units].
        far: depth of the background [world units].

    Raises:
        ValueError: sigma or gamma that are not positive; `far` not beyond `near`; fragments with too short a reach.
    """
    if not (sigma > 0 and gamma > 0):
        raise ValueError(f"sigma and gamma must be positive, got {sigma} and {gamma}.")
    if fragments.reach < softras_reach(sigma) * (1.0 - _ROUNDING):
        raise ValueError(
            f"Fragments with a reach of {fragments.reach} NDC leave out faces that sigma={sigma} blurs up to "
            f"{softras_reach(sigma)}: pass reach=softras_reach(sigma) to soft_fragments."
        )
    if not near < far:
        raise ValueError(f"far must lie beyond near, got near={near} and far={far}.")
    starts, scores = fragments.starts, fragments.signed / sigma
    pixels = len(starts) - 1
    pixel = torch.arange(pixels, device=starts.device).repeat_interleave(starts.diff(), output_size=len(scores))

    def sums(values: Tensor) -> Tensor:
        return values.new_zeros(pixels).index_add(0, pixel, values)

    inverse = (far - fragments.depth) / (far - near)
    # Not below the background's: index 0 stands for it where there is no fragment.
    nearest = inverse.new_full((pixels,), BACKGROUND_WEIGHT).scatter_reduce(0, pixel, inverse, "amax")
    weight = torch.sigmoid(scores) * torch.exp((inverse - nearest.index_select(0, pixel)) / gamma)
    background = torch.exp((BACKGROUND_WEIGHT - nearest) / gamma).clamp_min(BACKGROUND_WEIGHT)
    total = sums(weight) + background
    image = sums(weight * fragments.shade) / total
    depth = (sums(weight * fragments.depth) + background * far) / total
    # log(1 - sigmoid(x)) = -softplus(x): the product of many factors near 0 neither underflows nor loses its gradient.
    alpha = -torch.expm1(-sums(torch.nn.functional.softplus(scores)))
    return RasterizedViews(*(values.view(fragments.shape) for values in (image, alpha, depth)))


def _check_opacity(fragments: Fragments, opacity: Tensor) -> None:
    faces = sum(fragments.face_counts)
    if len(opacity) != faces:
        raise ValueError(f"opacity needs one entry for each of the {faces} faces, got {len(opacity)}.")
    wrong = ~((opacity >= 0) & (opacity <= 1))  # NaN is wrong too
    if wrong.any():
        row = first = int(wrong.nonzero()[0])
        for view, count in enumerate(fragments.face_counts):
            if first < count:
                raise ValueError(
                    f"opacity must lie in [0, 1], got {opacity[row].item()} for face {first} of view {view}."
                )
            first -= count


@torch.library.custom_op(
    "dr_kfs::composite_translucent",
    mutates_args=(),
    schema="(Tensor starts, Tensor face, Tensor depth, Tensor shade, Tensor share, Tensor attenuation, float gamma, "
    "float far) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _composite_translucent(
    starts: Tensor,
    face: Tensor,
    depth: Tensor,
    shade: Tensor,
    share: Tensor,
    attenuation: Tensor,
    gamma: float,
    far: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha and depth (P,); then what the backward needs: order, tau, F and L (K,)."""
    return launch.forward((starts, face, depth, shade, share, attenuation), gamma, far)


@_composite_translucent.register_fake
def _(starts, face, depth, *_):  # type: ignore[no-untyped-def]
    images = [depth.new_empty(starts.shape[0] - 1) for _ in range(3)]
    return (*images, torch.empty_like(face), *(torch.empty_like(depth) for _ in range(3)))


@torch.library.custom_op(
    "dr_kfs::composite_translucent_backward",
    mutates_args=(),
    schema="(Tensor starts, Tensor face, Tensor depth, Tensor shade, Tensor share, Tensor attenuation, Tensor order, "
    "Tensor tau, Tensor front, Tensor layer, Tensor? grad_image, Tensor? grad_alpha, Tensor? grad_depth, float gamma, "
    "float far) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _composite_translucent_backward(
    starts: Tensor,
    face: Tensor,
    depth: Tensor,
    shade: Tensor,
    share: Tensor,
    attenuation: Tensor,
    order: Tensor,
    tau: Tensor,
    front: Tensor,
    layer: Tensor,
    grad_image: Tensor | None,
    grad_alpha: Tensor | None,
    grad_depth: Tensor | None,
    gamma: float,
    far: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of depth, shade, share and attenuation."""
    fragments, gradients = (starts, face, depth, shade, share, attenuation), (grad_image, grad_alpha, grad_depth)
    return launch.backward(fragments, (order, tau, front, layer), gradients, gamma, far)


@_composite_translucent_backward.register_fake
def _(starts, face, depth, shade, share, attenuation, *_):  # type: ignore[no-untyped-def]
    return tuple(torch.empty_like(values) for values in (depth, shade, share, attenuation))


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *fragments, ctx.gamma, ctx.far = inputs
    ctx.save_for_backward(*fragments, *output[3:])
    ctx.mark_non_differentiable(*output[3:])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_image, grad_alpha, grad_depth, *_):  # type: ignore[no-untyped-def]
    gradients = _composite_translucent_backward(
        *ctx.saved_tensors, grad_image, grad_alpha, grad_depth, ctx.gamma, ctx.far
    )
    return None, None, *gradients, None, None


_composite_translucent.register_autograd(_backward, setup_context=_setup_context)
_composite_translucent_backward.register_autograd(
    refuse_second_derivative("composite_translucent", "Leave out create_graph=True.")
)
