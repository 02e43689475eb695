"""The same surface in other triangles: new vertices on edges, and diagonals of flat regions turned over."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import part_stream
from dr_kfs.datasets.mesh_adjacency import edge_pairs, face_normals, unique_edges
from dr_kfs.datasets.outlines import Number
from dr_kfs.datasets.procedural import LabelledShape, Part
from dr_kfs.datasets.refinement import cut_edges

__all__ = ["retriangulated"]

FLAT = 1e-7
"""Two faces are coplanar if neither leaves the other's plane by more than this share of their common edge."""
SLIM = 0.02
"""A flip makes no face with less height over its longest side than this, unless one of the two was slimmer."""


def retriangulated(
    shape: LabelledShape, seed: int, *, insertions: Number = 0.15, flips: Number = 0.6, rounds: int = 2
) -> LabelledShape:
    """The shape with its faces divided differently; every point of its surface stays where it is.

    Per round and part, a share of the edges gets a new vertex near its middle, and a share of the edges between two
    coplanar faces is replaced by the other diagonal. Closed parts stay closed, and part names stay.

    Args:
        shape: any, also one with open or non-manifold parts: only edges between two faces are flipped.
        seed: of the random choices; each part has its own stream, so the other parts do not matter.
        insertions: share of the edges that are cut [0, 1].
        flips: share of the edges between coplanar faces that are flipped where the result is sound [0, 1].
        rounds: how often; each round multiplies the faces by about 1 + insertions.

    Raises:
        ValueError: a share outside [0, 1].
    """
    for name, share in (("insertions", insertions), ("flips", flips)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be a share in [0, 1], got {share}")
    parts = {}
    for name, part in shape.parts.items():
        stream = part_stream(seed, name)
        vertices, faces = part.vertices, part.faces
        for _ in range(rounds):
            faces = _flipped(vertices, faces, float(flips), stream)
            edges, edge_of = unique_edges(faces)
            cut = stream.random(len(edges)) < insertions
            share = stream.uniform(0.3, 0.7, size=(int(cut.sum()), 1))
            start, stop = vertices[edges[cut, 0]], vertices[edges[cut, 1]]
            vertices, faces = cut_edges(vertices, faces, edges, edge_of, cut, start + share * (stop - start))
        faces = _flipped(vertices, faces, float(flips), stream)
        parts[name] = Part(name, vertices, faces)
    return shape.edited("retriangulated", [int(seed), float(insertions), float(flips), int(rounds)], parts)


def _flipped(vertices: np.ndarray, faces: np.ndarray, share: float, stream: np.random.Generator) -> np.ndarray:
    """Faces after flips of edges that have no face in common."""
    pairs = edge_pairs(faces)
    pairs = pairs[stream.random(len(pairs)) < share]
    a, b, first, second = pairs.T
    c, d = _opposite(faces[first], a, b), _opposite(faces[second], a, b)
    sound = _sound(vertices, a, b, c, d) & (c != d)
    order = stream.permutation(np.flatnonzero(sound))
    known = {(int(low), int(high)) for low, high in unique_edges(faces)[0]}
    busy = np.zeros(len(faces), dtype=bool)
    faces = faces.copy()
    for k in order:
        f, g = first[k], second[k]
        diagonal = (int(min(c[k], d[k])), int(max(c[k], d[k])))
        if busy[f] or busy[g] or diagonal in known:
            continue
        known.add(diagonal)
        busy[f] = busy[g] = True
        faces[f], faces[g] = (a[k], d[k], c[k]), (d[k], b[k], c[k])
    return faces


def _opposite(faces: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The corner of each face that is neither a nor b."""
    return faces.sum(axis=1) - a - b


def _sound(vertices: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """True where a, d, b, c are the corners of a flat convex quadrilateral whose new halves are not too slim."""
    before = [np.column_stack(corners) for corners in ((a, b, c), (b, a, d))]
    after = [np.column_stack(corners) for corners in ((a, d, c), (d, b, c))]
    normal, _ = face_normals(vertices, before[0])
    edge = np.linalg.norm(vertices[b] - vertices[a], axis=1)
    leaves = np.abs(np.einsum("ij,ij->i", vertices[d] - vertices[a], normal))
    other, _ = face_normals(vertices, before[1])
    flat = (leaves <= FLAT * edge) & (np.einsum("ij,ij->i", normal, other) > 0)
    slimmest = np.minimum(*(_height(vertices, faces) for faces in before))
    for faces in after:
        turned, _ = face_normals(vertices, faces)
        flat &= np.einsum("ij,ij->i", turned, normal) > 0.999
        flat &= _height(vertices, faces) >= np.minimum(SLIM, slimmest)
    return flat


def _height(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Height of each face over its longest side, as a share of that side."""
    corners = vertices[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    _, area = face_normals(vertices, faces)
    return 2 * area / np.maximum(longest, 1e-300) ** 2
