"""Normal consistency: keeps neighbouring faces parallel."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Shape, as_meshes
from dr_kfs.losses._bends import bends_of
from dr_kfs.losses._reductions import Reduction, check_reduction, item_mean, reduce_items

__all__ = ["NormalConsistencyLoss", "normal_consistency_loss"]


def normal_consistency_loss(meshes: Shape, *, reduction: Reduction = "mean") -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean of `1 - cos(angle)` over the pairs of faces that share an edge.

    The angle is the one by which the surface bends at the edge: 0 where it is flat (the loss is 0), 180
    degrees where one face folds back onto the other (2). It is measured from the edge and the corners
    opposite, so the winding of the faces does not matter. Where k faces meet at an edge, all k (k - 1) / 2
    pairs count, except of a face with its own duplicate.

    Computed in at least float32. A face whose three corners are on a line, to rounding, has no normal: its
    pairs do not count, and their gradient is 0.

    Args:
        meshes: B meshes, or what `as_meshes` takes.
            Vertices that are split along a seam separate the faces on its sides.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar in [0, 2]; 0 for a mesh without a shared edge.

    Raises:
        ValueError: a vertex that is not finite, an unknown reduction, or the mean of an empty batch.

    References:
        N. Ravi et al.: Accelerating 3D Deep Learning with PyTorch3D. 2020 (`mesh_normal_consistency`).
    """
    meshes = as_meshes(meshes)
    bends = bends_of(meshes)
    return reduce_items(item_mean(1.0 - bends.cosine, bends.counts, bends.exists), reduction)


class NormalConsistencyLoss(nn.Module):
    """`normal_consistency_loss` as a module."""

    takes = "mesh"
    """What a `HybridLoss` hands it: the prediction alone."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction: Reduction = reduction

    def forward(self, meshes: Shape) -> Tensor:
        """The loss of B meshes."""
        return normal_consistency_loss(meshes, reduction=self.reduction)
