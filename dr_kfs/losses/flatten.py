"""Flatten loss: SoftRas's smoothness term, which forgives small bends and not large ones."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Shape, as_meshes
from dr_kfs.losses._bends import bends_of
from dr_kfs.losses._reductions import Reduction, check_reduction, item_mean, reduce_items

__all__ = ["FlattenLoss", "flatten_loss"]


def flatten_loss(meshes: Shape, *, reduction: Reduction = "mean") -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean of `(1 - cos(angle))^2` over the pairs of faces that share an edge.

    The angle is that of `normal_consistency_loss`, by which the surface bends; SoftRas writes `(cos(theta) + 1)^2`
    with the angle theta = 180 degrees - angle between the faces, and sums over the edges where this takes the mean.
    Near flat it grows with the fourth power of the angle, where normal consistency grows with the second: it leaves
    a finely triangulated round surface nearly alone and presses on creases.

    Computed in at least float32. A face whose three corners are on a line, to rounding, has no normal: its pairs do
    not count, and their gradient is 0.

    Args:
        meshes: B meshes, or what `as_meshes` takes.
            Vertices that are split along a seam separate the faces on its sides.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar in [0, 4]; 0 for a mesh without a shared edge.

    Raises:
        ValueError: a vertex that is not finite, an unknown reduction, or the mean of an empty batch.

    References:
        H. Kato, Y. Ushiku, T. Harada: Neural 3D Mesh Renderer. CVPR 2018, Sec. 4.1 (smoothness loss). S. Liu, T. Li,
        W. Chen, H. Li: Soft Rasterizer. ICCV 2019 (`FlattenLoss` of its code).
    """
    meshes = as_meshes(meshes)
    bends = bends_of(meshes)
    return reduce_items(item_mean((1.0 - bends.cosine).square(), bends.counts, bends.exists), reduction)


class FlattenLoss(nn.Module):
    """`flatten_loss` as a module."""

    takes = "mesh"
    """What a `HybridLoss` hands it: the prediction alone."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction: Reduction = reduction

    def forward(self, meshes: Shape) -> Tensor:
        """The loss of B meshes."""
        return flatten_loss(meshes, reduction=self.reduction)
