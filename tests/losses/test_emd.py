from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import Tensor

from dr_kfs.geometry import PointSets
from dr_kfs.losses import emd_loss


def over_all_bijections(a: Tensor, b: Tensor, power: int) -> float:
    """d_EMD of Fan et al., Sec. 3.2, by trying every bijection; divided by the number of points."""
    distances = (a[:, None] - b[None]).norm(dim=-1) ** power
    return min(
        sum(distances[i, j].item() for i, j in enumerate(order)) / len(a)
        for order in itertools.permutations(range(len(a)))
    )


class TestExact:
    @pytest.mark.parametrize("squared", [False, True])
    def test_value(self, squared: bool) -> None:
        for _ in range(5):
            a, b = torch.rand(6, 3, dtype=torch.float64), torch.rand(6, 3, dtype=torch.float64)
            expected = over_all_bijections(a, b, 2 if squared else 1)
            assert emd_loss(a, b, squared=squared).item() == pytest.approx(expected)

    def test_counts_points(self) -> None:
        """What the Chamfer distance does not: two of three predictions are in one place."""
        target = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 0, 0]])
        crowded = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 0, 0]])
        assert emd_loss(crowded, target).item() == pytest.approx(1 / 3)

    def test_moves_along(self) -> None:
        a = torch.rand(10, 3)
        assert emd_loss(a, a.flip(0) + torch.tensor([3.0, 0, 4])).item() == pytest.approx(5.0)

    def test_unequal_sizes(self) -> None:
        a, b = [torch.rand(4, 3), torch.rand(4, 3)], [torch.rand(4, 3), torch.rand(5, 3)]
        with pytest.raises(ValueError, match=r'item 1: .* got 4 and 5 points.*method="entropic"'):
            emd_loss(a, b)

    def test_unknown_method(self) -> None:
        with pytest.raises((ValueError, TypeError), match="method"):
            emd_loss(torch.rand(3, 3), torch.rand(3, 3), method="auction")  # type: ignore[arg-type]


class TestEntropic:
    def test_says_that_geomloss_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "geomloss", None)
        with pytest.raises(ImportError, match=r'needs geomloss.*pip install "dr-kfs\[emd\]"'):
            emd_loss(torch.rand(3, 3), torch.rand(3, 3), method="entropic")

    def test_refuses_blur(self) -> None:
        with pytest.raises(ValueError, match="blur above 0"):
            emd_loss(torch.rand(3, 3), torch.rand(3, 3), method="entropic", blur=0.0)

    @pytest.mark.parametrize("squared", [False, True])
    def test_tends_to_the_exact_value(self, squared: bool) -> None:
        pytest.importorskip("geomloss", reason="needs dr_kfs[emd]")
        a, b = torch.rand(30, 3, dtype=torch.float64), torch.rand(30, 3, dtype=torch.float64)
        exact = emd_loss(a, b, squared=squared).item()
        near = emd_loss(a, b, method="entropic", squared=squared, blur=1e-3).item()
        assert near == pytest.approx(exact, rel=0.02)

    def test_bias(self) -> None:
        """What the docstring says of the two signs."""
        pytest.importorskip("geomloss", reason="needs dr_kfs[emd]")
        a, b = torch.rand(60, 3, dtype=torch.float64), torch.rand(60, 3, dtype=torch.float64)
        exact = emd_loss(a, b).item()
        assert emd_loss(a, b, method="entropic", blur=0.1).item() < exact
        assert emd_loss(a, a, method="entropic", blur=0.1).item() == pytest.approx(0.0, abs=1e-9)
        assert emd_loss(a, b, method="entropic", blur=0.1, debias=False).item() > exact
        assert emd_loss(a, a, method="entropic", blur=0.1, debias=False).item() > 0.01

    def test_sizes_weights_and_gradients(self) -> None:
        pytest.importorskip("geomloss", reason="needs dr_kfs[emd]")
        points, weights = torch.rand(4, 3, dtype=torch.float64), torch.tensor([1.0, 2.0, 1.0, 3.0]).double()
        a = PointSets.from_list([points.requires_grad_()], weights=[weights])
        repeated = points.detach().repeat_interleave(weights.long(), dim=0)
        target = torch.rand(5, 3, dtype=torch.float64)
        value = emd_loss(a, target, method="entropic", blur=0.01)
        torch.testing.assert_close(value, emd_loss(repeated, target, method="entropic", blur=0.01))
        (gradient,) = torch.autograd.grad(value, points)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
