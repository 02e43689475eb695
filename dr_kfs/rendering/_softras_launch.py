"""From tensors to kernel launches: which kernels run, how faces are indexed for them, how views share the threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.rendering._softras_reference import padded_width, reach
from dr_kfs.rendering._warp_runtime import quiet_warp

BUFFERS = 8
"""Per-pixel values that the forward keeps for the backward; `_softras_warp.py` names them."""
TILE = 8
"""Side of a screen tile [px]."""


def forward(
    face_ndc: Tensor,
    face_shade: Tensor,
    face_counts: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; kept, winners, boxes and the two indices, for the backward."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    views = len(face_counts)
    boxes = _reached_boxes(face_ndc, reach(sigma), clip)
    image, alpha, depth = (face_ndc.new_empty(views, image_size, image_size) for _ in range(3))
    padded = (views, image_size, padded_width(image_size))
    kept = face_ndc.new_empty(BUFFERS, *padded)
    winners = torch.empty(padded, dtype=torch.int32, device=face_ndc.device)
    images = [image, alpha, depth, kept, winners]
    if _in_lanes(face_ndc):
        starts = torch.tensor([0, *face_counts]).cumsum(0).int()
        faces = starts.new_empty(0)
        arrays = [face_ndc, face_shade, boxes, starts]
        numbers = [views, image_size, sigma, gamma, far, reach(sigma)]
        _launch_over_views(_lane_kernel("forward"), arrays, [*numbers, *images], (views,), face_ndc.device)
    else:
        starts, faces = _fill_tiles(boxes, face_counts, image_size)
        arrays = [face_ndc, face_shade, boxes, starts, faces]
        shape = (views, image_size, image_size)
        kernel = _tile_kernel("forward", face_ndc.dtype)
        _launch_over_views(kernel, arrays, [image_size, sigma, gamma, far, *images], shape, face_ndc.device)
    return image, alpha, depth, kept, winners, boxes, starts, faces


def backward(
    face_ndc: Tensor,
    face_shade: Tensor,
    kept_tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    gradients: tuple[Tensor, Tensor, Tensor],
    sigma: float,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `face_ndc` and `face_shade`."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    kept, winners, boxes, starts, faces = kept_tensors
    grads = [torch.zeros_like(face_ndc), torch.zeros_like(face_shade)]
    views, size, pitch = winners.shape
    if _in_lanes(face_ndc):
        padded = [torch.nn.functional.pad(gradient, (0, pitch - size)).contiguous() for gradient in gradients]
        scratch = torch.empty_like(padded[0])
        arrays = [face_ndc, face_shade, boxes, starts]
        rest = [views, size, sigma, gamma, reach(sigma), kept, winners, *padded, scratch, *grads]
        _launch_over_views(_lane_kernel("backward"), arrays, rest, (views,), face_ndc.device)
    else:
        arrays = [face_ndc, face_shade, boxes, starts, faces]
        rest = [size, sigma, gamma, kept, winners, *(gradient.contiguous() for gradient in gradients), *grads]
        kernel = _tile_kernel("backward", face_ndc.dtype)
        _launch_over_views(kernel, arrays, rest, (views, size, size), face_ndc.device)
    return grads[0], grads[1]


def _in_lanes(face_ndc: Tensor) -> bool:
    """Whether the CPU kernels run: float32 on the CPU. Everything else runs the tile kernels."""
    return face_ndc.device.type == "cpu" and face_ndc.dtype == torch.float32


def _lane_kernel(name: str) -> Callable[[], Any]:
    def get() -> Any:
        from dr_kfs.rendering._softras_cpu_warp import softras_cpu_kernels

        return getattr(softras_cpu_kernels(), name)

    return get


def _tile_kernel(name: str, dtype: torch.dtype) -> Callable[[], Any]:
    def get() -> Any:
        import warp as wp

        from dr_kfs.rendering._softras_warp import softras_kernels

        return getattr(softras_kernels(wp.float64 if dtype == torch.float64 else wp.float32), name)

    return get


def _reached_boxes(face_ndc: Tensor, reach: float, clip: float) -> Float[Tensor, "R 4"]:
    """X and y ranges [NDC] that each face reaches; an empty range for faces that are dropped."""
    low = face_ndc[..., :2].amin(1) - reach
    high = face_ndc[..., :2].amax(1) + reach
    dropped = ~((face_ndc[..., 2] > clip).all(1) & face_ndc.isfinite().flatten(1).all(1))
    low[dropped], high[dropped] = 2.0, -2.0
    return torch.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], dim=1)


def _fill_tiles(boxes: Tensor, face_counts: list[int], image_size: int) -> tuple[Tensor, Tensor]:
    """For each screen tile of each view the rows of the faces that reach it: `faces[starts[i]:starts[i + 1]]`.

    Rows keep their order (a stable sort), so that sums run in the same order everywhere.
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

    rows = torch.repeat_interleave(torch.arange(len(boxes), device=device), pairs)
    within = torch.arange(len(rows), device=device) - (pairs.cumsum(0) - pairs)[rows]
    width = extent[rows, 0]
    counts = torch.tensor(face_counts, device=device)
    views = torch.repeat_interleave(torch.arange(len(face_counts), device=device), counts)
    index = (views[rows] * tiles + first[rows, 1] + within // width) * tiles + first[rows, 0] + within % width
    index, order = index.sort(stable=True)
    boundaries = torch.arange(len(face_counts) * tiles * tiles + 1, device=device)
    starts = torch.searchsorted(index, boundaries)
    return starts.int(), rows[order].int()


def _launch_over_views(
    get_kernel: Callable[[], Any], arrays: list[Tensor], rest: list[Any], shape: tuple[int, ...], device: torch.device
) -> None:
    """Run a kernel over all views: one launch on CUDA, one per thread on the CPU (views share no row of gradients).

    Args:
        get_kernel: imports Warp, so it is called once Warp is quiet.
        arrays: the kernel's arguments before its `first_view`.
        rest: those after it.
        shape: of the launch; the views first.
        device: of all tensors.
    """
    views, *inner = shape
    if views == 0:
        return
    with quiet_warp() as wp:
        kernel, on_device = get_kernel(), wp.device_from_torch(device)
        before = [wp.from_torch(tensor, requires_grad=False) for tensor in arrays]
        after = [wp.from_torch(x, requires_grad=False) if isinstance(x, Tensor) else x for x in rest]

        def run(first: int, last: int) -> None:
            wp.launch(kernel, dim=(last - first, *inner), inputs=[*before, first, *after], device=on_device)

        if on_device.is_cuda:
            with wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device))):
                run(0, views)
            return
        run(0, 1)  # compiles, where that is still to be done, before the threads start
        threads = min(torch.get_num_threads(), views - 1)
        if threads <= 1:
            if views > 1:
                run(1, views)
            return
        # Views differ in work, so each thread takes the next one when it is free.
        with ThreadPoolExecutor(threads) as pool:
            for finished in [pool.submit(run, view, view + 1) for view in range(1, views)]:
                finished.result()
