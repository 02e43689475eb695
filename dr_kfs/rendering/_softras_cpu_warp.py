"""The soft rasterizer's CPU kernels: C++ in `kernels/`, compiled by Warp's own compiler on first use.

Faces in the outer loop and eight pixels at a time, in float32; one logical thread per view. The plain Warp
kernels of `_softras_warp.py` compute the same on CUDA and in float64.

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
from dr_kfs.rendering._softras_reference import CUTOFF, LAYER_MARGIN, MIN_AREA, MIN_HALO

_SOURCES = Path(__file__).parent / "kernels"


def _source(flat: bool, *names: str) -> str:
    return cpp_source(_SOURCES, "indexed_faces.h", "face_lanes.h", "softras_lanes.h", *names, flat=flat)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def softras_cpu_kernels(flat: bool) -> types.SimpleNamespace:
    """The kernels `forward` and `backward`, launched over views: the V of mesh 0, those of mesh 1, ...

    Args:
        flat: for a shade of each face; otherwise for one at each of its corners.
    """
    margin, cutoff = wp.constant(float(LAYER_MARGIN)), wp.constant(float(CUTOFF))
    min_area, min_halo = wp.constant(float(MIN_AREA)), wp.constant(float(MIN_HALO))

    @wp.func_native(_source(flat, "softras_forward.cpp"))
    def forward_view(
        corners: wp.array3d(dtype=float),
        index: wp.array2d(dtype=int),
        shades: wp.array3d(dtype=float),
        first_face: int,
        last_face: int,
        camera: int,
        view: int,
        views: int,
        size: int,
        sigma: float,
        gamma: float,
        far_depth: float,
        clip: float,
        reach: float,
        margin: float,
        cutoff: float,
        min_area: float,
        min_halo: float,
        image: wp.array3d(dtype=float),
        alpha: wp.array3d(dtype=float),
        depth_image: wp.array3d(dtype=float),
        kept: wp.array4d(dtype=float),
        winners: wp.array3d(dtype=int),
        seen: wp.array(dtype=int),
    ): ...

    @wp.func_native(_source(flat, "face_gradient.h", "softras_backward.cpp"))
    def backward_view(
        corners: wp.array3d(dtype=float),
        index: wp.array2d(dtype=int),
        shades: wp.array3d(dtype=float),
        first_face: int,
        last_face: int,
        camera: int,
        view: int,
        views: int,
        size: int,
        sigma: float,
        gamma: float,
        clip: float,
        reach: float,
        margin: float,
        cutoff: float,
        min_area: float,
        min_halo: float,
        kept: wp.array4d(dtype=float),
        winners: wp.array3d(dtype=int),
        seen: wp.array(dtype=int),
        grad_image: wp.array3d(dtype=float),
        grad_alpha: wp.array3d(dtype=float),
        grad_depth: wp.array3d(dtype=float),
        grad_base: wp.array3d(dtype=float),
        grad_corners: wp.array3d(dtype=float),
        grad_shades: wp.array3d(dtype=float),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        corners: wp.array3d(dtype=float),  # (V, N, 3): x, y [NDC], depth of the vertices of all meshes, by camera
        index: wp.array2d(dtype=int),  # (F, 3) the corners of the faces of all meshes
        shades: wp.array3d(dtype=float),  # (V, F, 1 or 3)
        mesh_starts: wp.array(dtype=int),  # (meshes + 1,) first face of each mesh
        first_view: int,
        views: int,
        size: int,
        sigma: float,
        gamma: float,
        far_depth: float,
        clip: float,
        reach: float,
        image: wp.array3d(dtype=float),  # (views, H, W)
        alpha: wp.array3d(dtype=float),
        depth_image: wp.array3d(dtype=float),
        kept: wp.array4d(dtype=float),  # (8, views, *buffer_size(H))
        winners: wp.array3d(dtype=int),  # (views, *buffer_size(H))
        seen: wp.array(dtype=int),  # (V F,) SEEN and COVERS of `kernels/softras_lanes.h`, for each face
    ):
        view = first_view + wp.tid()
        mesh, camera = view // corners.shape[0], view % corners.shape[0]
        forward_view(
            corners, index, shades, mesh_starts[mesh], mesh_starts[mesh + 1], camera, view, views, size, sigma, gamma,
            far_depth, clip, reach, margin, cutoff, min_area, min_halo, image, alpha, depth_image, kept, winners, seen,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        corners: wp.array3d(dtype=float),
        index: wp.array2d(dtype=int),
        shades: wp.array3d(dtype=float),
        mesh_starts: wp.array(dtype=int),
        first_view: int,
        views: int,
        size: int,
        sigma: float,
        gamma: float,
        clip: float,
        reach: float,
        kept: wp.array4d(dtype=float),
        winners: wp.array3d(dtype=int),
        seen: wp.array(dtype=int),
        grad_image: wp.array3d(dtype=float),  # (views, *buffer_size(H)), 0 in the padding; empty: no gradient
        grad_alpha: wp.array3d(dtype=float),
        grad_depth: wp.array3d(dtype=float),
        grad_base: wp.array3d(dtype=float),  # scratch
        grad_corners: wp.array3d(dtype=float),  # like corners, 0 on entry
        grad_shades: wp.array3d(dtype=float),  # like shades, 0 on entry
    ):
        view = first_view + wp.tid()
        mesh, camera = view // corners.shape[0], view % corners.shape[0]
        backward_view(
            corners, index, shades, mesh_starts[mesh], mesh_starts[mesh + 1], camera, view, views, size, sigma, gamma,
            clip, reach, margin, cutoff, min_area, min_halo, kept, winners, seen, grad_image, grad_alpha, grad_depth,
            grad_base, grad_corners, grad_shades,
        )  # fmt: skip

    return types.SimpleNamespace(forward=forward, backward=backward)
