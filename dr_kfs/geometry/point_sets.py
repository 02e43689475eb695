"""Batches of point sets of different sizes, packed into one tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs._plain_autograd import check_plain
from dr_kfs.geometry import _packing as packing
from dr_kfs.geometry._rows import rows_at
from dr_kfs.geometry._shape_types import is_plain_sequence
from dr_kfs.geometry.sampling import sample_surface
from dr_kfs.geometry.shapes import as_meshes

__all__ = ["PointSets", "Points", "as_point_sets"]

_ACCEPTED = (
    "a PointSets, a tensor or array (N, 3) or (B, N, 3), a sequence of (N_b, 3) tensors or arrays, or, with "
    "samples=..., anything that as_meshes takes"
)

Points = Any
"""What `as_point_sets` takes: a `PointSets`, (N, 3), (B, N, 3), a sequence of (N_b, 3), or, with `samples`, shapes."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class PointSets:
    """B point sets of any sizes, one after the other: item b owns rows `offsets[b]` to `offsets[b + 1]`.

    Build one with `from_list`, `from_padded`, `from_meshes` or `as_point_sets`: they validate. The constructor trusts
    its arguments. No item is empty, every number is finite. Tensors stay on the autograd graph; do not write to them.
    """

    points: Float[Tensor, "M 3"]
    """Positions of the points of all items [world units]."""
    offsets: tuple[int, ...]
    """B + 1 first rows, 0 to M. Python integers: reading a size never waits for the GPU."""
    normals: Float[Tensor, "M 3"] | None = None
    """Direction of the surface at each point, of any length and sign; None if unknown."""
    weights: Float[Tensor, " M"] | None = None
    """What each point counts in a mean, at least 0 and with a positive sum per item; None: all the same."""

    @classmethod
    def from_list(
        cls,
        points: Sequence[Tensor | np.ndarray],
        *,
        normals: Sequence[Tensor | np.ndarray] | None = None,
        weights: Sequence[Tensor | np.ndarray] | None = None,
    ) -> PointSets:
        """A batch from one array per set.

        Args:
            points: B tensors or arrays (N_b, 3), finite, N_b at least 1, of one floating-point dtype and on one device.
            normals: B of the same shapes.
            weights: B of shape (N_b,), at least 0, not all 0.

        Raises:
            ValueError: an item is empty, not finite or malformed; the message names it.
            TypeError: an item is no tensor or array.
        """
        if len(points) == 0:
            raise ValueError("Expected at least one point set, got none.")
        device = next((each.device for each in points if isinstance(each, Tensor)), torch.device("cpu"))
        tensors = [_tensor(each, item, "points", device, (None, 3)) for item, each in enumerate(points)]
        counts = [len(each) for each in tensors]
        dtypes = [each.dtype for each in tensors]
        for item, (count, dtype) in enumerate(zip(counts, dtypes, strict=True)):
            if count == 0:
                raise ValueError(f"item {item}: expected at least one point, got an empty set. Leave the item out.")
            if dtype != dtypes[0]:
                raise ValueError(
                    f"item {item}: expected points of one dtype, got {dtype} after {dtypes[0]} in item 0. "
                    "Convert with .to(dtype)."
                )
        sets = cls(
            points=torch.cat(tensors),
            offsets=packing.offsets(counts),
            normals=_beside(normals, "normals", counts, device, dtypes[0], (3,)),
            weights=_beside(weights, "weights", counts, device, dtypes[0], ()),
        )
        _check_values(sets)
        return sets

    @classmethod
    def from_padded(
        cls,
        points: Float[Tensor, "B N 3"],
        *,
        lengths: Tensor | Sequence[int] | None = None,
        normals: Float[Tensor, "B N 3"] | None = None,
        weights: Float[Tensor, "B N"] | None = None,
    ) -> PointSets:
        """A batch from padded tensors.

        Args:
            points: floating point. What lies beyond an item's length is ignored, NaN too, and its gradient is 0.
            lengths: B numbers of points, 1 to N; all N by default.
            normals: as `points`.
            weights: at least 0, not all 0 in an item.

        Raises:
            ValueError: an item is empty, not finite or malformed; the message names it.
        """
        B, N = points.shape[:2]
        if isinstance(lengths, Tensor):
            lengths = lengths.tolist()  # one wait for the GPU
        counts = [N] * B if lengths is None else list(lengths)
        if len(counts) != B or not all(0 <= count <= N for count in counts):
            raise ValueError(f"Expected {B} lengths in [1, {N}], one per item, got {packing.shorten(counts)}.")

        def cut(values: Tensor) -> list[Tensor]:
            return [row[:count] for row, count in zip(values, counts, strict=True)]

        return cls.from_list(
            cut(points),
            normals=None if normals is None else cut(normals),
            weights=None if weights is None else cut(weights),
        )

    @classmethod
    def from_meshes(
        cls, shapes: Any, samples: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> PointSets:
        """Points drawn uniformly by area, with normals; differentiable through the barycentric weights.

        Args:
            shapes: anything that `as_meshes` takes.
            samples: points per shape, at least 1.
            seed: see `sample_surface`.
            generator: see `sample_surface`.

        Raises:
            ValueError: no shape, one without area (the message names the item), or what `sample_surface` refuses.
            TypeError: something that is not a shape.
        """
        drawn = sample_surface(as_meshes(shapes), samples, seed=seed, generator=generator)
        if len(drawn.points) == 0:
            raise ValueError("Expected at least one shape, got an empty batch.")
        offsets = packing.offsets([samples] * len(drawn.points))
        return cls(points=drawn.points.flatten(0, 1), offsets=offsets, normals=drawn.normals.flatten(0, 1))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of points of each item."""
        return tuple(end - start for start, end in pairwise(self.offsets))

    @property
    def device(self) -> torch.device:
        """Where the points live."""
        return self.points.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the points."""
        return self.points.dtype

    def points_list(self) -> list[Float[Tensor, "_ 3"]]:
        """Points (N_b, 3) of each item."""
        return list(self.points.split(self.counts))

    def select(self, rows: Tensor, counts: Sequence[int]) -> PointSets:
        """The points of these packed rows, item after item, with their normals and weights.

        Args:
            rows: int64, at least one of every item.
            counts: B numbers of rows.
        """
        normals, weights = (None if each is None else rows_at(each, rows) for each in (self.normals, self.weights))
        return PointSets(rows_at(self.points, rows), packing.offsets(counts), normals, weights)

    def repeat(self, times: int) -> PointSets:
        """All items, this many times over."""
        rows = torch.arange(len(self.points), device=self.device).repeat(times)
        return self.select(rows, self.counts * times)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> PointSets:
        """The batch on another device or of another float dtype; gradients flow back."""
        points, normals, weights = (
            None if each is None else each.to(device=device, dtype=dtype)
            for each in (self.points, self.normals, self.weights)
        )
        assert points is not None
        return PointSets(points, self.offsets, normals, weights)

    def __repr__(self) -> str:
        also = "".join(f", {name}" for name in ("normals", "weights") if getattr(self, name) is not None)
        return (
            f"PointSets({len(self)} item{'' if len(self) == 1 else 's'}, {len(self.points)} points{also}, "
            f"{str(self.dtype).removeprefix('torch.')}, {self.device})"
        )


def as_point_sets(
    value: Any, *, samples: int | None = None, seed: int | None = None, generator: torch.Generator | None = None
) -> PointSets:
    """Anything point-like as a `PointSets`; surfaces are sampled.

    Args:
        value: a `PointSets` (returned as it is), one set (N, 3), B sets (B, N, 3), or a sequence of sets (N_b, 3).
            Anything else is a shape, if `as_meshes` takes it, and needs `samples`.
        samples: points to draw from each surface.
        seed: of these samples.
        generator: of these samples, instead.

    Raises:
        ValueError: an item is empty, not finite or malformed; the message names it.
        TypeError: a shape without `samples`, or something else.
    """
    if isinstance(value, PointSets):
        return value
    if isinstance(value, Tensor):
        check_plain(value)
    if isinstance(value, Tensor | np.ndarray):
        return PointSets.from_list([*value] if value.ndim == 3 else [value])
    if is_plain_sequence(value) and len(value) and all(_is_floats(each) for each in value):
        return PointSets.from_list(value)
    if samples is None:
        raise TypeError(
            f"Expected {_ACCEPTED}; got {type(value).__name__}. Surfaces need a number of points: samples=2048."
        )
    return PointSets.from_meshes(value, samples, seed=seed, generator=generator)


def _is_floats(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _tensor(value: Any, item: int, name: str, device: torch.device, shape: tuple[int | None, ...]) -> Tensor:
    """A floating-point tensor of this shape, None being any size."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="))).to(device)
    if not isinstance(value, Tensor):
        raise TypeError(f"item {item}: expected {name} as a tensor or an array, got {type(value).__name__}.")
    fits = value.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        raise ValueError(f"item {item}: expected {name} of shape ({wanted}), got {tuple(value.shape)}.")
    if value.dtype not in packing.FLOAT_DTYPES:
        raise ValueError(f"item {item}: expected {name} of floating point, got {value.dtype}. Convert with .float().")
    if value.device != device:
        raise ValueError(
            f"item {item}: expected {name} on {device}, where the first points are, got {value.device}. "
            "Move them with .to(device)."
        )
    return value


def _beside(
    values: Sequence[Any] | None,
    name: str,
    counts: Sequence[int],
    device: torch.device,
    dtype: torch.dtype,
    rest: tuple[int, ...],
) -> Tensor | None:
    """Packed normals or weights that go with the points."""
    if values is None:
        return None
    if len(values) != len(counts):
        raise ValueError(f"Expected {name} for each of {len(counts)} point sets, got {len(values)}.")
    pairs = enumerate(zip(values, counts, strict=True))
    return torch.cat([_tensor(each, item, name, device, (count, *rest)) for item, (each, count) in pairs]).to(dtype)


def _check_values(sets: PointSets) -> None:
    """Raise ValueError on numbers that are not finite, and on weights that cannot make a mean."""
    named = {"points": sets.points, "normals": sets.normals, "weights": sets.weights}
    there = {name: values.detach() for name, values in named.items() if values is not None}
    good = [values.isfinite().all() for values in there.values()]
    if sets.weights is not None:
        good.append((there["weights"] >= 0).all())
        good.append(torch.stack([part.sum() > 0 for part in there["weights"].split(sets.counts)]).all())
    if torch.stack(good).all():  # one wait for the GPU
        return
    for name, values in there.items():
        for item, part in enumerate(values.split(sets.counts)):
            wrong = (~part.isfinite().view(len(part), -1).all(dim=1)).nonzero()
            if len(wrong):
                row = int(wrong[0])
                raise ValueError(
                    f"item {item}: expected finite {name}, got {part[row].tolist()} at point {row} "
                    f"({len(wrong)} of {len(part)} are not finite)."
                )
            if name == "weights" and not (bool((part >= 0).all()) and bool(part.sum() > 0)):
                raise ValueError(
                    f"item {item}: expected weights of at least 0 with a positive sum, got "
                    f"{packing.shorten(part.tolist())}."
                )
