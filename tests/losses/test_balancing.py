"""Balancers against their formulas, on two terms that are made up."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from dr_kfs.losses import (
    Balancer,
    FixedBalancer,
    GradientRatioBalancer,
    GradNormBalancer,
    RunningValueBalancer,
    UncertaintyBalancer,
)
from dr_kfs.losses.balancing import TermStatistics, make_balancer

BOTH = torch.tensor([True, True])


def seen(values: list[float], norms: list[float] | None = None, active: Tensor = BOTH) -> TermStatistics:
    return TermStatistics(torch.tensor(values), None if norms is None else torch.tensor(norms), active)


def prepared(balancer: Balancer) -> Balancer:
    balancer.prepare(["a", "b"])
    return balancer


class TestMakeBalancer:
    def test_by_name(self) -> None:
        kinds = {
            "fixed": FixedBalancer,
            "running-value": RunningValueBalancer,
            "gradient-ratio": GradientRatioBalancer,
            "uncertainty": UncertaintyBalancer,
            "gradnorm": GradNormBalancer,
        }
        assert {name: type(make_balancer(name)) for name in kinds} == kinds
        own = GradNormBalancer(alpha=0.5)
        assert make_balancer(own) is own
        with pytest.raises((ValueError, TypeCheckError), match="balance"):
            make_balancer("best")  # pyright: ignore[reportArgumentType]


class TestFixed:
    def test_is_1(self) -> None:
        balancer = prepared(FixedBalancer())
        assert balancer.factors(BOTH).tolist() == [1.0, 1.0]
        assert not balancer.state_dict()


class TestRunningValue:
    def test_running_mean(self) -> None:
        balancer = prepared(RunningValueBalancer(momentum=0.5))
        assert balancer.factors(BOTH).tolist() == [1.0, 1.0]
        balancer.observe(seen([2.0, -4.0]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([0.5, 0.25])
        balancer.observe(seen([5.0, 4.0]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([1 / 4, 1 / 4])  # (0.25 * 2 + 0.5 * 5) / 0.75 = 4

    def test_inactive_and_broken_values_are_left_out(self) -> None:
        balancer = prepared(RunningValueBalancer())
        balancer.observe(seen([2.0, 0.0], active=torch.tensor([True, False])))
        balancer.observe(seen([float("nan"), float("inf")]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([0.5, 1.0])

    def test_floor(self) -> None:
        balancer = prepared(RunningValueBalancer(floor=0.1))
        balancer.observe(seen([0.0, 1.0]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([10.0, 1.0])

    def test_bad_settings(self) -> None:
        with pytest.raises(ValueError, match="momentum in"):
            RunningValueBalancer(momentum=1.0)
        with pytest.raises(ValueError, match="floor above 0"):
            RunningValueBalancer(floor=0.0)


class TestGradientRatio:
    def test_equal_pulls(self) -> None:
        balancer = prepared(GradientRatioBalancer())
        balancer.observe(seen([1.0, 1.0], [6.0, 2.0]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([1.0, 3.0])
        assert balancer.factors(torch.tensor([False, True])).tolist()[1] == 1.0  # then it is the first itself

    def test_reference_by_name_and_limit(self) -> None:
        balancer = prepared(GradientRatioBalancer(reference="b", limit=2.0))
        balancer.observe(seen([1.0, 1.0], [6.0, 2.0]))
        assert balancer.factors(BOTH).tolist() == pytest.approx([0.5, 1.0])

    @pytest.mark.parametrize(("norms", "expected"), [([0.0, 2.0], [1.0, 1.0]), ([0.0, 0.0], [1.0, 1.0])])
    def test_a_term_without_gradient_changes_nothing(self, norms, expected) -> None:
        balancer = prepared(GradientRatioBalancer())
        balancer.observe(seen([1.0, 1.0], norms))
        assert balancer.factors(BOTH).tolist() == expected

    def test_bad_settings(self) -> None:
        with pytest.raises(ValueError, match="reference must be one of a, b, got 'c'"):
            prepared(GradientRatioBalancer(reference="c"))
        with pytest.raises(ValueError, match="limit of at least 1"):
            GradientRatioBalancer(limit=0.5)


class TestUncertainty:
    def test_the_optimum_is_the_logarithm_of_the_values(self) -> None:
        balancer = prepared(UncertaintyBalancer())
        values, weights = torch.tensor([0.02, 7.0]), torch.tensor([1.0, 3.0])
        optimizer = torch.optim.LBFGS(balancer.parameters(), max_iter=50, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            total = (weights * balancer.factors(BOTH) * values).sum() + balancer.penalty(weights, seen([0.0, 0.0]))
            total.backward()
            return total

        optimizer.step(loss)
        torch.testing.assert_close(balancer.log_variance.detach(), values.log(), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(weights * balancer.factors(BOTH) * values, weights / 2, atol=1e-2, rtol=1e-2)


class TestGradNorm:
    def test_the_loss_by_hand(self) -> None:
        balancer = prepared(GradNormBalancer(alpha=0.5))
        balancer.observe(seen([4.0, 2.0]))
        now = seen([1.0, 1.0], [3.0, 1.0])
        balancer.observe(now)  # later values do not replace the first
        penalty = balancer.penalty(torch.ones(2), now)
        assert penalty.item() == 0.0
        (gradient,) = torch.autograd.grad(penalty, balancer.log_factors)

        x = torch.zeros(2, requires_grad=True)
        pulls = 2 * torch.softmax(x, 0) * torch.tensor([3.0, 1.0])
        left = torch.tensor([1 / 4, 1 / 2])
        wanted = (pulls.mean() * (left / left.mean()) ** 0.5).detach()
        (expected,) = torch.autograd.grad((pulls - wanted).abs().sum(), x)
        torch.testing.assert_close(gradient, expected)

    def test_learns_equal_pulls(self) -> None:
        balancer = prepared(GradNormBalancer(alpha=0.0))
        now = seen([1.0, 1.0], [9.0, 1.0])
        balancer.observe(now)
        optimizer = torch.optim.Adam(balancer.parameters(), lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            balancer.penalty(torch.ones(2), now).backward()
            optimizer.step()
        factors = balancer.factors(BOTH)
        assert factors.sum().item() == pytest.approx(2.0)
        assert (9.0 * factors[0] / factors[1]).item() == pytest.approx(1.0, rel=0.1)
        assert not factors.requires_grad

    def test_terms_that_rest_have_no_part(self) -> None:
        balancer = prepared(GradNormBalancer())
        now = seen([1.0, 0.0], [2.0, 0.0], active=torch.tensor([True, False]))
        balancer.observe(now)
        (gradient,) = torch.autograd.grad(balancer.penalty(torch.ones(2), now), balancer.log_factors)
        assert torch.equal(gradient, torch.zeros(2))
        assert balancer.factors(now.active).tolist() == [1.0, 0.0]

    def test_values_of_0_are_finite(self) -> None:
        balancer = prepared(GradNormBalancer())
        now = seen([0.0, 0.0], [0.0, 0.0])
        balancer.observe(now)
        (gradient,) = torch.autograd.grad(balancer.penalty(torch.ones(2), now), balancer.log_factors)
        assert gradient.isfinite().all()

    def test_bad_settings(self) -> None:
        with pytest.raises(ValueError, match="alpha of at least 0"):
            GradNormBalancer(alpha=-0.1)
