"""Small tensors that never change."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def may_be_kept() -> bool:
    """Whether a tensor that is made now may serve later calls: not one of a graph, nor of a mode that makes fakes."""
    return not torch.compiler.is_compiling() and not is_in_torch_dispatch_mode()


def made_once(count: int) -> Callable[[Callable[Arguments, Made]], Callable[Arguments, Made]]:
    """Decorator: what a function makes is kept for its last `count` arguments, and usable in every mode.

    It is not to be written to, nor to be returned from an operator.
    """

    def decorate(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
        @functools.lru_cache(maxsize=count)
        def kept(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
            with torch.inference_mode(False):  # it may meet a gradient later
                return make(*args, **kwargs)

        @functools.wraps(make)
        def find(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
            return kept(*args, **kwargs) if may_be_kept() else make(*args, **kwargs)  # type: ignore[arg-type]

        return find

    return decorate


@made_once(64)
def constant(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these numbers, made once: a copy from the host would make a GPU wait every time."""
    return torch.tensor(values, dtype=dtype, device=device)
