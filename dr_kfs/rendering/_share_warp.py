"""How much of a pixel a triangle fills: the device functions of `_share_reference.py`, with the gradient by hand.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

# Kernel bodies are Warp's language in Python's syntax; these rules read them as Python.
# pyright: reportInvalidTypeForm=false, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false, reportAssignmentType=false
# pyright: reportIndexIssue=false, reportAttributeAccessIssue=false

import functools
import math
import types
from typing import Any, no_type_check

import warp as wp

from dr_kfs.rendering._softras_reference import MIN_AREA


@functools.cache
@no_type_check  # Warp's annotations are its own language
def share_functions(real: Any) -> types.SimpleNamespace:
    """The share of a face and its gradient, for `real` = wp.float32 or wp.float64."""
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)
    vec3 = wp.types.vector(length=3, dtype=real)
    pi, min_area = wp.constant(real(math.pi)), wp.constant(real(MIN_AREA))

    @wp.func
    def turn_of(c: mat32) -> real:
        """1 for corners in counterclockwise order, -1 for clockwise, 0 for a face of no area."""
        area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[1, 1] - c[0, 1]) * (c[2, 0] - c[0, 0])
        turn = real(0.0)
        if wp.abs(area) > min_area:
            turn = wp.sign(area)
        return turn

    @wp.func
    def line_of(c: mat32, first: int, radius: real) -> vec3:
        """Height of the edge's line over the pixel's centre, and where on it the edge starts and stops [radii]."""
        second = (first + 1) % 3
        ex = c[second, 0] - c[first, 0]
        ey = c[second, 1] - c[first, 1]
        length = wp.max(wp.sqrt(ex * ex + ey * ey), real(1e-20))
        ex = ex / length
        ey = ey / length
        height = (c[first, 0] * ey - c[first, 1] * ex) / radius
        start = (c[first, 0] * ex + c[first, 1] * ey) / radius
        return vec3(height, start, start + length / radius)

    @wp.func
    def angle_of(height: real, start: real, stop: real) -> real:
        """The angle under which a part of a line that does not enter the bump is seen; 0 for none."""
        angle = real(0.0)
        if start != stop:
            angle = wp.atan2(height * (stop - start), height * height + start * stop)
        return angle

    @wp.func
    def share_of(c: mat32, radius: real) -> real:
        """The share, [0, 1] to rounding; `c` holds the corners relative to the pixel's centre [NDC]."""
        total = real(0.0)
        for first in range(3):
            line = line_of(c, first, radius)
            height = line[0]
            square = height * height
            half = wp.sqrt(wp.max(real(1.0) - square, real(0.0)))
            low = wp.clamp(line[1], -half, half)
            high = wp.clamp(line[2], -half, half)
            cubes = (high * high * high - low * low * low) / real(6.0)
            total += height * ((real(1.0) - real(0.5) * square) * (high - low) - cubes) / pi
            total += (angle_of(height, line[1], low) + angle_of(height, high, line[2])) / (real(2.0) * pi)
        return wp.clamp(turn_of(c) * total, real(0.0), real(1.0))

    @wp.func
    def share_gradient(c: mat32, radius: real, grad_share: real) -> mat32:
        """Gradient of the corners: the bump's integral along the edges, times how far they move outwards."""
        gradient = mat32()
        scale = grad_share * turn_of(c) * real(2.0) / (pi * radius)
        for first in range(3):
            second = (first + 1) % 3
            line = line_of(c, first, radius)
            square = line[0] * line[0]
            start = line[1]
            stop = line[2]
            if square < real(1.0) and stop > start:
                half = wp.sqrt(real(1.0) - square)
                low = wp.clamp(start, -half, half)
                high = wp.clamp(stop, -half, half)
                low2 = low * low
                high2 = high * high
                # Integrals of k and of t k over the part inside the bump.
                zeroth = (real(1.0) - square) * (high - low) - (high2 * high - low2 * low) / real(3.0)
                moment = real(0.5) * (real(1.0) - square) * (high2 - low2) - real(0.25) * (high2 * high2 - low2 * low2)
                length = stop - start
                at_first = scale * (stop * zeroth - moment) / length
                at_second = scale * (moment - start * zeroth) / length
                # Outwards: to the right of the edge.
                outward_x = (c[second, 1] - c[first, 1]) / (length * radius)
                outward_y = (c[first, 0] - c[second, 0]) / (length * radius)
                gradient[first, 0] += at_first * outward_x
                gradient[first, 1] += at_first * outward_y
                gradient[second, 0] += at_second * outward_x
                gradient[second, 1] += at_second * outward_y
        return gradient

    return types.SimpleNamespace(share_of=share_of, share_gradient=share_gradient)
