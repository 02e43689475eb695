from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dr_kfs.geometry import PointSets
from dr_kfs.losses import QALLoss, qal_loss, qal_terms


def by_formula(a: Tensor, b: Tensor, *, eps: float, omega: float, lambda_attr: float, distant: float | None) -> float:
    """Meshram et al., Sec. 3, point by point: L_cov + lambda_attr * L_attr."""

    def weight(d: float) -> float:
        return 1 - (1 / (1 + math.exp(-omega * (eps - d))) - 0.5)

    distances = (a[:, None] - b[None]).norm(dim=-1).tolist()
    d_a = [min(row) for row in distances]
    d_b = [min(row[j] for row in distances) for j in range(len(b))]
    nearest = {row.index(min(row)) for row in distances}
    missed = [d_b[j] > distant if distant is not None else j not in nearest for j in range(len(b))]
    coverage = sum(weight(d) * d for d in d_a) / len(a) + sum(weight(d) * d for d in d_b) / len(b)
    attraction = sum(d for d, miss in zip(d_b, missed, strict=True) if miss) / len(b)
    return coverage + lambda_attr * attraction


def sphere(count: int, seed: int) -> Tensor:
    points = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    return points / points.norm(dim=1, keepdim=True)


class TestQALLoss:
    @pytest.mark.parametrize("lambda_attr", [0.0, 0.5, 1.0])
    def test_paper(self, lambda_attr: float) -> None:
        a, b = torch.rand(20, 3, dtype=torch.float64), torch.rand(30, 3, dtype=torch.float64)
        expected = by_formula(a, b, eps=0.001, omega=10.0, lambda_attr=lambda_attr, distant=None)
        assert qal_loss(a, b, preset="paper", lambda_attr=lambda_attr).item() == pytest.approx(expected)
        assert qal_loss(a, b, lambda_attr=lambda_attr).item() == pytest.approx(expected)

    def test_calibrated(self) -> None:
        a, b = torch.rand(20, 3, dtype=torch.float64), torch.rand(30, 3, dtype=torch.float64)
        expected = by_formula(a, b, eps=0.2, omega=50.0, lambda_attr=0.5, distant=0.2)
        assert qal_loss(a, b, preset="calibrated", tau=0.2).item() == pytest.approx(expected)

    def test_options_override_the_preset(self) -> None:
        a, b = torch.rand(20, 3, dtype=torch.float64), torch.rand(30, 3, dtype=torch.float64)
        expected = by_formula(a, b, eps=0.1, omega=3.0, lambda_attr=0.5, distant=0.15)
        value = qal_loss(a, b, eps=0.1, omega=3.0, uncovered="distant", tau=0.15)
        assert value.item() == pytest.approx(expected)

    @pytest.mark.parametrize(("distance", "weight"), [(0.0, 0.9975), (0.1, 1.229)])
    def test_weights_of_the_paper(self, distance: float, weight: float) -> None:
        """The facts of the docstring; at distance 0 by the slope, as 0 times a weight is 0."""
        a = torch.tensor([[max(distance, 1e-9), 0.0, 0.0]], dtype=torch.float64)
        value = qal_loss(a, torch.zeros(1, 3, dtype=torch.float64), lambda_attr=0.0).item()
        assert value / (2 * a[0, 0].item()) == pytest.approx(weight, abs=1e-3)

    def test_weights_of_the_calibrated_preset(self) -> None:
        for distance, weight in ((1e-9, 0.5), (0.06, 1.5)):
            a = torch.tensor([[distance, 0.0, 0.0]], dtype=torch.float64)
            terms = qal_terms(a, torch.zeros(1, 3, dtype=torch.float64), preset="calibrated", tau=0.03)
            assert terms.coverage.item() / (2 * distance) == pytest.approx(weight, abs=1e-3)

    def test_the_unmatched_are_many_between_samples_of_one_sphere(self) -> None:
        """42 % of the points, as the docstring says; within tau, none is missed."""
        a, b = sphere(2048, 0), sphere(2048, 1)
        assert qal_terms(a, b, preset="paper").uncovered.item() == pytest.approx(0.42, abs=0.02)
        assert qal_terms(a, b, preset="calibrated", tau=0.2).uncovered.item() == 0.0

    def test_a_hole_costs_more_than_a_spurious_part(self) -> None:
        """What lambda_attr is for."""
        whole = sphere(600, 0)
        part = whole[whole[:, 1] > -0.5]
        options = {"preset": "calibrated", "tau": 0.1, "lambda_attr": 1.0}
        hole, spurious = qal_loss(part, whole, **options), qal_loss(whole, part, **options)
        assert hole.item() > 1.3 * spurious.item()
        options["lambda_attr"] = 0.0
        assert qal_loss(part, whole, **options).item() == pytest.approx(qal_loss(whole, part, **options).item())

    def test_weights_are_detached(self) -> None:
        """By default the gradient is that of w d with w fixed; the whole derivative on request."""
        a = torch.tensor([[0.3, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
        b = torch.zeros(1, 3, dtype=torch.float64)
        (fixed,) = torch.autograd.grad(qal_loss(a, b, lambda_attr=0.0), a)
        (whole,) = torch.autograd.grad(qal_loss(a, b, lambda_attr=0.0, weight_gradient=True), a)
        sigmoid = 1 / (1 + math.exp(-10 * (0.001 - 0.3)))
        assert fixed[0, 0].item() == pytest.approx(2 * (1.5 - sigmoid))
        assert whole[0, 0].item() == pytest.approx(2 * (1.5 - sigmoid + 0.3 * 10 * sigmoid * (1 - sigmoid)))

    def test_terms_add_up(self) -> None:
        a, b = torch.rand(3, 20, 3), torch.rand(3, 30, 3)
        terms = qal_terms(a, b)
        values = qal_loss(a, b, lambda_attr=0.7, reduction="none")
        assert torch.equal(values, terms.coverage + 0.7 * terms.attraction)
        assert not terms.uncovered.requires_grad

    def test_settings_can_be_scheduled(self) -> None:
        a, b = torch.rand(20, 3), torch.rand(30, 3)
        loss = QALLoss()
        for eps, lambda_attr in ((0.2, 0.0), (0.1, 1.0)):
            loss.eps, loss.lambda_attr = eps, lambda_attr
            assert torch.equal(loss(a, b), qal_loss(a, b, eps=eps, lambda_attr=lambda_attr))

    def test_weighted_points(self) -> None:
        a = torch.zeros(1, 3)
        b = PointSets.from_list([torch.tensor([[0.0, 0, 0], [1, 0, 0]])], weights=[torch.tensor([3.0, 1.0])])
        assert qal_terms(a, b, preset="calibrated").uncovered.item() == 0.25

    @pytest.mark.parametrize(
        "options",
        [
            {"preset": "unknown"},
            {"uncovered": "all"},
            {"tau": 0.0},
            {"eps": -1.0},
            {"omega": -1.0},
            {"lambda_attr": -0.1},
            {"lambda_attr": float("nan")},
        ],
    )
    def test_refuses(self, options: dict) -> None:
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            qal_loss(torch.rand(3, 3), torch.rand(3, 3), **options)
