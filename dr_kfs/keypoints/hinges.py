"""From correlations with GHH filters to PoI maps, in one operator: hinges, their signed sum, and the calibration.

    f = sum_n delta_n max_m (c_mn + b_mn)        PoI = max(0, sigmoid(scale f + offset) - floor) / (1 - floor)

and 0 where the filters see nothing but black. f is what `ghh_response` computes from an image; here it is one pass over
the correlations and not ten, which on a GPU took longer to start than to run.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs._kernel_launch import in_lanes, kernels_like, launch_tasks, refuse_second_derivative
from dr_kfs._warp_runtime import quiet_warp

MOST_MEMBERS = 256
"""Of a group: which of them is the largest is kept in a byte."""


def poi_of_correlations(
    correlations: Float[Tensor, "B C _ _"],
    biases: Float[Tensor, "N M"],
    calibration: Float[Tensor, " 3"],
    lit: Bool[Tensor, "B H W"],
    *,
    margin: int,
) -> Float[Tensor, "B H W"]:
    """PoI maps [0, 1], with the gradient of the correlations, once.

    Args:
        correlations: with all C = N M filters, group by group, float32 or float64; those of the image's pixels begin
            `margin` rows and columns in.
        biases: of the filters.
        calibration: scale, offset and floor.
        lit: where the window of the filters is not black.
        margin: see `correlations`.

    Raises:
        ValueError: tensors of different dtypes or sizes or on different devices, or groups of too many members.
    """
    tensors = (correlations, biases, calibration)
    if correlations.dtype not in (torch.float32, torch.float64) or len({x.dtype for x in tensors}) > 1:
        raise ValueError(
            f"Expected tensors of one dtype, float32 or float64, got {', '.join(str(x.dtype) for x in tensors)}."
        )
    if len({x.device for x in (*tensors, lit)}) > 1:
        raise ValueError(f"Expected tensors on one device, got {', '.join(str(x.device) for x in (*tensors, lit))}.")
    if biases.shape[1] > MOST_MEMBERS:
        raise ValueError(f"A group has at most {MOST_MEMBERS} members, got {biases.shape[1]}.")
    height, width = lit.shape[1] + margin, lit.shape[2] + margin
    if correlations.shape[1] != biases.numel() or correlations.shape[2] < height or correlations.shape[3] < width:
        raise ValueError(
            f"Expected correlations with {biases.numel()} filters, at least {height} x {width}, got "
            f"{tuple(correlations.shape)}."
        )
    poi, _ = _poi_of_correlations(correlations, biases, calibration, lit, margin)
    return poi


@torch.library.custom_op(
    "dr_kfs::poi_of_correlations",
    mutates_args=(),
    schema="(Tensor correlations, Tensor biases, Tensor calibration, Tensor lit, int margin) -> (Tensor, Tensor)",
)
def _poi_of_correlations(
    correlations: Tensor, biases: Tensor, calibration: Tensor, lit: Tensor, margin: int
) -> tuple[Tensor, Tensor]:
    """The maps, and the largest member of each group."""
    poi = correlations.new_empty(lit.shape)
    images, height, width = lit.shape
    winners = torch.empty(images, len(biases), height, width, dtype=torch.uint8, device=lit.device)
    tensors = [x.contiguous() for x in (correlations, biases, calibration, lit.view(torch.uint8))]
    _launch("forward", tensors, [margin, poi, winners], poi, biases.numel())
    return poi, winners


@_poi_of_correlations.register_fake
def _(correlations, biases, calibration, lit, margin):  # type: ignore[no-untyped-def]
    images, height, width = lit.shape
    winners = lit.new_empty(images, biases.shape[0], height, width, dtype=torch.uint8)
    return correlations.new_empty(lit.shape), winners


@torch.library.custom_op(
    "dr_kfs::poi_of_correlations_backward",
    mutates_args=(),
    schema="(Tensor poi, Tensor winners, Tensor calibration, Tensor grad_poi, SymInt[] shape, int margin) -> Tensor",
)
def _poi_of_correlations_backward(
    poi: Tensor, winners: Tensor, calibration: Tensor, grad_poi: Tensor, shape: list[int], margin: int
) -> Tensor:
    """The gradient of correlations of this shape."""
    gradient = poi.new_zeros(shape)
    members = shape[1] // winners.shape[1]
    tensors = [poi, winners, calibration.contiguous(), grad_poi.contiguous()]
    _launch("backward", tensors, [members, margin, gradient], poi, shape[1])
    return gradient


@_poi_of_correlations_backward.register_fake
def _(poi, winners, calibration, grad_poi, shape, margin):  # type: ignore[no-untyped-def]
    return poi.new_empty(shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    correlations, _, calibration, _, ctx.margin = inputs
    ctx.shape = list(correlations.shape)
    ctx.save_for_backward(*output, calibration)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_poi, _):  # type: ignore[no-untyped-def]
    if grad_poi is None:
        return None, None, None, None, None
    poi, winners, calibration = ctx.saved_tensors
    gradient = _poi_of_correlations_backward(poi, winners, calibration, grad_poi, ctx.shape, ctx.margin)
    return gradient, None, None, None, None


_poi_of_correlations.register_autograd(_backward, setup_context=_setup_context)
_poi_of_correlations_backward.register_autograd(
    refuse_second_derivative(
        "GHHDetector", "Leave out create_graph=True, or use `ghh_response`, which is plain PyTorch."
    )
)


def _launch(name: str, arrays: list[Tensor], rest: list[Any], poi: Tensor, filters: int) -> None:
    """Run a kernel: with a thread for each pixel of each image, or for each row in float32 on a CPU."""
    from dr_kfs.keypoints._hinges_cpu_warp import LEAST_WIDTH, hinge_cpu_kernels
    from dr_kfs.keypoints._hinges_warp import hinge_kernels

    if poi.numel() == 0:
        return
    images, height, width = poi.shape
    if in_lanes(poi) and width >= LEAST_WIDTH:
        with quiet_warp():
            kernels, threads, seconds = hinge_cpu_kernels(), height, 1e-9 * width * filters
    else:
        kernels, threads, seconds = kernels_like(hinge_kernels, poi), height * width, 8e-9 * filters
    launch_tasks(getattr(kernels, name), arrays, rest, images, device=poi.device, threads=threads, seconds=seconds)
