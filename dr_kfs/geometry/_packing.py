"""Packs and validates per-mesh arrays, and the index arithmetic of packed batches."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

FLOAT_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def offsets(counts: Iterable[int]) -> tuple[int, ...]:
    """First row of every item, and the total: (3, 4) gives (0, 3, 7)."""
    return tuple(accumulate(counts, initial=0))


def repeat(values: Tensor, counts: Sequence[int], device: torch.device) -> Tensor:
    """`values[b]` repeated `counts[b]` times, on `device`, without waiting for it."""
    # output_size spares the GPU a wait for the sum of the counts.
    total = sum(counts)
    return torch.repeat_interleave(
        values.to(device), torch.tensor(counts, dtype=torch.int64).to(device), output_size=total
    )


def gather(starts: Sequence[int], items: Sequence[int], device: torch.device) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """How to gather some items of a packed tensor, without a loop over them on the device.

    Args:
        starts: B + 1 offsets of the packed tensor.
        items: the items wanted, in any order, with repetitions.
        device: where the packed tensor is.

    Returns:
        the rows to take, the offsets of the result, and per taken item how far its rows move.
    """
    counts = [starts[item + 1] - starts[item] for item in items]
    new_starts = offsets(counts)
    shift = torch.tensor(new_starts[:-1]) - torch.tensor([starts[item] for item in items])
    rows = torch.arange(new_starts[-1], device=device) - repeat(shift, counts, device)
    return rows, new_starts, shift


def shorten(values: Sequence[Any]) -> str:
    """The values as text, the middle of long ones left out."""
    if len(values) <= 6:
        return str(tuple(values))
    return f"({', '.join(map(str, values[:3]))}, ..., {values[-1]}), {len(values)} in all"


def item_numbers(index: Any, size: int) -> list[int]:
    """The items in [0, size) that an index of `Meshes` means.

    Raises:
        IndexError: no such item, or no such kind of index.
    """
    if isinstance(index, slice):
        return list(range(size)[index])
    try:
        numbers = [operator.index(index)]
    except TypeError:
        values = index.tolist() if isinstance(index, (Tensor, np.ndarray)) else index
        if isinstance(values, str | bytes) or not isinstance(values, Sequence):
            raise IndexError(
                "Expected an integer, a slice, a 1-D sequence or tensor of integers, or a mask of "
                f"{size} booleans, got {type(index).__name__}."
            ) from None
        numbers = _from_sequence(values, size)
    for number in numbers:
        if not -size <= number < size:
            raise IndexError(f"Expected an item in [-{size}, {size}) of {size} meshes, got {number}.")
    return [number % size for number in numbers]


def _from_sequence(values: Sequence[Any], size: int) -> list[int]:
    if any(isinstance(value, bool | np.bool_) for value in values):
        if len(values) != size or not all(isinstance(value, bool | np.bool_) for value in values):
            raise IndexError(f"Expected a mask of {size} booleans, one per mesh, got {shorten(values)}.")
        return [item for item, chosen in enumerate(values) if chosen]
    try:
        return [operator.index(value) for value in values]
    except TypeError:
        raise IndexError(f"Expected a 1-D sequence of integers, got {shorten(values)}.") from None


def pack(
    vertices: Sequence[Tensor | np.ndarray],
    faces: Sequence[Tensor | np.ndarray],
    *,
    allow_empty: bool,
    first_item: int,
) -> tuple[Tensor, Tensor, tuple[int, ...], tuple[int, ...]]:
    """Packed vertices and faces, and their offsets; messages count items from `first_item`.

    Raises:
        ValueError: an item is malformed, or there is none.
        TypeError: an item is no tensor or array.
    """
    if len(vertices) != len(faces):
        raise ValueError(
            f"Expected one face array per vertex array, got {len(vertices)} vertex and {len(faces)} face arrays."
        )
    if len(vertices) == 0:
        raise ValueError("Expected at least one mesh, got none.")
    vertex_tensors: list[Tensor] = []
    face_tensors: list[Tensor] = []
    device = next((each.device for each in vertices if isinstance(each, Tensor)), torch.device("cpu"))
    for item, (positions, corners) in enumerate(zip(vertices, faces, strict=True), start=first_item):
        vertex_tensors.append(_vertex_tensor(positions, item, device))
        face_tensors.append(_face_tensor(corners, item, device, allow_empty=allow_empty))
        if vertex_tensors[-1].dtype != vertex_tensors[0].dtype:
            raise ValueError(
                f"item {item}: expected vertices of one dtype, got {vertex_tensors[-1].dtype} after "
                f"{vertex_tensors[0].dtype} in item {first_item}. Convert with .to(dtype)."
            )
    vertex_offsets = offsets(map(len, vertex_tensors))
    face_offsets = offsets(map(len, face_tensors))
    packed_vertices, local_faces = torch.cat(vertex_tensors), torch.cat(face_tensors)
    counts = [len(corners) for corners in face_tensors]
    limit = repeat(torch.tensor([len(each) for each in vertex_tensors]), counts, device)[:, None]
    wrong_vertices = ~packed_vertices.detach().isfinite().all(dim=1)
    wrong_faces = ((local_faces < 0) | (local_faces >= limit)).any(dim=1)
    # One wait for the GPU, however many items there are.
    if torch.stack([wrong_vertices.any(), wrong_faces.any()]).any():
        for row, (positions, corners) in enumerate(zip(vertex_tensors, face_tensors, strict=True)):
            _check_values(positions.detach(), corners, first_item + row)
    starts = repeat(torch.tensor(vertex_offsets[:-1]), counts, device)[:, None]
    return packed_vertices, local_faces + starts, vertex_offsets, face_offsets


def _vertex_tensor(values: Any, item: int, device: torch.device) -> Tensor:
    tensor = _tensor(values, "vertices", item, device)
    if tensor.dtype not in FLOAT_DTYPES:
        raise ValueError(
            f"item {item}: expected vertices of float16, bfloat16, float32 or float64, got {tensor.dtype}. "
            "Convert with .float()."
        )
    return tensor


def _face_tensor(values: Any, item: int, device: torch.device, *, allow_empty: bool) -> Tensor:
    tensor = _tensor(values, "faces", item, device)
    if len(tensor) == 0 and not allow_empty:
        raise ValueError(
            f"item {item}: expected at least one face, got none. "
            "Leave the item out, or build it with Meshes.from_list(..., allow_empty=True)."
        )
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        if len(tensor) == 0:  # torch.zeros(0, 3) and np.zeros((0, 3)) are how people write "no faces"
            return tensor.to(torch.int64)
        raise ValueError(
            f"item {item}: expected faces of integers, which index the item's vertices, got {tensor.dtype}."
        )
    return tensor.to(torch.int64)


def _tensor(values: Any, name: str, item: int, device: torch.device) -> Tensor:
    """The (rows, 3) tensor of an item; arrays go to `device`, tensors must be there already."""
    if isinstance(values, Tensor):
        tensor = values
    elif isinstance(values, np.ndarray):
        try:
            # A copy: files hand out read-only and big-endian arrays, and torch takes neither.
            tensor = torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("="))).to(device)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"item {item}: expected {name} of numbers that torch has, got an array of {values.dtype}."
            ) from error
    else:
        raise TypeError(f"item {item}: expected {name} as a tensor or an array, got {type(values).__name__}.")
    if tensor.ndim != 2 or tensor.shape[1] != 3:
        raise ValueError(f"item {item}: expected {name} of shape (rows, 3), got {tuple(tensor.shape)}.")
    if tensor.device != device:
        raise ValueError(
            f"item {item}: expected {name} on {device}, where the first vertices are, got {tensor.device}. "
            "Move them with .to(device)."
        )
    return tensor


def _check_values(vertices: Tensor, faces: Tensor, item: int) -> None:
    bad = (~vertices.isfinite().all(dim=1)).nonzero()
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"item {item}: expected finite vertices, got {tuple(vertices[row].tolist())} at vertex {row} "
            f"({len(bad)} of {len(vertices)} vertices are not finite)."
        )
    bad = ((faces < 0) | (faces >= len(vertices))).any(dim=1).nonzero()
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"item {item}: expected faces of indices in [0, {len(vertices)}), the item's own vertices "
            f"counted from 0, got {tuple(faces[row].tolist())} at face {row} "
            f"({len(bad)} of {len(faces)} faces are wrong)."
        )
