"""Rows of a tensor at indices, with a gradient that is the same bits in every run."""

from __future__ import annotations

from torch import Tensor


def rows_at(values: Tensor, index: Tensor) -> Tensor:
    """`values[index]`.

    On a CPU the gradient of that is added up by several threads in any order; this one is not, and no slower. (On a
    GPU both are, unless `torch.use_deterministic_algorithms` is on.)
    """
    return values.index_select(0, index.reshape(-1)).view(*index.shape, *values.shape[1:])
