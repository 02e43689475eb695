from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dr_kfs.losses import density_aware_chamfer_loss
from dr_kfs.losses.density_aware_chamfer import SizeRatio


def calc_dcd(x: Tensor, gt: Tensor, alpha: float, n_lambda: float, non_reg: bool) -> float:
    """Transcription of `calc_dcd`, wutong16/Density_aware_Chamfer_Distance, utils_v2/model_utils.py, point by point."""
    n_x, n_gt = len(x), len(gt)
    frac_12, frac_21 = n_x / n_gt, n_gt / n_x
    if non_reg:
        frac_12, frac_21 = max(1, frac_12), max(1, frac_21)

    def one_way(points: Tensor, others: Tensor, frac: float) -> float:
        squared = (points[:, None] - others[None]).square().sum(-1)
        index = squared.argmin(1).tolist()
        terms = [
            1 - math.exp(-alpha * squared[i, j].item()) * frac / (index.count(j) ** n_lambda + 1e-6)
            for i, j in enumerate(index)
        ]
        return sum(terms) / len(terms)

    return (one_way(gt, x, frac_21) + one_way(x, gt, frac_12)) / 2


class TestDensityAwareChamferLoss:
    @pytest.mark.parametrize("sizes", [(20, 20), (20, 50)])
    @pytest.mark.parametrize(("alpha", "exponent"), [(1000.0, 1.0), (40.0, 0.5)])
    @pytest.mark.parametrize("non_reg", [False, True])
    def test_published_code(self, sizes: tuple[int, int], alpha: float, exponent: float, non_reg: bool) -> None:
        x, gt = (torch.rand(size, 3, dtype=torch.float64) / 5 for size in sizes)
        value = density_aware_chamfer_loss(
            x, gt, alpha=alpha, exponent=exponent, size_ratio="at least 1" if non_reg else "plain"
        )
        # The published code adds 1e-6 to the counts.
        assert value.item() == pytest.approx(calc_dcd(x, gt, alpha, exponent, non_reg), abs=1e-5)

    def test_paper(self) -> None:
        """Eq. 5 has no ratio of sizes."""
        x, gt = torch.zeros(1, 3), torch.tensor([[0.0, 0, 0], [0, 0, 1]])
        # x matches the first of gt; both of gt match x, which they share.
        expected = ((1 - 1) + (1 - 1 / 2 + 1 - math.exp(-2.0) / 2) / 2) / 2
        value = density_aware_chamfer_loss(x, gt, alpha=2.0, size_ratio="none")
        assert value.item() == pytest.approx(expected)

    def test_range(self) -> None:
        assert density_aware_chamfer_loss(torch.zeros(5, 3), torch.ones(5, 3)).item() == 1.0
        assert density_aware_chamfer_loss(torch.eye(3), torch.eye(3)).item() == 0.0

    @pytest.mark.parametrize("size_ratio", ["plain", "at least 1", "none"])
    def test_range_of_sets_of_other_sizes(self, size_ratio: SizeRatio) -> None:
        values = {}
        for exponent in (0.5, 1.0, 2.0):
            draws = (torch.rand(count, 3) * 0.05 for count in (40, 7) * 20)
            pairs = zip(draws, draws, strict=False)
            losses = [
                density_aware_chamfer_loss(one, other, size_ratio=size_ratio, exponent=exponent) for one, other in pairs
            ]
            values[exponent] = torch.stack(losses)
        assert min(values[1.0].min(), values[2.0].min()) >= 0.0
        assert max(losses.max() for losses in values.values()) <= 1.0
        assert (values[0.5].min() < 0.0) == (size_ratio != "none")

    def test_sees_density(self) -> None:
        """Chamfer distance does not care that all predictions but one are in one place."""
        target = torch.eye(3).repeat(4, 1) + torch.arange(12)[:, None]
        even, crowded = target.clone(), target[[0] * 6 + [*range(6, 12)]]
        assert density_aware_chamfer_loss(crowded, target) > density_aware_chamfer_loss(even, target) + 0.2

    @pytest.mark.parametrize("options", [{"alpha": 0.0}, {"exponent": -1.0}, {"size_ratio": "half"}])
    def test_refuses(self, options: dict) -> None:
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            density_aware_chamfer_loss(torch.rand(3, 3), torch.rand(3, 3), **options)
