"""What the numbers of a volume mean: occupancy probabilities, their logits, or signed distances."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FieldKind = Literal["probability", "logit", "distance"]
"""Probabilities in [0, 1] and logits are large inside; signed distances are negative inside."""

PROBABILITY_FLOOR = 1e-6
"""Probabilities p are read as floor + (1 - 2 floor) p, so that the logits of 0 and 1 are finite: -13.8 and 13.8."""
LOGIT_LIMIT = math.log((1 - PROBABILITY_FLOOR) / PROBABILITY_FLOOR)
DIFFERENCE_FLOOR = 1e-6
"""Smallest difference of the two ends of an edge that is divided by [logits, or spacings for distances]."""

_DEFAULT_LEVELS = {"probability": 0.5, "logit": 0.0, "distance": 0.0}


def check_level(level: float | None, kind: FieldKind) -> float:
    """The level of the surface, by default 0.5 for probabilities and 0 for logits and distances.

    Raises:
        ValueError: an unknown kind, or a level that is not finite or not in (0, 1) for probabilities.
    """
    if kind not in _DEFAULT_LEVELS:
        raise ValueError(f'Expected kind "probability", "logit" or "distance", got {kind!r}.')
    if level is None:
        return _DEFAULT_LEVELS[kind]
    if kind == "probability" and not 0.0 < level < 1.0:
        raise ValueError(f'Expected a level in (0, 1) for probabilities, got {level}. For logits pass kind="logit".')
    if not math.isfinite(level):
        raise ValueError(f"Expected a finite level, got {level}.")
    return level


def check_values(values: Tensor, kind: FieldKind, where: str) -> None:
    """Raises ValueError on values that are not finite, or no probabilities.

    Args:
        values: any number of them.
        kind: what they should be.
        where: for the message: "item 2".
    """
    if values.numel() == 0:
        return
    low, high = (bound.item() for bound in values.detach().aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):  # NaN anywhere makes both NaN
        bad = int((~values.isfinite()).sum())
        raise ValueError(f"{where}: expected finite values, got {bad} of {values.numel()} that are not.")
    slack = PROBABILITY_FLOOR / 2  # averages of probabilities are off by rounding; their logits are still finite
    if kind == "probability" and (low < -slack or high > 1.0 + slack):
        raise ValueError(
            f'{where}: expected probabilities in [0, 1], got values from {low:.4g} to {high:.4g}. Pass kind="logit" '
            'for logits, kind="distance" for signed distances.'
        )


def is_inside(values: Float[Tensor, "*shape"], level: float, kind: FieldKind) -> Bool[Tensor, "*shape"]:
    """Which samples are inside. A sample at the level is outside, so that every edge that is cut has a length."""
    return values < level if kind == "distance" else values > level


def outside_value(level: float, kind: FieldKind, spacing: Float[Tensor, "B 3"]) -> Float[Tensor, " B"]:
    """What stands around a grid, to close shapes that touch its border: probability 0, or one spacing away."""
    if kind == "probability":
        return torch.zeros_like(spacing[:, 0])
    if kind == "logit":
        return torch.full_like(spacing[:, 0], level - LOGIT_LIMIT)
    return level + spacing.amax(dim=1)


def crossing_place(
    start: Float[Tensor, " N"],
    end: Float[Tensor, " N"],
    level: float,
    kind: FieldKind,
    unit: Float[Tensor, " N"],
) -> Float[Tensor, " N"]:
    """Where the level lies between the ends of an edge: `(level - start) / (end - start)`, in [0, 1] to rounding.

    Probabilities are turned into logits first: 1 - 1e-5 and 0.4 are then 11.5 and -0.4, and the surface is near the
    second, where between saturated probabilities it would always be in the middle. The gradient is exact; it is
    bounded where the ends are almost equal, and at saturated probabilities (by about 2e4).

    Args:
        start: values at the starts.
        end: values at the ends; the level lies between the two.
        level: of the surface.
        kind: of the values.
        unit: length of the edges, of which `DIFFERENCE_FLOOR` is a multiple for distances.
    """
    if kind == "probability":
        start, end = _logit(start), _logit(end)
        level = float(_logit(torch.tensor(level, dtype=torch.float64)))
    floor = DIFFERENCE_FLOOR * (unit if kind == "distance" else torch.ones_like(unit))
    difference = end - start
    # Measured from the middle, so that equal ends give the middle and not one of the ends. Halves first: sums of huge
    # values overflow.
    size = difference.abs().clamp(min=floor)
    return 0.5 + (level - (start / 2 + end / 2)) / torch.where(difference < 0, -size, size)


def _logit(probability: Tensor) -> Tensor:
    keep = 1 - 2 * PROBABILITY_FLOOR
    # 1 - p is exact near 1, where p itself has few digits left.
    return (PROBABILITY_FLOOR + keep * probability).log() - (PROBABILITY_FLOOR + keep * (1 - probability)).log()
