"""What all losses of points have in common: their laws, their gradients and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dr_kfs import losses
from dr_kfs.geometry import Meshes, PointSets, sample_surface

Loss = Callable[..., Tensor]

# alpha and tau are on the scale of the points of these tests.
LOSSES: dict[str, tuple[Loss, type[nn.Module], dict[str, Any]]] = {
    "chamfer": (losses.chamfer_loss, losses.ChamferLoss, {}),
    "chamfer unsquared": (losses.chamfer_loss, losses.ChamferLoss, {"preset": "occnet-l1"}),
    "chamfer sums": (losses.chamfer_loss, losses.ChamferLoss, {"preset": "psgn"}),
    "qal paper": (losses.qal_loss, losses.QALLoss, {"weight_gradient": True}),
    "qal calibrated": (
        losses.qal_loss,
        losses.QALLoss,
        {"preset": "calibrated", "tau": 0.2, "lambda_attr": 0.7, "weight_gradient": True},
    ),
    "dcd": (losses.density_aware_chamfer_loss, losses.DensityAwareChamferLoss, {"alpha": 3.0}),
    "dcd of sizes": (
        losses.density_aware_chamfer_loss,
        losses.DensityAwareChamferLoss,
        {"alpha": 3.0, "exponent": 0.5, "size_ratio": "at least 1"},
    ),
    "hypercd": (losses.hyper_chamfer_loss, losses.HyperChamferLoss, {"alpha": 2.0}),
    "infocd": (losses.info_chamfer_loss, losses.InfoChamferLoss, {"contrast": 0.1, "temperature": 0.5}),
    "infocd sums": (losses.info_chamfer_loss, losses.InfoChamferLoss, {"points": "sum"}),
    "emd": (losses.emd_loss, losses.EMDLoss, {}),
    "emd squared": (losses.emd_loss, losses.EMDLoss, {"squared": True}),
    "kro": (losses.kro_loss, losses.KROLoss, {"k": 2}),
    "kro paper": (losses.kro_loss, losses.KROLoss, {"k": 2, "preset": "paper"}),
    "apml": (losses.soft_matching_loss, losses.SoftMatchingLoss, {}),
}
ZERO_AT_IDENTITY = [name for name in LOSSES if not name.startswith(("infocd", "apml"))]
NOT_SYMMETRIC = {"qal paper", "qal calibrated", "kro", "kro paper", "apml"}
EQUAL_SIZES = {"emd", "emd squared"}
# Repeated points are a density in DCD, and the paper's KRO looks at single points.
TAKES_WEIGHTS = [name for name in LOSSES if not name.startswith(("emd", "apml", "kro paper", "dcd"))]
# APML's plan and the boxes of the paper's KRO are constants of the step: test_soft_matching and test_kro check them.
EXACT_GRADIENT = [name for name in LOSSES if name not in ("apml", "kro paper")]
every_loss = pytest.mark.parametrize("name", LOSSES)


def loss_of(name: str) -> Loss:
    function, _, options = LOSSES[name]
    return partial(function, **options)


def clouds(name: str, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], list[Tensor]]:
    """Two predicted and two target sets of different sizes, or of one size for a loss that needs that."""
    sizes = ((12, 12), (9, 9)) if name in EQUAL_SIZES else ((12, 9), (7, 10))
    pairs = [(torch.rand(one, 3, dtype=dtype), torch.rand(other, 3, dtype=dtype)) for one, other in sizes]
    return [one for one, _ in pairs], [other for _, other in pairs]


class TestValues:
    @pytest.mark.parametrize("name", ZERO_AT_IDENTITY)
    def test_identity(self, name: str) -> None:
        points = torch.rand(15, 3)
        assert loss_of(name)(points, points[torch.randperm(15)]).item() == pytest.approx(0.0, abs=1e-6)

    @every_loss
    def test_differs_from_identity(self, name: str) -> None:
        points = torch.rand(15, 3)
        loss = loss_of(name)
        assert abs(loss(points, points).item() - loss(0.5 * points, points).item()) > 1e-3

    @every_loss
    def test_symmetry(self, name: str) -> None:
        one, other = clouds(name)
        loss = loss_of(name)
        there, back = loss(one, other, reduction="none"), loss(other, one, reduction="none")
        if name in NOT_SYMMETRIC:
            assert not torch.allclose(there, back)
        else:
            torch.testing.assert_close(there, back, rtol=1e-12, atol=0.0)

    @every_loss
    def test_order_and_place_do_not_matter(self, name: str) -> None:
        one, other = clouds(name)
        moved = [[points[torch.randperm(len(points))] + 3.0 for points in side] for side in (one, other)]
        loss = loss_of(name)
        torch.testing.assert_close(loss(*moved, reduction="none"), loss(one, other, reduction="none"))

    @every_loss
    def test_batch_is_loop(self, name: str) -> None:
        one, other = clouds(name)
        loss = loss_of(name)
        values = loss(one, other, reduction="none")
        alone = [loss(a, b, reduction="none") for a, b in zip(one, other, strict=True)]
        assert torch.equal(values, torch.cat(alone))
        torch.testing.assert_close(loss(one, other), values.mean())
        torch.testing.assert_close(loss(one, other, reduction="sum"), values.sum())

    @every_loss
    def test_one_target_for_all(self, name: str) -> None:
        one, _ = clouds(name)
        one = [one[0], one[0].flip(0) / 2]
        target = torch.rand(12, 3, dtype=torch.float64)
        loss = loss_of(name)
        assert torch.equal(loss(one, target, reduction="none"), loss(one, [target, target], reduction="none"))

    @every_loss
    def test_half_precision_is_computed_in_float32(self, name: str) -> None:
        one, other = clouds(name, torch.bfloat16)
        loss = loss_of(name)
        value = loss(one, other)
        assert value.dtype == torch.float32
        assert torch.equal(value, loss([each.float() for each in one], [each.float() for each in other]))

    @pytest.mark.parametrize("name", TAKES_WEIGHTS)
    def test_whole_weights_repeat_points(self, name: str) -> None:
        one, other = clouds(name)
        weights = torch.arange(1, len(one[0]) + 1)
        weighted = PointSets.from_list(one[:1], weights=[weights.double()])
        repeated = one[0].repeat_interleave(weights, dim=0)
        loss = loss_of(name)
        torch.testing.assert_close(loss(weighted, other[0]), loss(repeated, other[0]))

    @pytest.mark.parametrize("name", ["emd", "apml"])
    def test_refuses_weights(self, name: str) -> None:
        points = torch.rand(3, 3)
        with pytest.raises(ValueError, match="without weights"):
            loss_of(name)(PointSets.from_list([points], weights=[torch.ones(3)]), points)

    @every_loss
    def test_module(self, name: str) -> None:
        function, module, options = LOSSES[name]
        one, other = clouds(name)
        loss = module(**options, reduction="sum")
        assert torch.equal(loss(one, other), function(one, other, **options, reduction="sum"))
        assert not list(loss.parameters())
        assert not loss.state_dict()


class TestGradients:
    @pytest.mark.parametrize("name", EXACT_GRADIENT)
    def test_gradcheck(self, name: str) -> None:
        (a, _), (b, _) = clouds(name)
        # The box of KRO is a constant of the step: points on its border are not moved.
        inner = (b > b.amin(0)).all(1) & (b < b.amax(0)).all(1) if name == "kro" else torch.ones(len(b)) > 0
        leaves = (a.requires_grad_(), b[inner].clone().requires_grad_())
        loss = loss_of(name)

        def value(a: Tensor, moved: Tensor) -> Tensor:
            return loss(a, b.masked_scatter(inner[:, None].expand(-1, 3), moved))

        assert torch.autograd.gradcheck(value, leaves)

    @every_loss
    @pytest.mark.parametrize("case", ["same", "one place", "flat", "single"])
    def test_finite_where_points_coincide(self, name: str, case: str) -> None:
        points = {
            "same": torch.rand(6, 3),
            "one place": torch.ones(6, 3),
            "flat": torch.rand(6, 3) * torch.tensor([1.0, 1.0, 0.0]),
            "single": torch.rand(1, 3),
        }[case]
        one, other = points.clone().requires_grad_(), points.clone().requires_grad_()
        value = loss_of(name)(one, other)
        assert value.isfinite()
        for gradient in torch.autograd.grad(value, (one, other)):
            assert gradient.isfinite().all()

    @pytest.mark.parametrize("name", [name for name in LOSSES if name != "kro paper"])
    def test_descends(self, name: str) -> None:
        """The paper's KRO is left out: it has no least value."""
        (a, _), (b, _) = clouds(name)
        leaf = a.requires_grad_()
        loss = loss_of(name)
        before = loss(leaf, b)
        (gradient,) = torch.autograd.grad(before, leaf)
        assert loss(leaf.detach() - 1e-4 * gradient / gradient.norm(), b).item() < before.item()

    @every_loss
    def test_reaches_the_vertices(self, name: str) -> None:
        target = torch.rand(10, 3, dtype=torch.float64)
        vertices = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
        meshes = Meshes.from_list([vertices], [torch.tensor([[0, 1, 2], [1, 2, 3]])])
        (gradient,) = torch.autograd.grad(loss_of(name)(meshes, target, samples=10, seed=0), vertices)
        assert gradient.abs().sum() > 0
        assert gradient.isfinite().all()


class TestInput:
    @every_loss
    def test_surfaces_are_sampled_independently(self, name: str) -> None:
        meshes = Meshes.from_list([torch.rand(4, 3)], [torch.tensor([[0, 1, 2], [1, 2, 3]])])
        loss = loss_of(name)
        value = loss(meshes, meshes, samples=30, seed=5)
        assert torch.equal(value, loss(meshes, meshes, samples=30, seed=5))
        drawn = [sample_surface(meshes, 30, seed=seed).points for seed in (10, 11)]
        assert torch.equal(value, loss(*drawn))

    @every_loss
    def test_refuses_what_does_not_go_together(self, name: str) -> None:
        loss, points = loss_of(name), torch.rand(3, 4, 3)
        with pytest.raises(ValueError, match="predicted holds 3 point sets and target 2"):
            loss(points, points[:2])
        with pytest.raises(ValueError, match="item 1: expected finite points"):
            loss(points, points.index_fill(0, torch.tensor([1]), torch.nan))
        with pytest.raises(TypeError, match="samples=2048"):
            loss(points, Meshes.from_list([points[0]], [torch.tensor([[0, 1, 2]])]))
        with pytest.raises((ValueError, TypeError)):
            loss(points, points, reduction="median")

    def test_devices(self) -> None:
        points = torch.rand(2, 3)
        elsewhere = PointSets(points.to("meta"), (0, 2))
        with pytest.raises(ValueError, match=r"predicted on cpu and target on meta"):
            losses.chamfer_loss(points, elsewhere)

    @pytest.mark.parametrize("name", ["emd", "apml"])
    def test_memory_is_bounded(self, name: str) -> None:
        points = torch.rand(100, 3)
        with pytest.raises(ValueError, match=r"item 0: .* all 100 x 100 pairs"):
            loss_of(name)(points, points, max_memory=1e4)

    @pytest.mark.cuda
    @every_loss
    def test_on_the_gpu(self, name: str) -> None:
        one, other = clouds(name)
        loss = loss_of(name)
        there = loss([each.cuda() for each in one], [each.cuda() for each in other])
        torch.testing.assert_close(there.cpu(), loss(one, other))
