"""Rows of a tensor at indices, with a gradient that is the same bits in every run."""

from __future__ import annotations

from torch import Tensor


def rows_at(values: Tensor, index: Tensor) -> Tensor:
    """`values[index]`.

    On a CPU the gradient of that is added up by several threads in any order, that of `index_select` is not, and is no
    slower. On a GPU it is the other way round: the one is sorted first, the other added up as it comes.
    """
    if values.device.type != "cpu":
        return values[index]
    return values.index_select(0, index.reshape(-1)).view(*index.shape, *values.shape[1:])
