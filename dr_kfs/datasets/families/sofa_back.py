"""Sofa backs: one upholstered board, loose cushions, rolls, a curved crest, a shell, slats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.outlines import rounded_rectangle, spline
from dr_kfs.datasets.primitives import Solid, box, cushion, cylinder, extrude, join, loft, sweep

if TYPE_CHECKING:
    from dr_kfs.datasets.families.sofa import Couch

__all__ = ["build_back"]


def build_back(choices: Choices, couch: Couch) -> dict[str, Solid]:
    """Parts "back", "back_cushion_0", "slat_0", "rail_top", ..."""
    kind = choices.style["back"]
    if kind == "none":
        return {}
    if kind == "slatted":
        return _slatted(choices, couch)
    if kind == "wrapped":
        return {"back": _wrapped(choices, couch)}
    end = -0.5 if choices.style["form"] != "chaise" else choices.size("chaise_end", -0.1, 0.25)
    left, right = couch.inner if choices.style["arms"] != "none" else couch.width / 2, end * couch.width
    if choices.style["form"] != "chaise":
        right = -left
    lean = choices.size("back_lean", 0.0, 12.0)
    parts = _upholstered(choices, couch, kind, left - right)
    about = (0.0, couch.frame, couch.front)
    return {
        name: solid.rotated("x", -lean, about=about).translated(x=(left + right) / 2) for name, solid in parts.items()
    }


def _upholstered(choices: Choices, couch: Couch, kind: str, width: float) -> dict[str, Solid]:
    """Backs built upright around x = 0."""
    low, high = couch.clear + 0.01, couch.back
    thick = couch.front + couch.depth / 2
    z = couch.front - thick / 2
    if kind == "camel":
        swell = choices.size("camel_rise", 0.04, 0.1)
        humps = choices.count("camel_humps", 1, 2) if width > 0.6 else 1
        x = np.linspace(-width / 2, width / 2, 25)
        y = high - swell / 2 - swell / 2 * np.cos(2 * np.pi * humps * (x / width + 0.5))
        outline = np.concatenate([np.stack([x, y], 1)[::-1], [[-width / 2, low], [width / 2, low]]])
        return {"back": extrude(outline, thick, bevel=0.012).translated(z=z)}
    edge = min(choices.size("back_edge", 0.006, 0.03), 0.4 * thick)
    board = box((width, high - low, thick), (0, (low + high) / 2, z), bevel=edge, steps=3)
    if kind == "board":
        return {"back": board}
    if kind == "rolled":
        radius = choices.size("roll_radius", 0.035, 0.055)
        roll = cylinder(radius, (-width / 2 - 0.01, high, z), (width / 2 + 0.01, high, z), sides=20, bevel=0.008)
        return {"back": board, "rail_top": roll}
    if kind == "channels":
        count = max(4, round(width / choices.size("channel_pitch", 0.05, 0.11)))
        wide = width / count
        roll = cushion((1.02 * wide, high - couch.frame, 0.06), power=4, sides=12, rings=7)
        places = [(wide * (k + 0.5) - width / 2, (high + couch.frame) / 2 + 0.01, couch.front) for k in range(count)]
        return {"back": board, "back_pad": join(*[roll.translated(*place) for place in places])}
    count = {"armchair": 1, "two": 2, "three": 3, "corner": 3}.get(choices.style["form"], 2)
    if width < 0.45:
        count = 1
    deep, wide = choices.size("back_cushion", 0.06, 0.1), width / count
    tall = (high - couch.seat) * choices.size("back_cushion_height", 0.9, 1.2)
    soft = cushion((wide - 0.006, tall, deep), power=choices.size("back_cushion_power", 3.5, 6.0), sides=32, rings=11)
    parts = {"back": board}
    for k in range(count):
        x = width / 2 - wide * (k + 0.5)
        parts[f"back_cushion_{k}"] = soft.translated(x, couch.seat + 0.48 * tall, couch.front + 0.42 * deep)
    return parts


def _wrapped(choices: Choices, couch: Couch) -> Solid:
    """A wall around the sides and the back, lower in front."""
    thick = choices.size("wrap_thickness", 0.05, 0.08)
    front = choices.size("wrap_front", 0.0, 0.75)
    x, z = couch.width / 2 - 0.3 * thick, couch.depth / 2
    corners = [(x, 0.9 * z), (1.02 * x, 0.1 * z), (0.98 * x, -0.55 * z), (0.6 * x, -0.94 * z), (0, -z)]
    half = spline(corners, steps=6)
    path = np.concatenate([half, half[-2::-1] * (-1, 1)])
    low = couch.clear
    tops = low + (couch.back - low) * (1 - (1 - front) * np.clip(path[:, 1] / (2 * z) + 0.5, 0, 1) ** 1.5 * 0.6)
    tangent = np.gradient(path, axis=0)
    side = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    side = side / np.linalg.norm(side, axis=1, keepdims=True)
    section = rounded_rectangle(1.0, 1.0, 0.3, steps=3)
    rings = np.empty((len(path), len(section), 3))
    for ring, point, out, top in zip(rings, path, side, tops, strict=True):
        flat = point + section[:, :1] * thick * out
        ring[:, 0], ring[:, 2] = flat[:, 0], flat[:, 1]
        ring[:, 1] = low + (top - low) * (section[:, 1] + 0.5)
    return loft(rings)


def _slatted(choices: Choices, couch: Couch) -> dict[str, Solid]:
    """Wooden back: a rail between two posts, over upright or level slats."""
    x, z, bar = couch.width / 2 - 0.02, -0.5 * couch.depth + 0.014, choices.size("bar_thickness", 0.018, 0.032)
    low, high = couch.frame - 0.01, couch.back
    section = rounded_rectangle(bar, bar, 0.004)
    parts: dict[str, Solid] = {}
    for name, side in (("left", 1), ("right", -1)):
        ends = np.array([[side * x, couch.clear, z], [side * x, high, z]])
        parts[f"back_post_{name}"] = sweep(ends, section)
    parts["rail_top"] = box((2 * x, 1.8 * bar, 0.9 * bar), (0, high - 0.9 * bar, z), bevel=0.004)
    count = choices.count("slats", 4, 12)
    if choices.count("level_slats", 0, 2) == 0:
        rows = max(2, count // 3)
        for k in range(rows):
            y = low + (high - low) * (k + 0.7) / (rows + 0.9)
            parts[f"slat_{k}"] = box((2 * x, 0.5 * (high - low) / rows, 0.4 * bar), (0, y, z))
        return parts
    for k in range(count):
        place = x * (2 * (k + 1) / (count + 1) - 1)
        parts[f"slat_{k}"] = box((0.6 * bar, high - low, 0.4 * bar), (place, (low + high) / 2, z))
    return parts
