from __future__ import annotations

import pytest
import torch

from dr_kfs.geometry import PointSets, farthest_points


def by_definition(points: torch.Tensor, first: int, count: int) -> list[int]:
    chosen = [first]
    while len(chosen) < count:
        nearest = (points[:, None] - points[None, chosen]).norm(dim=-1).amin(dim=1)
        chosen.append(int(nearest.argmax()))
    return chosen


class TestFarthestPoints:
    def test_value(self) -> None:
        points = torch.rand(50, 3, dtype=torch.float64)
        first = int((points - points.mean(0)).norm(dim=1).argmax())
        chosen = farthest_points(PointSets.from_list([points]), 12)
        assert torch.equal(chosen.points, points[by_definition(points, first, 12)])

    def test_on_a_line(self) -> None:
        line = torch.zeros(9, 3)
        line[:, 0] = torch.arange(9)
        chosen = farthest_points(PointSets.from_list([line]), 5).points[:, 0]
        assert chosen.tolist() == [0, 8, 4, 2, 6]

    def test_copies_are_taken_once_each(self) -> None:
        points = torch.zeros(3, 3)
        weights = torch.tensor([1.0, 2.0, 4.0])
        chosen = farthest_points(PointSets.from_list([points], weights=[weights]), 3)
        assert chosen.weights is not None
        assert sorted(chosen.weights.tolist()) == [1, 2, 4]

    def test_batch_is_loop_and_order_does_not_matter(self) -> None:
        points = [torch.rand(20, 3), torch.rand(30, 3)]
        chosen = farthest_points(PointSets.from_list(points), 6)
        assert chosen.counts == (6, 6)
        for one, part in zip(points, chosen.points_list(), strict=True):
            mixed = one[torch.randperm(len(one))]
            assert torch.equal(farthest_points(PointSets.from_list([mixed]), 6).points, part)

    def test_seed(self) -> None:
        sets = PointSets.from_list([torch.rand(500, 3)])
        one, same, other = (farthest_points(sets, 1, seed=seed).points for seed in (3, 3, 4))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_gradient(self) -> None:
        points = torch.rand(10, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(farthest_points(PointSets.from_list([points]), 4).points.sum(), points)
        assert gradient.sum().item() == 12.0
        assert set(gradient.flatten().tolist()) == {0.0, 1.0}

    def test_refuses(self) -> None:
        sets = PointSets.from_list([torch.rand(4, 3), torch.rand(3, 3)])
        with pytest.raises(ValueError, match="item 1: expected at least 4 points to choose from, got 3"):
            farthest_points(sets, 4)
        with pytest.raises(ValueError, match="num_points=0"):
            farthest_points(sets, 0)
