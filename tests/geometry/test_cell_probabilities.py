"""Probabilities of cases and of triangles against counting them one by one."""

from __future__ import annotations

import itertools

import torch

from dr_kfs.geometry._cell_probabilities import case_probabilities, triangle_probabilities, triangle_table
from dr_kfs.geometry._marching_cubes_table import cell_table


def corners(count: int) -> torch.Tensor:
    return torch.rand(count, 8, dtype=torch.float64)


def test_cases_sum_to_one():
    torch.testing.assert_close(case_probabilities(corners(20)).sum(1), torch.ones(20, dtype=torch.float64))


def test_every_case_is_the_product_of_its_corners():
    inside = corners(1)[0]
    found = case_probabilities(inside[None])[0]
    for case in range(256):
        product = 1.0
        for corner in range(8):
            product *= float(inside[corner]) if case >> corner & 1 else 1 - float(inside[corner])
        torch.testing.assert_close(found[case].item(), product)


def test_certain_corners_have_the_triangles_of_their_case():
    ways = (torch.arange(256)[:, None] >> torch.arange(8)) & 1
    found = triangle_probabilities(ways.double())
    assert set(found.unique().tolist()) == {0.0, 1.0}
    table, triangles = cell_table(), triangle_table()
    for case in range(256):
        drawn = {tuple(row) for row in triangles.edges[found[case].numpy() == 1.0].tolist()}
        listed = table.triangles[case, : table.counts[case]].tolist()
        turned = {tuple(row[turn:] + row[:turn]) for row in listed for turn in range(3)}
        assert drawn <= turned
        assert len(drawn) == len(listed)


def test_probability_of_a_triangle_sums_its_cases():
    inside = corners(1)
    cases, triangles = case_probabilities(inside)[0], triangle_table()
    for number, probability in enumerate(triangle_probabilities(inside)[0]):
        holding = [case for case in range(256) if triangles.holds[case, number]]
        torch.testing.assert_close(probability, cases[holding].sum())


def test_no_triangle_is_listed_twice():
    rows = [tuple(row) for row in triangle_table().edges.tolist()]
    turned = [set(itertools.chain.from_iterable([(r, r[1:] + r[:1], r[2:] + r[:2])])) for r in rows]
    assert sum(map(len, turned)) == len(set().union(*turned)) == 3 * len(rows)
