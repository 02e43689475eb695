"""Random points on the surfaces of meshes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.geometry._rows import rows_at
from dr_kfs.geometry.meshes import Meshes, expect_meshes

__all__ = ["SurfaceSamples", "sample_surface"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceSamples:
    """M points on each of B surfaces."""

    points: Float[Tensor, "B M 3"]
    """Positions [world units]."""
    normals: Float[Tensor, "B M 3"]
    """Unit normals of their faces, to the side from which the corners run counter-clockwise."""
    faces: Int[Tensor, "B M"]
    """The face each point lies on: int64 rows of the packed `meshes.faces`."""
    barycentric: Float[Tensor, "B M 3"]
    """Weights of the face's corners, in [0, 1] with sum 1: `points = sum_c barycentric[c] * corner[c]`."""


def sample_surface(
    meshes: Meshes,
    num_samples: int,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> SurfaceSamples:
    """Points drawn uniformly from the surface of every mesh.

    A face is drawn with a probability proportional to its area, then a point of it with
    barycentric weights (1 - sqrt(u), sqrt(u) (1 - v), sqrt(u) v), u and v uniform in [0, 1] (Osada et al.).
    Points and normals are differentiable: a point follows its face's corners with fixed weights.

    The random numbers, and the areas they are compared with, are computed on the CPU in float64: the same
    seed gives the same points on any device.

    Args:
        meshes: B meshes.
        num_samples: M, points per mesh, at least 1.
        seed: makes the points repeatable. Every mesh uses the same random numbers, so that its points do not
            depend on the other meshes of its batch. For independent samples of two shapes take two seeds.
        generator: a CPU generator to draw from instead, one mesh after the other. With neither, torch's
            global one.

    Raises:
        TypeError: something other than `Meshes`.
        ValueError: a mesh without area (the message names the item), fewer than one sample, both a seed and a
            generator, or a generator of another device.

    References:
        R. Osada, T. Funkhouser, B. Chazelle, D. Dobkin: Shape Distributions. ACM Transactions on Graphics
        21 (4), 2002, Eq. 1.
    """
    expect_meshes(meshes)
    if num_samples < 1:
        raise ValueError(f"Expected at least one sample per mesh, got num_samples={num_samples}.")
    if seed is not None and generator is not None:
        raise ValueError("Expected a seed or a generator, got both.")
    if generator is not None and generator.device.type != "cpu":
        raise ValueError(f"Expected a CPU generator, got one on {generator.device}.")
    # Detached: which face is drawn is a discrete choice, through which no gradient flows.
    corners = meshes.vertices.detach().to("cpu").to(torch.float64)[meshes.faces.to("cpu")]
    chosen, weights = [], []
    for item in range(len(meshes)):
        source = generator if seed is None else torch.Generator().manual_seed(seed)
        uniform = torch.rand(num_samples, 3, dtype=torch.float64, generator=source)
        first = meshes.face_offsets[item]
        rows = _draw_faces(corners[first : meshes.face_offsets[item + 1]], uniform[:, 0], item)
        chosen.append(first + rows)
        weights.append(_barycentric(uniform[:, 1], uniform[:, 2]))
    dtype = torch.promote_types(meshes.dtype, torch.float32)
    if not chosen:
        none = meshes.vertices.new_zeros(0, num_samples, 3, dtype=dtype)
        return SurfaceSamples(points=none, normals=none, faces=meshes.faces.new_zeros(0, num_samples), barycentric=none)
    faces = torch.stack(chosen).to(meshes.device)
    barycentric = torch.stack(weights).to(meshes.device, dtype)
    triangles = rows_at(meshes.vertices, meshes.faces[faces]).to(dtype)
    return SurfaceSamples(
        points=(barycentric[..., None] * triangles).sum(dim=2),
        normals=_unit_normals(triangles),
        faces=faces,
        barycentric=barycentric,
    )


def _draw_faces(corners: Tensor, uniform: Tensor, item: int) -> Tensor:
    """Row of the face that each number in [0, 1) falls on, when the faces' areas are laid end to end."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    # In units of the longest extent, so that no product of two lengths overflows or underflows.
    longest = torch.cat([first, second]).abs().amax().clamp(min=torch.finfo(torch.float64).tiny) if len(first) else 1.0
    cumulative = torch.linalg.cross(first / longest, second / longest).norm(dim=1).cumsum(dim=0)
    total = float(cumulative[-1]) if len(first) else 0.0
    if not 0.0 < total < float("inf"):
        raise ValueError(
            f"item {item}: expected a surface with a positive, finite area to sample, got {len(first)} faces "
            f"with a total area of {total}."
        )
    # right=True: a face of area 0 spans no number, and is never drawn.
    rows = torch.searchsorted(cumulative, uniform * total, right=True)
    last = int(torch.searchsorted(cumulative, cumulative[-1:]))  # the last face with an area
    return rows.clamp(max=last)


def _barycentric(u: Tensor, v: Tensor) -> Tensor:
    root = u.sqrt()
    return torch.stack([1 - root, root * (1 - v), root * v], dim=-1)


def _unit_normals(triangles: Tensor) -> Tensor:
    """Unit normals (..., 3) of triangles (..., 3, 3); 0 with gradient 0 where rounding leaves no normal."""
    edges = triangles[..., 1:, :] - triangles[..., :1, :]
    tiny = torch.finfo(edges.dtype).tiny
    # In units of the longest side, so that products neither overflow nor underflow. Detached: it cancels.
    edges = edges / edges.detach().abs().amax(dim=(-1, -2), keepdim=True).clamp(min=tiny)
    normal = torch.linalg.cross(edges[..., 0, :], edges[..., 1, :])
    # A narrower triangle's normal is rounding noise.
    exists = normal.square().sum(dim=-1, keepdim=True) > torch.finfo(edges.dtype).eps ** 2
    # A constant takes the place of a missing normal before the square root, whose gradient at 0 is infinite.
    normal = torch.where(exists, normal, torch.ones_like(normal))
    unit = normal / torch.linalg.vector_norm(normal, dim=-1, keepdim=True)
    return torch.where(exists, unit, torch.zeros_like(unit))
