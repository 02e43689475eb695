"""Batches of volumes: occupancies or signed distances, sampled on a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import _packing as packing
from dr_kfs.geometry._field_kinds import FieldKind, check_level

__all__ = ["Bounds", "FieldKind", "SamplePlace", "VoxelGrid"]

Bounds: TypeAlias = tuple[float | Sequence[float], float | Sequence[float]]
"""The lowest and the highest corner of a box, each (x, y, z) or one number for all three [world units]."""
SamplePlace: TypeAlias = Literal["center", "corner"]
"""Where the samples of a box are: at the centres of its voxels, or from side to side."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class VoxelGrid:
    """B volumes of one size: values at regularly spaced points.

    `values[b, i, j, k]` is the value *at the point* `origin[b] + (i, j, k) * spacing[b]`: the axes are x, y, z in this
    order, and y is up where shapes stand upright. A voxel is the box of one spacing around its sample, so the sample
    is its centre. Arrays of other conventions are brought to this one by `in_box` and `load_voxels`.

    What the values mean is their `kind`:

        "probability"   of being inside, in [0, 1]; 0 and 1 for a binary grid
        "logit"         of that probability, what a network gives before its sigmoid
        "distance"      signed distance to the surface [world units], negative inside

    Use `in_box` for a network's output, the constructor where origin and spacing are known. `marching_cubes` makes
    meshes of a grid; `DRKFSLoss` and everything else that takes shapes does so by itself. Gradients flow to values,
    origin and spacing.
    """

    values: Float[Tensor, "B X Y Z"]
    """Samples, floating point."""
    origin: Float[Tensor, "B 3"]
    """Place of sample (0, 0, 0) [world units]."""
    spacing: Float[Tensor, "B 3"]
    """Distance of neighbouring samples along x, y, z [world units], positive."""
    kind: FieldKind = "probability"
    """What the values mean."""

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or 0 in self.values.shape[1:] or self.values.dtype not in packing.FLOAT_DTYPES:
            raise ValueError(
                "VoxelGrid needs floating-point values of shape (B, X, Y, Z), got "
                f"{self.values.dtype} of shape {tuple(self.values.shape)}. VoxelGrid.in_box converts other numbers."
            )
        for name, tensor in (("origin", self.origin), ("spacing", self.spacing)):
            if tensor.shape != (len(self.values), 3) or tensor.dtype not in packing.FLOAT_DTYPES:
                raise ValueError(
                    f"VoxelGrid needs a floating-point {name} of shape ({len(self.values)}, 3), got {tensor.dtype} "
                    f"of shape {tuple(tensor.shape)}."
                )
            if tensor.device != self.values.device:
                raise ValueError(
                    f"VoxelGrid needs its tensors on one device, got values on {self.values.device} and {name} on "
                    f"{tensor.device}."
                )
        check_level(None, self.kind)

    @classmethod
    def in_box(
        cls,
        values: Tensor | np.ndarray,
        bounds: Bounds = (-0.5, 0.5),
        *,
        kind: FieldKind = "probability",
        sample: SamplePlace = "center",
    ) -> VoxelGrid:
        """A grid that fills a box.

        Args:
            values: (B, X, Y, Z), (B, 1, X, Y, Z) or (X, Y, Z), of any numeric or boolean dtype; the axes are x, y, z.
                A network that was trained on arrays of another order needs a permute first.
            bounds: the lowest and the highest corner of the box.
            kind: what the values mean.
            sample: `"center"`: the box is cut into X x Y x Z voxels and the values are at their centres, half a
                spacing away from the sides of the box. `"corner"`: the first and the last sample of each axis are on
                the sides of the box, as where a field was evaluated with `linspace`.

        Raises:
            ValueError: another shape, an empty box, or one sample per axis with `sample="corner"`.
        """
        if isinstance(values, np.ndarray):
            # A copy: files hand out read-only and big-endian arrays, and torch takes neither.
            values = torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("=")))
        tensor = values
        if tensor.ndim == 5 and tensor.shape[1] == 1:
            tensor = tensor[:, 0]
        if tensor.ndim == 3:
            tensor = tensor[None]
        if tensor.ndim != 4 or tensor.is_complex():
            raise ValueError(
                f"Expected values of shape (X, Y, Z), (B, X, Y, Z) or (B, 1, X, Y, Z), real numbers, got "
                f"{tuple(tensor.shape)} of {tensor.dtype}."
            )
        if not tensor.is_floating_point():
            tensor = tensor.float()
        if sample not in ("center", "corner"):
            raise ValueError(f'Expected sample "center" or "corner", got {sample!r}.')
        low, high = box_corners(bounds)
        counts = torch.tensor(tensor.shape[1:], dtype=torch.float64) - int(sample == "corner")
        if (counts < 1).any():
            raise ValueError(f'sample="corner" needs two samples per axis, got {tuple(tensor.shape[1:])}.')
        spacing = (high - low) / counts
        origin = low + spacing / 2 if sample == "center" else low
        dtype = torch.promote_types(tensor.dtype, torch.float32)
        origin, spacing = (each.to(tensor.device, dtype).expand(len(tensor), 3) for each in (origin, spacing))
        return cls(tensor, origin, spacing, kind)

    @classmethod
    def cat(cls, batches: Sequence[VoxelGrid]) -> VoxelGrid:
        """The items of several batches, in order, as one batch.

        Raises:
            ValueError: no batch, or batches of different sizes, kinds or dtypes, or on different devices.
        """
        likes = {(grid.values.shape[1:], grid.kind, grid.dtype, grid.device) for grid in batches}
        if len(likes) != 1:
            raise ValueError(f"VoxelGrid.cat needs grids of one size, kind, dtype and device, got {list(batches)}.")
        parts = ([getattr(grid, name) for grid in batches] for name in ("values", "origin", "spacing"))
        return cls(*(torch.cat(part) for part in parts), kind=batches[0].kind)

    def points(self) -> Float[Tensor, "B X Y Z 3"]:
        """Where the samples are [world units]."""
        sizes = self.values.shape[1:]
        index = torch.cartesian_prod(*(torch.arange(size, device=self.device) for size in sizes)).view(*sizes, 3)
        return self.origin[:, None, None, None] + index * self.spacing[:, None, None, None]

    def with_values(self, values: Float[Tensor, "B X Y Z"]) -> VoxelGrid:
        """The same places with other values: the way to optimise a grid."""
        return replace(self, values=values)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> VoxelGrid:
        """The grid on another device or of another float dtype; gradients flow back.

        Origin and spacing stay at least float32: in half precision the shape would move.
        """
        places = None if dtype is None else torch.promote_types(dtype, torch.float32)
        origin, spacing = (part.to(device=device, dtype=places) for part in (self.origin, self.spacing))
        return VoxelGrid(self.values.to(device=device, dtype=dtype), origin, spacing, self.kind)

    def detach(self) -> VoxelGrid:
        """The same grid, cut from the autograd graph: a caller who asks for it treats it as a constant."""
        return VoxelGrid(self.values.detach(), self.origin.detach(), self.spacing.detach(), self.kind)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> VoxelGrid:
        """Some of the items, as a batch: an integer gives a batch of one; otherwise as for `Meshes`."""
        items = packing.item_numbers(index, len(self))
        return VoxelGrid(self.values[items], self.origin[items], self.spacing[items], self.kind)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the values."""
        return self.values.dtype

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.values.shape[1:]))
        dtype = str(self.dtype).removeprefix("torch.")
        items = "1 item" if len(self) == 1 else f"{len(self)} items"
        return f"VoxelGrid({items} of {sizes}, {self.kind}, {dtype}, {self.device})"


def expect_grid(value: Any) -> None:
    """Raise a `TypeError` on something other than a `VoxelGrid`, with the way to one."""
    if not isinstance(value, VoxelGrid):
        raise TypeError(
            f"Expected a VoxelGrid, got {type(value).__name__}. Say where its samples are, and what they mean: "
            "VoxelGrid.in_box(values, bounds, kind=...)."
        )


def box_corners(bounds: Bounds) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Lowest and highest corner of a box, float64.

    Raises:
        ValueError: not a pair of corners, or a box without volume.
    """
    try:
        low, high = (torch.as_tensor(corner, dtype=torch.float64).expand(3) for corner in bounds)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"Expected bounds (low, high), each a number or three, got {bounds!r}.") from error
    if not (torch.isfinite(low) & torch.isfinite(high) & (low < high)).all():
        raise ValueError(f"Expected bounds with low below high along every axis, both finite, got {bounds!r}.")
    return low, high
