"""The fragments of every pixel: which faces are seen there, in front or behind, and where on them.

An A-buffer (Carpenter 1984) of soft fragments, as PyTorch3D's `Fragments` but without a limit per pixel: what
`compositing.py` blends. A face is a fragment of a pixel if it covers the pixel's centre or passes nearer to it than
`reach`; the lists are in CSR form, the fragments of pixel p being rows `starts[p]:starts[p + 1]`.

A fragment's share of its pixel p is the integral of a bump of radius R = `reach` over the face,

    s = integral over q in the face of k(|q - p|) dq        k(r) = 2 / (pi R^2) (1 - r^2 / R^2) for r < R, else 0,

1 for a face all around the pixel. Shares add: the parts of a face have its share between them, and the faces of a
surface one share of 1, except at its outline, where it fades from 1 at R inside to 0 at R outside. (The coverage of
SoftRas, a function of the distance to the nearest edge, does not: near a corner many faces claim the pixel.)

References:
    Carpenter, "The A-buffer, an antialiased hidden surface method", SIGGRAPH 1984; Liu et al., "Soft Rasterizer",
    ICCV 2019, Eq. 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._kernel_launch import refuse_second_derivative
from dr_kfs.rendering import _fragments_launch as launch
from dr_kfs.rendering._share_reference import dense_shares
from dr_kfs.rendering._softras_reference import dense_fragments, pixel_centres


@dataclass(frozen=True, eq=False)
class Fragments:
    """The K fragments of T views of H x W pixels, pixel by pixel: view, then row, then column; then by face."""

    starts: Int[Tensor, " S"]
    """(T H W + 1,) first fragment of each pixel; the last entry is K."""
    face: Int[Tensor, " K"]
    """Row of the face, among the faces of all views."""
    depth: Float[Tensor, " K"]
    """Of the pixel's centre on the face where it covers it, else of the nearest edge point [world units]."""
    shade: Float[Tensor, " K"]
    """There, interpolated perspective-correctly."""
    signed: Float[Tensor, " K"]
    """Squared distance of the centre to the face's edges [NDC^2]: positive where the face covers it, else negative."""
    share: Float[Tensor, " K"]
    """How much of the pixel the face fills [0, 1]; see the module's docstring."""
    face_counts: list[int]
    """Number of faces of each view."""
    image_size: int
    """H = W [px]."""
    reach: float
    """Distance up to which faces that do not cover a centre are listed, and radius R of the shares [NDC]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return len(self.face_counts), self.image_size, self.image_size


def soft_fragments(
    face_ndc: Float[Tensor, "R 3 3"],
    face_shade: Float[Tensor, "R 3"],
    face_counts: list[int],
    *,
    image_size: int,
    reach: float,
    clip: float,
    backend: Literal["warp", "reference"] = "warp",
) -> Fragments:
    """List the fragments of all pixels of T views of triangles that are already projected.

    Differentiable once, exactly, in positions, depths and shades, through the fragments' depth, shade, signed and
    share. Half precision is computed in float32; float64 is computed as such. On the CPU values and gradients are the
    same bits whatever the number of threads.

    Args:
        face_ndc: corners as (x, y [NDC, y up], depth [world units]); the faces of view 0, then of view 1, ...
        face_shade: shade at the corners.
        face_counts: number of faces of each of the T views; they sum to R.
        image_size: side of the square image [px]; pixel centres at +0.5.
        reach: distance [NDC] from which on a face that does not cover a pixel is not listed; the shares' radius.
        clip: faces with a corner at or nearer than this depth [world units] are dropped.
        backend: `"warp"` (CPU and CUDA kernels) or `"reference"` (dense PyTorch, slow: the oracle of the tests).

    Raises:
        ValueError: counts that do not sum to R; a size, reach or clip that is not positive; 2^31 fragments or more.
    """
    if sum(face_counts) != face_ndc.shape[0]:
        raise ValueError(f"face_counts sums to {sum(face_counts)}, but there are {face_ndc.shape[0]} faces.")
    if image_size < 1 or not (0.0 < reach < math.inf and clip > 0):
        raise ValueError(f"image_size, reach and clip must be positive, got {image_size}, {reach} and {clip}.")
    if face_ndc.dtype not in (torch.float32, torch.float64):
        face_ndc = face_ndc.float()
    face_shade = face_shade.to(face_ndc.dtype)
    if backend == "reference":
        listed = _reference(face_ndc, face_shade, face_counts, image_size, reach, clip)
    elif backend == "warp":
        listed = _soft_fragments(face_ndc, face_shade, face_counts, image_size, reach, clip)[:6]
    else:
        raise ValueError(f'backend must be "warp" or "reference", got {backend!r}.')
    *values, starts, face = listed
    return Fragments(starts, face, *values, face_counts=face_counts, image_size=image_size, reach=reach)


def _reference(
    face_ndc: Tensor, face_shade: Tensor, face_counts: list[int], image_size: int, reach: float, clip: float
) -> tuple[Tensor, ...]:
    """Depth, shade, signed, share, starts and face, from every face at every pixel."""
    device = face_ndc.device
    counts, faces = (
        [torch.zeros(1, dtype=torch.int64, device=device)],
        [torch.empty(0, dtype=torch.int32, device=device)],
    )
    values = [face_ndc.new_empty(4, 0) + (face_ndc.sum() + face_shade.sum()) * 0.0]
    rows = torch.arange(len(face_ndc), device=device).split(face_counts)
    for ndc, shade, row in zip(face_ndc.split(face_counts), face_shade.split(face_counts), rows, strict=True):
        kept = (ndc[..., 2] > clip).all(-1)
        dense = dense_fragments(ndc[kept], shade[kept], image_size=image_size)
        pixel, face = (dense.covers | (dense.squared < reach * reach)).T.nonzero(as_tuple=True)
        signed = torch.where(dense.covers, dense.squared, -dense.squared)
        pixels = pixel_centres(image_size, dtype=ndc.dtype, device=device)
        share = dense_shares(ndc[kept][..., :2], pixels, reach).clamp(0.0, 1.0)
        counts.append(pixel.bincount(minlength=image_size * image_size))
        faces.append(row[kept][face].int())
        values.append(torch.stack([field[face, pixel] for field in (dense.depth, dense.shade, signed, share)]))
    return *torch.cat(values, dim=1), torch.cat(counts).cumsum(0).int(), torch.cat(faces)


@torch.library.custom_op(
    "dr_kfs::soft_fragments",
    mutates_args=(),
    schema="(Tensor face_ndc, Tensor face_shade, int[] face_counts, int image_size, float reach, float clip) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _soft_fragments(
    face_ndc: Tensor, face_shade: Tensor, face_counts: list[int], image_size: int, reach: float, clip: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Depth, shade, signed, share, starts, face; then the index of the faces, for the backward."""
    return launch.forward(face_ndc, face_shade, face_counts, image_size, reach, clip)


@_soft_fragments.register_fake
def _(face_ndc, face_shade, face_counts, image_size, reach, clip):  # type: ignore[no-untyped-def]
    context = torch.library.get_ctx()
    fragments = context.new_dynamic_size()
    return (
        *(face_ndc.new_empty(fragments) for _ in range(4)),
        face_ndc.new_empty(len(face_counts) * image_size * image_size + 1, dtype=torch.int32),
        face_ndc.new_empty(fragments, dtype=torch.int32),
        face_ndc.new_empty(context.new_dynamic_size(), dtype=torch.int32),
        face_ndc.new_empty(context.new_dynamic_size(), dtype=torch.int32),
    )


@torch.library.custom_op(
    "dr_kfs::soft_fragments_backward",
    mutates_args=(),
    schema="(Tensor face_ndc, Tensor face_shade, Tensor starts, Tensor face, Tensor index_starts, Tensor index_faces, "
    "Tensor? grad_depth, Tensor? grad_shade, Tensor? grad_signed, Tensor? grad_share, int image_size, float reach, "
    "float clip) -> (Tensor, Tensor)",
)
def _soft_fragments_backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    starts: Tensor,
    face: Tensor,
    index_starts: Tensor,
    index_faces: Tensor,
    grad_depth: Tensor | None,
    grad_shade: Tensor | None,
    grad_signed: Tensor | None,
    grad_share: Tensor | None,
    image_size: int,
    reach: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`."""
    listed, gradients = (starts, face, index_starts, index_faces), (grad_depth, grad_shade, grad_signed, grad_share)
    return launch.backward(face_ndc, face_shade, listed, gradients, image_size, reach, clip)


@_soft_fragments_backward.register_fake
def _(face_ndc, face_shade, *_):  # type: ignore[no-untyped-def]
    return torch.empty_like(face_ndc), torch.empty_like(face_shade)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    face_ndc, face_shade, _, ctx.image_size, ctx.reach, ctx.clip = inputs
    ctx.save_for_backward(face_ndc, face_shade, *output[4:])
    ctx.mark_non_differentiable(*output[4:])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_depth, grad_shade, grad_signed, grad_share, *_):  # type: ignore[no-untyped-def]
    grad_ndc, grad_shade = _soft_fragments_backward(
        *ctx.saved_tensors, grad_depth, grad_shade, grad_signed, grad_share, ctx.image_size, ctx.reach, ctx.clip
    )
    return grad_ndc, grad_shade, None, None, None, None


_soft_fragments.register_autograd(_backward, setup_context=_setup_context)
_soft_fragments_backward.register_autograd(
    refuse_second_derivative(
        "soft_fragments", 'Leave out create_graph=True, or use backend="reference", which is plain PyTorch.'
    )
)
