"""Kernels from the correlations with GHH filters to PoI maps and back: one source for the CPU and CUDA.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

# Kernel bodies are Warp's language in Python's syntax; these rules read them as Python.
# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false

import functools
import types
from typing import Any, no_type_check

import warp as wp

# Entries of `calibration`.
SCALE = wp.constant(0)
OFFSET = wp.constant(1)
FLOOR = wp.constant(2)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def hinge_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `forward` and `backward` for `real` = wp.float32 or wp.float64, with a thread per pixel."""

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        correlations: wp.array4d(dtype=real),  # (B, N M, _, _): those of an image begin `margin` rows and columns in
        biases: wp.array2d(dtype=real),  # (N, M)
        calibration: wp.array(dtype=real),  # (3,)
        lit: wp.array3d(dtype=wp.uint8),  # (B, H, W): 0 where the filters see nothing
        first_image: int,
        margin: int,
        poi: wp.array3d(dtype=real),  # (B, H, W)
        winners: wp.array4d(dtype=wp.uint8),  # (B, N, H, W): the largest member of each group where the PoI is above 0
    ):
        pixels, width = poi.shape[1] * poi.shape[2], poi.shape[2]
        image, pixel = first_image + wp.tid() // pixels, wp.tid() % pixels
        row, column = pixel // width, pixel % width
        value = real(0.0)
        for group in range(biases.shape[0]):
            winners[image, group, row, column] = wp.uint8(0)
        if lit[image, row, column] != wp.uint8(0):
            response = real(0.0)
            for group in range(biases.shape[0]):
                best, winner = real(0.0), int(0)  # noqa: UP018, RUF046 - a variable of Warp
                for member in range(biases.shape[1]):
                    channel = group * biases.shape[1] + member
                    score = correlations[image, channel, row + margin, column + margin] + biases[group, member]
                    if member == 0 or score > best or score != score:  # NaN stays, as in torch.max
                        best, winner = score, member
                winners[image, group, row, column] = wp.uint8(winner)
                response += wp.where(group % 2 == 0, best, -best)
            exponent = calibration[SCALE] * response + calibration[OFFSET]
            probability = real(1.0) / (real(1.0) + wp.exp(-exponent))
            above = wp.max(probability - calibration[FLOOR], real(0.0))
            value = above / (real(1.0) - calibration[FLOOR])
            if response != response:
                value = response
        poi[image, row, column] = value

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        poi: wp.array3d(dtype=real),
        winners: wp.array4d(dtype=wp.uint8),
        calibration: wp.array(dtype=real),
        grad_poi: wp.array3d(dtype=real),
        first_image: int,
        members: int,
        margin: int,
        grad_correlations: wp.array4d(dtype=real),  # (B, N M, _, _), 0 on entry
    ):
        pixels, width = poi.shape[1] * poi.shape[2], poi.shape[2]
        image, pixel = first_image + wp.tid() // pixels, wp.tid() % pixels
        row, column = pixel // width, pixel % width
        value = poi[image, row, column]
        if value > real(0.0):
            below = real(1.0) - calibration[FLOOR]
            probability = value * below + calibration[FLOOR]
            slope = calibration[SCALE] * probability * (real(1.0) - probability) / below
            gradient = slope * grad_poi[image, row, column]
            for group in range(winners.shape[1]):
                channel = group * members + int(winners[image, group, row, column])
                signed = wp.where(group % 2 == 0, gradient, -gradient)
                grad_correlations[image, channel, row + margin, column + margin] = signed

    return types.SimpleNamespace(forward=forward, backward=backward)
