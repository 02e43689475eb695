"""Rounded, tapering solids along a curve: limbs, necks, tails, trunks and branches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dr_kfs.datasets.outlines import Number, Point, circle, spline
from dr_kfs.datasets.primitives import Solid, sweep

__all__ = ["limb"]

_ROUND = np.array([0.3, 0.7, 0.92])
"""Scales of the rings that round an end."""


def limb(
    points: Sequence[Point] | np.ndarray,
    radii: Sequence[Number] | Sequence[tuple[Number, Number]] | np.ndarray,
    *,
    sides: int = 12,
    steps: int = 4,
    up: Point = (0.0, 1.0, 0.0),
    smooth: bool = True,
) -> Solid:
    """Round bar through `points`, as thick at each of them as `radii` says, its ends rounded.

    Args:
        points: (K, 3) middle line.
        radii: (K,) radii, or (K, 2) half widths across and along `up`.
        sides: corners around the bar.
        steps: rings from point to point.
        up: direction of the second of the two radii.
        smooth: a curve through the points instead of straight pieces.
    """
    knots = np.asarray(points, dtype=np.float64)
    thick = np.asarray(radii, dtype=np.float64)
    thick = thick[:, None] * np.ones(2) if thick.ndim == 1 else thick
    both = np.concatenate([knots, thick], axis=1)
    if smooth:
        both = spline(both, steps=steps)
    path, scales = both[:, :3], np.maximum(both[:, 3:], 1e-4)
    ends = []
    for end, beside in ((0, 1), (-1, -2)):
        outward = path[end] - path[beside]
        outward = outward / np.linalg.norm(outward)
        reach = scales[end].min() * np.sqrt(1 - _ROUND**2)
        ends.append((path[end] + reach[:, None] * outward, scales[end] * _ROUND[:, None]))
    path = np.concatenate([ends[0][0], path, ends[1][0][::-1]])
    scales = np.concatenate([ends[0][1], scales, ends[1][1][::-1]])
    return sweep(path, circle(1.0, sides=sides), scales=scales, up=up)
