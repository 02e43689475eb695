from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dr_kfs.losses import emd_loss, soft_matching_loss


def apml(predicted: Tensor, ground_truth: Tensor, p: float, iterations: int = 20) -> Tensor:
    """Transcription of `AdaptiveProbabilisticMatchingLoss.forward`, apm-loss/apml, apml_loss.py, row by row."""
    cost = (predicted[:, None] - ground_truth[None]).norm(dim=-1)

    def softmin(rows: Tensor) -> Tensor:
        result = []
        for row in rows:
            flat = row - row.min()
            gap = flat.sort().values[1]
            if gap == 0:
                result.append(torch.full_like(row, 1 / len(row)))
                continue
            sharpness = -math.log((1 - p) / (len(row) - 1)) / (gap + 1e-8)
            weights = torch.exp(-flat * sharpness)
            result.append(weights / weights.sum())
        return torch.stack(result)

    plan = 0.5 * (softmin(cost) + softmin(cost.T).T)
    for _ in range(iterations):
        plan = plan / (plan.sum(dim=1, keepdim=True) + 1e-8)
        plan = plan / (plan.sum(dim=0, keepdim=True) + 1e-8)
    return (plan * cost).sum()


class TestSoftMatchingLoss:
    @pytest.mark.parametrize("sizes", [(20, 20), (15, 25), (2, 2)])
    @pytest.mark.parametrize("p", [0.8, 0.3])
    def test_published_code(self, sizes: tuple[int, int], p: float) -> None:
        one, other = (torch.rand(size, 3, dtype=torch.float64) for size in sizes)
        torch.testing.assert_close(soft_matching_loss(one, other, min_probability=p), apml(one, other, p))

    def test_shared_nearest_points(self) -> None:
        """Where the least distance is not unique, the published code takes all points alike."""
        one = torch.tensor([[0.0, 0, 0], [4, 0, 0]], dtype=torch.float64)
        other = torch.tensor([[0.0, 1, 0], [0, -1, 0], [4, 1, 0]], dtype=torch.float64)
        torch.testing.assert_close(soft_matching_loss(one, other), apml(one, other, 0.8))

    def test_the_gradient_holds_the_plan_fixed(self) -> None:
        one, other = torch.rand(6, 3, dtype=torch.float64), torch.rand(7, 3, dtype=torch.float64)
        leaf = one.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(soft_matching_loss(leaf, other), leaf)
        # P from the value itself: the value is linear in P, and P does not depend on what the cost is read from.
        moved = one.clone().requires_grad_()
        plan = _plan_of(one, other)
        (expected,) = torch.autograd.grad((plan * (moved[:, None] - other[None]).norm(dim=-1)).sum(), moved)
        torch.testing.assert_close(gradient, expected)

    def test_is_near_the_assignment(self) -> None:
        """Where the pairs are clear, the plan is the assignment; the value is a sum."""
        points = 10 * torch.rand(20, 3, dtype=torch.float64)
        moved = points + 0.01 * torch.rand(20, 3, dtype=torch.float64)
        soft = soft_matching_loss(moved, points, min_probability=0.999).item() / 20
        assert soft == pytest.approx(emd_loss(moved, points).item(), rel=0.5)
        assert soft < 0.1

    @pytest.mark.parametrize("options", [{"min_probability": 1.0}, {"min_probability": 0.0}, {"iterations": -1}])
    def test_refuses(self, options: dict) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            soft_matching_loss(torch.rand(3, 3), torch.rand(3, 3), **options)


def _plan_of(one: Tensor, other: Tensor) -> Tensor:
    """The plan, entry by entry: the derivative of the transcription's value by each distance, P held fixed."""
    cost = (one[:, None] - other[None]).norm(dim=-1)

    def softmin(rows: Tensor) -> Tensor:
        above = rows - rows.amin(1, keepdim=True)
        gap = above.sort(dim=1).values[:, 1:2]
        return torch.softmax(above * math.log(0.2 / (rows.shape[1] - 1)) / (gap + 1e-8), dim=1)

    plan = 0.5 * (softmin(cost) + softmin(cost.T).T)
    for _ in range(20):
        plan = plan / (plan.sum(1, keepdim=True) + 1e-8)
        plan = plan / (plan.sum(0, keepdim=True) + 1e-8)
    return plan
