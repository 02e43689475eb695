from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dr_kfs.geometry import PointSets
from dr_kfs.losses import info_chamfer_loss


def calc_cd_like_info_v2(p1: Tensor, p2: Tensor, scale: float = 0.5, power: float = 1e-7) -> Tensor:
    """Transcription of `calc_cd_like_InfoV2`, ark1234/NeurIPS2023-InfoCD, codes/utils/loss_utils.py, for one pair."""
    squared = (p1[:, None] - p2[None]).square().sum(-1)
    total = torch.zeros((), dtype=p1.dtype)
    for dist in (squared.amin(1), squared.amin(0)):
        d = torch.sqrt(torch.clamp(dist, min=1e-9))
        total = total + torch.sum(-torch.log(torch.exp(-scale * d) / torch.sum(torch.exp(-scale * d) + 1e-7) ** power))
    return total / 2


class TestInfoChamferLoss:
    @pytest.mark.parametrize(("temperature", "contrast"), [(2.0, 1e-7), (0.5, 0.3)])
    def test_published_code(self, temperature: float, contrast: float) -> None:
        one, other = torch.rand(30, 3, dtype=torch.float64), torch.rand(20, 3, dtype=torch.float64)
        value = info_chamfer_loss(one, other, points="sum", temperature=temperature, contrast=contrast)
        # The published 1e-7 inside the sum is worth 1e-7 of it.
        torch.testing.assert_close(
            value, calc_cd_like_info_v2(one, other, 1 / temperature, contrast), rtol=1e-6, atol=0.0
        )

    def test_mean(self) -> None:
        one, other = torch.rand(20, 3, dtype=torch.float64), torch.rand(20, 3, dtype=torch.float64)
        assert info_chamfer_loss(one, other).item() == pytest.approx(
            info_chamfer_loss(one, other, points="sum").item() / 20
        )

    def test_at_identity(self) -> None:
        points = torch.rand(8, 3)
        assert info_chamfer_loss(points, points, contrast=0.5).item() == pytest.approx(0.5 * math.log(8))

    def test_zero_weight_is_absence(self) -> None:
        points = torch.rand(8, 3)
        weighted = PointSets.from_list([points], weights=[torch.tensor([1.0] * 6 + [0.0] * 2)])
        value = info_chamfer_loss(weighted, points[:6], contrast=0.5)
        # The target's points all find themselves; the sum inside the logarithm has 6 terms of 1.
        assert value.item() == pytest.approx(0.5 * math.log(6))

    @pytest.mark.parametrize("options", [{"temperature": 0.0}, {"contrast": -1.0}, {"points": "median"}])
    def test_refuses(self, options: dict) -> None:
        with pytest.raises((ValueError, TypeError), match=next(iter(options))):
            info_chamfer_loss(torch.rand(3, 3), torch.rand(3, 3), **options)
