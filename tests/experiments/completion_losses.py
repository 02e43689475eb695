"""What the completion network is trained with: four losses, and QAL at other settings."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dr_kfs.losses import (
    ChamferLoss,
    DensityAwareChamferLoss,
    HybridLoss,
    InfoChamferLoss,
    QALLoss,
    cosine,
)

MAIN: dict[str, Callable[[int], nn.Module]] = {
    "CD": lambda steps: ChamferLoss(preset="occnet-l1"),
    # Its authors' settings for PCN; with the metric's alpha of 1000 far points do not move.
    "DCD": lambda steps: DensityAwareChamferLoss(alpha=200.0, exponent=0.5),
    "InfoCD": lambda steps: InfoChamferLoss(),
    "QAL": lambda steps: QALLoss(),
    "QAL calibrated": lambda steps: QALLoss(preset="calibrated"),
}
"""By name, made for a number of steps."""


def _attraction(value: float) -> Callable[[int], nn.Module]:
    return lambda steps: QALLoss(lambda_attr=value)


def _weights(eps: float, omega: float) -> Callable[[int], nn.Module]:
    return lambda steps: QALLoss(eps=eps, omega=omega)


def _scheduled(steps: int) -> nn.Module:
    """Loose first, then as strict as the evaluation; precision first, recall later."""
    schedules = {"qal.eps": cosine(0.1, 0.03, steps=steps), "qal.lambda_attr": cosine(0.0, 1.0, steps=steps)}
    return HybridLoss({"qal": QALLoss(preset="calibrated")}, schedules=schedules, balance="fixed")


CURVE: dict[str, Callable[[int], nn.Module]] = {f"QAL lambda={v:g}": _attraction(v) for v in (0.0, 1.0, 2.0, 4.0)}
"""The trade-off of lambda_attr; the default 0.5 is "QAL"."""
ABLATION: dict[str, Callable[[int], nn.Module]] = {
    **{
        f"QAL eps={eps:g} omega={omega:g}": _weights(eps, omega)
        for eps, omega in ((0.001, 100.0), (0.03, 10.0), (0.03, 333.0))
    },
    "QAL scheduled": _scheduled,
}
"""Margin and sharpness of the weights; the default eps = 0.001, omega = 10 is "QAL"."""
LOSSES = MAIN | CURVE | ABLATION
