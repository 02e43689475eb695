"""Doors, drawer fronts and their handles."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.cabinet_layout import Carcass, Cell
from dr_kfs.datasets.outlines import arc, bow, rounded_path
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, extrude, join, loft, torus, tube

__all__ = ["build_fronts"]


def build_fronts(choices: Choices, body: Carcass, cells: list[Cell]) -> dict[str, Solid]:
    """Parts "door_0", "drawer_0", "handle_0", ...: the handles are numbered through all fronts."""
    thick = choices.size("front_thickness", 0.01, 0.02)
    gap = choices.size("front_gap", 0.002, 0.008)
    doors = [cell for cell in cells if cell.kind == "door"]
    drawers = [cell for cell in cells if cell.kind == "drawer"]
    parts: dict[str, Solid] = {}
    for i, cell in enumerate([*doors, *drawers]):
        size = (cell.right - cell.left - gap, cell.high - cell.low - gap)
        centre = np.array([(cell.left + cell.right) / 2, (cell.low + cell.high) / 2, body.front + thick / 2])
        is_door = i < len(doors)
        front = _panel(choices, size, thick, drawer=not is_door)
        handle = _handle(choices, size, thick, is_door=is_door)
        name = f"door_{i}" if is_door else f"drawer_{i - len(doors)}"
        # Doors that stand in pairs open away from each other.
        hinge = -1.0 if i % 2 == 0 or not is_door else 1.0
        both = {name: front} | ({f"handle_{i}": handle.scaled(x=-hinge)} if handle else {})
        pull, turn = 0.0, 0.0
        if choices.style["doors"] == "ajar" and is_door and choices.count(f"open_{i}", 0, 1):
            turn = choices.size(f"open_angle_{i}", 20.0, 110.0)
        elif not is_door and choices.count(f"open_{i}", 0, 5) == 0:
            pull = choices.size(f"open_reach_{i}", 0.2, 0.6) * (body.front - body.back)
            both[name] = join(front, _tray(size, pull, thick))
        for part, solid in both.items():
            about = (hinge * size[0] / 2, 0.0, -thick / 2)
            parts[part] = solid.rotated("y", hinge * turn, about=about).translated(*centre).translated(z=pull)
    return parts


def _tray(size: tuple[float, float], pull: float, thick: float) -> Solid:
    """Sides and bottom of a drawer behind its front, which stands around the origin."""
    width, tall, deep = 0.9 * size[0], 0.7 * size[1], pull + 0.02
    z = -thick / 2 - deep / 2 + 0.002
    side = box((0.008, tall, deep), (width / 2, 0, z))
    return join(side, side.mirrored(), box((width, 0.008, deep), (0, 0.004 - tall / 2, z)))


def _panel(choices: Choices, size: tuple[float, float], thick: float, *, drawer: bool) -> Solid:
    """Front of `size` (width, height) around the origin."""
    kind = choices.style["panels"]
    width, tall = size
    if drawer and kind in ("louvred", "glazed"):
        kind = "framed"
    rail = min(choices.size("rail_width", 0.025, 0.06), 0.28 * width, 0.28 * tall)
    if kind == "flat":
        return box((width, tall, thick), bevel=0.15 * thick)
    if kind == "curved":
        bulge = choices.size("front_bulge", 0.01, 0.03)
        edge = bow((-width / 2, 0, thick / 2), (width / 2, 0, thick / 2), (0, 0, bulge), steps=10)[::-1, ::2]
        outline = np.concatenate([[[-width / 2, -thick / 2], [width / 2, -thick / 2]], edge])
        rings = [np.insert(outline, 1, y, axis=1) for y in (-tall / 2, tall / 2)]
        return loft(np.stack(rings))
    inner = (width - 2 * rail, tall - 2 * rail)
    pieces = [box((width, rail, thick), (0, side * (tall - rail) / 2, 0), bevel=0.15 * thick) for side in (1, -1)] + [
        box((rail, tall - 1.9 * rail, thick), (side * (width - rail) / 2, 0, 0)) for side in (1, -1)
    ]
    if kind == "louvred":
        count = max(3, int(inner[1] / choices.size("louvre_pitch", 0.022, 0.036)))
        slat = box((inner[0] + 0.004, 1.25 * inner[1] / count, 0.004)).rotated("x", -38)
        pieces += [slat.translated(y=inner[1] * ((k + 0.5) / count - 0.5)) for k in range(count)]
        return join(*pieces)
    if kind == "glazed":  # bars only, nothing between them
        rows, columns = choices.count("pane_rows", 2, 4), choices.count("pane_columns", 1, 3)
        bars = [(0.006, inner[1] + 0.004, inner[0] * (k / columns - 0.5), 0.0) for k in range(1, columns)]
        bars += [(inner[0] + 0.004, 0.006, 0.0, inner[1] * (k / rows - 0.5)) for k in range(1, rows)]
        return join(*pieces, *[box((w, h, 0.5 * thick), (x, y, 0)) for w, h, x, y in bars])
    field = choices.size("field_raise", -0.25, 0.35)
    raised = [box((inner[0] + 0.004, inner[1] + 0.004, 0.4 * thick), (0, 0, -0.2 * thick))]
    if field > 0:
        raised.append(box((0.8 * inner[0], inner[1] - 0.2 * inner[0], 0.5 * thick), bevel=0.2 * thick))
    if inner[1] < 0.25 * inner[0]:
        raised = raised[:1]
    return join(*pieces, *raised)


def _handle(choices: Choices, size: tuple[float, float], thick: float, *, is_door: bool) -> Solid | None:
    """Handle at the right edge (x > 0) of a door, or in the middle of a drawer front, around the origin."""
    kind = choices.style["handles"]
    if kind == "none":
        return None
    scale = choices.size("handle_size", 0.7, 1.3)
    width, tall = size
    z = thick / 2 - 0.002
    x, y = (
        (width / 2 - min(0.03, 0.2 * width), choices.size("handle_level", -0.2, 0.3) * tall) if is_door else (0.0, 0.0)
    )
    wide = not is_door and width > 0.42
    places = [(-0.27 * width, y), (0.27 * width, y)] if wide and kind != "bars" else [(x, y)]
    return join(*[_pull(choices, kind, scale, is_door, size).translated(px, py, z) for px, py in places])


def _pull(choices: Choices, kind: str, scale: float, upright: bool, size: tuple[float, float]) -> Solid:
    """One handle on the plane z = 0."""
    if kind == "knobs":
        stalk = cylinder(0.006 * scale, (0, 0, 0), (0, 0, 0.016 * scale), sides=10)
        ball = ellipsoid((0.013 * scale, 0.013 * scale, 0.009 * scale), (0, 0, 0.02 * scale), segments=14, rings=7)
        return join(stalk, ball)
    if kind == "rings":
        ring = torus(0.018 * scale, 0.003, segments=20, sides=8).rotated("x", 78).translated(0, -0.016 * scale, 0.009)
        return join(ring, box((0.014, 0.014, 0.014), (0, 0, 0.006), bevel=0.003))
    if kind == "cups":
        shape = np.concatenate([arc((0, 0), 1.0, 0, 180, steps=10)])
        cup = extrude(shape * (0.034 * scale, 0.026 * scale), 0.026, bevel=0.008)
        return cup.translated(y=-0.008 * scale, z=0.012)
    span = (size[1] if upright else size[0]) * choices.size("bar_share", 0.12, 0.7) / 2
    span = max(span, 0.025)
    lift, radius = 0.024 * scale, 0.0042 * scale
    path = [(-span, 0, 0), (-span, 0, lift), (span, 0, lift), (span, 0, 0)]
    bar = tube(rounded_path(path, 0.012, steps=3), radius, sides=8)
    return bar.rotated("z", 90) if upright else bar
