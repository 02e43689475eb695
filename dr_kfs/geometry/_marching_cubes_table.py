"""Which triangles a cell of a grid holds, for each of the 256 ways in which its corners can be inside or outside.

The table is derived here, in a few milliseconds at the first use, instead of being listed: that shows why surfaces
have no holes. Corner `c = 4 x + 2 y + z` of a cell has the offsets x, y, z in {0, 1}; bit c of a case says whether the
corner is inside. Edge `e` runs along axis `EDGE_AXES[e]` from corner `EDGE_STARTS[e]`.

1. A vertex lies on each edge with one end inside.
2. On each of the six sides of the cell, the vertices are joined two by two. Where two opposite corners are inside
   and two outside there are two ways: we always join the inside corners, so that thin diagonal parts hold together.
   The choice depends on the four corners of the side alone, so the cells on both sides of it agree: no holes.
3. These lines close to polygons of three to seven corners, which are cut into triangles by diagonals that never lie
   on a side of the cell. A diagonal there could coincide with one of the neighbouring cell's, and an edge would have
   four faces. Such a cut exists in all 256 cases (the derivation fails loudly if one does not).

So every edge of the surface belongs to exactly two triangles, which run through it in opposite directions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

AXIS_BITS = (4, 2, 1)
"""How the number of a corner changes along x, y and z."""
_EDGES = tuple((axis, corner) for axis in range(3) for corner in range(8) if not corner & AXIS_BITS[axis])
EDGE_AXES = tuple(axis for axis, _ in _EDGES)
EDGE_STARTS = tuple(corner for _, corner in _EDGES)
MAX_TRIANGLES = 5

_Triangle = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class CellTable:
    """The 256 cases."""

    counts: Int[np.ndarray, " 256"]
    """Triangles of each case, 0 to 5."""
    triangles: Int[np.ndarray, "256 5 3"]
    """Their edges, counter-clockwise seen from outside; 0 beyond the count."""
    crossed: Bool[np.ndarray, "256 3"]
    """Whether a vertex lies on the edge along x, y, z that starts at corner 0: each edge of a grid starts one cell."""


@functools.cache
def cell_table() -> CellTable:
    """The table, derived once."""
    cases = [[triangle for polygon in _polygons(case) for triangle in _cut(polygon)] for case in range(256)]
    triangles = np.zeros((256, MAX_TRIANGLES, 3), dtype=np.int64)
    for case, found in enumerate(cases):
        triangles[case, : len(found)] = np.array(found).reshape(-1, 3)
    inside = (np.arange(256)[:, None] >> np.arange(8)) & 1
    return CellTable(
        counts=np.array([len(found) for found in cases]),
        triangles=triangles,
        crossed=inside[:, :1] != inside[:, list(AXIS_BITS)],
    )


def _sides() -> Iterator[tuple[int, ...]]:
    """The four corners of each side of the cell, counter-clockwise seen from outside the cell."""
    for axis in range(3):
        u, v = AXIS_BITS[(axis + 1) % 3], AXIS_BITS[(axis + 2) % 3]
        yield (0, v, u | v, u)
        yield tuple(AXIS_BITS[axis] | corner for corner in (0, u, u | v, v))


_SIDES = tuple(_sides())
_EDGE_BETWEEN = {frozenset((start, start | AXIS_BITS[axis])): edge for edge, (axis, start) in enumerate(_EDGES)}
_SIDES_OF_EDGE = tuple(
    {number for number, side in enumerate(_SIDES) if {start, start | AXIS_BITS[axis]} <= set(side)}
    for axis, start in _EDGES
)


def _polygons(case: int) -> list[list[int]]:
    """The closed lines of a case, each as its edges in order."""
    following: dict[int, int] = {}
    for side in _SIDES:
        steps = [(corner, side[(place + 1) % 4]) for place, corner in enumerate(side)]
        crossings = [(_EDGE_BETWEEN[frozenset(step)], case >> step[0] & 1) for step in steps if _differ(case, *step)]
        for place, (edge, leaves_inside) in enumerate(crossings):
            if leaves_inside:  # cut off the outside corners that follow, from where the walk comes in again
                following[crossings[(place + 1) % len(crossings)][0]] = edge
    polygons = []
    while following:
        first, edge = next(iter(following.items()))
        polygon = [first]
        while edge != first:
            polygon.append(edge)
            edge = following[edge]
        polygons.append(polygon)
        following = {edge: after for edge, after in following.items() if edge not in polygon}
    return polygons


def _differ(case: int, one: int, other: int) -> bool:
    return (case >> one & 1) != (case >> other & 1)


def _cut(polygon: list[int]) -> tuple[_Triangle, ...]:
    """The triangles of a polygon, by the shortest diagonals that lie on no side of the cell."""

    @functools.cache
    def best(first: int, last: int) -> tuple[float, tuple[_Triangle, ...]]:
        """Cost and triangles of the part of the polygon from corner `first` to corner `last`."""
        if last - first < 2:
            return 0.0, ()
        found = []
        for middle in range(first + 1, last):
            (left, ones), (right, others) = best(first, middle), best(middle, last)
            cost = left + right + length(first, middle) + length(middle, last)
            found.append((cost, (*ones, (polygon[first], polygon[middle], polygon[last]), *others)))
        return min(found)

    def length(one: int, other: int) -> float:
        if other - one == 1:
            return 0.0  # a side of the polygon, not a diagonal
        if _SIDES_OF_EDGE[polygon[one]] & _SIDES_OF_EDGE[polygon[other]]:
            return float("inf")
        return float(np.square(_middle(polygon[one]) - _middle(polygon[other])).sum())

    cost, triangles = best(0, len(polygon) - 1)
    assert cost < float("inf"), f"the polygon {polygon} has no cut"
    return triangles


def _middle(edge: int) -> np.ndarray:
    axis, start = _EDGES[edge]
    return np.array([bool(start & bit) + 0.5 * (axis == number) for number, bit in enumerate(AXIS_BITS)])
