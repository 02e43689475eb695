"""The F-score of precision and recall."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["f_score"]


def f_score(precision: Float[Tensor, "*shape"], recall: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Harmonic mean `2 p r / (p + r)` of values in [0, 1]; 0 where both are 0."""
    total = precision + recall
    return 2.0 * precision * recall / torch.where(total > 0, total, 1.0)
