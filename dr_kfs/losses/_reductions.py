"""From values per point, edge or pixel to one per item, and from those to the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["none", "mean", "sum"]


def item_mean(values: Tensor, counts: Sequence[int], valid: Tensor | None = None) -> Tensor:
    """Mean of each item's values, or of the valid ones; 0 with gradient 0 where there are none.

    Item by item: the sums are pairwise, so accurate, and the same bits in a batch and alone.

    Args:
        values: (sum of counts,), finite, item after item.
        counts: B numbers of values.
        valid: (sum of counts,) which values count; all by default.

    Returns:
        (B,).
    """
    if not counts:
        return values.new_zeros(0)
    if valid is None:
        valid = torch.ones_like(values, dtype=torch.bool)
    pairs = zip(values.split(list(counts)), valid.split(list(counts)), strict=True)
    return torch.stack([torch.where(use, part, 0.0).sum() / use.sum().clamp(min=1) for part, use in pairs])


def check_reduction(reduction: Reduction) -> None:
    """Raise ValueError for any other reduction: a module does so when it is made, not in the first step."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}.')


def reduce_items(values: Tensor, reduction: Reduction) -> Tensor:
    """(B,) values as they are, their mean or their sum.

    Raises:
        ValueError: any other reduction, or the mean of no items.
    """
    check_reduction(reduction)
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if len(values) == 0:
        raise ValueError("Expected at least one item to take the mean of, got an empty batch.")
    return values.mean()
