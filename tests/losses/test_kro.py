from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from dr_kfs.geometry import PointSets
from dr_kfs.losses import kro, kro_loss


def middles_of(points: Tensor, k: int) -> tuple[Tensor, list[Tensor]]:
    """Middle of the box, and of its k^3 cells."""
    low, high = points.amin(0), points.amax(0)
    numbers = itertools.product(range(k), repeat=3)
    return (low + high) / 2, [low + (torch.tensor(n) + 0.5) * (high - low) / k for n in numbers]


def spread(points: Tensor, k: int) -> Tensor:
    """D of the report, Sec. 4.3: anchors are the points nearest to the middles of the cells."""

    def nearest(place: Tensor) -> Tensor:
        return points[(points - place).norm(dim=1).argmin()]

    middle, cells = middles_of(points, k)
    return torch.stack([(nearest(cell) - nearest(middle)).norm() ** 2 for cell in cells]).sum()


class TestPaper:
    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_formula(self, k: int) -> None:
        generated, truth = torch.rand(40, 3, dtype=torch.float64), 2 * torch.rand(30, 3, dtype=torch.float64)
        value = kro_loss(generated, truth, preset="paper", k=k)
        torch.testing.assert_close(value, spread(truth, k) - spread(generated, k))

    def test_is_unbounded_below(self) -> None:
        """Why it is not the default."""
        points = torch.rand(30, 3)
        values = [kro_loss(scale * points, points, preset="paper", k=2).item() for scale in (1.0, 10.0, 100.0)]
        assert values[0] == 0.0
        assert values[1] < -1.0
        assert values[2] < 50 * values[1]

    def test_gradient(self) -> None:
        """Anchors are points: their gradient is that of the formula."""
        generated = torch.rand(40, 3, dtype=torch.float64)
        leaves = [generated.clone().requires_grad_() for _ in range(2)]
        truth = torch.rand(30, 3, dtype=torch.float64)
        (ours,) = torch.autograd.grad(kro_loss(leaves[0], truth, preset="paper", k=2), leaves[0])
        # The middles depend on the points, but only through which point is nearest.
        (expected,) = torch.autograd.grad(-spread(leaves[1], 2), leaves[1])
        torch.testing.assert_close(ours, expected)


class TestFixed:
    @pytest.mark.parametrize("k", [2, 3])
    def test_formula(self, k: int) -> None:
        generated, truth = torch.rand(40, 3, dtype=torch.float64), torch.rand(9, 3, dtype=torch.float64)
        side = (truth.amax(0) - truth.amin(0)) / k
        middle, cells = middles_of(truth, k)

        def anchor(points: Tensor, place: Tensor, side: Tensor) -> Tensor:
            weights = torch.exp(-((points - place) / side).square().sum(1) / (2 * 0.5**2))
            return (weights[:, None] * points).sum(0) / weights.sum()

        def layout(points: Tensor, place: Tensor) -> Tensor:
            return anchor(points, place, side) - anchor(points, middle, k * side)

        occupied = [c for c in cells if ((truth - c).abs() <= side / 2 + 1e-12).all(1).any()]
        expected = [(layout(generated, c) - layout(truth, c)).square().sum() for c in occupied]
        torch.testing.assert_close(kro_loss(generated, truth, k=k), torch.stack(expected).mean())
        assert k < 3 or len(occupied) < 27, "some cells are empty"

    def test_parts_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generated, truth = torch.rand(40, 3, requires_grad=True), torch.rand(30, 3)
        whole = kro_loss(generated, truth, k=3)
        monkeypatch.setattr(kro, "PAIRS", 100)
        parts = kro_loss(generated, truth, k=3)
        torch.testing.assert_close(parts, whole)
        gradients = [torch.autograd.grad(value, generated)[0] for value in (whole, parts)]
        torch.testing.assert_close(*gradients)

    def test_a_flat_target_has_tame_gradients(self) -> None:
        flat = torch.rand(100, 3) * torch.tensor([1.0, 1.0, 0.0])
        points = torch.rand(100, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(kro_loss(points, flat, k=3), points)
        assert 0.0 < gradient.abs().max() < 1.0

    def test_a_missing_part_costs(self) -> None:
        truth = torch.rand(500, 3)
        assert kro_loss(truth[truth[:, 1] > 0.4], truth, k=3).item() > 0.005

    def test_zero_weight_is_absence(self) -> None:
        points, truth = torch.rand(8, 3), torch.rand(9, 3)
        weighted = PointSets.from_list([points], weights=[torch.tensor([1.0] * 6 + [0.0] * 2)])
        torch.testing.assert_close(kro_loss(weighted, truth, k=2), kro_loss(points[:6], truth, k=2))


class TestDraw:
    def test_k_is_drawn_for_every_pair(self) -> None:
        points, truth = torch.rand(30, 3), torch.rand(30, 3)
        of_k = [kro_loss(points, truth, k=k).item() for k in (2, 3)]
        values = kro_loss([points] * 40, [truth] * 40, max_k=3, seed=0, reduction="none").tolist()
        assert {round(value, 6) for value in values} == {round(value, 6) for value in of_k}
        again = kro_loss([points] * 40, [truth] * 40, max_k=3, seed=0, reduction="none").tolist()
        assert values == again

    def test_no_draw_is_blind(self) -> None:
        points, truth = [torch.rand(30, 3)] * 40, [5.0 + 9.0 * torch.rand(30, 3)] * 40
        assert kro_loss(points, truth, seed=0, reduction="none").min() > 0.1

    @pytest.mark.parametrize("options", [{"k": 0}, {"k": 1}, {"max_k": 1}, {"softness": 0.0}, {"preset": "other"}])
    def test_refuses(self, options: dict) -> None:
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            kro_loss(torch.rand(3, 3), torch.rand(3, 3), **options)
