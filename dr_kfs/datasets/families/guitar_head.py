"""Heads of string instruments, and the pegs in them."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.guitar_body import Instrument
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import smooth
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, extrude, join

__all__ = ["build_head", "string_count"]

# Outlines (x, y) over the neck's half width and the head's length, from the nut up.
_OUTLINES = {
    "paired": [
        [(-1, 0), (1, 0), (1.5, 0.14), (1.6, 0.9), (1.0, 1.0), (0, 0.93), (-1.0, 1.0), (-1.6, 0.9), (-1.5, 0.14)],
        [(-1, 0), (1, 0), (1.35, 0.12), (1.75, 0.95), (0.4, 1.0), (0, 0.95), (-0.4, 1.0), (-1.75, 0.95), (-1.35, 0.12)],
        [(-1, 0), (1, 0), (1.4, 0.12), (1.4, 0.96), (0.7, 1.0), (-0.7, 1.0), (-1.4, 0.96), (-1.4, 0.12)],
    ],
    "inline": [
        [(-1, 0), (1, 0), (1.15, 0.1), (1.9, 0.16), (1.8, 0.3), (1.1, 0.45), (0.9, 0.8), (1.3, 0.92),
         (0.7, 1.0), (-0.5, 0.95), (-1.3, 0.2)],
        [(-1, 0), (1, 0), (1.6, 0.1), (1.1, 0.3), (0.6, 1.0), (-0.2, 0.98), (-1.3, 0.16)],
    ],
    "arrow": [
        [(-1, 0), (1, 0), (1.1, 0.1), (2.2, 0.25), (0, 1.0), (-2.2, 0.25), (-1.1, 0.1)],
        [(-1, 0), (1, 0), (1.2, 0.08), (0.9, 0.5), (1.9, 1.0), (0.0, 0.8), (-1.4, 0.12)],
    ],
}  # fmt: skip


def string_count(choices: Choices) -> int:
    """How many strings there are."""
    low, high = {"violin": (4, 4), "round": (4, 5), "box": (3, 4)}.get(choices.style["body"], (4, 6))
    return choices.count("strings", low, high)


def build_head(choices: Choices, what: Instrument) -> dict[str, Solid]:
    """Parts "head" and "peg_0".. above the nut."""
    kind, half, z = choices.style["head"], what.half_width(what.nut), what.front
    count = string_count(choices)
    if kind == "none":
        return {"head": box((2.2 * half, 0.03, 0.02), (0, what.nut + 0.012, z - 0.006), bevel=0.004)}
    if kind == "scroll":
        return _scroll(choices, what, count)
    length, thick = choices.size("head_length", 0.13, 0.19), choices.size("head_thickness", 0.012, 0.018)
    size = choices.size("peg_size", 0.8, 1.3)
    if kind == "slotted":
        wide = 1.35 * half
        rails = [box((0.3 * wide, length, thick), (x * wide, length / 2, 0)) for x in (-0.85, 0.0, 0.85)]
        ends = [box((2 * wide, 0.16 * length, thick), (0, y * length, 0), bevel=0.002) for y in (0.08, 0.92)]
        parts = {"head": join(*rails, *ends)}
        reach = 1.0 * wide
    else:
        variants = _OUTLINES[kind]
        outline = np.array(variants[choices.count("head_outline", 0, len(variants) - 1)]) * (half, length)
        parts = {"head": extrude(smooth(outline, ratio=choices.size("head_cut", 0.08, 0.22)), thick, bevel=0.002)}
        reach = 1.45 * half
    sides = [1, -1] if kind in ("paired", "slotted") else [1]
    if kind == "inline" or kind == "arrow":
        sides = [-1] if kind == "inline" else [1, -1]
    rows = -(-count // len(sides))
    for i in range(count):
        side, row = sides[i % len(sides)], i // len(sides)
        y = length * (0.2 + 0.66 * (row + 0.5) / rows)
        edge = (1.2 * half if kind == "inline" else reach) * (1.0 if kind != "inline" else 1 - 0.35 * y / length)
        parts[f"peg_{i}"] = _peg(size, thick).scaled(x=side).translated(side * (edge - 0.012), y, 0)
    tilt = choices.size("head_tilt", 2.0, 15.0)
    place = (0.0, what.nut - 0.002, z - thick / 2 + 0.002)
    return {name: solid.rotated("x", -tilt).translated(*place) for name, solid in parts.items()}


def _peg(size: float, thick: float) -> Solid:
    """Button on a shaft towards +x, and the post that takes the string."""
    shaft = cylinder(0.003, (-0.004, 0, 0), (0.026 * size, 0, 0), sides=8)
    button = ellipsoid((0.008 * size, 0.011 * size, 0.006 * size), (0.028 * size, 0, 0), segments=12, rings=7)
    post = cylinder(0.0045, (-0.004, 0, -0.2 * thick), (-0.004, 0, 0.5 * thick + 0.01), sides=10)
    return join(shaft, button, post)


def _scroll(choices: Choices, what: Instrument, count: int) -> dict[str, Solid]:
    """Peg box that ends in a spiral."""
    length, half, z = choices.size("head_length", 0.13, 0.19), 0.9 * what.half_width(what.nut), what.front - 0.008
    turns = choices.size("scroll_turns", 1.2, 2.0)
    radius = choices.size("scroll_radius", 0.022, 0.034)
    angles = np.linspace(0, 2 * np.pi * turns, 26)
    shrink = radius * (1 - 0.75 * angles / angles[-1])
    centre = np.array([what.nut + length, z - radius])
    spiral = np.stack(
        [0 * angles, centre[0] - shrink * np.cos(angles) * -1, centre[1] + shrink * np.sin(angles)], axis=1
    )
    spiral = np.stack([0 * angles, centre[0] + shrink * np.sin(angles), centre[1] + shrink * np.cos(angles)], axis=1)
    path = np.concatenate([[[0, what.nut - 0.004, z], [0, what.nut + 0.4 * length, z + 0.002]], spiral])
    wide = np.concatenate([[half, 0.75 * half], np.linspace(0.6 * half, 0.45 * half, len(spiral))])
    deep = np.concatenate([[0.012, 0.014], np.linspace(0.011, 0.005, len(spiral))])
    head = limb(path, np.stack([wide, deep], axis=1), sides=10, smooth=False, up=(0, 0, 1))
    eye = cylinder(0.35 * radius, (-half, *centre), (half, *centre), sides=14, bevel=0.002)
    parts = {"head": join(head, eye)}
    for i in range(count):
        side, y = (-1) ** i, what.nut + length * (0.12 + 0.6 * i / count)
        shaft = cylinder(0.0045, (-side * half, y, z), (side * (half + 0.03), y, z), sides=10)
        grip = ellipsoid((0.016, 0.006, 0.012), (side * (half + 0.036), y, z), segments=12, rings=7)
        parts[f"peg_{i}"] = join(shaft, grip)
    return parts
