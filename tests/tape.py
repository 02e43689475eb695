"""What CUDA graphs do, on a CPU: the operations of some work, done again on the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "_unique", "masked_select")
"""Operations for which a host waits."""


class Tape(TorchDispatchMode):
    """Notes every operation; refuses those that a graph cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(func) for name in WAITING):
            raise RuntimeError(f"{func} waits for the host")
        results = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, results))
        return results

    def replay(self) -> None:
        """All of them, each writing where it wrote before."""
        with torch.no_grad():
            for func, args, kwargs, results in self.operations:
                given = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
                for old, new in zip(_tensors(results), _tensors(func(*args, **kwargs)), strict=True):
                    if old.numel() and old.untyped_storage().data_ptr() not in given:  # else it is a view, or in place
                        old.data.copy_(new)


class TapeRecorder:
    """Records as `graph_recorder` does; counts what it has recorded."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, _: torch.device) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        return self._record

    def _record(self, work: Callable[[], Any]) -> Callable[[], Any]:
        self.recorded += 1
        work()
        with Tape() as tape:
            results = work()

        def replay() -> Any:
            tape.replay()
            return results

        return replay


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
