"""What one triangle is to one pixel: the device functions of the soft rasterizer's kernels.

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

from dr_kfs.rendering._softras_reference import CUTOFF, MIN_AREA


@functools.cache
@no_type_check  # Warp's annotations are its own language
def triangle_functions(real: Any) -> types.SimpleNamespace:
    """Coverage, distance, interpolation and their gradients, for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    vec4 = wp.types.vector(length=4, dtype=real)
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)
    cutoff, min_area = wp.constant(real(CUTOFF)), wp.constant(real(MIN_AREA))

    @wp.func
    def sigmoid(x: real) -> real:
        # One-sided, so that exp never overflows.
        e = wp.exp(-wp.abs(x))
        s = real(1.0) / (real(1.0) + e)
        if x < real(0.0):
            s = e * s
        return s

    @wp.func
    def screen_corners(faces: wp.array3d(dtype=real), row: int, x: real, y: real) -> mat32:
        """The face's corners relative to the pixel centre [NDC]."""
        return mat32(
            faces[row, 0, 0] - x,
            faces[row, 0, 1] - y,
            faces[row, 1, 0] - x,
            faces[row, 1, 1] - y,
            faces[row, 2, 0] - x,
            faces[row, 2, 1] - y,
        )

    @wp.func
    def inverse_depths(faces: wp.array3d(dtype=real), row: int) -> vec3:
        return vec3(real(1.0) / faces[row, 0, 2], real(1.0) / faces[row, 1, 2], real(1.0) / faces[row, 2, 2])

    @wp.func
    def barycentrics(c: mat32) -> tuple[bool, vec3]:
        """Whether the face covers the pixel centre, and the screen barycentrics of the centre."""
        area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[1, 1] - c[0, 1]) * (c[2, 0] - c[0, 0])
        covers = wp.abs(area) > min_area
        weights = vec3()
        if covers:
            inverse = real(1.0) / area
            weights[0] = (c[1, 0] * c[2, 1] - c[1, 1] * c[2, 0]) * inverse
            weights[1] = (c[2, 0] * c[0, 1] - c[2, 1] * c[0, 0]) * inverse
            weights[2] = (c[0, 0] * c[1, 1] - c[0, 1] * c[1, 0]) * inverse
            covers = weights[0] >= real(0.0) and weights[1] >= real(0.0) and weights[2] >= real(0.0)
        return covers, weights

    @wp.func
    def nearest_on_edges(c: mat32) -> tuple[real, int, real]:
        """Squared distance to the edges, the nearest edge, and where on it the nearest point lies [0, 1]."""
        best = real(1e30)
        edge = int(0)
        along = real(0.0)
        for first in range(3):
            second = (first + 1) % 3
            ex = c[second, 0] - c[first, 0]
            ey = c[second, 1] - c[first, 1]
            t = -(c[first, 0] * ex + c[first, 1] * ey) / wp.max(ex * ex + ey * ey, real(1e-20))
            t = wp.clamp(t, real(0.0), real(1.0))
            dx = c[first, 0] + t * ex
            dy = c[first, 1] + t * ey
            squared = dx * dx + dy * dy
            if squared < best:
                best = squared
                edge = first
                along = t
        return best, edge, along

    # A vector that is indexed with what is only known at run time would leave the registers: hence the branches.

    @wp.func
    def on_edge(edge: int, along: real) -> vec3:
        """Barycentrics of a point on an edge."""
        weights = vec3(real(1.0) - along, along, real(0.0))
        if edge == 1:
            weights = vec3(real(0.0), real(1.0) - along, along)
        if edge == 2:
            weights = vec3(along, real(0.0), real(1.0) - along)
        return weights

    @wp.func
    def edge_ends(c: mat32, edge: int) -> vec4:
        """X and y of both ends of an edge."""
        ends = vec4(c[0, 0], c[0, 1], c[1, 0], c[1, 1])
        if edge == 1:
            ends = vec4(c[1, 0], c[1, 1], c[2, 0], c[2, 1])
        if edge == 2:
            ends = vec4(c[2, 0], c[2, 1], c[0, 0], c[0, 1])
        return ends

    @wp.func
    def at_ends(edge: int, ends: vec4) -> mat32:
        """The corners' part of what belongs to both ends of an edge."""
        corners = mat32(ends[0], ends[1], ends[2], ends[3], real(0.0), real(0.0))
        if edge == 1:
            corners = mat32(real(0.0), real(0.0), ends[0], ends[1], ends[2], ends[3])
        if edge == 2:
            corners = mat32(ends[2], ends[3], real(0.0), real(0.0), ends[0], ends[1])
        return corners

    @wp.func
    def fade_of(squared: real, sigma: real) -> real:
        return wp.max((wp.exp(-squared / sigma) - cutoff) / (real(1.0) - cutoff), real(0.0))

    @wp.func
    def pixel_x(column: int, size: int) -> real:
        return real(2 * column + 1 - size) / real(size)

    @wp.func
    def pixel_y(row: int, size: int) -> real:
        return real(size - 1 - 2 * row) / real(size)

    @wp.func
    def may_touch(c: mat32, reach: real) -> bool:
        """Whether the pixel centre lies in the face's bounding box, grown by `reach`."""
        low_x = wp.min(wp.min(c[0, 0], c[1, 0]), c[2, 0])
        high_x = wp.max(wp.max(c[0, 0], c[1, 0]), c[2, 0])
        low_y = wp.min(wp.min(c[0, 1], c[1, 1]), c[2, 1])
        high_y = wp.max(wp.max(c[0, 1], c[1, 1]), c[2, 1])
        return low_x <= reach and high_x >= -reach and low_y <= reach and high_y >= -reach

    @wp.func
    def hidden(faces: wp.array3d(dtype=real), row: int, depth: real) -> bool:
        """Whether the whole face lies behind a depth."""
        return wp.min(wp.min(faces[row, 0, 2], faces[row, 1, 2]), faces[row, 2, 2]) > depth

    @wp.func
    def position_gradient(
        c: mat32,
        covers: bool,
        edge: int,
        along: real,
        weights: vec3,
        grad_weights: vec3,  # d loss / d screen barycentrics
        grad_squared: real,  # d loss / d squared edge distance
    ) -> mat32:
        """Gradient of the corners' x, y through the barycentrics and through the distance to the edges."""
        ends = edge_ends(c, edge)
        ex = ends[2] - ends[0]
        ey = ends[3] - ends[1]
        # The nearest point's own motion along the edge does not change the distance to first order.
        pull_x = real(2.0) * grad_squared * (ends[0] + along * ex)
        pull_y = real(2.0) * grad_squared * (ends[1] + along * ey)
        first = real(1.0) - along
        moved = vec4(first * pull_x, first * pull_y, along * pull_x, along * pull_y)
        gradient = mat32()
        if covers:
            # p = sum w_i v_i: moving corner k by s changes the barycentrics as moving p by -w_k s does.
            area = (c[1, 0] - c[0, 0]) * (c[2, 1] - c[0, 1]) - (c[1, 1] - c[0, 1]) * (c[2, 0] - c[0, 0])
            gx = real(0.0)
            gy = real(0.0)
            for k in range(3):
                a = (k + 1) % 3
                b = (k + 2) % 3
                gx += grad_weights[k] * (c[a, 1] - c[b, 1])
                gy += grad_weights[k] * (c[b, 0] - c[a, 0])
            inverse = real(1.0) / area
            for k in range(3):
                gradient[k, 0] = -weights[k] * gx * inverse
                gradient[k, 1] = -weights[k] * gy * inverse
        elif along > real(0.0) and along < real(1.0):
            # t = -(c_i . e) / |e|^2 with e = c_j - c_i.
            change = grad_weights[1] - grad_weights[0]
            if edge == 1:
                change = grad_weights[2] - grad_weights[1]
            if edge == 2:
                change = grad_weights[0] - grad_weights[2]
            g = change / wp.max(ex * ex + ey * ey, real(1e-20))
            jx = ends[0] + real(2.0) * along * ex
            jy = ends[1] + real(2.0) * along * ey
            moved += g * vec4(jx - ex, jy - ey, -jx, -jy)
        return gradient + at_ends(edge, moved)

    return types.SimpleNamespace(
        sigmoid=sigmoid,
        fade_of=fade_of,
        pixel_x=pixel_x,
        pixel_y=pixel_y,
        screen_corners=screen_corners,
        inverse_depths=inverse_depths,
        barycentrics=barycentrics,
        nearest_on_edges=nearest_on_edges,
        on_edge=on_edge,
        may_touch=may_touch,
        hidden=hidden,
        position_gradient=position_gradient,
    )
