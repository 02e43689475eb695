"""What is edited: a family's shape as its seed draws it, or the same with the legs and bars that an edit is about."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np

from dr_kfs.datasets import LabelledShape, generate

__all__ = ["BARS_SEEN_FROM_THE_FRONT", "LIMBS", "NotApplicableError", "Variant", "limbs", "target_shape"]

Variant = Literal["free", "barred", "limbed"]
"""`"free"`: as the seed draws it. `"barred"`: a chair with four legs and stretcher bars between them (the paper's
Table 5). `"limbed"`: at least two legs, or wings, and nothing between the legs (the paper's Figure 2)."""

BARS_SEEN_FROM_THE_FRONT = ("box", "front_back", "h", "stacked", "cross")
"""Words of the style option "bars" that the front view shows; a chair whose seed draws another one gets "box"."""
LIMBS = {"chair": ("leg_*",), "table": ("leg_*",), "airplane": ("wing_left", "wing_right")}
"""Names of the thin parts that Figure 2 is about. Of a family that is not listed the numbered legs, where it has two
or more: they are whole, while "leg_front_left" of a creature has a foot of its own."""
_FOUR_LEGS = {"chair": {"legs": "four", "bars": "none"}, "table": {"base": "four", "bars": "none"}}


class NotApplicableError(ValueError):
    """This shape has no such edit; the message says why."""


def target_shape(family: str, seed: int, variant: Variant = "free") -> LabelledShape | None:
    """The shape that edits are compared with, or None where the family has no such variant.

    Choices that the variant does not fix stay as the seed draws them.
    """
    if variant == "free":
        return generate(family, seed)
    if variant == "barred":
        if family != "chair":
            return None
        drawn = generate(family, seed, style={"legs": "four"})
        if drawn.parameters["style"]["bars"] in BARS_SEEN_FROM_THE_FRONT:
            return drawn
        return generate(family, seed, style={"legs": "four", "bars": "box"})
    shape = generate(family, seed, style=_FOUR_LEGS.get(family))
    return shape if len(limbs(shape)) >= 2 else None


def limbs(shape: LabelledShape) -> list[str]:
    """Names of the legs, wings, ... in the order of the parts; perhaps none."""
    patterns = LIMBS.get(shape.family, ("leg_[0-9]",))
    return [name for pattern in patterns for name in shape.parts if _matches(shape, name, pattern)]


def _matches(shape: LabelledShape, name: str, pattern: str) -> bool:
    try:
        return name in shape.part_names(pattern)
    except ValueError:  # no part matches
        return False


def diagonal(shape: LabelledShape) -> float:
    """Diagonal of the bounding box [world units]."""
    low, high = bounds(shape)
    return float(np.linalg.norm(high - low))


def bounds(shape: LabelledShape) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest corner of the bounding box, (3,) each."""
    corners = np.stack([part.bounds() for part in shape.parts.values()])
    return corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)


def random_stream(shape: LabelledShape, purpose: str) -> np.random.Generator:
    """Random numbers that depend on the shape's seed and the purpose alone: the same at every strength."""
    return np.random.default_rng([int(shape.parameters["seed"]), zlib.crc32(f"{shape.family} {purpose}".encode())])
