"""Small tensors that never change."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def may_be_kept() -> bool:
    """Whether a tensor that is made now may serve later calls: not one of a graph, nor of a mode that makes fakes."""
    return not torch.compiler.is_compiling() and not is_in_torch_dispatch_mode()


def constant(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these numbers, made once: a copy from the host would make a GPU wait every time.

    It is not to be written to, nor to be returned from an operator.
    """
    if not may_be_kept():
        return torch.tensor(values, dtype=dtype, device=device)
    return _made(values, dtype, device)


@functools.lru_cache(maxsize=64)
def _made(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it may meet a gradient later
        return torch.tensor(values, dtype=dtype, device=device)
