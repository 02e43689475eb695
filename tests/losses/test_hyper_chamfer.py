from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dr_kfs.losses import hyper_chamfer_loss


def calc_cd_like_hyper_v2(p1: Tensor, p2: Tensor) -> Tensor:
    """Transcription of `calc_cd_like_hyperV2`, ark1234/ICCV2023-HyperCD, codes/utils/loss_utils.py."""
    squared = (p1[:, None] - p2[None]).square().sum(-1)

    def arcosh(x: Tensor) -> Tensor:
        x = torch.clamp(x, min=1 + 1e-5)
        return torch.log(x + torch.sqrt(1 + x) * torch.sqrt(x - 1))

    return arcosh(1 + squared.amin(1)).mean() + arcosh(1 + squared.amin(0)).mean()


class TestHyperChamferLoss:
    @pytest.mark.parametrize("scale", [1.0, 1e-2])
    def test_published_code(self, scale: float) -> None:
        """At the small scale many points are below the floor."""
        one, other = (scale * torch.rand(size, 3, dtype=torch.float64) for size in (30, 20))
        torch.testing.assert_close(
            hyper_chamfer_loss(one, other, floor=1e-5), calc_cd_like_hyper_v2(one, other), rtol=1e-9, atol=0.0
        )

    @pytest.mark.parametrize("distance", [1e-20, 1e-6, 0.5, 1e3])
    def test_arcosh_without_cancellation(self, distance: float) -> None:
        one = torch.tensor([[distance, 0.0, 0.0]], dtype=torch.float64)
        value = hyper_chamfer_loss(one, torch.zeros(1, 3, dtype=torch.float64), alpha=2.0).item()
        # arcosh(1 + 2 d^2) = 2 arsinh(d)
        assert value == pytest.approx(4 * math.asinh(distance), rel=1e-12)

    def test_the_floor_of_the_published_code(self) -> None:
        """The docstring's 4.47e-3 each way."""
        points = torch.rand(4, 3)
        assert hyper_chamfer_loss(points, points, floor=1e-5).item() == pytest.approx(2 * 4.47e-3, rel=1e-3)

    @pytest.mark.parametrize("options", [{"alpha": 0.0}, {"floor": -1.0}])
    def test_refuses(self, options: dict) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            hyper_chamfer_loss(torch.rand(3, 3), torch.rand(3, 3), **options)
