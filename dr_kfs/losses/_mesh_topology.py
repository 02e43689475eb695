"""Edges and neighbouring faces of packed meshes, computed once for all batches with the same faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dr_kfs.geometry import Meshes


@dataclass(frozen=True, eq=False)
class Edges:
    """The E undirected edges of a batch, each once, item after item."""

    vertices: Tensor
    """(E, 2) rows of the packed vertices, the smaller first."""
    counts: tuple[int, ...]
    """Number of edges of each item."""


@dataclass(frozen=True, eq=False)
class FacePairs:
    """The P pairs of faces that share an edge, item after item."""

    edge: Tensor
    """(P, 2) the shared edge, as rows of the packed vertices."""
    opposite: Tensor
    """(P, 2) the corner of either face that is not on the edge; two different vertices."""
    counts: tuple[int, ...]
    """Number of pairs of each item."""


def edges_of(meshes: Meshes) -> Edges:
    """Unique edges. A face with a repeated corner has the edges of a line, one with three none."""
    return meshes.derived("edges", lambda: _edges(meshes))


def face_pairs_of(meshes: Meshes) -> FacePairs:
    """All pairs of faces on the same edge: 1 at a manifold edge, k (k - 1) / 2 where k faces meet.

    A face and its own duplicate are no pair: there is nothing to bend.
    """
    return meshes.derived("face_pairs", lambda: _face_pairs(meshes))


def finite_vertices(meshes: Meshes) -> Tensor:
    """The packed vertices in float32, or in float64 if they are.

    Raises:
        ValueError: a vertex that is not finite; a graph of `torch.compile` cannot depend on values, and does not look.
    """
    if not torch.compiler.is_compiling():
        meshes.check_finite()
    return meshes.vertices.to(torch.promote_types(meshes.dtype, torch.float32))


def _half_edges(meshes: Meshes) -> tuple[Tensor, Tensor, Tensor]:
    """Edges of every face, the smaller vertex first: (3F, 2); a key per edge; the corner opposite."""
    corners = meshes.faces
    ends = torch.cat([corners[:, [1, 2]], corners[:, [2, 0]], corners[:, [0, 1]]])
    opposite = corners.T.flatten()
    real = ends[:, 0] != ends[:, 1]
    ends = ends[real].sort(dim=1).values
    # One integer per edge sorts faster than a pair. int64 holds it up to 3e9 vertices.
    return ends, ends[:, 0] * len(meshes.vertices) + ends[:, 1], opposite[real]


def _edges(meshes: Meshes) -> Edges:
    _, keys, _ = _half_edges(meshes)
    keys, size = keys.unique(), max(len(meshes.vertices), 1)
    ends = torch.stack([keys // size, keys % size], dim=1)
    return Edges(vertices=ends, counts=_counts(meshes, ends))


def _face_pairs(meshes: Meshes) -> FacePairs:
    ends, keys, opposite = _half_edges(meshes)
    order = keys.argsort(stable=True)
    ends, keys, opposite = ends[order], keys[order], opposite[order]
    _, counts = keys.unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    # Half-edge number r of its edge (0, 1, ...) pairs with the r before it.
    rank = torch.arange(len(keys), device=keys.device) - starts.repeat_interleave(counts)
    second = torch.arange(len(keys), device=keys.device).repeat_interleave(rank)
    before = torch.arange(len(second), device=keys.device) - (rank.cumsum(0) - rank).repeat_interleave(rank)
    first = starts.repeat_interleave(counts)[second] + before
    different = opposite[first] != opposite[second]
    first, second = first[different], second[different]
    return FacePairs(
        edge=ends[second],
        opposite=torch.stack([opposite[first], opposite[second]], dim=1),
        counts=_counts(meshes, ends[second]),
    )


def _counts(meshes: Meshes, ends: Tensor) -> tuple[int, ...]:
    return tuple(torch.bincount(meshes.vertex_item()[ends[:, 0]], minlength=len(meshes)).tolist())
