"""The same kernels for float32 on a CPU: C++ in `kernels/`, eight pixels at a time, compiled by Warp on first use.

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

_SOURCES = Path(__file__).parent / "kernels"

LEAST_WIDTH = 8
"""Of an image, which has as many pixels in a row as the kernels take at a time."""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def hinge_cpu_kernels() -> types.SimpleNamespace:
    """The kernels `forward` and `backward`, with a thread per row; `_hinges_warp.py` explains the arguments."""

    @wp.func_native(cpp_source(_SOURCES, "hinges_forward.cpp"))
    def forward_row(
        correlations: wp.array4d(dtype=float),
        biases: wp.array2d(dtype=float),
        calibration: wp.array(dtype=float),
        lit: wp.array3d(dtype=wp.uint8),
        image: int,
        row: int,
        margin: int,
        poi: wp.array3d(dtype=float),
        winners: wp.array4d(dtype=wp.uint8),
    ): ...

    @wp.func_native(cpp_source(_SOURCES, "hinges_backward.cpp"))
    def backward_row(
        poi: wp.array3d(dtype=float),
        winners: wp.array4d(dtype=wp.uint8),
        calibration: wp.array(dtype=float),
        grad_poi: wp.array3d(dtype=float),
        image: int,
        row: int,
        members: int,
        margin: int,
        grad_correlations: wp.array4d(dtype=float),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        correlations: wp.array4d(dtype=float),
        biases: wp.array2d(dtype=float),
        calibration: wp.array(dtype=float),
        lit: wp.array3d(dtype=wp.uint8),
        first_image: int,
        margin: int,
        poi: wp.array3d(dtype=float),
        winners: wp.array4d(dtype=wp.uint8),
    ):
        image, row = first_image + wp.tid() // poi.shape[1], wp.tid() % poi.shape[1]
        forward_row(correlations, biases, calibration, lit, image, row, margin, poi, winners)

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        poi: wp.array3d(dtype=float),
        winners: wp.array4d(dtype=wp.uint8),
        calibration: wp.array(dtype=float),
        grad_poi: wp.array3d(dtype=float),
        first_image: int,
        members: int,
        margin: int,
        grad_correlations: wp.array4d(dtype=float),
    ):
        image, row = first_image + wp.tid() // poi.shape[1], wp.tid() % poi.shape[1]
        backward_row(poi, winners, calibration, grad_poi, image, row, members, margin, grad_correlations)

    return types.SimpleNamespace(forward=forward, backward=backward)
