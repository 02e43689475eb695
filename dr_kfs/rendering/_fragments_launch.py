"""From tensors to the launches of the fragment kernels: count, scan, fill, and the backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dr_kfs._kernel_launch import in_lanes, kernels_like, launch_tasks
from dr_kfs._warp_runtime import quiet_warp
from dr_kfs.rendering._tiles_launch import face_starts, fill_tiles, threads_per_view

MAX_FRAGMENTS = 2**31 - 1
"""Offsets are int32."""


def forward(
    face_ndc: Tensor, face_shade: Tensor, face_counts: list[int], image_size: int, reach: float, clip: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Depth, shade, signed, share; starts and face; then, for the backward, the index of the faces: starts and rows."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    views, pixels = len(face_counts), image_size * image_size
    if in_lanes(face_ndc) or views == 0:
        index_starts = face_starts(face_counts, face_ndc.device).clone()  # what an operator returns is its own
        index = (index_starts, index_starts.new_empty(0))
        numbers = [image_size, reach, clip]
    else:
        index = fill_tiles(face_ndc, face_counts, image_size=image_size, reach=reach, clip=clip)
        numbers = [image_size, reach]
    scene = [face_ndc, face_shade, *index]

    # The CPU kernels count patches of 4 x 2 pixels, which may end outside the image: in the margin.
    counts = torch.zeros(views, pixels + image_size + 4, dtype=torch.int32, device=face_ndc.device)
    _launch("count", scene, [*numbers, counts], views, image_size)
    ends = counts[:, :pixels].flatten().cumsum(0)
    total = int(ends[-1]) if views else 0
    if total > MAX_FRAGMENTS:
        raise ValueError(f"{total} fragments are more than {MAX_FRAGMENTS}: render fewer views at a time.")
    starts = torch.zeros(views * pixels + 1, dtype=torch.int32, device=face_ndc.device)
    starts[1:] = ends

    face = starts.new_empty(total)
    depth, shade, signed, share = (face_ndc.new_empty(total) for _ in range(4))
    # The CPU kernels count up in place; a thread of the tile kernels keeps its count to itself.
    first = starts[:-1].clone() if in_lanes(face_ndc) else starts
    _launch("fill", scene, [*numbers, first, face, depth, shade, signed, share], views, image_size)
    return depth, shade, signed, share, starts, face, *index


def backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    listed: tuple[Tensor, Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    image_size: int,
    reach: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`.

    Args:
        face_ndc: as in the forward.
        face_shade: likewise.
        listed: starts, face and the index of the faces, from the forward.
        gradients: of depth, shade, signed and share (K,); None stands for zero.
        image_size: as in the forward.
        reach: likewise.
        clip: likewise.
    """
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    starts, face, *index = listed
    grads = [torch.zeros_like(face_ndc), torch.zeros_like(face_shade)]
    incoming = [face_ndc.new_empty(0) if gradient is None else gradient.contiguous() for gradient in gradients]
    views = (len(starts) - 1) // (image_size * image_size)
    scene = [face_ndc, face_shade, *index]
    if in_lanes(face_ndc):
        rest = [image_size, reach, clip, starts[:-1].clone(), *incoming, *grads]
    else:
        rest = [image_size, reach, starts, face, *incoming, *(grad.view(-1) for grad in grads)]
    _launch("backward", scene, rest, views, image_size)
    return grads[0], grads[1]


def _launch(name: str, scene: list[Tensor], rest: list[Any], views: int, size: int) -> None:
    """Run a kernel over all views.

    Args:
        name: of the kernel.
        scene: faces, shades and the index of the faces: its arguments before `first_view`.
        rest: those after it.
        views: how many.
        size: side of the image [px].
    """
    if views == 0:
        return
    with quiet_warp():
        if in_lanes(scene[0]):
            from dr_kfs.rendering._fragments_cpu_warp import fragment_cpu_kernels

            kernels, threads, scene = fragment_cpu_kernels(), 1, scene[:3]
        else:
            from dr_kfs.rendering._fragments_warp import fragment_kernels

            kernels = kernels_like(fragment_kernels, scene[0])
            threads = threads_per_view(size)
        launch_tasks(getattr(kernels, name), scene, rest, views, device=scene[0].device, threads=threads)
