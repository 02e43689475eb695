"""Balancers: weights of a sum of losses that set themselves, from the losses' values or gradients.

A balancer turns K terms into K factors; `HybridLoss` multiplies them with the weights that the user gave. Whatever a
balancer remembers is in its `state_dict()`, so a resumed training goes on as if it had not stopped; `parameters()`
holds what an optimiser must learn, and is empty where nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = [
    "Balancer",
    "FixedBalancer",
    "GradNormBalancer",
    "GradientRatioBalancer",
    "RunningValueBalancer",
    "TermStatistics",
    "UncertaintyBalancer",
    "make_balancer",
]

Balance = Literal["fixed", "running-value", "gradient-ratio", "uncertainty", "gradnorm"]


@dataclass(frozen=True, eq=False)
class TermStatistics:
    """What is known of the K terms at one step, without gradient; in a distributed training, means over the ranks."""

    values: Float[Tensor, " K"]
    """Values of the terms; 0 for those that were not computed."""
    norms: Float[Tensor, " K"] | None
    """L2 norms of the terms' gradients at the shared tensor; None unless the balancer asks for them."""
    active: Bool[Tensor, " K"]
    """Which terms were computed: those whose weight is not 0."""


class Balancer(nn.Module):
    """The fixed balance, every factor 1, and what all others derive from.

    The loss calls `prepare` once, then in every training step `observe`, `factors` and `penalty`; in evaluation it
    calls `factors` alone, so that measuring changes nothing.
    """

    needs_gradients: bool = False
    """Whether `TermStatistics.norms` must be there: one more backward pass from every term to the shared tensor."""
    observes: bool = False
    """Whether statistics matter at all; ranks of a distributed training then exchange theirs."""

    def prepare(self, names: Sequence[str]) -> None:
        """Make room for K terms, before an optimiser asks for `parameters()`."""
        self.names = tuple(names)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Balancer:
        """Stay in float32 at least, whatever the model is cast to: small shares of a mean would be rounded away."""

        def moved(tensor: Tensor) -> Tensor:
            after = fn(tensor)
            rounded = after.is_floating_point() and torch.finfo(after.dtype).bits < 32
            return tensor.to(after.device) if rounded else after

        return super()._apply(moved, recurse)

    def observe(self, seen: TermStatistics) -> None:
        """Remember what the factors depend on."""

    def factors(self, active: Bool[Tensor, " K"]) -> Float[Tensor, " K"]:
        """What each term is multiplied with; what it is for a term that is not active does not matter."""
        return torch.ones(len(self.names), device=active.device)

    def penalty(self, weights: Float[Tensor, " K"], seen: TermStatistics) -> Float[Tensor, ""] | None:
        """What learning the factors adds to the loss; `weights` are the user's."""
        return None


class FixedBalancer(Balancer):
    """Every factor is 1: the weights are the user's own."""


class _RunningBalancer(Balancer):
    """Remembers a running mean of one number per term, weighted 1 - momentum, momentum (1 - momentum), ... backwards.

    The weights of the mean are divided by their sum, so that the first step's mean is its value. A number that is not
    finite is left out.
    """

    observes = True

    def __init__(self, *, momentum: float) -> None:
        super().__init__()
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"Expected a momentum in [0, 1), got {momentum}.")
        self.momentum = momentum

    def prepare(self, names: Sequence[str]) -> None:
        super().prepare(names)
        self.register_buffer("total", torch.zeros(len(names)))
        self.register_buffer("mass", torch.zeros(len(names)))

    def _remember(self, values: Tensor, active: Tensor) -> None:
        use = active & values.isfinite()
        total, mass = cast(Tensor, self.total), cast(Tensor, self.mass)
        share = 1.0 - self.momentum
        # In place: DistributedDataParallel keeps track of buffers by their storage.
        total.copy_(torch.where(use, total + share * (values.to(total.dtype) - total), total))
        mass.copy_(torch.where(use, mass + share * (1.0 - mass), mass))

    def _mean(self) -> tuple[Tensor, Tensor]:
        """Running means, and for which terms there are any."""
        total, mass = cast(Tensor, self.total), cast(Tensor, self.mass)
        known = mass > 0
        return total / torch.where(known, mass, 1.0), known


class RunningValueBalancer(_RunningBalancer):
    """Scale-free: `factor_i = 1 / max(floor, running mean of |L_i|)`, so that every term is about 1 times its weight.

    Units and sizes of terms then do not matter, and a term counts by its relative change. As values fall the factors
    rise: a term that goes to 0 keeps its pull down to `floor`, where a fixed weight lets it rest.

    Args:
        momentum: of the running mean, in [0, 1); 0 takes the last value.
        floor: smallest mean that is divided by.

    Raises:
        ValueError: a momentum outside of [0, 1), or a floor that is not positive.
    """

    def __init__(self, *, momentum: float = 0.99, floor: float = 1e-8) -> None:
        super().__init__(momentum=momentum)
        if not floor > 0.0:
            raise ValueError(f"Expected a floor above 0, got {floor}.")
        self.floor = floor

    def observe(self, seen: TermStatistics) -> None:
        """Add the values to the running means."""
        self._remember(seen.values.abs(), seen.active)

    def factors(self, active: Bool[Tensor, " K"]) -> Float[Tensor, " K"]:
        """1 over the running means; 1 for a term that was never seen."""
        mean, known = self._mean()
        return torch.where(known, 1.0 / mean.clamp(min=self.floor), 1.0)


class GradientRatioBalancer(_RunningBalancer):
    """Every term pulls at the shared tensor as hard as a reference term: `factor_i = |g_ref| / |g_i|`.

    g_i is the gradient of term i at the shared tensor (by default the predicted vertices, so that no network is
    touched), |g| its L2 norm over the whole batch, as a running mean. The reference keeps factor 1: a learning rate
    that suits it alone suits the sum. In VQGAN the shared tensor is the last layer and the adversarial term the one
    that is scaled. A term without gradient keeps factor 1, and does not serve as the reference.

    Args:
        reference: name of the term; None takes the first that is active.
        momentum: of the running means, in [0, 1); 0 is VQGAN's, the last step's norms alone.
        limit: factors stay within [1 / limit, limit].

    Raises:
        ValueError: a momentum outside of [0, 1), a limit below 1, or a reference that is no term.

    References:
        P. Esser, R. Rombach, B. Ommer: Taming Transformers for High-Resolution Image Synthesis. CVPR 2021, Eq. 7.
    """

    needs_gradients = True

    def __init__(self, *, reference: str | None = None, momentum: float = 0.9, limit: float = 1e4) -> None:
        super().__init__(momentum=momentum)
        if not limit >= 1.0:
            raise ValueError(f"Expected a limit of at least 1, got {limit}.")
        self.reference = reference
        self.limit = limit

    def prepare(self, names: Sequence[str]) -> None:
        """Make room for K terms.

        Raises:
            ValueError: the reference is none of them.
        """
        super().prepare(names)
        if self.reference is not None and self.reference not in self.names:
            raise ValueError(f"reference must be one of {', '.join(self.names)}, got {self.reference!r}.")

    def observe(self, seen: TermStatistics) -> None:
        """Add the norms to the running means."""
        assert seen.norms is not None
        self._remember(seen.norms, seen.active)

    def factors(self, active: Bool[Tensor, " K"]) -> Float[Tensor, " K"]:
        """Ratios of the running norms."""
        norm, _ = self._mean()
        pulls = norm > 0  # and known: an unknown mean is 0
        candidates = pulls & active
        if self.reference is not None:
            chosen = self.names.index(self.reference)
            candidates = candidates & (torch.arange(len(self.names), device=norm.device) == chosen)
        first = candidates.to(torch.int8).argmax()  # without waiting for the GPU
        usable = pulls & candidates.any()
        ratio = norm[first] / torch.where(usable, norm, 1.0)
        return torch.where(usable, ratio.clamp(1.0 / self.limit, self.limit), 1.0)


class UncertaintyBalancer(Balancer):
    """Learned homoscedastic uncertainty: `sum_i w_i [ exp(-s_i) L_i / 2 + s_i / 2 ]`, s_i = log sigma_i^2 learned.

    At the optimum exp(s_i) = L_i: every term then contributes w_i / 2, and the user's weights are shares. The loss may
    be negative. `parameters()` holds s: give it to the optimiser,

    >>> torch.optim.Adam([*model.parameters(), *loss_fn.parameters()])

    or the factors stay at 1/2. A term that goes to 0 drives its s down without bound: not for terms that vanish.

    References:
        A. Kendall, Y. Gal, R. Cipolla: Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
        Semantics. CVPR 2018, Eq. 7; with s in place of sigma, as they do in practice. The user's weights are ours.
    """

    def prepare(self, names: Sequence[str]) -> None:
        """Make the K parameters, 0 at first."""
        super().prepare(names)
        self.log_variance = nn.Parameter(torch.zeros(len(names)))

    def factors(self, active: Bool[Tensor, " K"]) -> Float[Tensor, " K"]:
        """`exp(-s) / 2`, differentiable in s."""
        return 0.5 * torch.exp(-self.log_variance)

    def penalty(self, weights: Float[Tensor, " K"], seen: TermStatistics) -> Float[Tensor, ""]:
        """`sum_i w_i s_i / 2`; terms of weight 0 do not learn."""
        return 0.5 * (weights * self.log_variance).sum()


class GradNormBalancer(Balancer):
    """GradNorm: factors are learned so that terms that lag behind pull harder.

        L_grad = sum_i | f_i |g_i| - stop( mean_j(f_j |g_j|) r_i^alpha ) |
        r_i    = (L_i / L_i(0)) / mean_j(L_j / L_j(0))

    over the active terms: f_i are the factors, g_i the gradients at the shared tensor, r_i > 1 says that term i has
    fallen less than the others since its first step. Only the factors learn from L_grad, and nothing else teaches
    them. `parameters()` holds their logarithms: give it to the optimiser,

    >>> torch.optim.Adam([{"params": model.parameters()}, {"params": loss_fn.parameters(), "lr": 0.025}])

    or the factors stay at 1. Departures: the factors are K softmax of the parameters, where the paper rescales them
    to the sum K after each step, so that they stay positive; L_grad enters the loss with value 0 (its gradient
    alone), so that the loss stays the weighted sum; the user's weights multiply afterwards, and are not fought.

    Args:
        alpha: strength of the restoring force, at least 0; 0 asks for equal norms. The paper's are 0.12 to 1.5.

    Raises:
        ValueError: a negative alpha.

    References:
        Z. Chen, V. Badrinarayanan, C. Lee, A. Rabinovich: GradNorm: Gradient Normalization for Adaptive Loss Balancing
        in Deep Multitask Networks. ICML 2018, Eq. 1 and 2, Algorithm 1.
    """

    needs_gradients = True
    observes = True

    def __init__(self, *, alpha: float = 1.5) -> None:
        super().__init__()
        if not alpha >= 0.0:
            raise ValueError(f"Expected alpha of at least 0, got {alpha}.")
        self.alpha = alpha

    def prepare(self, names: Sequence[str]) -> None:
        """Make the K parameters, 0 at first, and room for the first values."""
        super().prepare(names)
        self.log_factors = nn.Parameter(torch.zeros(len(names)))
        self.register_buffer("initial", torch.zeros(len(names)))

    def observe(self, seen: TermStatistics) -> None:
        """Keep the first value of every term."""
        initial = cast(Tensor, self.initial)
        values = seen.values.abs().to(initial.dtype)
        initial.copy_(torch.where((initial == 0) & seen.active & values.isfinite(), values, initial))

    def factors(self, active: Bool[Tensor, " K"]) -> Float[Tensor, " K"]:
        """`K softmax` over the active terms, as constants: the terms themselves do not teach them."""
        return self._factors(active).detach()

    def penalty(self, weights: Float[Tensor, " K"], seen: TermStatistics) -> Float[Tensor, ""]:
        """L_grad - stop(L_grad)."""
        assert seen.norms is not None
        active, initial = seen.active, cast(Tensor, self.initial)
        count = active.sum().clamp(min=1)
        norms = torch.where(active & seen.norms.isfinite(), seen.norms, 0.0).to(initial.dtype)
        pulls = self._factors(active) * norms
        known = active & (initial > 0)
        left = torch.where(known, seen.values.abs().to(initial.dtype) / torch.where(known, initial, 1.0), 0.0)
        mean_left = left.sum() / count
        rate = left / torch.where(mean_left > 0, mean_left, 1.0)
        wanted = (pulls.sum() / count * rate**self.alpha).detach()  # a constant, as in the paper
        loss = torch.where(active, (pulls - wanted).abs(), 0.0).sum()
        return loss - loss.detach()

    def _factors(self, active: Tensor) -> Tensor:
        share = torch.softmax(torch.where(active, self.log_factors, -torch.inf), dim=0)
        return active.sum() * torch.where(active, share, 0.0)


_BALANCERS: dict[Balance, type[Balancer]] = {
    "fixed": FixedBalancer,
    "running-value": RunningValueBalancer,
    "gradient-ratio": GradientRatioBalancer,
    "uncertainty": UncertaintyBalancer,
    "gradnorm": GradNormBalancer,
}


def make_balancer(balance: Balance | Balancer) -> Balancer:
    """A balancer by its name, with its default settings; a balancer as it is.

    Raises:
        ValueError: no such name.
    """
    if isinstance(balance, Balancer):
        return balance
    if balance not in _BALANCERS:
        raise ValueError(f"balance must be one of {', '.join(map(repr, _BALANCERS))} or a Balancer, got {balance!r}.")
    return _BALANCERS[balance]()
