"""What families share: the two sides of a symmetric shape, the floor it stands on, and scattered values."""

from __future__ import annotations

from dr_kfs.datasets.primitives import Solid

__all__ = ["both_sides", "on_floor", "scattered"]


def both_sides(left: dict[str, Solid]) -> dict[str, Solid]:
    """Each part of the left side (+x) and its mirror image.

    The side comes before a number: "wing" -> "wing_left", "wing_right"; "strut_0" -> "strut_left_0", ...
    """
    parts = {}
    for name, solid in left.items():
        stem, _, number = name.rpartition("_") if name[-1].isdigit() else (name, "", "")
        suffix = f"_{number}" if number else ""
        parts[f"{stem}_left{suffix}"], parts[f"{stem}_right{suffix}"] = solid, solid.mirrored()
    return parts


def on_floor(parts: dict[str, Solid]) -> dict[str, Solid]:
    """All parts shifted together so that the lowest vertex lies on y = 0."""
    lowest = min(float(solid.vertices[:, 1].min()) for solid in parts.values())
    return {name: solid.translated(y=-lowest) for name, solid in parts.items()}


def scattered(start: float, index: int) -> float:
    """A number in [0, 1) for each index: the golden-ratio sequence from a drawn start, for many equal things."""
    return (start + index * 0.6180339887) % 1.0
