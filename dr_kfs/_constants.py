"""Small tensors that never change."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def constant(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these numbers, made once: a copy from the host would make a GPU wait every time."""
    if torch.compiler.is_compiling():  # a graph has constants of its own
        return torch.tensor(values, dtype=dtype, device=device)
    return _made(values, dtype, device)


@functools.lru_cache(maxsize=64)
def _made(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # it may meet a gradient later
        return torch.tensor(values, dtype=dtype, device=device)
