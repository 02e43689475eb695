"""Kernels that project vertices and shade faces: for CUDA and for float64; in float32 a CPU has its own for most.

`projection.py` documents what they compute, `_projection_reference.py` states it in PyTorch. The backward kernels are
written by hand and recompute what they need from the vertices, which is cheaper than keeping it.

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

from dr_kfs.rendering._projection_reference import DEGENERATE, FARTHEST

TINY = 1e-12
"""Least length by which a normal is divided, as in `torch.nn.functional.normalize`."""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def projection_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    degenerate, farthest, tiny = (wp.constant(real(x)) for x in (DEGENERATE, FARTHEST, TINY))

    @wp.func
    def row(matrix: wp.array2d(dtype=real), i: int):
        return vec3(matrix[i, 0], matrix[i, 1], matrix[i, 2])

    @wp.func
    def axis(rotation: wp.array3d(dtype=real), camera: int, i: int):
        return vec3(rotation[camera, i, 0], rotation[camera, i, 1], rotation[camera, i, 2])

    @wp.func
    def is_near(p: vec3) -> bool:
        return wp.abs(p[0]) <= farthest and wp.abs(p[1]) <= farthest and wp.abs(p[2]) <= farthest

    @wp.func
    def exists(vertices: wp.array2d(dtype=real), a: int, b: int, c: int) -> bool:
        return wp.min(wp.min(a, b), c) >= 0 and wp.max(wp.max(a, b), c) < vertices.shape[0]

    @wp.func
    def corner(vertices: wp.array2d(dtype=real), i: int):
        """A vertex, or the origin in place of one that is too far."""
        p = row(vertices, i)
        if not is_near(p):
            p = vec3()
        return p

    @wp.func
    def in_camera(rotation: wp.array3d(dtype=real), translation: wp.array2d(dtype=real), camera: int, p: vec3):
        seen = row(translation, camera)
        for i in range(3):
            seen[i] += wp.dot(axis(rotation, camera, i), p)
        return seen

    @wp.func
    def facing(normal: vec3, center: vec3, eye: wp.array2d(dtype=real), camera: int):
        """-1 where the camera sees the back of a face, whose normal is turned then."""
        side = real(1.0)
        if wp.dot(normal, row(eye, camera) - center) < real(0.0):
            side = real(-1.0)
        return side

    @wp.kernel(module="unique", enable_backward=False)
    def project(
        vertices: wp.array2d(dtype=real),  # (N, 3)
        rotation: wp.array3d(dtype=real),  # (V, 3, 3)
        translation: wp.array2d(dtype=real),  # (V, 3)
        first_camera: int,
        half_width: real,  # of the image at depth 1
        clip: real,
        corners: wp.array3d(dtype=real),  # (V, N + 1, 3): x, y [NDC], depth; the last in each view lies at the eye
    ):
        thread, rows = wp.tid(), corners.shape[1]
        camera, i = first_camera + thread // rows, thread % rows
        seen = vec3()
        if i < rows - 1:
            seen = in_camera(rotation, translation, camera, corner(vertices, i))
            scale = real(1.0) / (wp.max(seen[2], clip) * half_width)
            seen = vec3(seen[0] * scale, seen[1] * scale, seen[2])
        for k in range(3):
            corners[camera, i, k] = seen[k]

    @wp.kernel(module="unique", enable_backward=False)
    def shade(
        vertices: wp.array2d(dtype=real),
        faces: wp.array2d(dtype=wp.int64),  # (F, 3)
        eye: wp.array2d(dtype=real),  # (V, 3)
        first_task: int,
        task_size: int,
        light_x: real,
        light_y: real,
        light_z: real,
        ambient: real,
        diffuse: real,
        drawn_faces: wp.array2d(dtype=wp.int64),  # (F, 3): the faces; those that are not drawn have N thrice
        shades: wp.array2d(dtype=real),  # (V, F)
    ):
        f = first_task * task_size + wp.tid()
        if f >= faces.shape[0]:
            return
        a, b, c = int(faces[f, 0]), int(faces[f, 1]), int(faces[f, 2])
        if not exists(vertices, a, b, c):  # torch refuses the index where the rasterizer gathers the corners
            for k in range(3):
                drawn_faces[f, k] = wp.int64(-1)
            return
        first, second, third = corner(vertices, a), corner(vertices, b), corner(vertices, c)
        normal = wp.cross(second - first, third - first)
        length = wp.length(normal)
        longest = wp.max(
            wp.length_sq(second - first), wp.max(wp.length_sq(third - second), wp.length_sq(first - third))
        )
        near = is_near(row(vertices, a)) and is_near(row(vertices, b)) and is_near(row(vertices, c))
        drawn = near and length > degenerate * longest
        for k in range(3):
            drawn_faces[f, k] = wp.where(drawn, faces[f, k], wp.int64(vertices.shape[0]))
        center = (first + second + third) / real(3.0)
        cosine = wp.dot(normal, vec3(light_x, light_y, light_z)) / wp.max(length, tiny)
        for camera in range(eye.shape[0]):
            lit = wp.max(facing(normal, center, eye, camera) * cosine, real(0.0))
            shades[camera, f] = ambient + diffuse * lit

    @wp.kernel(module="unique", enable_backward=False)
    def project_backward(
        vertices: wp.array2d(dtype=real),
        rotation: wp.array3d(dtype=real),
        translation: wp.array2d(dtype=real),
        first_task: int,
        task_size: int,
        half_width: real,
        clip: real,
        grad_corners: wp.array3d(dtype=real),  # (V, N + 1, 3)
        grad_vertices: wp.array2d(dtype=real),  # (N, 3), written
    ):
        i = first_task * task_size + wp.tid()
        if i >= vertices.shape[0]:
            return
        p, total = row(vertices, i), vec3()
        if is_near(p):
            for camera in range(rotation.shape[0]):
                x, y = grad_corners[camera, i, 0], grad_corners[camera, i, 1]
                depth = grad_corners[camera, i, 2]
                seen = in_camera(rotation, translation, camera, p)
                scale = real(1.0) / (wp.max(seen[2], clip) * half_width)
                if seen[2] >= clip:
                    depth -= (x * seen[0] + y * seen[1]) * scale / seen[2]
                total += (x * scale) * axis(rotation, camera, 0) + (y * scale) * axis(rotation, camera, 1)
                total += depth * axis(rotation, camera, 2)
        for k in range(3):
            grad_vertices[i, k] = total[k]

    @wp.kernel(module="unique", enable_backward=False)
    def shade_backward(
        vertices: wp.array2d(dtype=real),
        faces: wp.array2d(dtype=wp.int64),
        eye: wp.array2d(dtype=real),
        first_task: int,
        task_size: int,
        light_x: real,
        light_y: real,
        light_z: real,
        diffuse: real,
        grad_shades: wp.array2d(dtype=real),  # (V, F)
        grad_normals: wp.array2d(dtype=real),  # (F, 3), written: of the normals whose length is twice the area
    ):
        f = first_task * task_size + wp.tid()
        if f >= faces.shape[0]:
            return
        a, b, c = int(faces[f, 0]), int(faces[f, 1]), int(faces[f, 2])
        if not exists(vertices, a, b, c):
            return
        first, second, third = corner(vertices, a), corner(vertices, b), corner(vertices, c)
        normal, center = wp.cross(second - first, third - first), (first + second + third) / real(3.0)
        length, light = wp.length(normal), vec3(light_x, light_y, light_z)
        unit = normal / wp.max(length, tiny)
        cosine, total = wp.dot(unit, light), real(0.0)
        for camera in range(eye.shape[0]):
            side = facing(normal, center, eye, camera)
            if side * cosine >= real(0.0):
                total += side * grad_shades[camera, f]
        along = light
        if length >= tiny:
            along -= cosine * unit
        scaled = diffuse * total / wp.max(length, tiny)
        for k in range(3):
            grad_normals[f, k] = scaled * along[k]

    @wp.kernel(module="unique", enable_backward=False)
    def add_normals(
        vertices: wp.array2d(dtype=real),
        faces: wp.array2d(dtype=wp.int64),
        grad_normals: wp.array2d(dtype=real),
        first_task: int,
        task_size: int,
        grad_vertices: wp.array2d(dtype=real),  # added to
    ):
        f = first_task * task_size + wp.tid()
        if f >= faces.shape[0]:
            return
        a, b, c = int(faces[f, 0]), int(faces[f, 1]), int(faces[f, 2])
        if not exists(vertices, a, b, c):
            return
        if not (is_near(row(vertices, a)) and is_near(row(vertices, b)) and is_near(row(vertices, c))):
            return
        first, grad = row(vertices, a), row(grad_normals, f)
        of_second = wp.cross(row(vertices, c) - first, grad)
        of_third = wp.cross(grad, row(vertices, b) - first)
        for k in range(3):
            wp.atomic_add(grad_vertices, a, k, -(of_second[k] + of_third[k]))
            wp.atomic_add(grad_vertices, b, k, of_second[k])
            wp.atomic_add(grad_vertices, c, k, of_third[k])

    return types.SimpleNamespace(
        project=project,
        shade=shade,
        project_backward=project_backward,
        shade_backward=shade_backward,
        add_normals=add_normals,
    )
