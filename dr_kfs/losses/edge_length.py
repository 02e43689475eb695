"""Edge length: keeps edges short, or near a length."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Shape, as_meshes
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._mesh_topology import edges_of, finite_vertices
from dr_kfs.losses._point_pairs import root
from dr_kfs.losses._reductions import Reduction, check_reduction, item_mean, reduce_items

__all__ = ["EdgeLengthLoss", "edge_length_loss"]


def edge_length_loss(
    meshes: Shape, *, target: float = 0.0, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean squared deviation of the edges from a length: `mean_e (|e| - target)^2`, every edge once.

    Computed in at least float32.

    Args:
        meshes: B meshes, or what `as_meshes` takes.
        target: length [world units], at least 0.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar [world units^2]; 0 for a mesh without edges. The gradient is 0 at an edge of length
        0, which has no direction to grow in.

    Raises:
        ValueError: a negative target, a vertex that is not finite, an unknown reduction, or the mean of an empty batch.

    References:
        N. Wang et al.: Pixel2Mesh: Generating 3D Mesh Models from Single RGB Images. ECCV 2018.
    """
    meshes = as_meshes(meshes)
    _check(target)
    vertices, edges = finite_vertices(meshes), edges_of(meshes)
    start, end = rows_at(vertices, edges.vertices).unbind(dim=1)
    squared = (end - start).square().sum(dim=1)
    deviation = squared if target == 0.0 else (root(squared) - target).square()
    return reduce_items(item_mean(deviation, edges.counts), reduction)


def _check(target: float) -> None:
    if not target >= 0.0:
        raise ValueError(f"Expected a target length of at least 0, got {target}.")


class EdgeLengthLoss(nn.Module):
    """`edge_length_loss` as a module."""

    takes = "mesh"
    """What a `HybridLoss` hands it: the prediction alone."""

    def __init__(self, *, target: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        _check(target)
        self.target = target
        self.reduction: Reduction = reduction

    def forward(self, meshes: Shape) -> Tensor:
        """The loss of B meshes."""
        return edge_length_loss(meshes, target=self.target, reduction=self.reduction)
