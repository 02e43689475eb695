"""Fewer triangles: edge collapses in the order of their quadric error."""

from __future__ import annotations

import heapq
import math

import numpy as np
from jaxtyping import Float, Int

__all__ = ["decimate"]

BOUNDARY_WEIGHT = 100.0
"""Of the planes through open edges, against those of the faces."""

Quadric = tuple[float, ...]
"""Upper triangle of the symmetric 4x4 matrix, row by row: xx xy xz xw yy yz yw zz zw ww."""
Vector = tuple[float, float, float]


def decimate(
    vertices: Float[np.ndarray, "N 3"], faces: Int[np.ndarray, "F 3"], keep: int
) -> tuple[Float[np.ndarray, "N 3"], Int[np.ndarray, "K 3"]]:
    """Collapse edges until `keep` faces are left, or until none can be collapsed without damage.

    An edge's error is the sum of squared distances, weighted by area, of its new point to the planes of the faces
    that meet in it; the new point is the best of the two ends, the middle and the minimum. A collapse that would
    turn a face over, or join surface that was apart, is left out.

    Args:
        vertices: one mesh; vertices that no face uses may be left over.
        faces: corners, rows of `vertices`.
        keep: number of faces to keep.

    References:
        Garland, Heckbert, "Surface Simplification Using Quadric Error Metrics", SIGGRAPH 1997.
    """
    collapse = _Collapse(vertices, faces)
    collapse.run(keep)
    left = np.array([face for face in collapse.faces if face is not None], dtype=np.int64).reshape(-1, 3)
    return np.array(collapse.points), left


class _Collapse:
    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.points: list[Vector] = [(float(x), float(y), float(z)) for x, y, z in vertices]
        self.faces: list[tuple[int, int, int] | None] = [(int(a), int(b), int(c)) for a, b, c in faces]
        self.around: list[set[int]] = [set() for _ in self.points]
        for row, corners in enumerate(faces):
            for corner in corners:
                self.around[int(corner)].add(row)
        self.quadrics = _vertex_quadrics(vertices, faces)
        self.stamp = [0] * len(self.points)
        self.heap: list[tuple[float, int, int, int, int, Vector]] = []
        edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
        for a, b in edges.tolist():
            self._push(a, b)

    def run(self, keep: int) -> None:
        count = sum(face is not None for face in self.faces)
        while count > keep and self.heap:
            _, a, b, stamp_a, stamp_b, point = heapq.heappop(self.heap)
            if (self.stamp[a], self.stamp[b]) != (stamp_a, stamp_b):
                continue
            shared = self.around[a] & self.around[b]
            if self._allowed(a, b, shared, point):
                self._join(a, b, shared, point)
                count -= len(shared)

    def _push(self, a: int, b: int) -> None:
        if a == b:
            return
        quadric = tuple(p + q for p, q in zip(self.quadrics[a], self.quadrics[b], strict=True))
        first, second = self.points[a], self.points[b]
        middle = tuple((p + q) / 2 for p, q in zip(first, second, strict=True))
        length = math.dist(first, second)
        choices = [first, second, middle]
        best = _minimum(quadric)
        if best is not None and math.dist(best, middle) <= length:  # farther away the system is nearly singular
            choices.append(best)
        error, point = min((_error(quadric, choice), choice) for choice in choices)
        # Among equals, as on a plane, the short edge first.
        cost = max(error, 0.0) + 1e-9 * length**4
        heapq.heappush(self.heap, (cost, a, b, self.stamp[a], self.stamp[b], point))

    def _allowed(self, a: int, b: int, shared: set[int], point: Vector) -> bool:
        if not 1 <= len(shared) <= 2 or len(self._ring(a) & self._ring(b)) != len(shared):
            return False
        for vertex, rows in ((a, self.around[a] - shared), (b, self.around[b] - shared)):
            for row in rows:
                corners = self.faces[row]
                assert corners is not None
                before = [self.points[corner] for corner in corners]
                after = [point if corner == vertex else self.points[corner] for corner in corners]
                old, new = _normal(before), _normal(after)
                if sum(p * q for p, q in zip(old, new, strict=True)) <= 0.2 * math.hypot(*old) * math.hypot(*new):
                    return False
        return True

    def _join(self, a: int, b: int, shared: set[int], point: Vector) -> None:
        for row in shared:
            corners = self.faces[row]
            assert corners is not None
            for corner in corners:
                self.around[corner].discard(row)
            self.faces[row] = None
        for row in self.around[b]:
            corners = self.faces[row]
            assert corners is not None
            x, y, z = (a if corner == b else corner for corner in corners)
            self.faces[row] = (x, y, z)
        self.around[a] |= self.around[b]
        self.around[b] = set()
        self.points[a] = point
        self.quadrics[a] = tuple(p + q for p, q in zip(self.quadrics[a], self.quadrics[b], strict=True))
        self.stamp[a] += 1
        self.stamp[b] += 1
        for neighbour in self._ring(a):
            self._push(min(a, neighbour), max(a, neighbour))

    def _ring(self, vertex: int) -> set[int]:
        found = {corner for row in self.around[vertex] for corner in self.faces[row] or ()}
        found.discard(vertex)
        return found


def _vertex_quadrics(vertices: np.ndarray, faces: np.ndarray) -> list[Quadric]:
    """Sum over the faces at each vertex of area * plane plane^T; open edges add upright planes."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    doubled = np.linalg.norm(normals, axis=1)
    normals = normals / np.where(doubled > 0, doubled, 1.0)[:, None]
    total = np.zeros((len(vertices), 4, 4))
    planes = _planes(normals, a)
    for corner in range(3):
        np.add.at(total, faces[:, corner], 0.5 * doubled[:, None, None] * planes)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, first, counts = np.unique(edges, axis=0, return_index=True, return_counts=True)
    open_ = counts == 1
    ends, face = unique[open_], first[open_] // 3
    along = vertices[ends[:, 1]] - vertices[ends[:, 0]]
    upright = np.cross(along, normals[face])
    size = np.linalg.norm(upright, axis=1)
    walls = _planes(upright / np.where(size > 0, size, 1.0)[:, None], vertices[ends[:, 0]])
    for end in range(2):
        np.add.at(total, ends[:, end], BOUNDARY_WEIGHT * (size**2)[:, None, None] * walls)
    rows, columns = np.triu_indices(4)
    return [tuple(values) for values in total[:, rows, columns].tolist()]


def _planes(normals: np.ndarray, points: np.ndarray) -> np.ndarray:
    plane = np.concatenate([normals, -np.einsum("ij,ij->i", normals, points)[:, None]], axis=1)
    return plane[:, :, None] * plane[:, None, :]


def _error(quadric: Quadric, point: Vector) -> float:
    xx, xy, xz, xw, yy, yz, yw, zz, zw, ww = quadric
    x, y, z = point
    return x * (xx * x + 2 * (xy * y + xz * z + xw)) + y * (yy * y + 2 * (yz * z + yw)) + z * (zz * z + 2 * zw) + ww


def _minimum(quadric: Quadric) -> Vector | None:
    """Cramer's rule; None where the planes leave a line or a plane of minima."""
    xx, xy, xz, xw, yy, yz, yw, zz, zw, _ = quadric
    p, q, r = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    determinant = xx * p + xy * q + xz * r
    if abs(determinant) <= 1e-6 * (xx + yy + zz) ** 3:
        return None
    s, t, u = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    return (
        -(p * xw + q * yw + r * zw) / determinant,
        -(q * xw + s * yw + t * zw) / determinant,
        -(r * xw + t * yw + u * zw) / determinant,
    )


def _normal(corners: list[Vector]) -> Vector:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    return (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
