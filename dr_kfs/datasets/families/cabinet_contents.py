"""What stands on open shelves: rows of books, jars or boxes."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.cabinet_layout import Carcass, Cell
from dr_kfs.datasets.families.placement import scattered
from dr_kfs.datasets.primitives import Solid, box, join, lathe

__all__ = ["build_contents"]


def build_contents(choices: Choices, body: Carcass, cells: list[Cell]) -> dict[str, Solid]:
    """Parts "books_0", "jars_0" or "boxes_0": one for each open cell that holds something."""
    kind = choices.style["contents"]
    if kind == "none":
        return {}
    start, filled = choices.size("contents_start", 0.0, 1.0), choices.size("contents_share", 0.4, 1.0)
    parts = {}
    for i, cell in enumerate(cell for cell in cells if cell.kind == "open"):
        if scattered(start, 17 * i) < 0.85:
            row = _row(kind, cell, body, filled, start + 0.37 * i)
            parts |= {f"{kind}_{i}": join(*row)} if row else {}
    return parts


def _row(kind: str, cell: Cell, body: Carcass, filled: float, start: float) -> list[Solid]:
    """Things side by side on the floor of a cell, from its smaller x on."""
    left, right = cell.left + 0.8 * body.board, cell.right - 0.8 * body.board
    floor, room = cell.low + 0.37 * body.board, cell.high - cell.low - body.board
    deep = min(body.front - body.back - 0.03, 0.2)
    stop = left + (right - left) * filled * (0.6 + 0.4 * scattered(start, 1))
    things: list[Solid] = []
    x = left
    while len(things) < 24:
        a, b, c = (scattered(start, 2 + 3 * len(things) + k) for k in range(3))
        wide, tall = {
            "books": (0.014 + 0.03 * a, min(room * (0.62 + 0.3 * b), 0.26)),
            "jars": (0.055 + 0.06 * a, min(room * (0.4 + 0.5 * b), 0.16)),
            "boxes": (0.1 + 0.1 * a, min(room * (0.4 + 0.45 * b), 0.16)),
        }[kind]
        if x + wide > (stop if things else right):
            break
        things.append(_thing(kind, x, floor - 0.001, (wide, tall, deep * (0.6 + 0.35 * c)), body.back + 0.012))
        x += wide + (0.0 if kind == "books" else 0.004 + 0.02 * c)
    return things


def _thing(kind: str, x: float, floor: float, size: tuple[float, float, float], back: float) -> Solid:
    wide, tall, deep = size
    if kind == "books":
        return box((0.94 * wide, tall, deep), (x + wide / 2, floor + tall / 2, back + deep / 2))
    if kind == "boxes":
        return box(size, (x + wide / 2, floor + tall / 2, back + deep / 2), bevel=0.004)
    radius = min(0.48 * wide, 0.45 * deep)
    profile = np.array([[0.7, 0], [1.0, 0.25], [0.95, 0.6], [0.45, 0.85], [0.55, 1.0]]) * (radius, tall)
    return lathe(profile, segments=14).translated(x + wide / 2, floor, back + radius)
