"""Kernels that find the nearest of a few patches: one source for the CPU and CUDA.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

# Kernel bodies are Warp's language in Python's syntax; these rules read them as Python.
# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false

import functools
import types
from typing import Any, no_type_check

import warp as wp

# The threads that share a patch on a GPU, a warp: each takes every 32nd dimension. A CPU has one.
_SUM_OVER_LANES = """
#if defined(__CUDA_ARCH__)
    for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
#endif
    return value;
"""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def nearest_patch_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `forward` and `backward` for `real` = wp.float32 or wp.float64; T is B V, the views."""

    @wp.func_native(_SUM_OVER_LANES)
    def sum_over_lanes(value: real) -> real: ...

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        query: wp.array3d(dtype=real),  # (T, P, D)
        reference: wp.array3d(dtype=real),  # (T, P, D)
        candidates: wp.array2d(dtype=wp.int64),  # (P, K), -1 where there is none
        first_view: int,
        lanes: int,
        distance: wp.array2d(dtype=real),  # (T, P)
        index: wp.array2d(dtype=wp.int64),  # (T, P)
    ):
        thread, lane = wp.tid() // lanes, wp.tid() % lanes
        view, patch = first_view + thread // query.shape[1], thread % query.shape[1]
        dimensions = query.shape[2]
        best, nearest = real(wp.inf), wp.int64(-1)
        for k in range(candidates.shape[1]):
            other = candidates[patch, k]
            if other >= wp.int64(0):
                total = real(0.0)
                for d in range(lane, dimensions, lanes):
                    difference = query[view, patch, d] - reference[view, int(other), d]
                    total += difference * difference
                total = sum_over_lanes(total)
                if nearest < wp.int64(0) or total < best or total != total:  # NaN stays, as in torch.min
                    best, nearest = total, other
        if lane == 0:
            distance[view, patch] = best / real(dimensions)
            index[view, patch] = nearest

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        query: wp.array3d(dtype=real),
        reference: wp.array3d(dtype=real),
        index: wp.array2d(dtype=wp.int64),
        grad_distance: wp.array2d(dtype=real),
        first_view: int,
        lanes: int,
        grad_query: wp.array3d(dtype=real),  # like query, written
        grad_reference: wp.array3d(dtype=real),  # like reference, 0 on entry
    ):
        thread, lane = wp.tid() // lanes, wp.tid() % lanes
        view, patch = first_view + thread // query.shape[1], thread % query.shape[1]
        dimensions = query.shape[2]
        nearest = int(index[view, patch])
        scale = real(2.0) * grad_distance[view, patch] / real(dimensions)
        for d in range(lane, dimensions, lanes):
            gradient = scale * (query[view, patch, d] - reference[view, nearest, d])
            grad_query[view, patch, d] = gradient
            wp.atomic_add(grad_reference, view, nearest, d, -gradient)

    return types.SimpleNamespace(forward=forward, backward=backward)
