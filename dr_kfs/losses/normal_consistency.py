"""Normal consistency: keeps neighbouring faces parallel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Meshes
from dr_kfs.losses._mesh_topology import at_least_float32, face_pairs_of
from dr_kfs.losses._reductions import Reduction, item_mean, reduce_items

__all__ = ["NormalConsistencyLoss", "normal_consistency_loss"]


def normal_consistency_loss(
    meshes: Meshes, *, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean of `1 - cos(angle)` over the pairs of faces that share an edge.

    The angle is the one by which the surface bends at the edge: 0 where it is flat (the loss is 0), 180
    degrees where one face folds back onto the other (2). It is measured from the edge and the corners
    opposite, so the winding of the faces does not matter. Where k faces meet at an edge, all k (k - 1) / 2
    pairs count, except of a face with its own duplicate.

    Computed in at least float32. A face whose three corners are on a line, to rounding, has no normal: its
    pairs do not count, and their gradient is 0.

    Args:
        meshes: B meshes. Vertices that are split along a seam separate the faces on its sides.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar in [0, 2]; 0 for a mesh without a shared edge.

    Raises:
        ValueError: an unknown reduction, or the mean of an empty batch.

    References:
        N. Ravi et al.: Accelerating 3D Deep Learning with PyTorch3D. 2020 (`mesh_normal_consistency`).
    """
    vertices, pairs = at_least_float32(meshes), face_pairs_of(meshes)
    corners = vertices[torch.cat([pairs.edge, pairs.opposite], dim=1)]  # (P, 4, 3)
    arms = corners[:, 1:] - corners[:, :1]
    # In units of the longest extent, so that products neither overflow nor underflow. Detached: angles do not
    # depend on it.
    limits = torch.finfo(arms.dtype)
    arms = arms / arms.detach().abs().amax(dim=(1, 2), keepdim=True).clamp(min=limits.tiny)
    edge, one, other = arms.unbind(dim=1)
    first, first_exists = _unit(torch.linalg.cross(edge, one), edge, one)
    second, second_exists = _unit(torch.linalg.cross(other, edge), edge, other)  # turned: flat is parallel
    cosine = (first * second).sum(dim=1)
    exists = first_exists & second_exists
    return reduce_items(item_mean(1.0 - cosine, pairs.counts, exists), reduction)


def _unit(normal: Tensor, edge: Tensor, arm: Tensor) -> tuple[Tensor, Tensor]:
    """Unit normals, and where they exist: where edge and arm enclose more than rounding noise."""
    squared = normal.square().sum(dim=1)
    noise = 4 * torch.finfo(normal.dtype).eps
    exists = squared.detach() > noise**2 * edge.detach().square().sum(1) * arm.detach().square().sum(1)
    # A constant takes the place of a missing normal before the root, whose gradient at 0 is infinite.
    normal = torch.where(exists[:, None], normal, torch.ones_like(normal))
    return normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True), exists


class NormalConsistencyLoss(nn.Module):
    """`normal_consistency_loss` as a module."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, meshes: Meshes) -> Tensor:
        """The loss of B meshes."""
        return normal_consistency_loss(meshes, reduction=self.reduction)
