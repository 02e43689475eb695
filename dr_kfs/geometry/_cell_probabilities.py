"""How probable each triangle of a cell is, when each corner of the cell is inside with a probability of its own.

A case is a way in which the eight corners are inside or outside; `_marching_cubes_table` has its triangles. Corners are
independent, so a case has the probability

    P(T) = prod_c p_c^T_c (1 - p_c)^(1 - T_c),        sum_T P(T) = 1.

That is Liao et al.'s (Deep Marching Cubes, CVPR 2018); the rest is ours.

The 256 cases hold 820 triangles, but only 233 different ones: a triangle that cuts off one corner does not depend on
the corners far from it. Cases exclude each other, so the probability of a triangle is the *sum* over the cases that
hold it: exact, and with a third of the triangles.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.geometry._marching_cubes_table import cell_table


@dataclass(frozen=True, eq=False)
class TriangleTable:
    """The different triangles of all cases. Winding counts: a triangle and its reverse are two."""

    edges: Int[np.ndarray, "R 3"]
    """The edges of the cell that the corners of each triangle lie on, counter-clockwise seen from outside."""
    holds: Float[np.ndarray, "256 R"]
    """1 where the case holds the triangle, 0 elsewhere."""


@functools.cache
def triangle_table() -> TriangleTable:
    """The table, made once."""
    table = cell_table()
    rows: dict[tuple[int, ...], list[int]] = {}
    for case in range(256):
        for triangle in table.triangles[case, : table.counts[case]].tolist():
            first = triangle.index(min(triangle))
            rows.setdefault((*triangle[first:], *triangle[:first]), []).append(case)
    edges = sorted(rows)
    holds = np.zeros((256, len(edges)))
    for number, triangle in enumerate(edges):
        holds[rows[triangle], number] = 1.0
    return TriangleTable(edges=np.array(edges), holds=holds)


def case_probabilities(inside: Float[Tensor, "K 8"]) -> Float[Tensor, "K 256"]:
    """P(T) of all cases; bit c of a case says whether corner c is inside.

    Args:
        inside: probability of each corner [0, 1].
    """
    cases = torch.ones_like(inside[:, :1])
    for corner in inside.unbind(1):
        cases = torch.cat([cases * (1 - corner[:, None]), cases * corner[:, None]], dim=1)
    return cases


def triangle_probabilities(inside: Float[Tensor, "K 8"]) -> Float[Tensor, "K R"]:
    """The probability of each triangle of `triangle_table()`, in [0, 1] to rounding.

    Args:
        inside: probability of each corner [0, 1].
    """
    holds = torch.from_numpy(triangle_table().holds).to(inside)
    return case_probabilities(inside) @ holds
