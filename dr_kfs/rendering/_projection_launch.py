"""From tensors to the launches of the kernels that project vertices and shade faces."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from dr_kfs._kernel_launch import kernels_like, launch_tasks

_TASK_SIZE = 4096
"""Vertices or faces of a task."""
_VERTEX = 2e-8
"""About what a vertex or a face takes in one view on a CPU [s]."""


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
    kernels = _kernels(vertices)
    scene = [vertices, rotation, translation]
    device, views = vertices.device, len(rotation)
    if views:
        threads = corners.shape[1]
        rest = [*lens, corners]
        launch_tasks(kernels.project, scene, rest, views, device=device, threads=threads, seconds=_VERTEX)
    written = [*light, *brightness, index, shade.squeeze(2)]
    _launch_rows(kernels.shade, [vertices, faces, eye], written, len(faces), views)
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
    kernels, views = _kernels(vertices), len(rotation)
    if of_corners is not None:
        scene, rest = [vertices, rotation, translation], [*lens, of_corners.contiguous(), total]
        _launch_rows(kernels.project_backward, scene, rest, len(vertices), views)
    if of_shade is not None:
        of_normals = vertices.new_empty(len(faces), 3)
        rest = [*light, brightness[1], of_shade.squeeze(2).contiguous(), of_normals]
        _launch_rows(kernels.shade_backward, [vertices, faces, eye], rest, len(faces), views)
        # Faces share vertices: on a CPU one thread adds them, in their order.
        scene = [vertices, faces, of_normals]
        _launch_rows(kernels.add_normals, scene, [total], len(faces), 1, task_size=max(1, len(faces)))
    return total


def _launch_rows(
    kernel: Any, scene: list[Tensor], rest: list[Any], rows: int, views: int, task_size: int = _TASK_SIZE
) -> None:
    """Run a kernel with a thread for each row, which goes through the views: all at once on CUDA."""
    device = scene[0].device
    size = rows if device.type == "cuda" else min(task_size, rows)
    if rows:
        tasks, seconds = math.ceil(rows / size), _VERTEX * views
        launch_tasks(kernel, scene, [size, *rest], tasks, device=device, threads=size, seconds=seconds)


def _kernels(vertices: Tensor) -> Any:
    from dr_kfs.rendering._projection_warp import projection_kernels

    return kernels_like(projection_kernels, vertices)
