"""Of autograd the operations here know `backward()`, once; what would go wrong silently is refused."""

from __future__ import annotations

import torch
from torch import Tensor


def check_plain(*tensors: Tensor) -> None:
    """Refuse tensors whose gradient would be lost: kernels have no forward-mode derivative and no batching rule.

    Raises:
        TypeError: a tensor inside `torch.func.grad`, `jvp`, `vmap` and the like, or a dual number of forward mode.
    """
    if torch.compiler.is_compiling():
        return
    for tensor in tensors:
        transformed = torch._C._functorch.is_functorch_wrapped_tensor(tensor)  # pyright: ignore[reportAttributeAccessIssue]
        if transformed or torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None:
            raise TypeError(
                "torch.func's transforms and forward-mode derivatives do not reach through this operation: use "
                "loss.backward() or torch.autograd.grad, and a batch of shapes instead of vmap."
            )


def refuse_recomputation(why: str) -> None:
    """Refuse to be computed again inside a backward pass, as `torch.utils.checkpoint` does.

    Raises:
        RuntimeError: that is so.
    """
    if torch._C._current_graph_task_id() != -1:
        raise RuntimeError(f"{why}: leave the loss out of torch.utils.checkpoint, which saves nothing there.")
