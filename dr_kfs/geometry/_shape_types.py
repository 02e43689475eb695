"""Recognises and takes apart the shapes of other libraries, without importing these libraries."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

VISIBLE = 1e-4
"""A fiftieth of a pixel of a 256x256 view [bounding-box diagonals]."""


def is_plain_sequence(value: Any) -> bool:
    """A list or tuple of things, as opposed to text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_pytorch3d(value: Any) -> bool:
    """A `pytorch3d.structures.Meshes`, or anything with its two list methods."""
    return hasattr(value, "verts_list") and hasattr(value, "faces_list")


def is_trimesh(value: Any) -> bool:
    """A `trimesh.Trimesh` or `trimesh.Scene`."""
    # Nothing can be a trimesh object before somebody has imported trimesh: no need to import it here.
    trimesh = sys.modules.get("trimesh")
    return trimesh is not None and isinstance(value, (trimesh.Trimesh, trimesh.Scene))


def trimesh_arrays(value: Any, item: int, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (F, 3) of a trimesh object, a scene's meshes put in their places.

    Raises:
        TypeError: neither a Trimesh nor a Scene.
        ValueError: a scene without a triangle mesh, or a finite coordinate beyond the range of `dtype`.
    """
    if not is_trimesh(value):
        raise TypeError(f"item {item}: expected a trimesh.Trimesh or trimesh.Scene, got {type(value).__name__}.")
    is_scene = hasattr(value, "geometry")
    vertices, faces = _placed(value, item) if is_scene else (np.asarray(value.vertices), np.asarray(value.faces))
    check_range(vertices, dtype, item)
    return vertices, faces


def check_range(vertices: np.ndarray, dtype: torch.dtype, item: int) -> None:
    """Checks what becomes of finite coordinates in `dtype`.

    Raises ValueError where one would become infinite, and warns where the shape is so small and so far from the origin
    that float32 moves its vertices visibly. Half precision is asked for, and coarse for every shape.
    """
    limit, finite = torch.finfo(dtype).max, vertices[np.isfinite(vertices).all(axis=-1)]
    largest = np.abs(finite).max(initial=0.0)
    if largest > limit:
        raise ValueError(
            f"item {item}: expected coordinates within +-{limit:.3g}, the range of the dtype asked for, got "
            f"{largest:.3g}."
        )
    diagonal = float(np.linalg.norm(np.ptp(finite, axis=0))) if len(finite) else 0.0
    rounding = largest * torch.finfo(dtype).eps / 2
    if dtype == torch.float32 and rounding > VISIBLE * diagonal > 0.0:
        warnings.warn(
            f"item {item}: float32 moves its vertices by up to {rounding / diagonal:.2%} of its diagonal, "
            f"{diagonal:.3g}, because coordinates go up to {largest:.3g}. Subtract one offset from all shapes first.",
            stacklevel=4,
        )


def _placed(scene: Any, item: int) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces, start = [], [], 0
    for node in scene.graph.nodes_geometry:
        transform, name = scene.graph[node]
        mesh = scene.geometry[name]
        if not is_trimesh(mesh) or len(mesh.faces) == 0:
            continue
        linear = transform[:3, :3]
        vertices.append(np.asarray(mesh.vertices) @ linear.T + transform[:3, 3])
        local = np.asarray(mesh.faces)
        # A mirror turns a mesh inside out; the other winding turns it back.
        faces.append(start + (local[:, ::-1] if np.linalg.det(linear) < 0.0 else local))
        start += len(mesh.vertices)
    if not faces:
        held = sorted({type(geometry).__name__ for geometry in scene.geometry.values()})
        raise ValueError(
            f"item {item}: expected a scene with a triangle mesh, got one of {', '.join(held) or 'nothing'}."
        )
    return np.concatenate(vertices), np.concatenate(faces)
