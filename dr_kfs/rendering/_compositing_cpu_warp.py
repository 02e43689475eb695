"""The translucent composite's CPU kernels: C++ in `kernels/`, compiled by Warp's own compiler on first use.

Eight fragments of a pixel at a time, in float32; one logical thread per chunk of pixels. The plain Warp kernels of
`_compositing_warp.py` compute the same on CUDA and in float64.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

# Kernel arguments are Warp's language in Python's syntax; these rules read them as Python.
# pyright: reportInvalidTypeForm=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportOperatorIssue=false

import functools
import types
from pathlib import Path
from typing import no_type_check

import warp as wp

from dr_kfs._cpp_source import cpp_source
from dr_kfs.rendering._softras_reference import LAYER_MARGIN

SCRATCH_ROWS = 14
"""Rows of scratch memory per chunk; `kernels/translucent_lanes.h` and the kernels name them."""
_SOURCES = Path(__file__).parent / "kernels"


def _source(name: str) -> str:
    return cpp_source(_SOURCES, "translucent_lanes.h", name)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def translucent_cpu_kernels() -> types.SimpleNamespace:
    """The kernels `forward` and `backward`, launched over chunks of pixels."""
    margin = wp.constant(float(LAYER_MARGIN))

    @wp.func_native(_source("translucent_forward.cpp"))
    def forward_chunk(
        starts: wp.array(dtype=int),
        face: wp.array(dtype=int),
        depth: wp.array(dtype=float),
        shade: wp.array(dtype=float),
        share: wp.array(dtype=float),
        attenuation: wp.array(dtype=float),
        first_pixel: int,
        last_pixel: int,
        task: int,
        gamma: float,
        far: float,
        margin: float,
        order: wp.array(dtype=int),
        tau: wp.array(dtype=float),
        front: wp.array(dtype=float),
        layer: wp.array(dtype=float),
        image: wp.array(dtype=float),
        alpha: wp.array(dtype=float),
        depth_image: wp.array(dtype=float),
        scratch: wp.array3d(dtype=float),
    ): ...

    @wp.func_native(_source("translucent_backward.cpp"))
    def backward_chunk(
        starts: wp.array(dtype=int),
        face: wp.array(dtype=int),
        depth: wp.array(dtype=float),
        shade: wp.array(dtype=float),
        share: wp.array(dtype=float),
        attenuation: wp.array(dtype=float),
        first_pixel: int,
        last_pixel: int,
        task: int,
        gamma: float,
        far: float,
        margin: float,
        order: wp.array(dtype=int),
        tau: wp.array(dtype=float),
        front: wp.array(dtype=float),
        layer: wp.array(dtype=float),
        grad_image: wp.array(dtype=float),
        grad_alpha: wp.array(dtype=float),
        grad_depth_image: wp.array(dtype=float),
        grad_depth: wp.array(dtype=float),
        grad_shade: wp.array(dtype=float),
        grad_share: wp.array(dtype=float),
        grad_attenuation: wp.array(dtype=float),
        scratch: wp.array3d(dtype=float),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        starts: wp.array(dtype=int),  # (P + 1,) first fragment of each pixel
        face: wp.array(dtype=int),  # (K,)
        depth: wp.array(dtype=float),
        shade: wp.array(dtype=float),
        share: wp.array(dtype=float),
        attenuation: wp.array(dtype=float),  # (R,) -log(1 - o)
        first_chunk: int,
        chunk: int,  # pixels of a chunk
        gamma: float,
        far: float,
        order: wp.array(dtype=int),  # (K,) fragments of each pixel from the nearest to the farthest
        tau: wp.array(dtype=float),  # (K,), in that order, as the next two
        front: wp.array(dtype=float),  # F
        layer: wp.array(dtype=float),  # L
        image: wp.array(dtype=float),  # (P,)
        alpha: wp.array(dtype=float),
        depth_image: wp.array(dtype=float),
        scratch: wp.array3d(dtype=float),  # (chunks, SCRATCH_ROWS, fragments of a pixel + 16)
    ):
        task = first_chunk + wp.tid()
        last = wp.min((task + 1) * chunk, starts.shape[0] - 1)
        forward_chunk(
            starts, face, depth, shade, share, attenuation, task * chunk, last, task, gamma, far, margin, order, tau,
            front, layer, image, alpha, depth_image, scratch,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        starts: wp.array(dtype=int),
        face: wp.array(dtype=int),
        depth: wp.array(dtype=float),
        shade: wp.array(dtype=float),
        share: wp.array(dtype=float),
        attenuation: wp.array(dtype=float),
        first_chunk: int,
        chunk: int,
        gamma: float,
        far: float,
        order: wp.array(dtype=int),
        tau: wp.array(dtype=float),
        front: wp.array(dtype=float),
        layer: wp.array(dtype=float),
        grad_image: wp.array(dtype=float),  # (P,), or empty: no gradient
        grad_alpha: wp.array(dtype=float),
        grad_depth_image: wp.array(dtype=float),
        grad_depth: wp.array(dtype=float),  # (K,)
        grad_shade: wp.array(dtype=float),
        grad_share: wp.array(dtype=float),
        grad_attenuation: wp.array(dtype=float),  # of each fragment
        scratch: wp.array3d(dtype=float),
    ):
        task = first_chunk + wp.tid()
        last = wp.min((task + 1) * chunk, starts.shape[0] - 1)
        backward_chunk(
            starts, face, depth, shade, share, attenuation, task * chunk, last, task, gamma, far, margin, order, tau,
            front, layer, grad_image, grad_alpha, grad_depth_image, grad_depth, grad_shade, grad_share,
            grad_attenuation, scratch,
        )  # fmt: skip

    return types.SimpleNamespace(forward=forward, backward=backward)
