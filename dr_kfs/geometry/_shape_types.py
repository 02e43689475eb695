"""Recognises and takes apart the shapes of other libraries, without importing these libraries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np


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


def trimesh_arrays(value: Any, item: int, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (F, 3) of a trimesh object, a scene's meshes put in their places.

    Raises:
        TypeError: neither a Trimesh nor a Scene.
        ValueError: a scene without a triangle mesh, or a finite coordinate beyond `limit`.
    """
    if not is_trimesh(value):
        raise TypeError(f"item {item}: expected a trimesh.Trimesh or trimesh.Scene, got {type(value).__name__}.")
    is_scene = hasattr(value, "geometry")
    vertices, faces = _placed(value, item) if is_scene else (np.asarray(value.vertices), np.asarray(value.faces))
    check_range(vertices, limit, item)
    return vertices, faces


def check_range(vertices: np.ndarray, limit: float, item: int) -> None:
    """Raises ValueError on a finite coordinate beyond `limit`, which a narrower dtype would make infinite."""
    beyond = np.abs(vertices[np.isfinite(vertices)])
    if beyond.max(initial=0.0) > limit:
        raise ValueError(
            f"item {item}: expected coordinates within +-{limit:.3g}, the range of the dtype asked for, got "
            f"{beyond.max():.3g}."
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
