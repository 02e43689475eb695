"""The CPU kernels that project vertices and shade faces: C++ in `kernels/`, compiled by Warp's own compiler.

Eight vertices or faces at a time, in float32, a task of them for each logical thread. The plain Warp kernels of
`_projection_warp.py` compute the same on CUDA and in float64, and add the gradients of normals everywhere.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

# Kernel arguments are Warp's language in Python's syntax; these rules read them as Python.
# pyright: reportInvalidTypeForm=false, reportIndexIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

import functools
import types
from pathlib import Path
from typing import no_type_check

import warp as wp

from dr_kfs._cpp_source import cpp_source
from dr_kfs.rendering._projection_reference import DEGENERATE, FARTHEST
from dr_kfs.rendering._projection_warp import TINY

_SOURCES = Path(__file__).parent / "kernels"


def _source(*names: str) -> str:
    return cpp_source(_SOURCES, "row_lanes.h", *names)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def projection_cpu_kernels() -> types.SimpleNamespace:
    """Of `projection_kernels`, those that go through the views; launched over tasks of `task_size` rows."""
    degenerate, farthest, tiny = (wp.constant(float(x)) for x in (DEGENERATE, FARTHEST, TINY))

    @wp.func_native(_source("camera_lanes.h", "project_forward.cpp"))
    def project_rows(
        vertices: wp.array2d(dtype=float),
        rotation: wp.array3d(dtype=float),
        translation: wp.array2d(dtype=float),
        first_row: int,
        last_row: int,
        half_width: float,
        clip: float,
        farthest: float,
        corners: wp.array3d(dtype=float),
    ): ...

    @wp.func_native(_source("camera_lanes.h", "project_backward.cpp"))
    def project_rows_backward(
        vertices: wp.array2d(dtype=float),
        rotation: wp.array3d(dtype=float),
        translation: wp.array2d(dtype=float),
        first_row: int,
        last_row: int,
        half_width: float,
        clip: float,
        farthest: float,
        grad_corners: wp.array3d(dtype=float),
        grad_vertices: wp.array2d(dtype=float),
    ): ...

    @wp.func_native(_source("lit_faces.h", "shade_forward.cpp"))
    def shade_rows(
        vertices: wp.array2d(dtype=float),
        faces: wp.array2d(dtype=wp.int64),
        eye: wp.array2d(dtype=float),
        first_row: int,
        last_row: int,
        light_x: float,
        light_y: float,
        light_z: float,
        ambient: float,
        diffuse: float,
        farthest: float,
        degenerate: float,
        tiny: float,
        drawn_faces: wp.array2d(dtype=wp.int64),
        shades: wp.array2d(dtype=float),
    ): ...

    @wp.func_native(_source("lit_faces.h", "shade_backward.cpp"))
    def shade_rows_backward(
        vertices: wp.array2d(dtype=float),
        faces: wp.array2d(dtype=wp.int64),
        eye: wp.array2d(dtype=float),
        first_row: int,
        last_row: int,
        light_x: float,
        light_y: float,
        light_z: float,
        diffuse: float,
        farthest: float,
        tiny: float,
        grad_shades: wp.array2d(dtype=float),
        grad_normals: wp.array2d(dtype=float),
    ): ...

    @wp.kernel(module="unique", enable_backward=False)
    def project(
        vertices: wp.array2d(dtype=float),  # (N, 3)
        rotation: wp.array3d(dtype=float),  # (V, 3, 3)
        translation: wp.array2d(dtype=float),  # (V, 3)
        first_task: int,
        task_size: int,
        half_width: float,  # of the image at depth 1
        clip: float,
        corners: wp.array3d(dtype=float),  # (V, N + 1, 3): x, y [NDC], depth; the last in each view lies at the eye
    ):
        first = (first_task + wp.tid()) * task_size
        last = wp.min(first + task_size, corners.shape[1])
        project_rows(vertices, rotation, translation, first, last, half_width, clip, farthest, corners)

    @wp.kernel(module="unique", enable_backward=False)
    def shade(
        vertices: wp.array2d(dtype=float),
        faces: wp.array2d(dtype=wp.int64),  # (F, 3)
        eye: wp.array2d(dtype=float),  # (V, 3)
        first_task: int,
        task_size: int,
        light_x: float,
        light_y: float,
        light_z: float,
        ambient: float,
        diffuse: float,
        drawn_faces: wp.array2d(dtype=wp.int64),  # (F, 3): the faces; those that are not drawn have N thrice
        shades: wp.array2d(dtype=float),  # (V, F)
    ):
        first = (first_task + wp.tid()) * task_size
        last = wp.min(first + task_size, faces.shape[0])
        shade_rows(
            vertices, faces, eye, first, last, light_x, light_y, light_z, ambient, diffuse, farthest, degenerate, tiny,
            drawn_faces, shades,
        )  # fmt: skip

    @wp.kernel(module="unique", enable_backward=False)
    def project_backward(
        vertices: wp.array2d(dtype=float),
        rotation: wp.array3d(dtype=float),
        translation: wp.array2d(dtype=float),
        first_task: int,
        task_size: int,
        half_width: float,
        clip: float,
        grad_corners: wp.array3d(dtype=float),  # (V, N + 1, 3)
        grad_vertices: wp.array2d(dtype=float),  # (N, 3), written
    ):
        first = (first_task + wp.tid()) * task_size
        last = wp.min(first + task_size, vertices.shape[0])
        project_rows_backward(
            vertices, rotation, translation, first, last, half_width, clip, farthest, grad_corners, grad_vertices
        )

    @wp.kernel(module="unique", enable_backward=False)
    def shade_backward(
        vertices: wp.array2d(dtype=float),
        faces: wp.array2d(dtype=wp.int64),
        eye: wp.array2d(dtype=float),
        first_task: int,
        task_size: int,
        light_x: float,
        light_y: float,
        light_z: float,
        diffuse: float,
        grad_shades: wp.array2d(dtype=float),  # (V, F)
        grad_normals: wp.array2d(dtype=float),  # (F, 3), written: of the normals whose length is twice the area
    ):
        first = (first_task + wp.tid()) * task_size
        last = wp.min(first + task_size, faces.shape[0])
        shade_rows_backward(
            vertices, faces, eye, first, last, light_x, light_y, light_z, diffuse, farthest, tiny, grad_shades,
            grad_normals,
        )  # fmt: skip

    return types.SimpleNamespace(
        project=project, shade=shade, project_backward=project_backward, shade_backward=shade_backward
    )
