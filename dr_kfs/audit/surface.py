"""Triangles as a surface: cut into small pieces, and the distance of points to the nearest of its points."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from dr_kfs.geometry import Meshes, sample_surface

__all__ = ["SurfaceIndex", "seeded_samples", "small_pieces", "triangles_of"]

FIRST_CANDIDATES = 4
"""Pieces that are looked at first."""


def triangles_of(meshes: Meshes) -> Float[np.ndarray, "F 3 3"]:
    """Corners of all faces, in float64."""
    # Detached: an audit has no gradient.
    return meshes.vertices.detach().double().cpu().numpy()[meshes.faces.cpu().numpy()]


def seeded_samples(meshes: Meshes, count: int, seed: int) -> Float[np.ndarray, "M 3"]:
    """Points drawn uniformly from the surface of one mesh, in float64."""
    return sample_surface(meshes.to(device="cpu"), count, seed=seed).points[0].detach().double().numpy()


def small_pieces(
    triangles: Float[np.ndarray, "F 3 3"], longest: float
) -> tuple[Float[np.ndarray, "K 3 3"], Int[np.ndarray, " K"]]:
    """The same surface in triangles with edges up to `longest`, by halving longest edges; their faces' rows.

    Pieces of different faces do not share corners: a surface to measure with, not one to render.
    """
    source = np.arange(len(triangles))
    done, done_source = [], []
    while len(triangles):
        lengths = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
        edge = lengths.argmax(axis=1)
        small = lengths.max(axis=1, initial=0.0) <= longest
        done.append(triangles[small])
        done_source.append(source[small])
        triangles, source, edge = triangles[~small], source[~small], edge[~small]
        rows = np.arange(len(triangles))
        a, b, c = (triangles[rows, (edge + step) % 3] for step in range(3))
        middle = (a + b) / 2
        triangles = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
        source = np.concatenate([source, source])
    return np.concatenate(done), np.concatenate(done_source)


class SurfaceIndex:
    """Answers how far points are from a surface.

    A tree finds the pieces with the nearest centres, 4 at first, and the distances to their faces. As long as another
    piece could hold a nearer point, three times as many are looked at.

    Args:
        triangles: (F, 3, 3) corners.
        spacing: longest edge of a piece [world units].
        limit: look at no more pieces. An answer is then never too small, and rarely too large: with 12 by 1e-6 to
            2e-5 diagonals on average, beside clean, rough and voxelised shapes of five families with pieces of
            0.02 diagonals, in a third of the time. None is exact.
    """

    def __init__(self, triangles: Float[np.ndarray, "F 3 3"], spacing: float, *, limit: int | None = None) -> None:
        from scipy.spatial import KDTree

        self.triangles = triangles
        pieces, self._faces = small_pieces(triangles, spacing)
        centres = pieces.mean(axis=1)
        self._radius = float(np.linalg.norm(pieces - centres[:, None], axis=2).max())
        self._tree = KDTree(centres)
        self._limit = len(pieces) if limit is None else min(limit, len(pieces))

    def distances(self, points: Float[np.ndarray, "M 3"]) -> Float[np.ndarray, " M"]:
        """Distance of each point to the surface [world units]."""
        squared = np.full(len(points), np.inf)
        unsure, seen, count = np.arange(len(points)), 0, min(FIRST_CANDIDATES, self._limit)
        while len(unsure) and seen < count:
            reach, nearest = (np.reshape(a, (len(unsure), count)) for a in self._tree.query(points[unsure], k=count))
            faces = self.triangles[self._faces[nearest[:, seen:]].reshape(-1)]
            found = _squared_distances(np.repeat(points[unsure], count - seen, axis=0), faces)
            squared[unsure] = np.minimum(squared[unsure], found.reshape(len(unsure), -1).min(axis=1))
            # A piece that was not looked at is no nearer than this.
            unsure = unsure[reach[:, -1] - self._radius < np.sqrt(squared[unsure])]
            seen, count = count, min(3 * count, self._limit)
        return np.sqrt(squared)


def _squared_distances(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Of K points to K triangles: to the plane where the foot of the perpendicular is inside, else to an edge."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    edges = np.minimum(_to_segment(points, a, b), _to_segment(points, b, c))
    edges = np.minimum(edges, _to_segment(points, c, a))
    normal = np.cross(b - a, c - a)
    size = np.einsum("ij,ij->i", normal, normal)
    inside = size > 0
    for start, stop in ((a, b), (b, c), (c, a)):
        inside &= np.einsum("ij,ij->i", np.cross(stop - start, points - start), normal) >= 0
    height = np.einsum("ij,ij->i", points - a, normal)
    return np.where(inside, height**2 / np.where(size > 0, size, 1.0), edges)


def _to_segment(points: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    along = stop - start
    length = np.einsum("ij,ij->i", along, along)
    share = np.einsum("ij,ij->i", points - start, along) / np.where(length > 0, length, 1.0)
    foot = start + np.clip(share, 0.0, 1.0)[:, None] * along
    return np.einsum("ij,ij->i", points - foot, points - foot)
