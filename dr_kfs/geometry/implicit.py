"""The surface of an implicit field, with gradients to the parameters of the field."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dr_kfs.geometry._cell_surface import CellSurface, cell_surface
from dr_kfs.geometry._field_kinds import FieldKind, check_level, crossing_place
from dr_kfs.geometry._field_sampling import FieldSampler, sample_coarse_to_fine
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.voxels import Bounds, box_corners

__all__ = ["extract_surface"]

_SLOPE_FLOOR = 1e-3
"""Smallest length of the field's gradient that is divided by [mean slope along the vertex's edge]."""


def extract_surface(
    field: Callable[[Tensor], Tensor],
    resolution: int,
    bounds: Bounds = (-0.5, 0.5),
    *,
    kind: FieldKind = "probability",
    level: float | None = None,
    coarse_resolution: int | None = None,
    chunk: int = 16384,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Meshes:
    """The surface `field = level` in a box: `marching_cubes` over samples of the field, differentiable.

    The field is sampled at the corners of `resolution`^3 cells, without a graph, and a vertex placed on each edge
    with one end inside, as `marching_cubes` does. Its gradient is that of the point of the surface, by the implicit
    function theorem: when the field f changes by df at a vertex v, the surface moves by

        dv = -n / |grad f| df,    n = grad f / |grad f|,

    grad f being the field's derivative by position at v. This holds for probabilities and logits, which fall
    outwards, as for distances, which rise. `grad f` is a constant to the backward pass: first derivatives only. Where
    the field is flat, |grad f| is floored at a thousandth of its mean slope along the edge.

    Outside the box everything counts as outside: a shape that reaches its sides is closed there, by vertices on the
    sides, which have no gradient. Field and box are one shape; for a batch join several with `Meshes.cat`.

    **Memory.** At most `chunk` points go through the field at once, in the backward pass too, which evaluates the
    field at the vertices again. The samples take about 12 bytes each.

    **Coarse to fine.** With `coarse_resolution=32` and `resolution=256` the field is sampled densely at 32^3 cells,
    and at 64^3, 128^3, 256^3 only in the cells that the surface of the level before passes through, and from there
    on along the surface, cell by cell, as far as it goes. The result is that of dense sampling, but for a part, a
    cavity or a handle that lies between the samples of the coarsest grid, and whose surface does not touch, in
    neighbouring cells of a finer grid, any that they show.

    The field is called several times, on as many points as there are: call `field.eval()` if it has batch normalisation
    or dropout, whose training mode would make the surface depend on that.

    Args:
        field: maps points (M, 3) [world units] to values (M,) or (M, 1), any M up to `chunk`. If it is a network, its
            parameters get gradients, and so does whatever else it depends on (a latent code).
        resolution: cells along each axis of the box.
        bounds: lowest and highest corner of the box.
        kind: what the values mean.
        level: of the surface; 0.5 for probabilities, 0 for logits and distances.
        coarse_resolution: `resolution` divided by a power of two, where to start; None samples densely.
        chunk: points per call of the field.
        device: where the points are; that of the first parameter of a `nn.Module`, the CPU for other fields.
        dtype: of the points, float32 or float64.

    Returns:
        One mesh in world units; without vertices where nothing in the box is inside. No gradient under `no_grad`.

    Raises:
        ValueError: values of another shape, that are not finite or no probabilities, a field whose values do not
            depend on the points by autograd although they depend on parameters, or wrong options.

    References:
        E. Remelli et al.: MeshSDF: Differentiable Iso-Surface Extraction. NeurIPS 2020, Theorem 1, for distances;
        any other field by the same theorem, with |grad f| in the place of 1.
        Coarse to fine: L. Mescheder et al.: Occupancy Networks. CVPR 2019, Sec. 3.3 (MISE).
    """
    level = check_level(level, kind)
    sizes = _sizes(resolution, coarse_resolution)
    if chunk < 1:
        raise ValueError(f"Expected a chunk of at least 1 point, got {chunk}.")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"Expected dtype float32 or float64, got {dtype}.")
    if device is None:
        parameter = next(field.parameters(), None) if isinstance(field, nn.Module) else None
        device = "cpu" if parameter is None else parameter.device
    low, high = (corner.to(device, dtype) for corner in box_corners(bounds))
    sampler = FieldSampler(field=field, low=low, high=high, kind=kind, level=level, chunk=chunk)
    # No graph: which samples are inside is a discrete choice, and the vertices get their gradient below.
    with torch.no_grad():
        samples = sample_coarse_to_fine(sampler, sizes)
        surface = cell_surface(samples.inside, samples.cells)
        points, slope = _points_on_edges(sampler, samples.values, surface, resolution)
    if torch.is_grad_enabled():
        points = _following(field, points, slope, chunk)
    return Meshes(points, surface.faces, (0, len(points)), (0, len(surface.faces)))


def _sizes(resolution: int, coarse_resolution: int | None) -> list[int]:
    """Cells per axis of every level, coarse to fine."""
    if resolution < 1:
        raise ValueError(f"Expected a resolution of at least 1 cell, got {resolution}.")
    coarse = resolution if coarse_resolution is None else coarse_resolution
    sizes = [coarse]
    while 0 < sizes[-1] < resolution:
        sizes.append(2 * sizes[-1])
    if sizes[-1] != resolution:
        raise ValueError(
            f"Expected a resolution of coarse_resolution times a power of two, got {resolution} and {coarse}: take "
            f"{coarse_resolution} x 2 x 2 x ..., or leave coarse_resolution out."
        )
    return sizes


def _points_on_edges(
    sampler: FieldSampler, values: Tensor, surface: CellSurface, resolution: int
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Where the vertices are, and the mean slope of the field along their edges, 0 for those on the box."""
    start, end = sampler.points(surface.edge_start, resolution), sampler.points(surface.edge_end, resolution)
    inside_box = [((point >= sampler.low) & (point <= sampler.high)).all(dim=1) for point in (start, end)]
    whole = inside_box[0] & inside_box[1]
    length = (end - start).abs().amax(dim=1)
    a, b = values[surface.edge_start], values[surface.edge_end]
    # Edges that leave the box end on its side, at the sample that is inside.
    place = torch.where(whole, crossing_place(a, b, sampler.level, sampler.kind, length), inside_box[1].to(a.dtype))
    slope = torch.where(whole, (b - a).abs() / length, 0.0)
    return start + place[:, None] * (end - start), slope


def _following(
    field: Callable[[Tensor], Tensor], points: Float[Tensor, "N 3"], slope: Float[Tensor, " N"], chunk: int
) -> Float[Tensor, "N 3"]:
    """The same points, with the gradient of points of the surface where the slope is positive."""
    normals = torch.zeros_like(points)  # written in place: small results between large temporaries fragment the heap
    depends = True
    for part, rows in zip(points.split(chunk), normals.split(chunk), strict=True):
        normal = _position_gradient(field, part)
        depends = depends and normal is not None
        if normal is not None:
            rows.copy_(normal)
    # The graph that the loss will need is not kept but built again in the backward pass, to save its memory.
    values = [checkpoint(_flat, field, part, use_reentrant=False) for part in points.split(chunk)]
    value = torch.cat(values)
    if not value.requires_grad:
        return points  # depends on the points only, or is not made of differentiable operations: nothing to learn
    if not depends:
        raise ValueError(
            "Expected a field whose values depend on the points by autograd, got one that depends on parameters only: "
            "its surface cannot follow them. Evaluate it under no_grad, or interpolate instead of rounding."
        )
    squared = torch.maximum(normals.square().sum(1), (_SLOPE_FLOOR * slope).square())
    moved = torch.where(slope > 0, 1 / squared, 0.0)[:, None] * normals
    # Zero in value: only the derivative by the field's parameters is added.
    return points - moved * (value - value.detach())[:, None]


def _position_gradient(field: Callable[[Tensor], Tensor], points: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3"] | None:
    """The derivative of the field by position; None where autograd knows of none."""
    place = points.clone().requires_grad_()
    value = _flat(field, place)
    return torch.autograd.grad(value.sum(), place, allow_unused=True)[0] if value.requires_grad else None


def _flat(field: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    return field(points).reshape(-1)
