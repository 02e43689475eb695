"""Uniform Laplacian smoothing: pulls every vertex to the mean of its neighbours."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Shape, as_meshes
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._mesh_topology import edges_of, finite_vertices
from dr_kfs.losses._point_pairs import root
from dr_kfs.losses._reductions import Reduction, check_reduction, item_mean, reduce_items

__all__ = ["UniformLaplacianLoss", "uniform_laplacian_loss"]


def uniform_laplacian_loss(
    meshes: Shape, *, squared: bool = True, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean distance of the vertices from the mean of their neighbours.

        loss = mean_v || 1 / |N(v)| sum_{u in N(v)} (u - v) ||^p,    p = 2, or 1 with `squared=False`

    N(v) are the vertices that an edge joins to v. Vertices without an edge do not count (in PyTorch3D they
    count, with their distance from the origin). Computed in at least float32.

    Args:
        meshes: B meshes, or what `as_meshes` takes. Vertices that are split along a seam are not neighbours.
        squared: the squared distance [world units^2], smooth at 0; otherwise the distance [world units], with
            gradient 0 at 0: PyTorch3D's `mesh_laplacian_smoothing(method="uniform")`.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar; 0 for a mesh without edges.

    Raises:
        ValueError: a vertex that is not finite, an unknown reduction, or the mean of an empty batch.

    References:
        M. Desbrun, M. Meyer, P. Schroeder, A. Barr: Implicit Fairing of Irregular Meshes using Diffusion and
        Curvature Flow. SIGGRAPH 1999.
    """
    meshes = as_meshes(meshes)
    vertices = finite_vertices(meshes)
    start, end = edges_of(meshes).vertices.unbind(dim=1)
    # Differences first: sums of positions would lose digits far from the origin.
    along = rows_at(vertices, end) - rows_at(vertices, start)
    ones = along.new_ones(len(along))
    degree = along.new_zeros(len(vertices)).index_add(0, start, ones).index_add(0, end, ones)
    offset = torch.zeros_like(vertices).index_add(0, start, along).index_add(0, end, -along)
    offset = offset / degree.clamp(min=1)[:, None]
    distance = offset.square().sum(dim=1)
    return reduce_items(item_mean(distance if squared else root(distance), meshes.vertex_counts, degree > 0), reduction)


class UniformLaplacianLoss(nn.Module):
    """`uniform_laplacian_loss` as a module."""

    takes = "mesh"
    """What a `HybridLoss` hands it: the prediction alone."""

    def __init__(self, *, squared: bool = True, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.squared = squared
        self.reduction: Reduction = reduction

    def forward(self, meshes: Shape) -> Tensor:
        """The loss of B meshes."""
        return uniform_laplacian_loss(meshes, squared=self.squared, reduction=self.reduction)
