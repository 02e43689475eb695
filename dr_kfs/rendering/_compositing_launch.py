"""From tensors to the launches of the translucent composite's kernels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dr_kfs._kernel_launch import current_stream, in_lanes, kernels_like, launch_tasks, over_threads, warp_arguments
from dr_kfs._warp_runtime import quiet_warp

CHUNK = 8192
"""Pixels that a CPU thread takes at a time."""


def forward(
    fragments: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], gamma: float, far: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha and depth (P,); then, for the backward (K,), the order by depth, and tau, F and L in that order.

    Args:
        fragments: starts (P + 1,); face, depth, shade and share (K,); the faces' attenuation (R,).
        gamma: as in `composite_translucent`.
        far: likewise.
    """
    starts, _, depth, *_ = inputs = [values.contiguous() for values in fragments]
    kept = [starts.new_empty(len(depth)), *(torch.empty_like(depth) for _ in range(3))]
    images = [depth.new_empty(len(starts) - 1) for _ in range(3)]
    _launch("forward", inputs, [gamma, far, *kept, *images])
    return images[0], images[1], images[2], kept[0], kept[1], kept[2], kept[3]


def backward(
    fragments: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor],
    kept: tuple[Tensor, Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],
    gamma: float,
    far: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of depth, shade and share (K,), and of the attenuation (R,).

    Args:
        fragments: as in the forward.
        kept: order, tau, F and L, from the forward.
        gradients: of image, alpha and depth (P,); None stands for zero.
        gamma: as in the forward.
        far: likewise.
    """
    inputs = [values.contiguous() for values in fragments]
    _, face, depth, _, _, attenuation = inputs
    incoming = [depth.new_empty(0) if gradient is None else gradient.contiguous() for gradient in gradients]
    grads = [torch.empty_like(depth) for _ in range(4)]
    _launch("backward", inputs, [gamma, far, *kept, *incoming, *grads])
    # On the CPU in the order of the fragments: the same bits every time.
    per_face = torch.zeros_like(attenuation).index_add_(0, face, grads[3])
    return grads[0], grads[1], grads[2], per_face


def _launch(name: str, fragments: list[Tensor], rest: list[Any]) -> None:
    """Run a kernel over all pixels: one launch on CUDA, on the current stream; on the CPU chunks over all threads.

    Args:
        name: of the kernel.
        fragments: its arguments before the first pixel or chunk.
        rest: those after it, without the scratch memory.
    """
    starts, _, depth, *_ = fragments
    pixels = len(starts) - 1
    if pixels == 0:
        return
    chunks = math.ceil(pixels / CHUNK)
    with quiet_warp() as wp:
        if in_lanes(depth):
            from dr_kfs.rendering._compositing_cpu_warp import SCRATCH_ROWS, translucent_cpu_kernels

            kernel = getattr(translucent_cpu_kernels(), name)
            # Sixteen more than fragments: a run of eight may start at the last one or, empty, behind it.
            scratch = depth.new_empty(chunks, SCRATCH_ROWS, int(starts.diff().max()) + 16)
            launch_tasks(kernel, fragments, [CHUNK, *rest, scratch], chunks, device=depth.device)
            return
        from dr_kfs.rendering._compositing_warp import translucent_kernels

        kernel = getattr(kernels_like(translucent_kernels, depth), name)
        if name == "backward":
            rest = [*rest, torch.empty_like(depth), torch.empty_like(depth)]
        on_device = wp.device_from_torch(depth.device)
        before, after, stream = warp_arguments(fragments), warp_arguments(rest), current_stream(depth.device)

        def run_pixels(first: int, count: int) -> None:
            wp.launch(kernel, count, [*before, first, *after], device=on_device, stream=stream)

        if on_device.is_cuda:
            run_pixels(0, pixels)
        else:
            over_threads(kernel, lambda chunk: run_pixels(chunk * CHUNK, min(CHUNK, pixels - chunk * CHUNK)), chunks)
