"""QAL, the quality-aware loss: recall and precision of points as two terms that are weighed apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Points
from dr_kfs.losses._point_pairs import match_nearest, point_mean, point_pair, root
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items

__all__ = ["QALLoss", "QALTerms", "qal_loss", "qal_terms"]

Preset = Literal["paper", "calibrated"]
Uncovered = Literal["unmatched", "distant"]


@dataclass(frozen=True, eq=False)
class QALTerms:
    """The two terms of B pairs, `loss = coverage + lambda_attr * attraction`."""

    coverage: Float[Tensor, " B"]
    """Weighted mean distances, both ways added [world units]."""
    attraction: Float[Tensor, " B"]
    """Distances of the uncovered target points, over all target points [world units]."""
    uncovered: Float[Tensor, " B"]
    """Share of target points that count as uncovered, in [0, 1], without gradient."""


def qal_terms(
    predicted: Points,
    target: Points,
    *,
    preset: Preset = "paper",
    tau: float = 0.03,
    eps: float | None = None,
    omega: float | None = None,
    uncovered: Uncovered | None = None,
    weight_gradient: bool = False,
    samples: int | None = None,
    seed: int | None = None,
) -> QALTerms:
    """The terms of `qal_loss`, for logging and for weighing them in another way; arguments as there."""
    eps, omega, mask = _resolved(preset, tau, eps, omega, uncovered)
    ours, theirs = point_pair(predicted, target, samples=samples, seed=seed)
    forth, back = match_nearest(ours, theirs), match_nearest(theirs, ours)
    precision, recall = root(forth.squared), root(back.squared)

    def weighted(distance: Tensor) -> Tensor:
        # Detached: the weight says which residuals matter; with its gradient, the loss is steeper near eps.
        weight = 1.5 - torch.sigmoid(omega * (eps - (distance if weight_gradient else distance.detach())))
        return weight * distance

    if mask == "unmatched":
        missed = torch.ones_like(recall, dtype=torch.bool)
        missed[forth.index] = False
    else:
        missed = recall.detach() > tau
    return QALTerms(
        coverage=point_mean(weighted(precision), ours) + point_mean(weighted(recall), theirs),
        attraction=point_mean(torch.where(missed, recall, 0.0), theirs),
        uncovered=point_mean(missed.to(recall.dtype), theirs).detach(),
    )


def _resolved(
    preset: Preset, tau: float, eps: float | None, omega: float | None, uncovered: Uncovered | None
) -> tuple[float, float, Uncovered]:
    """Eps, omega and the rule for what is uncovered: the preset's where they are None."""
    if preset not in ("paper", "calibrated"):
        raise ValueError(f'preset must be "paper" or "calibrated", got {preset!r}.')
    if uncovered not in (None, "unmatched", "distant"):
        raise ValueError(f'uncovered must be "unmatched" or "distant", got {uncovered!r}.')
    eps = (0.001 if preset == "paper" else tau) if eps is None else eps
    for name, value in (("tau", tau), ("eps", eps)):
        if not value > 0.0:
            raise ValueError(f"Expected {name} above 0, got {value}.")
    omega = (10.0 if preset == "paper" else 10.0 / eps) if omega is None else omega
    if not omega >= 0.0:
        raise ValueError(f"Expected omega of at least 0, got {omega}.")
    if uncovered is None:
        uncovered = "unmatched" if preset == "paper" else "distant"
    return eps, omega, uncovered


def _check_attraction(lambda_attr: float) -> None:
    if not lambda_attr >= 0.0:
        raise ValueError(f"Expected lambda_attr of at least 0, got {lambda_attr}.")


def qal_loss(
    predicted: Points,
    target: Points,
    *,
    preset: Preset = "paper",
    tau: float = 0.03,
    eps: float | None = None,
    omega: float | None = None,
    lambda_attr: float = 0.5,
    uncovered: Uncovered | None = None,
    weight_gradient: bool = False,
    reduction: Reduction = "mean",
    samples: int | None = None,
    seed: int | None = None,
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Quality-aware loss of a predicted point set A against a target B.

        L      = L_cov + lambda_attr * L_attr
        L_cov  = mean_a w(d_a) d_a + mean_b w(d_b) d_b,    w(d) = 1 - (sigmoid(omega (eps - d)) - 0.5)
        L_attr = 1 / |B| sum_{b uncovered} d_b

    d_a is the distance of a prediction to the nearest target point (precision), d_b of a target point to the nearest
    prediction (recall). w, in [0.5, 1.5], spends less on points within eps; L_attr pulls predictions towards what
    they miss. At least 0; 0 where both sets hold the same positions; not symmetric, because of L_attr.

    What the settings of the paper do at unit scale: w(0) = 0.9975 and w(0.1) = 1.229, so L_cov is nearly plain
    Chamfer distance. "Unmatched" target points (the nearest of no prediction) never vanish: between two independent
    samples of 2,048 points of one sphere they are 42 %, so the mask marks sampling noise as missing. `"calibrated"`
    puts the same formula on the scale of the evaluation: eps = tau, omega = 10 / eps (w(0) = 0.50, w(2 tau) = 1.50),
    uncovered = farther than tau.

    Args:
        predicted: B point sets; see `as_point_sets`. With weights, every mean is `sum(w v) / sum(w)`.
        target: as many, or one for all.
        preset: sets eps, omega and uncovered; each can be overridden. `"paper"`: 0.001, 10, "unmatched".
        tau: the tolerance of the evaluation (Cov@tau) [world units]; the paper's 0.03.
        eps: the margin of w [world units].
        omega: the sharpness of w [1 / world units], at least 0.
        lambda_attr: the weight of L_attr; the paper finds 0.5 to 1 best. More of it buys recall with precision.
        uncovered: `"unmatched"`: the nearest of no prediction; `"distant"`: farther than tau from all of them.
        weight_gradient: differentiate w too. By default it is a constant of the step.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        samples: points to draw from each side that is a surface.
        seed: of these samples.

    Returns:
        (B,) or a scalar [world units]. Differentiable in both sets, with gradient 0 between coincident points.

    Raises:
        ValueError: point sets that do not go together, or an option out of range.
        TypeError: shapes without `samples`, or something else.

    References:
        P. Meshram et al.: QAL: A Loss for Recall-Precision Balance in 3D Reconstruction. arXiv 2511.17824, Sec. 3.
    """
    _check_attraction(lambda_attr)
    terms = qal_terms(
        predicted,
        target,
        preset=preset,
        tau=tau,
        eps=eps,
        omega=omega,
        uncovered=uncovered,
        weight_gradient=weight_gradient,
        samples=samples,
        seed=seed,
    )
    return reduce_items(terms.coverage + lambda_attr * terms.attraction, reduction)


class QALLoss(nn.Module):
    """`qal_loss` as a module. Its settings are attributes that may change between steps.

    >>> loss_fn = QALLoss(tau=0.03)
    >>> for step in range(steps):
    ...     loss_fn.lambda_attr = step / steps  # a schedule: precision first, recall later
    ...     loss_fn(predicted, target).backward()
    """

    takes = "points"
    """What a `HybridLoss` hands it: points of both sides."""

    def __init__(
        self,
        *,
        preset: Preset = "paper",
        tau: float = 0.03,
        eps: float | None = None,
        omega: float | None = None,
        lambda_attr: float = 0.5,
        uncovered: Uncovered | None = None,
        weight_gradient: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_reduction(reduction)
        _resolved(preset, tau, eps, omega, uncovered)
        _check_attraction(lambda_attr)
        self.preset: Preset = preset
        self.tau = tau
        self.eps = eps
        self.omega = omega
        self.lambda_attr = lambda_attr
        self.uncovered: Uncovered | None = uncovered
        self.weight_gradient = weight_gradient
        self.reduction: Reduction = reduction

    def forward(
        self, predicted: Points, target: Points, *, samples: int | None = None, seed: int | None = None
    ) -> Tensor:
        """The loss of B pairs; `samples` points are drawn from each side that is a surface."""
        return qal_loss(
            predicted,
            target,
            preset=self.preset,
            tau=self.tau,
            eps=self.eps,
            omega=self.omega,
            lambda_attr=self.lambda_attr,
            uncovered=self.uncovered,
            weight_gradient=self.weight_gradient,
            reduction=self.reduction,
            samples=samples,
            seed=seed,
        )
