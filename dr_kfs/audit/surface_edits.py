"""Edits of the whole surface: holes, noise, smoothing, fewer triangles, others, voxels, a wrong place."""

from __future__ import annotations

import numpy as np

from dr_kfs import datasets
from dr_kfs.audit.decimation import decimate
from dr_kfs.audit.part_edits import PIXEL
from dr_kfs.audit.targets import bounds, diagonal, random_stream
from dr_kfs.audit.voxels import lattice_of, solid_voxels, voxel_surface
from dr_kfs.datasets import LabelledShape
from dr_kfs.geometry import Meshes

__all__ = [
    "decimated",
    "flipped",
    "holed",
    "noisy",
    "retriangulated",
    "rotated",
    "smoothed",
    "translated",
    "voxelized",
]

FINE = 0.03
"""Longest edge before a surface is roughened, smoothed or pierced [diagonals]."""


def holed(shape: LabelledShape, share: float) -> Meshes:
    """A hole in the part with the largest area: a connected patch of that share of it, around a random face.

    The patch grows by distance along the surface: a larger hole contains the smaller ones.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    fine = shape.refined(longest=FINE * diagonal(shape))
    areas = {name: _face_areas(part.vertices[part.faces]) for name, part in fine.parts.items()}
    name = max(areas, key=lambda part: areas[part].sum())
    vertices, faces, area = fine.parts[name].vertices, fine.parts[name].faces, areas[name]
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    order = np.lexsort(edges.T)
    same = (edges[order[1:]] == edges[order[:-1]]).all(axis=1)
    one, other = order[:-1][same] // 3, order[1:][same] // 3
    centres = vertices[faces].mean(axis=1)
    steps = np.linalg.norm(centres[one] - centres[other], axis=1) + 1e-12
    graph = coo_matrix((steps, (one, other)), shape=(len(faces), len(faces)))
    start = int(random_stream(shape, "hole").choice(len(faces), p=area / area.sum()))
    distance = dijkstra(graph.tocsr(), directed=False, indices=start)
    by_distance = np.argsort(distance, kind="stable")
    gone = by_distance[np.cumsum(area[by_distance]) <= share * area.sum()]
    gone = gone[np.isfinite(distance[gone])]
    vertices, all_faces, labels = fine.to_mesh()
    rows = np.flatnonzero(labels == list(fine.parts).index(name))[gone]
    return _meshes(vertices, np.delete(all_faces, rows, axis=0))


def noisy(shape: LabelledShape, deviation: float) -> Meshes:
    """Every vertex of a finer mesh moved at random: independent Gaussian x, y, z of that deviation [diagonals]."""
    fine = shape.refined(longest=FINE * diagonal(shape))
    vertices, faces, _ = fine.to_mesh()
    steps = random_stream(shape, "noise").standard_normal(vertices.shape)
    return _meshes(vertices + deviation * diagonal(shape) * steps, faces)


def smoothed(shape: LabelledShape, rounds: float) -> Meshes:
    """Laplacian smoothing of a finer mesh: in each round every vertex moves half way to its neighbours' mean."""
    from scipy.sparse import coo_matrix, diags

    vertices, faces, _ = shape.refined(longest=FINE * diagonal(shape)).to_mesh()
    pairs = faces[:, [[0, 1], [1, 2], [2, 0], [1, 0], [2, 1], [0, 2]]].reshape(-1, 2)
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(vertices), len(vertices))).tocsr()
    links.data[:] = 1.0  # an edge of two faces came twice
    neighbours = np.maximum(np.asarray(links.sum(axis=1)).reshape(-1), 1.0)
    mean = diags(1.0 / neighbours) @ links
    for _ in range(round(rounds)):
        vertices = 0.5 * vertices + 0.5 * (mean @ vertices)
    return _meshes(vertices, faces)


def decimated(shape: LabelledShape, share: float) -> Meshes:
    """That share of the faces collapsed away, the flattest first (`decimate`); fewer where nothing more can go."""
    vertices, faces, _ = shape.to_mesh()
    vertices, faces = decimate(vertices, faces, round((1 - share) * len(faces)))
    return _meshes(vertices, faces)


def retriangulated(shape: LabelledShape, way: float) -> Meshes:
    """Other triangles of the same surface.

    1: all edges halved until short. 2: every face cut at a random point. 3: a share of the edges cut, and of the
    diagonals of flat regions turned over (`dr_kfs.datasets.retriangulated`).
    """
    if round(way) == 1:
        return shape.refined(longest=0.06 * diagonal(shape)).to_meshes()
    if round(way) == 3:
        return datasets.retriangulated(shape, int(shape.parameters["seed"])).to_meshes()
    vertices, faces, _ = shape.to_mesh()
    weights = random_stream(shape, "cut").dirichlet((3.0, 3.0, 3.0), len(faces))
    inner = np.einsum("fc,fcx->fx", weights, vertices[faces])
    new = len(vertices) + np.arange(len(faces))
    a, b, c = faces.T
    pieces = [np.stack([first, second, new], axis=1) for first, second in ((a, b), (b, c), (c, a))]
    return _meshes(np.concatenate([vertices, inner]), np.concatenate(pieces))


def flipped(shape: LabelledShape, share: float) -> Meshes:
    """That share of the faces wound the other way round, chosen at random; the surface is the same."""
    vertices, faces, _ = shape.to_mesh()
    turned = random_stream(shape, "winding").random(len(faces)) < share
    return _meshes(vertices, np.where(turned[:, None], faces[:, ::-1], faces))


def voxelized(shape: LabelledShape, size: float) -> Meshes:
    """Solid voxels as a marching-cubes surface; `size` of a voxel [longest side of the box], 1/128 to 1/16.

    Every voxel that the surface touches is full: thin parts survive, and grow by half a voxel on average all round.
    """
    vertices, faces, _ = shape.to_mesh()
    lattice = lattice_of(vertices[faces], round(1 / size))
    return voxel_surface(solid_voxels(vertices[faces], lattice), lattice)


def translated(shape: LabelledShape, pixels: float) -> Meshes:
    """The shape moved in a random direction, by `pixels` of a 256 px view of the default rig."""
    vertices, faces, _ = shape.to_mesh()
    step = random_stream(shape, "translation").standard_normal(3)
    return _meshes(vertices + pixels * PIXEL * diagonal(shape) * step / np.linalg.norm(step), faces)


def rotated(shape: LabelledShape, degrees: float) -> Meshes:
    """The shape turned around the upright axis through the centre of its box."""
    low, high = bounds(shape)
    x, y, z = ((low + high) / 2).tolist()
    return shape.transformed("*", lambda v: _turned(v, np.array([x, y, z]), np.radians(degrees))).to_meshes()


def _turned(vertices: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
    return (vertices - centre) @ matrix.T + centre


def _face_areas(triangles: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1) / 2


def _meshes(vertices: np.ndarray, faces: np.ndarray) -> Meshes:
    return Meshes.from_list([vertices.astype(np.float32)], [np.ascontiguousarray(faces)])
