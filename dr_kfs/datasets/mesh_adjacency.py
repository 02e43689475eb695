"""Which faces of a triangle mesh meet at which edges."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.outlines import Number

__all__ = ["EdgePairs", "connected_pieces", "edge_pairs", "face_normals", "smooth_regions", "unique_edges"]

EdgePairs = np.ndarray
"""(E, 4): an edge's two vertices a, b, the face that runs a -> b, and the face that runs b -> a."""


def unique_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(E, 2) undirected edges, and (m, 3): which of them are the edges 01, 12, 20 of each face."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    return unique, inverse.reshape(-1, 3)


def edge_pairs(faces: np.ndarray) -> EdgePairs:
    """The edges where exactly two faces meet that are wound alike: all of a closed mesh, none of a triangle soup."""
    directed = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    owner = np.repeat(np.arange(len(faces)), 3)
    forward = directed[:, 0] < directed[:, 1]
    key = np.sort(directed, axis=1) @ np.array([int(faces.max(initial=0)) + 1, 1])
    order = np.argsort(key, kind="stable")
    key, forward, owner = key[order], forward[order], owner[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, dtype=np.int64)
    length = np.diff(np.concatenate([start, [len(key)]]))
    start = start[length == 2]
    start = start[forward[start] != forward[start + 1]]
    first = np.where(forward[start], start, start + 1)
    second = np.where(forward[start], start + 1, start)
    ends = np.sort(directed[order][start], axis=1)
    return np.column_stack([ends, owner[first], owner[second]])


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, 3) unit normals (0 for a face without area) and (m,) areas."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    return normals / np.maximum(length, 1e-300)[:, None], length / 2


def connected_pieces(faces: np.ndarray) -> np.ndarray:
    """(m,) number of the piece that each face belongs to: pieces share no vertex."""
    used, index = np.unique(faces, return_inverse=True)
    index = index.reshape(-1, 3)
    links = np.concatenate([index[:, :2], index[:, 1:]])
    return _components(len(used), links)[index[:, 0]]


def smooth_regions(vertices: np.ndarray, faces: np.ndarray, degrees: Number) -> np.ndarray:
    """(m,) number of the region of each face: regions end where neighbours turn by more than `degrees`."""
    normals, _ = face_normals(vertices, faces)
    _, _, first, second = edge_pairs(faces).T
    alike = np.einsum("ij,ij->i", normals[first], normals[second]) > np.cos(np.radians(degrees))
    return _components(len(faces), np.column_stack([first, second])[alike])


def _components(count: int, links: np.ndarray) -> np.ndarray:
    """(count,) number of each node's connected component."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(links), dtype=np.int8)
    return connected_components(coo_matrix((ones, (links[:, 0], links[:, 1])), shape=(count, count)), directed=False)[1]
