"""Small tensors that never change, and what is kept as long as others do not."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def may_be_kept() -> bool:
    """Whether a tensor that is made now may serve later calls: not one of a graph, nor of a mode that makes fakes."""
    return not torch.compiler.is_compiling() and not is_in_torch_dispatch_mode()


class TensorVersions:
    """Which tensors something was made from, and how often each had been changed in place by then."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.tensors = tuple(tensors)
        self.counts = tuple(map(_changes, self.tensors))

    def hold(self, tensors: Iterable[Tensor]) -> bool:
        """Whether these are the same tensors (`Module.to` puts others in their place), and unchanged."""
        now = tuple(tensors)
        same = len(now) == len(self.tensors) and all(map(operator.is_, now, self.tensors))
        return same and tuple(map(_changes, now)) == self.counts


def _changes(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version  # an inference tensor counts nothing


_noted: ContextVar[list[object] | None] = ContextVar("_noted", default=None)


@contextlib.contextmanager
def noting_what_is_kept() -> Iterator[list[object]]:
    """Gather what work takes from caches: a recording of it needs the same memory, and a cache may let go of it."""
    kept: list[object] = []
    token = _noted.set(kept)
    try:
        yield kept
    finally:
        _noted.reset(token)


def note_kept(made: object) -> None:
    """Every cache of tensors says what it hands out, but for those that a backward asks, in a thread of autograd's."""
    noted = _noted.get()
    if noted is not None:
        noted.append(made)


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
            if not may_be_kept():
                return make(*args, **kwargs)
            made = kept(*args, **kwargs)  # type: ignore[arg-type]
            note_kept(made)
            return made

        return find

    return decorate


@made_once(64)
def constant(values: tuple[int, ...] | tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A vector of these numbers, made once: a copy from the host would make a GPU wait every time."""
    return torch.tensor(values, dtype=dtype, device=device)
