"""Faces that nobody can see because they lie inside another closed piece of the shape."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.mesh_adjacency import connected_pieces, edge_pairs, face_normals
from dr_kfs.datasets.procedural import LabelledShape

__all__ = ["hidden_faces", "winding_numbers"]

STEP = 0.03
"""Distance of the points at which a face is tested [shape diagonals]; large faces have more of them, up to 45."""
LIFT = 2e-4
"""The points stand this far in front of the face [shape diagonals], so that faces in contact hide each other."""

_TURN = np.linalg.qr(np.array([[0.83, 0.31, 0.47], [-0.29, 0.91, 0.11], [0.37, -0.23, 0.89]]))[0]
"""A rotation in no special position, so that no ray runs along an edge."""


def hidden_faces(shape: LabelledShape) -> dict[str, np.ndarray]:
    """For each part, (m,) bool: the faces that lie wholly inside, or against, one closed piece of the shape."""
    vertices, faces, labels = shape.to_mesh()
    diagonal = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    normals, _ = face_normals(vertices, faces)
    corners = vertices[faces] + LIFT * diagonal * normals[:, None]
    low, high = corners.min(axis=1), corners.max(axis=1)
    pieces = connected_pieces(faces)
    hidden = np.zeros(len(faces), dtype=bool)
    for piece in range(pieces.max() + 1):
        own = faces[pieces == piece]
        if 2 * len(edge_pairs(own)) != 3 * len(own):
            continue  # an open piece has no inside
        box_low, box_high = vertices[own].reshape(-1, 3).min(axis=0), vertices[own].reshape(-1, 3).max(axis=0)
        around = (low >= box_low).all(axis=1) & (high <= box_high).all(axis=1) & (pieces != piece) & ~hidden
        candidates = np.flatnonzero(around)
        # Most candidates are outside with their first corner, so that one is tested alone.
        inside = winding_numbers(corners[candidates, 0] * 0.96 + corners[candidates].mean(axis=1) * 0.04, vertices[own])
        candidates = candidates[inside > 0.5]
        if len(candidates):
            hidden[candidates] = _all_inside(corners[candidates], vertices[own], STEP * diagonal)
    return {name: hidden[labels == index] for index, name in enumerate(shape.parts)}


def _all_inside(corners: np.ndarray, triangles: np.ndarray, step: float) -> np.ndarray:
    """(m,) bool: every test point of the faces (m, 3, 3) is inside the closed mesh of `triangles`."""
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    order = np.clip(np.ceil(longest / step), 2, 8).astype(int)
    result = np.zeros(len(corners), dtype=bool)
    for n in np.unique(order):
        i, j = (grid.reshape(-1) for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
        weights = np.column_stack([i, j, n - i - j])[i + j <= n] / n
        weights = 0.96 * weights + 0.04 / 3  # drawn in from the rim, which may touch the surface
        rows = np.flatnonzero(order == n)
        points = np.einsum("pk,mkd->mpd", weights, corners[rows])
        inside = winding_numbers(points.reshape(-1, 3), triangles) > 0.5
        result[rows] = inside.reshape(len(rows), -1).all(axis=1)
    return result


def winding_numbers(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """How often a closed mesh winds around each point: 1 inside an outward mesh, 0 outside.

    Along a ray from the point, each face that looks the ray's way counts 1, each other one -1.

    Args:
        points: (n, 3), none of them on the surface.
        triangles: (m, 3, 3) corners of a closed mesh.

    Returns:
        (n,) whole numbers.
    """
    points, triangles = points @ _TURN.T, triangles @ _TURN.T  # the rays run along the third axis
    order = np.argsort(points[:, 0])
    sorted_ = points[order]
    first = np.searchsorted(sorted_[:, 0], triangles[:, :, 0].min(axis=1))
    count = np.searchsorted(sorted_[:, 0], triangles[:, :, 0].max(axis=1), side="right") - first
    # Pairs of a face and a point with the same first coordinate; then of those the ones that meet.
    face = np.repeat(np.arange(len(triangles)), count)
    point = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count) + first[face]
    low, high = triangles[:, :, 1].min(axis=1), triangles[:, :, 1].max(axis=1)
    meets = (sorted_[point, 1] >= low[face]) & (sorted_[point, 1] <= high[face])
    meets &= sorted_[point, 2] <= triangles[:, :, 2].max(axis=1)[face]
    face, point = face[meets], point[meets]
    corners, place = triangles[face], sorted_[point]
    edges = np.roll(corners, -1, axis=1) - corners
    from_corner = place[:, None, :2] - corners[:, :, :2]
    sides = edges[:, :, 0] * from_corner[:, :, 1] - edges[:, :, 1] * from_corner[:, :, 0]
    area = sides.sum(axis=1)
    covers = (sides * np.sign(area)[:, None] > 0).all(axis=1)
    # A corner's weight is the side opposite to it.
    height = np.einsum("pk,pk->p", np.roll(sides, -1, axis=1), corners[:, :, 2]) / np.where(area == 0, 1.0, area)
    crosses = covers & (height > place[:, 2])
    result = np.empty(len(points))
    result[order] = np.bincount(point[crosses], weights=np.sign(area[crosses]), minlength=len(points))
    return result
