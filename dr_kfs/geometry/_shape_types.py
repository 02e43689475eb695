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


def trimesh_arrays(value: Any, item: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) and faces (F, 3) of a trimesh object, a scene's meshes put in their places.

    Raises:
        TypeError: neither a Trimesh nor a Scene.
        ValueError: a scene without a triangle mesh.
    """
    if not is_trimesh(value):
        raise TypeError(
            f"item {item}: expected a trimesh.Trimesh or trimesh.Scene, got {type(value).__name__}."
        )
    if not hasattr(value, "geometry"):
        return np.asarray(value.vertices), np.asarray(value.faces)
    vertices, faces, start = [], [], 0
    for node in value.graph.nodes_geometry:
        transform, name = value.graph[node]
        mesh = value.geometry[name]
        if not is_trimesh(mesh) or len(mesh.faces) == 0:
            continue
        linear = transform[:3, :3]
        vertices.append(np.asarray(mesh.vertices) @ linear.T + transform[:3, 3])
        local = np.asarray(mesh.faces)
        # A mirror turns a mesh inside out; the other winding turns it back.
        faces.append(start + (local[:, ::-1] if np.linalg.det(linear) < 0.0 else local))
        start += len(mesh.vertices)
    if not faces:
        held = sorted({type(geometry).__name__ for geometry in value.geometry.values()})
        raise ValueError(
            f"item {item}: expected a scene with a triangle mesh, got one of {', '.join(held) or 'nothing'}."
        )
    return np.concatenate(vertices), np.concatenate(faces)
