"""Cotangent Laplacian smoothing: pulls every vertex along the surface's normal, wherever its neighbours sit."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Meshes, Shape, as_meshes
from dr_kfs.geometry._rows import rows_at
from dr_kfs.losses._mesh_topology import finite_vertices
from dr_kfs.losses._point_pairs import root
from dr_kfs.losses._reductions import Reduction, check_reduction, item_mean, reduce_items

__all__ = ["CotangentLaplacianLoss", "cotangent_laplacian_loss"]

MIN_SINE = 1e-4
"""Angles below this are as this large to the weights: a needle's cotangents stay within 1e4."""


def cotangent_laplacian_loss(
    meshes: Shape, *, squared: bool = True, weight_gradient: bool = False, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean distance of the vertices from the cotangent-weighted mean of their neighbours.

        loss = mean_v || sum_u w_uv (u - v) / sum_u w_uv ||^p,    w_uv = max(0, cot a_uv + cot b_uv),    p = 2 or 1

    a and b are the angles opposite to the edge uv in its faces (one angle at the rim, more where more faces meet).
    Inside a flat patch of Delaunay triangles it is 0 however irregular they are; the uniform Laplacian is not, and
    moves vertices within the surface to make the triangles alike. On a curved surface it points along the normal.
    Vertices of the rim count, with their distance from the mean of their neighbours.

    Departures: PyTorch3D sums signed weights, whose sum passes through 0 at obtuse triangles, where its value is
    without bound; here weights are at least 0, so that the mean is one, and angles at least 1e-4. Vertices without a
    weighted edge do not count (in PyTorch3D they count, with their distance from the origin). Computed in at least
    float32.

    Args:
        meshes: B meshes, or what `as_meshes` takes. Vertices that are split along a seam are not neighbours.
        squared: the squared distance [world units^2], smooth at 0; otherwise the distance [world units], with
            gradient 0 at 0, as PyTorch3D's `mesh_laplacian_smoothing(method="cot")`.
        weight_gradient: differentiate the weights too. By default they are constants of the step, as in PyTorch3D:
            the gradient then moves vertices, and does not trade triangles for others.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per mesh).

    Returns:
        (B,) or a scalar; 0 for a mesh without faces.

    Raises:
        ValueError: a vertex that is not finite, an unknown reduction, or the mean of an empty batch.

    References:
        M. Desbrun, M. Meyer, P. Schroeder, A. Barr: Implicit Fairing of Irregular Meshes using Diffusion and
        Curvature Flow. SIGGRAPH 1999 (the curvature normal).
    """
    meshes = as_meshes(meshes)
    vertices = finite_vertices(meshes)
    start, end, weight = _weighted_edges(meshes, vertices)
    if not weight_gradient:
        weight = weight.detach()  # constants of the step
    along = weight[:, None] * (rows_at(vertices, end) - rows_at(vertices, start))
    total = along.new_zeros(len(vertices)).index_add(0, start, weight).index_add(0, end, weight)
    pull = torch.zeros_like(vertices).index_add(0, start, along).index_add(0, end, -along)
    counts = total.detach() > 0
    offset = pull / torch.where(counts, total, 1.0)[:, None]
    distance = offset.square().sum(dim=1)
    return reduce_items(item_mean(distance if squared else root(distance), meshes.vertex_counts, counts), reduction)


def _weighted_edges(meshes: Meshes, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both ends of every edge and its weight `max(0, sum of the cotangents opposite)`."""
    start, end, cotangents = [], [], []
    for corner in range(3):
        apex, one, other = (meshes.faces[:, (corner + turn) % 3] for turn in range(3))
        tip = rows_at(vertices, apex)
        start.append(torch.minimum(one, other))
        end.append(torch.maximum(one, other))
        cotangents.append(_cotangent(rows_at(vertices, one) - tip, rows_at(vertices, other) - tip))
    keys = torch.cat(start) * max(len(vertices), 1) + torch.cat(end)
    unique, edge = keys.unique(return_inverse=True)
    weight = vertices.new_zeros(len(unique)).index_add(0, edge, torch.cat(cotangents)).clamp(min=0.0)
    size = max(len(vertices), 1)
    return unique // size, unique % size, weight


def _cotangent(one: Tensor, other: Tensor) -> Tensor:
    """Of the angles between vectors (F, 3), within 1 / MIN_SINE; 0 with gradient 0 where one has no length."""
    tiny = torch.finfo(one.dtype).tiny
    # Each in units of its longest side, so that products neither overflow nor underflow. Detached: it cancels.
    sizes = [side.detach().abs().amax(dim=1, keepdim=True) for side in (one, other)]
    exists = torch.minimum(*sizes)[:, 0] > tiny
    one, other = (side / size.clamp(min=tiny) for side, size in zip((one, other), sizes, strict=True))
    cross = root(torch.linalg.cross(one, other).square().sum(dim=1))
    lengths = root(one.square().sum(dim=1) * other.square().sum(dim=1))
    sine = torch.maximum(cross, MIN_SINE * lengths)
    return torch.where(exists, (one * other).sum(dim=1) / torch.where(exists, sine, 1.0), 0.0)


class CotangentLaplacianLoss(nn.Module):
    """`cotangent_laplacian_loss` as a module."""

    takes = "mesh"
    """What a `HybridLoss` hands it: the prediction alone."""

    def __init__(self, *, squared: bool = True, weight_gradient: bool = False, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.squared = squared
        self.weight_gradient = weight_gradient
        self.reduction: Reduction = reduction

    def forward(self, meshes: Shape) -> Tensor:
        """The loss of B meshes."""
        return cotangent_laplacian_loss(
            meshes, squared=self.squared, weight_gradient=self.weight_gradient, reduction=self.reduction
        )
