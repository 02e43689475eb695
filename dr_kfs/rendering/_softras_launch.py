"""From tensors to the launches of the opaque kernels: which of them run, and how faces are indexed for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dr_kfs.rendering._kernel_launch import in_lanes, launch_tasks
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering._tiles_launch import face_starts, fill_tiles, threads_per_view
from dr_kfs.rendering._warp_runtime import quiet_warp

WARP = 32
"""Threads of a CUDA warp."""
BUSY = 2**20
"""Threads that keep a GPU busy: where there are fewer faces, each has more warps, up to `MOST_LANES` threads."""
MOST_LANES = 64 * WARP


def forward(
    face_ndc: Tensor,
    face_shade: Tensor,
    face_counts: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then, for the backward, what pixels keep, their winners, and the faces that are seen.

    Only the CPU kernels tell which are.
    """
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    views = len(face_counts)
    image, alpha, depth = (face_ndc.new_empty(views, image_size, image_size) for _ in range(3))
    padded = (views, *buffer_size(face_ndc, image_size))
    kept = face_ndc.new_empty(buffer_count(face_ndc), *padded)
    winners = torch.empty(padded, dtype=torch.int32, device=face_ndc.device)
    images = [image, alpha, depth, kept, winners]
    if in_lanes(face_ndc):
        faces = winners.new_empty(len(face_ndc))
        scene = [face_ndc, face_shade, face_starts(face_counts, face_ndc.device)]
        numbers, threads = [views, image_size, sigma, gamma, far, clip, reach(sigma)], 1
        images = [*images, faces]
    else:
        faces = winners.new_empty(0)
        tiles = fill_tiles(face_ndc, face_counts, image_size=image_size, reach=reach(sigma), clip=clip)
        scene = [face_ndc, face_shade, *tiles]
        numbers, threads = [image_size, sigma, gamma, far, reach(sigma)], threads_per_view(image_size)
    _launch("forward", scene, [*numbers, *images], views, threads)
    return image, alpha, depth, kept, winners, faces


def backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    kept_tensors: tuple[Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],
    sigma: float,
    gamma: float,
    clip: float,
    face_counts: list[int],
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`; None stands for an incoming gradient of zero."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    kept, winners, faces = kept_tensors
    margin_rows, margin_columns = buffer_size(face_ndc, 0)
    views, size = winners.shape[0], winners.shape[1] - margin_rows
    padding = (0, margin_columns, 0, margin_rows)
    incoming = [
        kept.new_empty(0, 0, 0) if gradient is None else torch.nn.functional.pad(gradient, padding).contiguous()
        for gradient in gradients
    ]
    if in_lanes(face_ndc):
        grads = [torch.empty_like(face_ndc), torch.empty_like(face_shade)]
        scratch = torch.empty_like(kept[0])
        rest = [views, size, sigma, gamma, clip, reach(sigma), kept, winners, faces, *incoming, scratch, *grads]
        threads = 1
    else:
        grads = [torch.zeros_like(face_ndc), torch.zeros_like(face_shade)]
        most = max(face_counts, default=0)
        lanes = _lanes(views * most) if face_ndc.is_cuda else 1
        numbers = [most, lanes, size, sigma, gamma, clip, reach(sigma)]
        rest = [*numbers, kept, winners, *incoming, *(grad.view(-1) for grad in grads)]
        threads = most * lanes
    scene = [face_ndc, face_shade, face_starts(face_counts, face_ndc.device)]
    _launch("backward", scene, rest, views, threads)
    return grads[0], grads[1]


def _lanes(faces: int) -> int:
    """CUDA threads that share the pixels of a face."""
    return min(MOST_LANES, WARP * max(1, BUSY // max(1, faces * WARP)))


def buffer_count(like: Tensor) -> int:
    """Per-pixel values that the forward keeps for the backward; `_softras_warp.py` names them."""
    return 8 if in_lanes(like) else 10


def buffer_size(like: Tensor, image_size: int) -> tuple[int, int]:
    """Rows and columns of the per-pixel buffers: patches of the CPU kernels may end outside of the image."""
    return (image_size + 1, image_size + 4) if in_lanes(like) else (image_size, image_size)


def _launch(name: str, scene: list[Tensor], rest: list[Any], views: int, threads: int) -> None:
    """Run a kernel over all views, which share no row of gradients.

    Args:
        name: of the kernel.
        scene: its arguments before `first_view`.
        rest: those after it.
        views: how many.
        threads: of each view.
    """
    if views == 0 or threads == 0:
        return
    with quiet_warp() as wp:
        if in_lanes(scene[0]):
            from dr_kfs.rendering._softras_cpu_warp import softras_cpu_kernels

            kernels = softras_cpu_kernels()
        else:
            from dr_kfs.rendering._softras_warp import softras_kernels

            kernels = softras_kernels(wp.float64 if scene[0].dtype == torch.float64 else wp.float32)
        launch_tasks(getattr(kernels, name), scene, rest, views, device=scene[0].device, threads=threads)
