"""Modules whose weights are buffers that belong to them alone: in the precision they have, usable in every mode."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["FrozenBuffers"]


class FrozenBuffers(nn.Module):
    """A module that moves between devices and keeps the dtype of its buffers.

    A value depends on the weights' digits: `half()` of a network that owns a loss would round them, and `float()` would
    not bring them back. So neither does anything here; buffers are cast to the dtype of the input where they are used.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenBuffers:
        def moved(tensor: Tensor) -> Tensor:
            after = fn(tensor)
            return after if after.dtype == tensor.dtype else tensor.to(after.device)

        return super()._apply(moved, recurse)
