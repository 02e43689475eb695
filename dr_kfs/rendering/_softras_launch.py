"""From tensors to kernel launches: which kernels run, how faces are indexed for them, how views share the threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then, for the backward, what pixels keep, their winners, and the index of the faces."""
    face_ndc, face_shade = face_ndc.contiguous(), face_shade.contiguous()
    views = len(face_counts)
    image, alpha, depth = (face_ndc.new_empty(views, image_size, image_size) for _ in range(3))
    padded = (views, image_size, padded_width(image_size))
    kept = face_ndc.new_empty(BUFFERS, *padded)
    winners = torch.empty(padded, dtype=torch.int32, device=face_ndc.device)
    images = [image, alpha, depth, kept, winners]
    if in_lanes(face_ndc):
        starts = torch.tensor([0, *face_counts]).cumsum(0).int()
        faces = starts.new_empty(0)
        numbers = [views, image_size, sigma, gamma, far, clip, reach(sigma)]
        _launch_lanes("forward", [face_ndc, face_shade, starts], [*numbers, *images], views)
    else:
        starts, faces = fill_tiles(reached_boxes(face_ndc, reach(sigma), clip), face_counts, image_size)
        numbers = [image_size, sigma, gamma, far, reach(sigma)]
        _launch_tiles("forward", [face_ndc, face_shade, starts, faces], [*numbers, *images], views, image_size)
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
    grads = [torch.zeros_like(face_ndc), torch.zeros_like(face_shade)]
    views, size, pitch = winners.shape
    incoming = [
        kept.new_empty(0, 0, 0) if gradient is None else torch.nn.functional.pad(gradient, (0, pitch - size))
        for gradient in gradients
    ]
    incoming = [gradient.contiguous() for gradient in incoming]
    if in_lanes(face_ndc):
        scratch = torch.empty_like(kept[0])
        rest = [views, size, sigma, gamma, clip, reach(sigma), kept, winners, *incoming, scratch, *grads]
        _launch_lanes("backward", [face_ndc, face_shade, starts], rest, views)
    else:
        rest = [size, sigma, gamma, reach(sigma), kept, winners, *incoming, *(grad.view(-1) for grad in grads)]
        _launch_tiles("backward", [face_ndc, face_shade, starts, faces], rest, views, size)
    return grads[0], grads[1]


def in_lanes(face_ndc: Tensor) -> bool:
    """Whether the CPU kernels run: float32 on the CPU. Everything else runs the tile kernels."""
    return face_ndc.device.type == "cpu" and face_ndc.dtype == torch.float32


def _launch_lanes(name: str, arrays: list[Tensor], rest: list[Any], views: int) -> None:
    """Run a CPU kernel over all views, which share no row of gradients: one task per view, on all threads.

    Args:
        name: of the kernel.
        arrays: its arguments before `first_view`.
        rest: those after it.
        views: how many.
    """
    if views == 0:
        return
    with quiet_warp() as wp:
        from dr_kfs.rendering._softras_cpu_warp import softras_cpu_kernels

        kernel = getattr(softras_cpu_kernels(), name)
        before, after = warp_arguments(arrays), warp_arguments(rest)
        device = wp.get_device("cpu")

        def run(view: int) -> None:
            wp.launch(kernel, dim=1, inputs=[*before, view, *after], device=device)

        over_threads(kernel, run, views)


def _launch_tiles(name: str, arrays: list[Tensor], rest: list[Any], views: int, size: int) -> None:
    """Run a tile kernel, one thread per pixel: one launch on CUDA, on the current stream; on the CPU one per view."""
    if views == 0:
        return
    device, dtype = arrays[0].device, arrays[0].dtype
    with quiet_warp() as wp:
        from dr_kfs.rendering._softras_warp import softras_kernels

        kernel = getattr(softras_kernels(wp.float64 if dtype == torch.float64 else wp.float32), name)
        on_device = wp.device_from_torch(device)
        inputs = warp_arguments(arrays)
        after = warp_arguments(rest)
        pixels = math.ceil(size / TILE) ** 2 * TILE**2

        def run(first: int, count: int) -> None:
            wp.launch(kernel, dim=count * pixels, inputs=[*inputs, first, *after], device=on_device, block_dim=TILE**2)

        if on_device.is_cuda:
            with wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device))):
                run(0, views)
        else:
            over_threads(kernel, lambda view: run(view, 1), views)


def warp_arguments(values: Sequence[Any]) -> list[Any]:
    import warp as wp

    return [wp.from_torch(x, requires_grad=False) if isinstance(x, Tensor) else x for x in values]


_compiled: set[Any] = set()


def over_threads(kernel: Any, run: Callable[[int], None], count: int) -> None:
    """`run(0)`, ..., `run(count - 1)` on as many threads as torch uses; kernels release the interpreter's lock.

    The first launch of a kernel compiles it, and is done before the threads start.
    """
    first = 0
    if kernel not in _compiled:
        run(0)
        _compiled.add(kernel)
        first = 1
    threads = min(torch.get_num_threads(), count - first)
    if threads <= 1:
        for task in range(first, count):
            run(task)
        return
    # Views differ in work, so each thread takes the next one when it is free.
    with ThreadPoolExecutor(threads) as pool:
        for finished in [pool.submit(run, task) for task in range(first, count)]:
            finished.result()


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
