"""The nearest of a few candidates for every patch, in one operator: eleven took a GPU longer to start than to run."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._kernel_launch import WARP, kernels_like, launch_tasks, refuse_second_derivative


def nearest_patch(
    query: Float[Tensor, "T P D"], reference: Float[Tensor, "T P D"], candidates: Int[Tensor, "P K"]
) -> tuple[Float[Tensor, "T P"], Int[Tensor, "T P"]]:
    """Of each query patch the nearest candidate: its distance `mean_D (q - r)^2`, differentiable once, and which it is.

    Args:
        query: descriptors of the patches of T views, float32 or float64.
        reference: those of the other shape.
        candidates: which reference patches are compared with each query patch; -1 for none. The first of equals wins.
    """
    return _nearest_patch(query, reference, candidates)


@torch.library.custom_op(
    "dr_kfs::nearest_patch",
    mutates_args=(),
    schema="(Tensor query, Tensor reference, Tensor candidates) -> (Tensor, Tensor)",
)
def _nearest_patch(query: Tensor, reference: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    distance = query.new_empty(query.shape[:2])
    index = torch.empty(query.shape[:2], dtype=torch.int64, device=query.device)
    _launch("forward", [query, reference, candidates], [distance, index])
    return distance, index


@_nearest_patch.register_fake
def _(query, reference, candidates):  # type: ignore[no-untyped-def]
    return query.new_empty(query.shape[:2]), candidates.new_empty(query.shape[:2])


@torch.library.custom_op(
    "dr_kfs::nearest_patch_backward",
    mutates_args=(),
    schema="(Tensor query, Tensor reference, Tensor index, Tensor grad_distance) -> (Tensor, Tensor)",
)
def _nearest_patch_backward(
    query: Tensor, reference: Tensor, index: Tensor, grad_distance: Tensor
) -> tuple[Tensor, Tensor]:
    of_query, of_reference = query.new_empty(query.shape), reference.new_zeros(reference.shape)
    _launch("backward", [query, reference, index, grad_distance], [of_query, of_reference])
    return of_query, of_reference


@_nearest_patch_backward.register_fake
def _(query, reference, index, grad_distance):  # type: ignore[no-untyped-def]
    return query.new_empty(query.shape), reference.new_empty(reference.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    query, reference, _ = inputs
    ctx.save_for_backward(query, reference, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_distance, _):  # type: ignore[no-untyped-def]
    if grad_distance is None:
        return None, None, None
    return *_nearest_patch_backward(*ctx.saved_tensors, grad_distance), None


_nearest_patch.register_autograd(_backward, setup_context=_setup_context)
_nearest_patch_backward.register_autograd(
    refuse_second_derivative(
        "match_localized", "Leave out create_graph=True, or set a temperature: that is plain PyTorch."
    )
)


def _launch(name: str, arrays: list[Tensor], written: list[Tensor]) -> None:
    """Run a kernel over all views, with a thread for each patch, or a warp of them on CUDA."""
    from dr_kfs._nearest_patch_warp import nearest_patch_kernels

    views, patches, dimensions = arrays[0].shape
    if views == 0 or patches == 0:
        return
    lanes = WARP if arrays[0].is_cuda else 1
    rest: list[Any] = [lanes, *written]
    kernels = kernels_like(nearest_patch_kernels, arrays[0])
    threads, seconds = patches * lanes, 1e-9 * dimensions * (arrays[2].shape[1] if name == "forward" else 1)
    launch_tasks(getattr(kernels, name), arrays, rest, views, device=arrays[0].device, threads=threads, seconds=seconds)
