"""From the faces of projected meshes to rows of loose triangles, view by view, and back.

V cameras see every mesh of a batch alike, so that most tensors are (V, F, ...) with the faces of all meshes in a row. A
view is one mesh from one camera: those of mesh 0 come first, then those of mesh 1, ...
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor


def counts_by_view(cameras: int, face_offsets: list[int]) -> list[int]:
    """How many faces each view has."""
    return [stop - start for start, stop in pairwise(face_offsets) for _ in range(cameras)]


def by_view(values: Float[Tensor, "V F ..."], face_offsets: list[int]) -> Float[Tensor, "R ..."]:
    """The rows of every view, one view after the other."""
    parts = [values[:, start:stop].flatten(0, 1) for start, stop in pairwise(face_offsets)]
    return torch.cat(parts) if len(parts) > 1 else values.flatten(0, 1)


def by_camera(rows: Float[Tensor, "R ..."], cameras: int, face_offsets: list[int]) -> Float[Tensor, "V F ..."]:
    """The inverse of `by_view`."""
    counts = [stop - start for start, stop in pairwise(face_offsets)] or [0]
    split = rows.split([cameras * count for count in counts])
    parts = [part.unflatten(0, (cameras, count)) for part, count in zip(split, counts, strict=True)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def loose_faces(
    corners: Float[Tensor, "V N 3"], faces: Int[Tensor, "F 3"], shade: Float[Tensor, "V F C"], face_offsets: list[int]
) -> tuple[Float[Tensor, "R 3 3"], Float[Tensor, "R 3"]]:
    """Corners and shades of the faces of every view, each with a row of its own; C is 1 or 3."""
    # `corners[:, faces]`; a gather along one axis is faster on a CPU than indexing, both ways.
    gathered = corners.index_select(1, faces.flatten()).unflatten(1, (len(faces), 3))
    return by_view(gathered, face_offsets), by_view(shade.expand(-1, -1, 3), face_offsets)


def mesh_gradients(
    grad_ndc: Float[Tensor, "R 3 3"],
    grad_shade: Float[Tensor, "R 3"],
    corners: Float[Tensor, "V N 3"],
    faces: Int[Tensor, "F 3"],
    shade: Float[Tensor, "V F C"],
    face_offsets: list[int],
) -> tuple[Float[Tensor, "V N 3"], Float[Tensor, "V F C"]]:
    """From the gradients of what `loose_faces` returned to those of corners and shade."""
    of_corners = by_camera(grad_ndc, len(corners), face_offsets).flatten(1, 2)
    of_shade = by_camera(grad_shade, len(corners), face_offsets)
    total = corners.new_zeros(corners.shape).index_add_(1, faces.flatten(), of_corners)
    return total, of_shade if shade.shape[2] == 3 else of_shade.sum(2, keepdim=True)
