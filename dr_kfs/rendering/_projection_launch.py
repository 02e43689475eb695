"""From tensors to the launches of the kernels that project vertices and shade faces."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dr_kfs._kernel_launch import in_lanes, kernels_like, launch_tasks
from dr_kfs._warp_runtime import quiet_warp

_TASK_SIZE = 4096
"""Vertices or faces of a task."""
_ROW_OF_WARP, _ROW_IN_LANES = 2e-8, 4e-9
"""About what a vertex or a face takes in one view on a CPU [s]: by the kernels in Warp, by those in C++."""


def forward(
    vertices: Tensor,
    faces: Tensor,
    cameras: tuple[Tensor, Tensor, Tensor],
    lens: list[float],
    light: list[float],
    brightness: list[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Corners, the faces' indices into them, and the faces' shades; the cameras are rotations, translations, eyes."""
    if vertices.device.type == "cpu" and len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise IndexError(f"A face has a vertex that is not there: there are {len(vertices)}.")
    vertices, faces = vertices.contiguous(), faces.contiguous()
    rotation, translation, eye = (tensor.contiguous() for tensor in cameras)
    corners = vertices.new_empty(len(rotation), len(vertices) + 1, 3)
    index = torch.empty_like(faces)
    shade = vertices.new_empty(len(rotation), len(faces), 1)
    scene, written = [vertices, rotation, translation], [*lens, corners]
    views, rows = len(rotation), corners.shape[1]
    if in_lanes(vertices):
        _launch_rows("project", scene, written, rows, views)
    elif views:
        kernel, device = _kernels_in_warp(vertices).project, vertices.device
        launch_tasks(kernel, scene, written, views, device=device, threads=rows, seconds=_ROW_OF_WARP)
    written = [*light, *brightness, index, shade.squeeze(2)]
    _launch_rows("shade", [vertices, faces, eye], written, len(faces), views)
    return corners, index, shade


def backward(
    vertices: Tensor,
    faces: Tensor,
    cameras: tuple[Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None],
    lens: list[float],
    light: list[float],
    brightness: list[float],
) -> Tensor:
    """The gradient of the vertices, from those of corners and shade."""
    vertices, faces = vertices.contiguous(), faces.contiguous()
    rotation, translation, eye = (tensor.contiguous() for tensor in cameras)
    of_corners, of_shade = gradients
    total = torch.zeros_like(vertices)
    views = len(rotation)
    if of_corners is not None:
        scene, rest = [vertices, rotation, translation], [*lens, of_corners.contiguous(), total]
        _launch_rows("project_backward", scene, rest, len(vertices), views)
    if of_shade is not None and len(faces):
        of_normals = vertices.new_empty(len(faces), 3)
        rest = [*light, brightness[1], of_shade.squeeze(2).contiguous(), of_normals]
        _launch_rows("shade_backward", [vertices, faces, eye], rest, len(faces), views)
        # Faces share vertices: on a CPU one thread adds them, in their order.
        kernel, device = _kernels_in_warp(vertices).add_normals, vertices.device
        rest = [len(faces), total]
        launch_tasks(kernel, [vertices, faces, of_normals], rest, 1, device=device, threads=len(faces))
    return total


def _launch_rows(name: str, scene: list[Tensor], rest: list[Any], rows: int, views: int) -> None:
    """Run a kernel over rows, each of which goes through the views: all at once on CUDA.

    The kernels in C++ have a thread for each task, those in Warp one for each row.
    """
    device, lanes = scene[0].device, in_lanes(scene[0])
    size = rows if device.type == "cuda" else min(_TASK_SIZE, rows)
    if rows:
        tasks, threads = math.ceil(rows / size), 1 if lanes else size
        seconds = views * (size * _ROW_IN_LANES if lanes else _ROW_OF_WARP)
        kernel = getattr(_kernels_in_lanes() if lanes else _kernels_in_warp(scene[0]), name)
        launch_tasks(kernel, scene, [size, *rest], tasks, device=device, threads=threads, seconds=seconds)


def _kernels_in_lanes() -> Any:
    with quiet_warp():
        from dr_kfs.rendering._projection_cpu_warp import projection_cpu_kernels

        return projection_cpu_kernels()


def _kernels_in_warp(vertices: Tensor) -> Any:
    from dr_kfs.rendering._projection_warp import projection_kernels

    return kernels_like(projection_kernels, vertices)
