"""Sums over chunks of views, with a gradient that needs no graph over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dr_kfs.geometry import Meshes
from dr_kfs.shape_code import ShapeCode

ViewChunk: TypeAlias = "slice | list[int]"
Side: TypeAlias = "Meshes | ShapeCode"


def sum_over_chunks(
    values_of: Callable[[Side, Side, ViewChunk], Float[Tensor, " B"]],
    ours: Side,
    theirs: Side,
    chunks: list[ViewChunk],
    *,
    fused: bool,
) -> Float[Tensor, " B"]:
    """`sum_chunk values_of(ours, theirs, chunk)`; see `DRKFSLoss(fused=...)`."""
    sides = [side for side in (ours, theirs) if isinstance(side, Meshes)]
    needs_grad = torch.is_grad_enabled() and any(side.vertices.requires_grad for side in sides)
    # One target for all gathers gradient from every pair, which per-shape scaling cannot express.
    shared = len(theirs) < len(ours) and isinstance(theirs, Meshes) and theirs.vertices.requires_grad
    if not fused or not needs_grad or shared:
        total = values_of(ours, theirs, chunks[0])
        for chunk in chunks[1:]:
            total = total + values_of(ours, theirs, chunk)
        if needs_grad and not total.requires_grad:  # nothing was visible: a gradient of zero is still a gradient
            total = total + sum(0.0 * side.vertices.sum() for side in sides)
        return total

    def run(vertices: tuple[Tensor, ...], chunk: ViewChunk) -> Tensor:
        rest = iter(vertices)
        a, b = (side.with_vertices(next(rest)) if isinstance(side, Meshes) else side for side in (ours, theirs))
        return values_of(a, b, chunk)

    items = tuple(side.vertex_item() for side in sides)
    return _FusedSum.apply(run, chunks, items, *(side.vertices for side in sides))  # type: ignore[no-any-return]


class _FusedSum(torch.autograd.Function):
    """Values and vertex gradients chunk by chunk.

    A vertex belongs to one shape, so the gradient of the *sum* over the batch holds every shape's own gradient;
    the backward scales it by the shape's incoming gradient.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **_: Any) -> Tensor:
        run, chunks, items, *vertices = args
        wanted = [index for index, needed in enumerate(ctx.needs_input_grad[3:]) if needed]
        gradients = [torch.zeros_like(vertices[index]) for index in wanted]
        total: Tensor | None = None
        for chunk in chunks:
            with torch.enable_grad():
                leaves = tuple(tensor.detach().requires_grad_(index in wanted) for index, tensor in enumerate(vertices))
                values = run(leaves, chunk)
                if values.requires_grad:  # else nothing was visible
                    parts = torch.autograd.grad(values.sum(), [leaves[index] for index in wanted], allow_unused=True)
                    for gradient, part in zip(gradients, parts, strict=True):
                        if part is not None:
                            gradient += part
            total = values.detach() if total is None else total + values.detach()
        assert total is not None
        ctx.wanted, ctx.items, ctx.inputs = wanted, items, len(vertices)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - decorated
        (grad_values,) = grad_outputs
        gradients: list[Tensor | None] = [None] * ctx.inputs
        for index, gradient in zip(ctx.wanted, ctx.saved_tensors, strict=True):
            gradients[index] = gradient * _per_vertex(grad_values, ctx.items[index], gradient)
        return None, None, None, *gradients


def _per_vertex(grad_values: Tensor, item: Tensor, gradient: Tensor) -> Tensor:
    return grad_values.to(gradient.dtype)[item].unsqueeze(-1)
