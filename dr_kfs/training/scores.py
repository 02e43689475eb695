"""Figures for descriptors: average precision, FPR at 95 % recall."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def average_precision(scores: Float[Tensor, " K"], positive: Bool[Tensor, " K"]) -> float:
    """Area under the precision-recall curve: the mean precision at each positive, by falling score."""
    order = scores.argsort(descending=True)
    hits = positive[order].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum().clamp_min(1.0))


def fpr_at_95_recall(distances: Float[Tensor, " K"], matching: Bool[Tensor, " K"]) -> float:
    """Share of non-matching pairs that lie below the distance which accepts 95 % of the matching pairs."""
    threshold = distances[matching].double().quantile(0.95)
    return float((distances[~matching] <= threshold).double().mean())
