"""The fragment lists' CPU kernels: C++ in `kernels/`, compiled by Warp's own compiler on first use.

Faces in the outer loop and eight pixels at a time, in float32; one logical thread per view. The plain Warp
kernels of `_fragments_warp.py` compute the same on CUDA and in float64.

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
from dr_kfs.rendering._softras_reference import MIN_AREA

_SOURCES = Path(__file__).parent / "kernels"


def _source(*names: str) -> str:
    return cpp_source(_SOURCES, "loose_faces.h", "face_lanes.h", "fragments_lanes.h", *names, flat=False)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def fragment_cpu_kernels() -> types.SimpleNamespace:
    """The kernels `count`, `fill` and `backward`, launched over views."""
    min_area = wp.constant(float(MIN_AREA))

    @wp.func_native(_source("fragments_count.cpp"))
    def count_view(
        corners: wp.array3d(dtype=float),
        shades: wp.array2d(dtype=float),
        first_face: int,
        last_face: int,
        view: int,
        size: int,
        reach: float,
        clip: float,
        min_area: float,
        counts: wp.array2d(dtype=int),
    ): ...

    @wp.func_native(_source("share_lanes.h", "fragments_fill.cpp"))
    def fill_view(
        corners: wp.array3d(dtype=float),
        shades: wp.array2d(dtype=float),
        first_face: int,
        last_face: int,
        view: int,
        size: int,
        reach: float,
        clip: float,
        min_area: float,
        next: wp.array(dtype=int),
        fragment_face: wp.array(dtype=int),
        fragment_depth: wp.array(dtype=float),
        fragment_shade: wp.array(dtype=float),
        fragment_signed: wp.array(dtype=float),
        fragment_share: wp.array(dtype=float),
    ): ...

    @wp.func_native(_source("share_lanes.h", "face_gradient.h", "share_gradient.h", "fragments_backward.cpp"))
    def backward_view(
        corners: wp.array3d(dtype=float),
        shades: wp.array2d(dtype=float),
        first_face: int,
        last_face: int,
        view: int,
        size: int,
        reach: float,
        clip: float,
        min_area: float,
        next: wp.array(dtype=int),
        grad_depth: wp.array(dtype=float),
        grad_shade: wp.array(dtype=float),
        grad_signed: wp.array(dtype=float),
        grad_share: wp.array(dtype=float),
        grad_corners: wp.array3d(dtype=float),
        grad_shades: wp.array2d(dtype=float),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def count(
        corners: wp.array3d(dtype=float),  # (R, 3, 3): x, y [NDC], depth; R = faces of all views
        shades: wp.array2d(dtype=float),  # (R, 3)
        view_starts: wp.array(dtype=int),  # (views + 1,) first row of each view
        first_view: int,
        size: int,
        reach: float,
        clip: float,
        counts: wp.array2d(dtype=int),  # (views, H W + W + 4), zero on entry
    ):
        view = first_view + wp.tid()
        count_view(
            corners, shades, view_starts[view], view_starts[view + 1], view, size, reach, clip, min_area, counts
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def fill(
        corners: wp.array3d(dtype=float),
        shades: wp.array2d(dtype=float),
        view_starts: wp.array(dtype=int),
        first_view: int,
        size: int,
        reach: float,
        clip: float,
        next: wp.array(dtype=int),  # (views H W,) each pixel's first fragment on entry, one past its last on exit
        fragment_face: wp.array(dtype=int),  # (K,)
        fragment_depth: wp.array(dtype=float),
        fragment_shade: wp.array(dtype=float),
        fragment_signed: wp.array(dtype=float),
        fragment_share: wp.array(dtype=float),
    ):
        view = first_view + wp.tid()
        fill_view(
            corners, shades, view_starts[view], view_starts[view + 1], view, size, reach, clip, min_area, next,
            fragment_face, fragment_depth, fragment_shade, fragment_signed, fragment_share,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        corners: wp.array3d(dtype=float),
        shades: wp.array2d(dtype=float),
        view_starts: wp.array(dtype=int),
        first_view: int,
        size: int,
        reach: float,
        clip: float,
        next: wp.array(dtype=int),
        grad_depth: wp.array(dtype=float),  # (K,), or empty: no gradient
        grad_shade: wp.array(dtype=float),
        grad_signed: wp.array(dtype=float),
        grad_share: wp.array(dtype=float),
        grad_corners: wp.array3d(dtype=float),  # (R, 3, 3), zero on entry
        grad_shades: wp.array2d(dtype=float),  # (R, 3), zero on entry
    ):
        view = first_view + wp.tid()
        backward_view(
            corners, shades, view_starts[view], view_starts[view + 1], view, size, reach, clip, min_area, next,
            grad_depth, grad_shade, grad_signed, grad_share, grad_corners, grad_shades,
        )  # fmt: skip

    return types.SimpleNamespace(count=count, fill=fill, backward=backward)
