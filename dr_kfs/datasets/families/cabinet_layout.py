"""How a cabinet's inside is divided: columns and rows of cells behind doors, drawer fronts or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from dr_kfs.datasets.choices import Choices

__all__ = ["Carcass", "Cell", "grid", "lay_out"]


@dataclass(frozen=True)
class Carcass:
    """Outer box of boards: x around 0, y from `bottom` to `top`, z from `back` to `front`."""

    width: float
    bottom: float
    top: float
    back: float
    front: float
    board: float
    """Thickness of the boards."""


@dataclass(frozen=True)
class Cell:
    """One compartment, measured between the middles of its boards."""

    left: float
    """Smaller x. (The cabinet's own left is +x.)"""
    right: float
    low: float
    high: float
    kind: str
    """ "door", "drawer" or "open"."""


def grid(body: Carcass, columns: int, rows: list[int], kind: str) -> list[Cell]:
    """Equal columns between the boards, each in its number of equal rows, from the lowest on."""
    inside = body.width - body.board
    low, high = body.bottom + body.board / 2, body.top - body.board / 2
    cells = []
    for column in range(columns):
        left, right = (inside * ((column + k) / columns - 0.5) for k in (0, 1))
        edges = [low + (high - low) * row / rows[column] for row in range(rows[column] + 1)]
        cells += [Cell(left, right, a, b, kind) for a, b in pairwise(edges)]
    return cells


def lay_out(choices: Choices, body: Carcass) -> list[Cell]:
    """What stands where behind the front."""
    form, fronts = choices.style["form"], choices.style["fronts"]
    spans = {"wardrobe": (1, 3), "sideboard": (2, 4), "bookcase": (1, 3), "dresser": (1, 2), "hutch": (2, 3)}
    columns = choices.count("columns", *spans.get(form, (1, 1)))
    if fronts == "open":
        low, high = (3, 6) if form == "bookcase" else (1, 3)
        uneven = choices.count("uneven", 0, 1)
        rows = [choices.count(f"rows_{column if uneven else 0}", low, high) for column in range(columns)]
        return grid(body, columns, rows, "open")
    if fronts == "doors":
        return grid(body, columns, [1] * columns, "door")
    if fronts == "drawers":
        spans = {"dresser": (3, 5), "sideboard": (2, 3), "hutch": (2, 3)}
        return grid(body, columns, [choices.count("rows_0", *spans.get(form, (2, 3)))] * columns, "drawer")
    if form == "sideboard":
        return _kinds_by_column(choices, body, columns)
    return _two_storeys(choices, body, columns)


def _two_storeys(choices: Choices, body: Carcass, columns: int) -> list[Cell]:
    """Fronts of one kind below, of another above."""
    form = choices.style["form"]
    share = choices.size("split", 0.22, 0.42)
    if form in ("nightstand", "hutch", "dresser"):
        share = 1 - share if form != "dresser" else 0.8
    middle = body.bottom + share * (body.top - body.bottom)
    lower = replace(body, top=middle + body.board / 2)
    upper = replace(body, bottom=middle - body.board / 2)
    if form == "bookcase":
        below = ("door", "drawer")[choices.count("below", 0, 1)]
        shelves = [choices.count("rows_0", 2, 4)] * columns
        return grid(lower, columns, [1] * columns, below) + grid(upper, columns, shelves, "open")
    if form == "wardrobe":
        drawers = grid(lower, columns, [choices.count("drawer_rows", 1, 2)] * columns, "drawer")
        return drawers + grid(upper, columns, [1] * columns, "door")
    if form == "dresser":
        rows = [choices.count("rows_0", 2, 4)] * columns
        small = columns + choices.count("small_drawers", 1, 2)
        return grid(lower, columns, rows, "drawer") + grid(upper, small, [1] * small, "drawer")
    below = ("door", "open")[choices.count("below", 0, 1)]
    return grid(lower, columns, [1] * columns, below) + grid(upper, columns, [1] * columns, "drawer")


def _kinds_by_column(choices: Choices, body: Carcass, columns: int) -> list[Cell]:
    """Two kinds of columns, the outer ones alike."""
    words = ("door", "drawer", "open")
    outer = choices.count("outer_kind", 0, 2)
    kinds = (words[outer], words[(outer + choices.count("inner_kind", 1, 2)) % 3])
    rows = {"door": 1, "drawer": choices.count("rows_0", 2, 4), "open": choices.count("rows_1", 1, 3)}
    cells: list[Cell] = []
    for column in range(columns):
        kind = kinds[column if columns == 2 else int(0 < column < columns - 1)]
        in_column = grid(body, columns, [rows[kind]] * columns, kind)
        cells += in_column[column * rows[kind] : (column + 1) * rows[kind]]
    return cells
