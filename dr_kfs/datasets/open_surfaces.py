"""Open surfaces: one layer of triangles without a thickness, for leaves, petals, sails and flags.

A `Solid` from here has a boundary and no inside; the renderer draws both of its sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dr_kfs.datasets.outlines import Number
from dr_kfs.datasets.primitives import Solid

__all__ = ["leaf_blade", "membrane"]

Outline = Callable[[np.ndarray], np.ndarray]
"""Shares along a blade (0 at its foot, 1 at its tip) -> half widths."""


def membrane(rows: np.ndarray) -> Solid:
    """Surface through a grid of points.

    Args:
        rows: (R, C, 3). A first or last row of equal points makes a tip.
    """
    count, columns = rows.shape[:2]
    index = np.arange(count * columns).reshape(count, columns)
    # A tip is one vertex: its row's other points are left out, and with them the faces that have no area.
    if np.ptp(rows[0], axis=0).max() < 1e-9:
        index[0] = index[0, 0]
    if np.ptp(rows[-1], axis=0).max() < 1e-9:
        index[-1] = index[-1, 0]
    a, b, c, d = (
        index[i : count - 1 + i, j : columns - 1 + j].reshape(-1) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))
    )
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    used, inverse = np.unique(faces, return_inverse=True)
    return Solid(rows.reshape(-1, 3)[used], inverse.reshape(-1, 3))


def leaf_blade(
    path: np.ndarray,
    half_width: np.ndarray,
    *,
    fold: Number = 0.0,
    columns: int = 2,
) -> Solid:
    """Leaf along a path that leaves the y axis: widest across the path, folded up along its middle.

    Args:
        path: (R, 3) middle line from foot to tip.
        half_width: (R,); 0 at the last point makes a tip.
        fold: rise of the edges over the half width; negative hangs them down.
        columns: number of quads across, even.
    """
    tangent = np.gradient(path, axis=0)
    flat = path[-1] - path[0]
    side = np.cross(flat, (0.0, 1.0, 0.0)) if np.hypot(flat[0], flat[2]) > 1e-6 else np.array([1.0, 0.0, 0.0])
    side = side / np.linalg.norm(side)
    normal = np.cross(side, tangent)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    across = np.linspace(-1, 1, columns + 1)[None, :, None] * half_width[:, None, None]
    return membrane(path[:, None] + across * side + fold * np.abs(across) * normal[:, None])
