from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dr_kfs.geometry import PointSets
from dr_kfs.losses import CHAMFER_PRESETS, chamfer_loss

A = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]], dtype=torch.float64)
B = torch.tensor([[0.0, 0, 1], [1, 0, 2]], dtype=torch.float64)
# Nearest distances by hand: squared 1, 2, 5 from A to B, and 1, 4 back.
FORTH = [1.0, 2.0, 5.0]
BACK = [1.0, 4.0]


def published(preset: str, x: Tensor, y: Tensor) -> Tensor:
    """Direct transcriptions of the sources in `CHAMFER_PRESETS`, for one pair (N, 3) and (M, 3)."""
    squared = (x[:, None] - y[None]).square().sum(-1)
    dist1, dist2 = squared.amin(1), squared.amin(0)
    match preset:
        case "pytorch3d":  # cham_x /= x_lengths; cham_y /= y_lengths; cham_dist = cham_x + cham_y
            return dist1.sum() / len(x) + dist2.sum() / len(y)
        case "occnet-l1":  # chamferL1 = 0.5 * (completeness + accuracy)
            return 0.5 * (dist2.sqrt().mean() + dist1.sqrt().mean())
        case "occnet-l2":  # chamferL2 = 0.5 * (completeness2 + accuracy2)
            return 0.5 * ((dist2.sqrt() ** 2).mean() + (dist1.sqrt() ** 2).mean())
        case "pointr-l1":  # (torch.mean(dist1) + torch.mean(dist2)) / 2 of square roots
            return (dist1.sqrt().mean() + dist2.sqrt().mean()) / 2
        case "pointr-l2":  # torch.mean(dist1) + torch.mean(dist2)
            return dist1.mean() + dist2.mean()
        case "psgn":  # d_CD of Sec. 3.2: sums of squared distances
            return dist1.sum() + dist2.sum()
        case "point-cloud-utils":  # mean of the norms of differences, both ways added
            return dist1.sqrt().mean() + dist2.sqrt().mean()
    raise AssertionError(preset)


class TestChamferLoss:
    @pytest.mark.parametrize("preset", CHAMFER_PRESETS)
    def test_presets(self, preset) -> None:
        one, other = torch.rand(40, 3, dtype=torch.float64), torch.rand(30, 3, dtype=torch.float64)
        torch.testing.assert_close(chamfer_loss(one, other, preset=preset), published(preset, one, other))

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, 8 / 3 + 5 / 2),
            ({"points": "sum"}, 8.0 + 5.0),
            ({"directions": "mean"}, (8 / 3 + 5 / 2) / 2),
            ({"squared": False}, (1 + 2**0.5 + 5**0.5) / 3 + 3 / 2),
            ({"preset": "psgn", "squared": False, "directions": "mean"}, (1 + 2**0.5 + 5**0.5 + 3) / 2),
        ],
    )
    def test_options_override_the_preset(self, options: dict, expected: float) -> None:
        assert chamfer_loss(A, B, **options).item() == pytest.approx(expected)

    def test_weights(self) -> None:
        one = PointSets.from_list([A], weights=[torch.tensor([2.0, 1.0, 0.0])])
        mean = (2 * FORTH[0] + FORTH[1]) / 3 + sum(BACK) / 2
        assert chamfer_loss(one, B).item() == pytest.approx(mean)
        assert chamfer_loss(one, B, points="sum").item() == pytest.approx(2 * FORTH[0] + FORTH[1] + sum(BACK))

    def test_normals(self) -> None:
        """PyTorch3D's loss_normals: 1 - |cos| of the matched normals, both ways added."""
        normals_a = torch.tensor([[0.0, 0, 1], [0, 0, 2], [3, 0, 4]], dtype=torch.float64)
        normals_b = torch.tensor([[0.0, 0, -1], [1, 0, 1]], dtype=torch.float64)
        one = PointSets.from_list([A], normals=[normals_a])
        other = PointSets.from_list([B], normals=[normals_b])
        # A's points match b0, b0, b0 (distances 1, sqrt 2, sqrt 5); B's match a0, a1.
        normal_term = (0 + 0 + (1 - 0.8)) / 3 + (0 + (1 - 0.5**0.5)) / 2
        difference = chamfer_loss(one, other, normal_weight=2.0) - chamfer_loss(one, other)
        assert difference.item() == pytest.approx(2 * normal_term)

    def test_normals_have_gradients_even_where_they_vanish(self) -> None:
        normals = torch.tensor([[0.0, 0, 0], [0, 1, 1], [1, 0, 0]], dtype=torch.float64, requires_grad=True)
        other = PointSets.from_list([B], normals=[torch.rand(2, 3, dtype=torch.float64)])

        def loss(normals: Tensor) -> Tensor:
            return chamfer_loss(PointSets.from_list([A], normals=[normals]), other, normal_weight=1.0)

        (gradient,) = torch.autograd.grad(loss(normals), normals)
        assert torch.equal(gradient[0], torch.zeros(3, dtype=torch.float64))
        assert torch.autograd.gradcheck(lambda moved: loss(torch.cat([normals[:1].detach(), moved])), normals[1:])

    def test_refuses(self) -> None:
        with pytest.raises(ValueError, match="needs normals on both sides"):
            chamfer_loss(A, B, normal_weight=1.0)
        for options in ({"preset": "unknown"}, {"points": "median"}, {"directions": "max"}):
            with pytest.raises((ValueError, TypeError)):
                chamfer_loss(A, B, **options)

    @pytest.mark.parametrize("count", [3000])
    def test_blocks_change_nothing(self, count: int) -> None:
        """More points than are compared pair by pair."""
        one, other = torch.rand(count, 3, dtype=torch.float64), torch.rand(count, 3, dtype=torch.float64)
        torch.testing.assert_close(chamfer_loss(one, other), published("pytorch3d", one, other))
