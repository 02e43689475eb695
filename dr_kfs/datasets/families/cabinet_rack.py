"""Open racks: shelves between four posts, straight ones or two leaning ladders."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.cabinet_contents import build_contents
from dr_kfs.datasets.families.cabinet_ends import CORNERS, caster
from dr_kfs.datasets.families.cabinet_layout import Carcass, Cell
from dr_kfs.datasets.outlines import circle, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cylinder, post

__all__ = ["build_rack"]


def build_rack(choices: Choices, width: float, height: float, depth: float) -> dict[str, Solid]:
    """Parts "post_0", "shelf_0", "bar_0", "brace_0", "caster_0", ..."""
    thick, board = choices.size("post_thickness", 0.014, 0.034), choices.size("board", 0.012, 0.028)
    leaning = choices.style["form"] == "ladder"
    low = 0.06 if choices.style["base"] == "casters" else 0.0
    x, z = width / 2 - thick / 2, depth / 2 - thick / 2
    section = rounded_rectangle(thick, thick, 0.003)
    if choices.count("round_posts", 0, 1):
        section = circle(thick / 2, sides=12)
    parts: dict[str, Solid] = {}
    for i, (sx, sz) in enumerate(CORNERS):
        head = 0.04 - z if leaning and sz > 0 else sz * z
        parts[f"post_{i}"] = post(np.array([[sx * x, low, sz * z], [sx * x, low + height, head]]), section)
        if low:
            parts[f"caster_{i}"] = caster(sx * x, sz * z)
    count = choices.count("shelves", 3, 6)
    first, last = (0.1, 0.9) if leaning else (choices.size("lowest_shelf", 0.03, 0.15), 0.98)
    levels = low + height * np.linspace(first, last, count)
    cells = []
    for i, y in enumerate(levels):
        front = z - (2 * z - 0.04) * (y - low) / height if leaning else z
        parts[f"shelf_{i}"] = box((2 * x, board, front + z), (0, y, (front - z) / 2), bevel=0.002)
        above = levels[i + 1] if i + 1 < count else y + 0.12
        if i + 1 < count or not leaning:
            cells.append(Cell(thick - width / 2, width / 2 - thick, float(y), float(above), "open"))
    body = Carcass(width, low, low + height, -z, 0.1 - z if leaning else z, board)
    if not leaning:
        parts |= _bars(choices, (x, z), levels, thick) | _braces(choices, (x, z), low, height, thick)
    return parts | build_contents(choices, body, cells)


def _bars(choices: Choices, half: tuple[float, float], levels: np.ndarray, thick: float) -> dict[str, Solid]:
    """Rails behind each shelf, or at its two ends, or none."""
    x, z = half
    kind, rise = choices.count("rails", 0, 2), choices.size("rail_rise", 0.03, 0.07)
    spans = [[], [((-x, -z), (x, -z))], [((x, -z), (x, z)), ((-x, -z), (-x, z))]][kind]
    ends = [((a[0], y + rise, a[1]), (b[0], y + rise, b[1])) for y in levels[:-1] for a, b in spans]
    return {f"bar_{i}": cylinder(0.24 * thick, *span, sides=8) for i, span in enumerate(ends)}


def _braces(choices: Choices, half: tuple[float, float], low: float, height: float, thick: float) -> dict[str, Solid]:
    """A diagonal, or a cross, at the back."""
    x, z = half
    parts = {}
    for i in range(choices.count("braces", 0, 2)):
        side = (-1) ** i
        ends = (side * x, low + 0.1 * height, -z), (-side * x, low + 0.9 * height, -z - 0.4 * thick * i)
        parts[f"brace_{i}"] = cylinder(0.22 * thick, *ends, sides=8)
    return parts
