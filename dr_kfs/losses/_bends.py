"""By how much a surface bends at the edges that its faces share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dr_kfs.geometry import Meshes
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._mesh_topology import face_pairs_of, finite_vertices


@dataclass(frozen=True, eq=False)
class Bends:
    """The bends of the P pairs of faces of `face_pairs_of`, item after item."""

    cosine: Tensor
    """(P,) of the angle by which the surface bends: 1 where it is flat, -1 where it folds back; differentiable."""
    exists: Tensor
    """(P,) False where a face is a line or a point to rounding: its cosine is a constant that means nothing."""
    counts: tuple[int, ...]
    """Number of pairs of each item."""


def bends_of(meshes: Meshes) -> Bends:
    """Measured from the edge and the corners opposite, so that the winding of the faces does not matter."""
    vertices, pairs = finite_vertices(meshes), face_pairs_of(meshes)
    corners = rows_at(vertices, torch.cat([pairs.edge, pairs.opposite], dim=1))  # (P, 4, 3)
    arms = corners[:, 1:] - corners[:, :1]
    # In units of the longest extent, so that products neither overflow nor underflow. Detached: angles do not
    # depend on it.
    limits = torch.finfo(arms.dtype)
    arms = arms / arms.detach().abs().amax(dim=(1, 2), keepdim=True).clamp(min=limits.tiny)
    edge, one, other = arms.unbind(dim=1)
    first, first_exists = _unit(torch.linalg.cross(edge, one), edge, one)
    second, second_exists = _unit(torch.linalg.cross(other, edge), edge, other)  # turned: flat is parallel
    return Bends((first * second).sum(dim=1), first_exists & second_exists, pairs.counts)


def _unit(normal: Tensor, edge: Tensor, arm: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals, and where they exist: where edge and arm enclose more than rounding noise."""
    squared = normal.square().sum(dim=1)
    noise = 4 * torch.finfo(normal.dtype).eps
    exists = squared.detach() > noise**2 * edge.detach().square().sum(1) * arm.detach().square().sum(1)
    # A constant takes the place of a missing normal before the root, whose gradient at 0 is infinite.
    normal = torch.where(exists[:, None], normal, torch.ones_like(normal))
    return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True), exists
