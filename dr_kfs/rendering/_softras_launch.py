"""From tensors to the launches of the opaque kernels: which of them run, and how faces are indexed for them."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering._kernel_launch import TILE, in_lanes, launch_tasks
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering._warp_runtime import quiet_warp

BUFFERS = 8
"""Per-pixel values that the forward keeps for the backward; `_softras_warp.py` names them."""


def forward(
    face_ndc: Tensor,
    face_shade: Tensor,
    face_counts: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then, for the backward, what pixels keep, their winners, and two lists about faces.

    These are, where the tile kernels run, where each tile's faces start and which they are; where the CPU kernels run,
    where each view's faces start and which of them any pixel sees.
    """
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    views = len(face_counts)
    image, alpha, depth = (face_ndc.new_empty(views, image_size, image_size) for _ in range(3))
    padded = (views, *buffer_size(face_ndc, image_size))
    kept = face_ndc.new_empty(BUFFERS, *padded)
    winners = torch.empty(padded, dtype=torch.int32, device=face_ndc.device)
    images = [image, alpha, depth, kept, winners]
    if in_lanes(face_ndc):
        starts = torch.tensor([0, *face_counts]).cumsum(0).int()
        faces = starts.new_empty(len(face_ndc))
        scene, images = [face_ndc, face_shade, starts], [*images, faces]
        numbers = [views, image_size, sigma, gamma, far, clip, reach(sigma)]
    else:
        starts, faces = fill_tiles(reached_boxes(face_ndc, reach(sigma), clip), face_counts, image_size)
        scene = [face_ndc, face_shade, starts, faces]
        numbers = [image_size, sigma, gamma, far, reach(sigma)]
    _launch("forward", scene, [*numbers, *images], views, image_size)
    return image, alpha, depth, kept, winners, starts, faces


def backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    kept_tensors: tuple[Tensor, Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],
    sigma: float,
    gamma: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`; None stands for an incoming gradient of zero."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    kept, winners, starts, faces = kept_tensors
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
        scene = [face_ndc, face_shade, starts]
        rest = [views, size, sigma, gamma, clip, reach(sigma), kept, winners, faces, *incoming, scratch, *grads]
    else:
        grads = [torch.zeros_like(face_ndc), torch.zeros_like(face_shade)]
        scene = [face_ndc, face_shade, starts, faces]
        rest = [size, sigma, gamma, reach(sigma), kept, winners, *incoming, *(grad.view(-1) for grad in grads)]
    _launch("backward", scene, rest, views, size)
    return grads[0], grads[1]


def buffer_size(like: Tensor, image_size: int) -> tuple[int, int]:
    """Rows and columns of the per-pixel buffers: patches of the CPU kernels may end outside of the image."""
    return (image_size + 1, image_size + 4) if in_lanes(like) else (image_size, image_size)


def _launch(name: str, scene: list[Tensor], rest: list[Any], views: int, size: int) -> None:
    """Run a kernel over all views, which share no row of gradients.

    Args:
        name: of the kernel.
        scene: its arguments before `first_view`.
        rest: those after it.
        views: how many.
        size: side of the image [px].
    """
    if views == 0:
        return
    with quiet_warp() as wp:
        if in_lanes(scene[0]):
            from dr_kfs.rendering._softras_cpu_warp import softras_cpu_kernels

            kernels, threads = softras_cpu_kernels(), 1
        else:
            from dr_kfs.rendering._softras_warp import softras_kernels

            kernels = softras_kernels(wp.float64 if scene[0].dtype == torch.float64 else wp.float32)
            threads = threads_per_view(size)
        launch_tasks(getattr(kernels, name), scene, rest, views, device=scene[0].device, threads=threads)


def threads_per_view(size: int) -> int:
    """Of a tile kernel: one for each pixel of whole tiles."""
    return math.ceil(size / TILE) ** 2 * TILE**2


def reached_boxes(face_ndc: Tensor, reach: float, clip: float) -> Float[Tensor, "R 4"]:
    """X and y ranges [NDC] that each face reaches; an empty range for faces that are dropped."""
    low, high = face_ndc[..., :2].amin(1) - reach, face_ndc[..., :2].amax(1) + reach
    drawn = (face_ndc[..., 2] > clip).all(1) & face_ndc.isfinite().flatten(1).all(1)
    low, high = torch.where(drawn[:, None], low, 2.0), torch.where(drawn[:, None], high, -2.0)
    return torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], dim=1)


def fill_tiles(boxes: Tensor, face_counts: list[int], image_size: int) -> tuple[Tensor, Tensor]:
    """For each screen tile of each view the rows of the faces that reach it: `faces[starts[i]:starts[i + 1]]`.

    Count, scan, fill: no bin can overflow, and the host waits once, for the total. Rows keep their order (a stable
    sort), so that a pixel's sums run in the same order every time.
    """
    device, tiles = boxes.device, math.ceil(image_size / TILE)
    in_tiles = image_size / (2.0 * TILE)
    # NDC y points up, rows point down. A hundredth of a tile of slack absorbs rounding; the kernel tests boxes again.
    first = torch.stack([boxes[:, 0] + 1.0, 1.0 - boxes[:, 3]], dim=1) * in_tiles - 0.01
    last = torch.stack([boxes[:, 1] + 1.0, 1.0 - boxes[:, 2]], dim=1) * in_tiles + 0.01
    visible = ((last > 0) & (first < tiles) & (last >= first)).all(1)
    first = first.floor().clamp(0, tiles - 1).long()
    last = last.floor().clamp(0, tiles - 1).long()
    extent = (last - first + 1) * visible[:, None]
    pairs = extent.prod(1)
    ends = pairs.cumsum(0)
    total = int(ends[-1]) if len(boxes) else 0

    rows = torch.repeat_interleave(torch.arange(len(boxes), device=device), pairs, output_size=total)
    within = torch.arange(total, device=device) - (ends - pairs)[rows]
    width = extent[rows, 0]
    counts = torch.tensor(face_counts, dtype=torch.long, device=device)
    view_of_row = torch.repeat_interleave(torch.arange(len(face_counts), device=device), counts, output_size=len(boxes))
    index = (view_of_row[rows] * tiles + first[rows, 1] + within // width) * tiles + first[rows, 0] + within % width
    index, order = index.int().sort(stable=True)
    boundaries = torch.arange(len(face_counts) * tiles * tiles + 1, dtype=torch.int32, device=device)
    return torch.searchsorted(index, boundaries, out_int32=True), rows[order].int()
