"""Samples of an implicit field on a grid: densely, or only where the surface passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dr_kfs.geometry._cell_surface import ActiveCells, active_cells, corner_offsets, sample_coordinates
from dr_kfs.geometry._field_kinds import FieldKind, check_values, is_inside


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldSampler:
    """A field and how to evaluate it at the corners of n^3 cells of a box, n being the `size` of a grid.

    Samples are numbered as in a flattened (n + 3)^3: there is one layer of them outside the box, all around.
    """

    field: Callable[[Tensor], Tensor]
    low: Float[Tensor, " 3"]
    """Lowest corner of the box."""
    high: Float[Tensor, " 3"]
    """Highest corner."""
    kind: FieldKind
    level: float
    chunk: int
    """Points per call of the field."""

    def points(self, number: Int[Tensor, " N"], size: int) -> Float[Tensor, "N 3"]:
        """Where samples are; those in the box are not outside it by rounding."""
        share = (sample_coordinates(number, (size + 3,) * 3) - 1).to(self.low.dtype) / size
        return torch.lerp(self.low, self.high, share)

    def values(self, number: Int[Tensor, " N"], size: int) -> Float[Tensor, " N"]:
        """The field at samples.

        Raises:
            ValueError: values of another shape, that are not finite, or that are no probabilities.
        """
        # Written in place: small results between large temporaries fragment the heap.
        found = torch.empty(len(number), dtype=self.low.dtype, device=self.low.device)
        for part, rows in zip(number.split(self.chunk), found.split(self.chunk), strict=True):
            points = self.points(part, size)
            values = self.field(points)
            if values.shape not in ((len(points),), (len(points), 1)):
                raise ValueError(
                    f"Expected a field that maps points {tuple(points.shape)} to values ({len(points)},) or "
                    f"({len(points)}, 1), got {tuple(values.shape)}."
                )
            rows.copy_(values.reshape(-1))
            check_values(rows, self.kind, "the field")
        return found


@dataclass(frozen=True, eq=False)
class FieldSamples:
    """What is known of a field at the samples of a grid with one layer around it."""

    inside: Bool[Tensor, "1 S S S"]
    cells: ActiveCells
    values: Float[Tensor, " _"]
    """The field at the corners of the active cells that are in the box; anything elsewhere."""


def sample_coarse_to_fine(sampler: FieldSampler, sizes: list[int]) -> FieldSamples:
    """All samples of the first size; of those that follow, each twice the one before, those near the surface."""
    samples = None
    for size in sizes:
        samples = _sample_all(sampler, size) if samples is None else _refine(sampler, samples, size)
    assert samples is not None, "at least one size"
    return samples


def _sample_all(sampler: FieldSampler, size: int) -> FieldSamples:
    wanted = _in_box(size, sampler.low.device).flatten().nonzero().squeeze(1)
    inside, values = _unknown(size, sampler)
    _evaluate(sampler, size, wanted, inside, values)
    return FieldSamples(inside, active_cells(inside), values)


def _refine(sampler: FieldSampler, coarse: FieldSamples, size: int) -> FieldSamples:
    """Samples of a grid twice as fine: in the coarse active cells, then along the surface that shows."""
    inside, values = _unknown(size, sampler)
    # Elsewhere the corners of a coarse cell agree: what lies between them is taken to be as they are.
    within = coarse.inside[0, 1:-1, 1:-1, 1:-1]
    for axis in range(3):
        within = within.repeat_interleave(2, dim=axis).narrow(axis, 0, size + 1)
    inside[0, 1:-1, 1:-1, 1:-1] = within
    unknown = _in_box(size, sampler.low.device).flatten()
    wanted = torch.zeros_like(unknown)
    for number in _samples_in_cells(coarse.cells, size):
        wanted[number] = True
    corners = torch.tensor(corner_offsets(inside.shape), device=sampler.low.device)
    cells = coarse.cells
    while len(number := wanted.logical_and_(unknown).nonzero().squeeze(1)):
        _evaluate(sampler, size, number, inside, values)
        unknown[number] = False
        cells = active_cells(inside)
        wanted.zero_()
        wanted[(cells.index[:, None] + corners).flatten()] = True
    return FieldSamples(inside, cells, values)


def _samples_in_cells(cells: ActiveCells, size: int) -> list[Int[Tensor, " _"]]:
    """The numbers, in a grid of `size`, of the 27 samples in each of some cells of the grid half as fine."""
    lowest = 2 * sample_coordinates(cells.index, (size // 2 + 3,) * 3) - 1
    numbers = []
    for offset in range(27):
        place = lowest + torch.tensor([offset // 9, offset // 3 % 3, offset % 3], device=lowest.device)
        x, y, z = place[((place >= 0) & (place < size + 3)).all(dim=1)].unbind(1)
        numbers.append((x * (size + 3) + y) * (size + 3) + z)
    return numbers


def _evaluate(sampler: FieldSampler, size: int, number: Tensor, inside: Tensor, values: Tensor) -> None:
    """Writes the field at some samples, and which are inside, to the arrays of all samples."""
    values[number] = sampler.values(number, size)
    inside.view(-1)[number] = is_inside(values[number], sampler.level, sampler.kind)


def _unknown(size: int, sampler: FieldSampler) -> tuple[Bool[Tensor, "1 S S S"], Float[Tensor, " _"]]:
    """Arrays for all samples of a grid: none inside, any values."""
    inside = torch.zeros(1, size + 3, size + 3, size + 3, dtype=torch.bool, device=sampler.low.device)
    return inside, torch.empty(inside.numel(), dtype=sampler.low.dtype, device=sampler.low.device)


def _in_box(size: int, device: torch.device) -> Bool[Tensor, "S S S"]:
    """Which samples are in the box, not in the layer around it."""
    inner = torch.ones(size + 1, size + 1, size + 1, dtype=torch.bool, device=device)
    return torch.nn.functional.pad(inner, (1,) * 6)
