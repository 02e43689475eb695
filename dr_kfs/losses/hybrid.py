"""Hybrid loss: named terms of object space and image space, with weights that are given, scheduled or balanced."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from dr_kfs._plain_autograd import refuse_recomputation
from dr_kfs.losses._term_inputs import TermInputs
from dr_kfs.losses.balancing import Balance, Balancer, TermStatistics, make_balancer
from dr_kfs.losses.loss_term import Takes, takes_of

__all__ = ["HybridLoss", "TermReport"]

Weight: TypeAlias = "float | Callable[[int], float]"
"""A number, or a schedule: a function of the step."""


@dataclass(frozen=True)
class TermReport:
    """What one term did in the last call."""

    value: float
    """Of the term itself."""
    weight: float
    """What it was multiplied with: the user's weight times the balancer's factor."""
    gradient_norm: float | None
    """L2 norm of its gradient at the shared tensor, before the weight; None if the balancer does not measure it."""

    @property
    def contribution(self) -> float:
        """What the term adds to the loss."""
        return self.weight * self.value


class HybridLoss(nn.Module):
    """A weighted sum of losses that see different things of a shape.

        L = sum_i w_i(t) f_i L_i,    w_i: the user's weights or schedules of the step t; f_i: the balancer's factors

    DR-KFS sees what people see and nothing that is hidden; losses of points see where everything is and not how it
    looks; regularisers of meshes look at the prediction alone. How to weigh them is the open question of the paper
    (Jin et al., Sec. 5), so `balance` offers the known answers. The default is the one that ranked best when spheres
    were fitted to held-out shapes under DR-KFS and QAL (`tests/experiments/hybrid.py`). It needs a prediction with
    gradient in training mode; regularisers pull as hard as all others unless `weights` says less.

        >>> terms = {"drkfs": DRKFSLoss(), "qal": QALLoss(), "laplacian": UniformLaplacianLoss()}
        >>> loss_fn = HybridLoss(terms, weights={"laplacian": 0.1}, samples=2048)
        >>> loss_fn(predicted, target).backward()
        >>> loss_fn.terms["qal"].value, loss_fn.terms["qal"].weight
        >>> for name, number in loss_fn.scalars().items(): writer.add_scalar(name, number, step)  # TensorBoard
        >>> self.log_dict(loss_fn.scalars())  # Lightning

    **What a term takes** it says by its attribute `takes`, as every loss of this library does: `"shapes"`, `"points"`
    or `"mesh"`; see `LossTerm`, which wraps any other loss. The prediction becomes a mesh once, and is sampled once:
    all terms of points see the same points.

    **Units.** Terms get shapes as they come. DR-KFS and the losses of images normalise by themselves; losses of points
    and regularisers are in the caller's units. Normalise both shapes with the target's box (`dr_kfs.normalize`) if
    fixed weights are to suit all shapes.

    **A step** is a call in training mode with gradients enabled. It advances the schedules and teaches the balancer;
    in `eval()` or under `no_grad` the same weights are used and nothing changes. A term whose weight is 0 is not
    computed, nor reported.

    **State.** `parameters()` holds what the balancer learns, `state_dict()` that, its running numbers and the numbers
    of steps; no weights of the terms of this library. Save and load it with the model, and training goes on as it would
    have. In a distributed training, ranks exchange the terms' statistics, so that all have the same weights; a
    balancer with parameters is to be wrapped in `DistributedDataParallel` as the model is.

    Args:
        terms: losses by name, each returning a scalar (`reduction="mean"` or `"sum"`).
        weights: by name, 1 where none is given: numbers of at least 0, or schedules of the step, see
            `dr_kfs.losses.schedules`. With a balancer they are shares: twice the weight is twice the pull (or value).
        balance: `"gradient-ratio"` (equal pulls at the shared tensor); `"fixed"` (the weights as they are);
            `"running-value"` (every term about 1); `"uncertainty"` (Kendall et al.) and `"gradnorm"` (Chen et al.),
            which are learned by the optimiser; or a `Balancer` with its settings.
        schedules: of settings of terms: `{"qal.eps": cosine(0.1, 0.01, steps=1000), "qal.lambda_attr": ...}`.
        samples: points to draw from each surface for terms of points.
        seed: of these samples: step n draws the same points in every run. None draws from torch's global generator.

    Raises:
        ValueError: no terms, a name that is not usable, unknown names or settings, or a weight that is not finite.
        TypeError: a term that does not say what it takes.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 5. Those of the balancers are in `dr_kfs.losses.balancing`.
    """

    def __init__(
        self,
        terms: Mapping[str, nn.Module],
        *,
        weights: Mapping[str, Weight] | None = None,
        balance: Balance | Balancer = "gradient-ratio",
        schedules: Mapping[str, Callable[[int], float]] | None = None,
        samples: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if not terms:
            raise ValueError("Expected at least one term, got none.")
        self.takes_by_name: dict[str, Takes] = {name: takes_of(term) for name, term in terms.items()}
        for name in terms:
            if not name.replace("-", "_").isidentifier() or hasattr(nn.ModuleDict(), name):
                raise ValueError(f"A term's name must be a word of letters, digits, - and _, got {name!r}: rename it.")
        self.losses = nn.ModuleDict(dict(terms))
        self.names = tuple(terms)
        self.weights = dict.fromkeys(terms, 1.0) | self._known(weights, "weights")
        self.balancer = make_balancer(balance)
        self.balancer.prepare(self.names)
        self.schedules = {} if schedules is None else dict(schedules)
        for path in self.schedules:
            self._setting(path)
        self.samples = samples
        self.seed = seed
        self.steps_taken = 0
        self._weights_at(0)
        self._last: tuple[list[str], Tensor] | None = None

    def forward(
        self,
        predicted: Any,
        target: Any,
        *,
        targets: Mapping[str, Any] | None = None,
        shared: Tensor | Sequence[Tensor] | None = None,
    ) -> Float[Tensor, ""]:
        """The weighted sum.

        Args:
            predicted: B shapes; or B point sets, if all terms take points; or a `SoftSurface`, if all take shapes.
            target: B shapes (or, for terms of points alone, point sets), or one for all.
            targets: what single terms take instead, by name: `{"drkfs": code}`, a `ShapeCode` made once, or points
                that were sampled once.
            shared: where `"gradient-ratio"` and `"gradnorm"` compare gradients: the predicted vertices (or points, or
                a `SoftSurface`'s opacities) by default, or other tensors that all terms depend on, such as the weight
                of a network's last layer.

        Raises:
            ValueError: a term that is no scalar or has no gradient at the shared tensor, no weight above 0, or what
                the terms refuse.
            TypeError: what the terms cannot take.
        """
        weights = self._weights_at(self.steps_taken)
        active = [name for name in self.names if weights[name] > 0.0]
        if not active:
            raise ValueError(f"Expected a weight above 0 at step {self.steps_taken}, got {weights}.")
        for path, schedule in self.schedules.items():
            setattr(*self._setting(path), schedule(self.steps_taken))
        learning = self.training and torch.is_grad_enabled()
        if learning:
            refuse_recomputation("A HybridLoss learns from each call in training mode")
        inputs = TermInputs(
            predicted,
            only_points=set(self.takes_by_name.values()) == {"points"},
            samples=self.samples,
            seed=None if self.seed is None else self.seed * 1_000_003 + self.steps_taken,
        )
        own_targets = self._known(targets, "targets")
        values = {name: self._value(name, inputs, own_targets.get(name, target)) for name in active}
        norms = None
        if learning and self.balancer.needs_gradients:
            tensors = [inputs.shared] if shared is None else [shared] if isinstance(shared, Tensor) else list(shared)
            norms = {name: _gradient_norm(name, value, tensors) for name, value in values.items()}
        return self._sum(values, norms, weights, learning=learning)

    @property
    def terms(self) -> dict[str, TermReport]:
        """What the terms did in the last call, by name; empty before the first."""
        if self._last is None:
            return {}
        names, numbers = self._last
        rows = numbers.tolist()  # here, and not in the step, the GPU is waited for
        return {name: TermReport(v, w, None if n < 0.0 else n) for name, (v, w, n) in zip(names, rows, strict=True)}

    def scalars(self) -> dict[str, float]:
        """The last call for a logger: `"qal/value"`, `"qal/weight"` and, where measured, `"qal/gradient_norm"`."""
        found: dict[str, float] = {}
        for name, report in self.terms.items():
            found |= {f"{name}/value": report.value, f"{name}/weight": report.weight}
            if report.gradient_norm is not None:
                found[f"{name}/gradient_norm"] = report.gradient_norm
        return found

    def get_extra_state(self) -> Tensor:
        """Numbers of steps, for `state_dict()`: (1 + 2 K,), ours, those of the terms that count theirs, else -1, names.

        Schedules, samples and the views that `DRKFSLoss(views_per_step=...)` draws depend on them. A name is the CRC-32
        of its text.
        """
        counts = [getattr(self.losses[name], "steps_taken", -1) for name in self.names]
        return torch.tensor([self.steps_taken, *counts, *map(_name_code, self.names)])

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from saved numbers of steps.

        Raises:
            ValueError: they were saved with other terms, or with the same in another order.
        """
        many = len(self.names)
        steps, *rest = state.tolist()
        # Before names were kept, there were none: such a state is taken by the places of its terms.
        if len(rest) != many and rest[many:] != [*map(_name_code, self.names)]:
            raise ValueError(
                f"The state is of other terms than {', '.join(self.names)}, or of these in another order: give the "
                "loss the terms, in the order, that it was saved with."
            )
        self.steps_taken = steps
        for name, count in zip(self.names, rest[:many], strict=True):
            if count >= 0 and hasattr(self.losses[name], "steps_taken"):
                setattr(self.losses[name], "steps_taken", count)  # noqa: B010 - a module's attribute, for pyright

    # -- private -----------------------------------------------------------------------------------------------

    def _value(self, name: str, inputs: TermInputs, target: Any) -> Tensor:
        value = self.losses[name](*inputs.of(self.takes_by_name[name], name, target))
        if value.ndim != 0:
            raise ValueError(
                f'Term {name!r} must return a scalar, got shape {tuple(value.shape)}: set its reduction to "mean".'
            )
        return value

    def _sum(
        self, values: dict[str, Tensor], norms: dict[str, Tensor] | None, weights: dict[str, float], *, learning: bool
    ) -> Tensor:
        """The loss; the balancer learns from it, and the report is kept."""
        first = next(iter(values.values()))
        zero = first.new_zeros((), dtype=torch.float32)

        def stacked(by_name: Mapping[str, Tensor]) -> Tensor:
            # Detached: statistics, from which no gradient may flow back to the terms.
            return torch.stack([by_name[name].detach().float() if name in by_name else zero for name in self.names])

        shares = torch.tensor([weights[name] for name in self.names], device=first.device)
        seen = TermStatistics(stacked(values), None if norms is None else stacked(norms), shares > 0.0)
        if learning and self.balancer.observes:
            seen = _mean_over_ranks(seen)
            self.balancer.observe(seen)
        effective = shares * self.balancer.factors(seen.active)
        index = {name: self.names.index(name) for name in values}
        total = torch.stack([effective[index[name]] * value for name, value in values.items()]).sum()
        penalty = self.balancer.penalty(shares, seen) if learning else None
        self.steps_taken += learning
        measured = -torch.ones_like(seen.values) if norms is None else stacked(norms)
        rows = torch.stack([stacked(values), effective.detach(), measured], dim=1)
        self._last = list(values), rows[list(index.values())]
        return total if penalty is None else total + penalty

    def _weights_at(self, step: int) -> dict[str, float]:
        weights: dict[str, float] = {}
        for name, weight in self.weights.items():
            number: Any = weight(step) if callable(weight) else weight  # of Python, numpy or torch
            weights[name] = float(number)
        for name, weight in weights.items():
            if not 0.0 <= weight < math.inf:
                raise ValueError(f"Expected a finite weight of at least 0 for term {name!r}, got {weight}.")
        return weights

    def _known(self, by_name: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
        """A copy, if all names are terms."""
        by_name = {} if by_name is None else dict(by_name)
        unknown = sorted(set(by_name) - set(self.names))
        if unknown:
            raise ValueError(f"{what} must name terms ({', '.join(self.names)}), got {', '.join(unknown)}.")
        return by_name

    def _setting(self, path: str) -> tuple[Any, str]:
        """The object and the attribute that `"term.setting"` names."""
        name, _, rest = path.partition(".")
        *inner, attribute = rest.split(".")
        try:
            owner: Any = self.losses[name]
            owner = attrgetter(".".join(inner))(owner) if inner else owner
            getattr(owner, attribute)
        except (AttributeError, KeyError) as error:
            raise ValueError(f'schedules must name settings of terms, as "qal.eps", got {path!r}.') from error
        return owner, attribute


def _name_code(name: str) -> int:
    return zlib.crc32(name.encode())


def _gradient_norm(name: str, value: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """L2 norm of the term's gradient at the shared tensors; its graph is kept for the backward pass of the sum."""
    if not all(tensor.requires_grad for tensor in tensors):
        raise ValueError(
            "Balancing by gradients needs a shared tensor that requires one: predict with gradient, pass shared=..., "
            'measure in eval() mode, or take balance="fixed".'
        )
    found = (None,)
    if value.requires_grad:
        found = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True)
    squares = [gradient.detach().square().sum() for gradient in found if gradient is not None]
    if not squares:
        raise ValueError(f"Term {name!r} has no gradient at the shared tensor: balance without it, or by values.")
    return torch.stack(squares).sum().sqrt()


def _mean_over_ranks(seen: TermStatistics) -> TermStatistics:
    """The same on every rank of a distributed training, so that the weights are."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return seen
    numbers = torch.stack([seen.values] if seen.norms is None else [seen.values, seen.norms])
    distributed.all_reduce(numbers)
    values, *norms = numbers / distributed.get_world_size()
    return TermStatistics(values, norms[0] if norms else None, seen.active)
