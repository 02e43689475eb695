"""Smaller triangles on the same surface, so that a coarse part can be bent."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.mesh_adjacency import unique_edges
from dr_kfs.datasets.outlines import Number
from dr_kfs.datasets.primitives import Solid

__all__ = ["cut_edges", "refine"]


def refine(solid: Solid, longest: Number, *, rounds: int = 8) -> Solid:
    """The same surface in smaller triangles: edges longer than `longest` are halved until none is left.

    Both faces of an edge are cut at the same new vertex, so a closed solid stays closed.
    """
    vertices, faces = solid.vertices, solid.faces
    for _ in range(rounds):
        edges, edge_of = unique_edges(faces)
        lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        cut = lengths > longest
        if not cut.any():
            break
        vertices, faces = cut_edges(vertices, faces, edges, edge_of, cut, vertices[edges[cut]].mean(axis=1))
    return Solid(vertices, faces)


def cut_edges(
    vertices: np.ndarray,
    faces: np.ndarray,
    edges: np.ndarray,
    edge_of: np.ndarray,
    cut: np.ndarray,
    points: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """New vertices and faces, with every edge where `cut` (E,) is true divided at its row of `points`.

    Args:
        vertices: (n, 3).
        faces: (m, 3).
        edges: (E, 2) of `unique_edges`, with `edge_of` (m, 3).
        edge_of: see `edges`.
        cut: (E,) bool, k of them true.
        points: (k, 3) on these edges.
    """
    middle = np.full(len(edges), -1)
    middle[cut] = len(vertices) + np.arange(cut.sum())
    return np.concatenate([vertices, points]), _split(faces, middle[edge_of])


def _split(faces: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """Triangles cut at their edges' new vertices; `middles` (m, 3) holds that of edges 01, 12, 20, or -1."""
    pieces = [faces[(middles < 0).all(axis=1)]]
    for turn in range(3):
        order, m = np.roll(faces, -turn, axis=1), np.roll(middles, -turn, axis=1)
        a, b, c = order.T
        only = (m[:, 0] >= 0) & (m[:, 1] < 0) & (m[:, 2] < 0)
        pieces += [np.stack([a, m[:, 0], c], 1)[only], np.stack([m[:, 0], b, c], 1)[only]]
        two = (m[:, 0] >= 0) & (m[:, 1] >= 0) & (m[:, 2] < 0)
        pieces += [
            np.stack([m[:, 0], b, m[:, 1]], 1)[two],
            np.stack([a, m[:, 0], m[:, 1]], 1)[two],
            np.stack([a, m[:, 1], c], 1)[two],
        ]
    a, b, c = faces.T
    ab, bc, ca = middles.T
    whole = (middles >= 0).all(axis=1)
    for corner in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)):
        pieces.append(np.stack(corner, 1)[whole])
    return np.concatenate(pieces)
