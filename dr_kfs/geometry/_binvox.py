"""The binvox format: a header in ASCII, then runs of equal voxels, two bytes each.

Format: P. Min, https://www.patrickmin.com/binvox/binvox.html. The voxels are listed along y fastest, then along z,
then along x. Voxel (i, j, k) of d^3 is centred at `translate + scale * ((i, j, k) + 0.5) / d`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

_LONGEST_RUN = 255
_LARGEST_SIDE = 2048
"""A damaged header must not ask for all memory."""


def decode(data: bytes) -> tuple[Bool[np.ndarray, "d d d"], list[float], float]:
    """Voxels on the axes x, y, z, the lowest corner of their box, and its side [world units].

    Raises:
        ValueError: not binvox, another version, sides that differ, or runs that do not fill the grid.
    """
    header, mark, body = data.partition(b"\ndata\n")
    lines = [line.split() for line in header.decode("ascii", "replace").splitlines()]
    if not mark or lines[0] not in (["#binvox", "1"], ["#binvox", "2"]):  # version 2: values above 1 are full too
        raise ValueError("no whole binvox header (#binvox 1, dim, translate, scale, data)")
    fields = {line[0]: line[1:] for line in lines[1:] if line}
    sides = [int(word) for word in fields.get("dim", [])]
    if len(sides) != 3 or len(set(sides)) != 1 or not 1 <= sides[0] <= _LARGEST_SIDE:
        raise ValueError(f"three equal sides of 1 to {_LARGEST_SIDE} expected, got dim {' '.join(map(str, sides))}")
    low = [float(word) for word in fields.get("translate", ["0", "0", "0"])]
    scale = [float(word) for word in fields.get("scale", ["1"])]
    if len(low) != 3 or len(scale) != 1 or not np.isfinite([*low, *scale]).all() or scale[0] <= 0:
        raise ValueError(f"three numbers for translate and a positive scale expected, got {low} and {scale}")
    runs = np.frombuffer(body, dtype=np.uint8)
    count = int(runs[1::2].sum(dtype=np.int64))
    if len(runs) % 2 or count != sides[0] ** 3:
        raise ValueError(f"{count} voxels where the header announces {sides[0] ** 3} (truncated?)")
    voxels = np.repeat(runs[::2] > 0, runs[1::2]).reshape(sides)
    return np.ascontiguousarray(voxels.transpose(0, 2, 1)), low, scale[0]


def encode(inside: Bool[np.ndarray, "d d d"], low: Sequence[float], side: float) -> bytes:
    """The bytes of a file.

    Args:
        inside: voxels on the axes x, y, z.
        low: lowest corner of their box [world units].
        side: of the box [world units].
    """
    voxels = inside.transpose(0, 2, 1).ravel()
    changes = np.flatnonzero(voxels[1:] != voxels[:-1]) + 1
    starts = np.concatenate([[0], changes])
    lengths = np.diff(np.concatenate([starts, [len(voxels)]]))
    pieces = -(-lengths // _LONGEST_RUN)  # a longer run is several
    values = np.repeat(voxels[starts], pieces).astype(np.uint8)
    counts = np.full(len(values), _LONGEST_RUN)
    counts[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST_RUN
    d = len(inside)
    header = f"#binvox 1\ndim {d} {d} {d}\ntranslate {low[0]!r} {low[1]!r} {low[2]!r}\nscale {side!r}\ndata\n"
    return header.encode("ascii") + np.stack([values, counts.astype(np.uint8)], axis=1).tobytes()
