"""The translucent composite's kernels in Warp: one pixel per thread, for CUDA and for float64 on the CPU.

`compositing.py` documents the formula; the names here are the same. A pixel's fragments are sorted by depth, so that
those lying clearly in front of or behind another, whose sigmoids are 1 or 0, need one sum and no pairs. The backward
is written by hand and is the exact derivative of the forward.

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

from dr_kfs.rendering._compositing_reference import SERIES_BELOW, SERIES_TERMS
from dr_kfs.rendering._softras_reference import LAYER_MARGIN

SATURATED = 30.0
"""Argument from which on a sigmoid is 1 (to 1e-13), and at minus which it is 0."""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def translucent_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `forward` and `backward` for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    margin_power = wp.constant(real(math.exp(LAYER_MARGIN)))
    separate = wp.constant(real(SATURATED + LAYER_MARGIN))  # (z_j - z_i) / gamma from which on i lies in front of j
    series_below = wp.constant(real(SERIES_BELOW))

    @wp.func
    def absorbed(depth: real) -> real:
        """(1 - exp(-x)) / x."""
        series = real(1.0)
        if depth > series_below:
            series = (real(1.0) - wp.exp(-depth)) / depth
        else:
            for step in range(SERIES_TERMS):
                series = real(1.0) - depth * series / real(SERIES_TERMS + 1 - step)
        return series

    @wp.func
    def absorbed_slope(depth: real, value: real) -> real:
        """The derivative of `absorbed`, whose value is `value`."""
        series = real(1.0)
        if depth > series_below:
            series = (wp.exp(-depth) - value) / depth
        else:
            for step in range(SERIES_TERMS):
                n = SERIES_TERMS - step
                series = real(1.0) - depth * series * real(n + 1) / real(n * (n + 2))
            series = real(-0.5) * series
        return series

    @wp.func
    def pair(x: real) -> vec3:
        """How far i lies in front of, behind and in the layer of j, for x = (z_j - z_i) / gamma, |x| <= `separate`.

        sigmoid(x - m), sigmoid(-x - m) and the rest of 1; from one exponential.
        """
        u = wp.exp(-x)
        above = real(1.0) + margin_power * u
        below = u + margin_power
        inverse = real(1.0) / (above * below)
        layer = u * (margin_power * margin_power - real(1.0)) * inverse
        return vec3(below * inverse, u * above * inverse, layer)

    @wp.func
    def sort_by_depth(depth: wp.array(dtype=real), order: wp.array(dtype=wp.int32), start: int, stop: int):
        """`order[start:stop]`: the fragments `start` to `stop - 1` from the nearest to the farthest (Shell sort)."""
        for k in range(start, stop):
            order[k] = k
        gap = int(1)
        while gap < (stop - start) // 3:
            gap = 3 * gap + 1
        while gap > 0:
            for k in range(start + gap, stop):
                chosen = order[k]
                hole = int(k)
                while hole >= start + gap:
                    before = order[hole - gap]
                    if depth[before] <= depth[chosen]:
                        break
                    order[hole] = before
                    hole -= gap
                order[hole] = chosen
            gap = gap // 3

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        starts: wp.array(dtype=wp.int32),  # (P + 1,) first fragment of each pixel
        face: wp.array(dtype=wp.int32),  # (K,)
        depth: wp.array(dtype=real),
        shade: wp.array(dtype=real),
        share: wp.array(dtype=real),
        attenuation: wp.array(dtype=real),  # (R,) -log(1 - o)
        first_pixel: int,
        gamma: real,
        far: real,
        order: wp.array(dtype=wp.int32),  # (K,) fragments of each pixel from the nearest to the farthest
        tau: wp.array(dtype=real),  # (K,), in that order, as the next two
        front: wp.array(dtype=real),  # F
        layer: wp.array(dtype=real),  # L
        image: wp.array(dtype=real),  # (P,)
        alpha: wp.array(dtype=real),
        depth_image: wp.array(dtype=real),
    ):
        pixel = first_pixel + wp.tid()
        start = starts[pixel]
        stop = starts[pixel + 1]
        sort_by_depth(depth, order, start, stop)
        total = real(0.0)
        for place in range(start, stop):
            j = order[place]
            t = attenuation[face[j]] * share[j]
            tau[place] = t
            total += t

        # From `near` to `until` - 1 the fragments that are not clearly in front of j or behind it.
        near = int(start)
        until = int(start)
        passed = real(0.0)  # sum of tau in front of them
        seen = real(0.0)
        seen_shade = real(0.0)
        seen_depth = real(0.0)
        first = real(-1.0)  # F of the nearest fragment that is there: a common factor that keeps v from underflow
        for place in range(start, stop):
            j = order[place]
            z = depth[j]
            while z - depth[order[near]] > separate * gamma:
                passed += tau[near]
                near += 1
            while until < stop:
                if depth[order[until]] - z > separate * gamma:
                    break
                until += 1
            f = passed
            own = real(0.0)
            for other in range(near, until):
                window = pair((z - depth[order[other]]) / gamma)
                f += tau[other] * window[0]
                own += tau[other] * window[2]
            front[place] = f
            layer[place] = own
            if tau[place] > real(0.0):
                if first < real(0.0):
                    first = f
                v = wp.exp(first - f) * absorbed(own) * tau[place]
                seen += v
                seen_shade += v * shade[j]
                seen_depth += v * z

        opaque = total * absorbed(total)
        if seen > real(0.0):
            image[pixel] = opaque * (seen_shade / seen)
            depth_image[pixel] = opaque * (seen_depth / seen) + (real(1.0) - opaque) * far
        else:
            image[pixel] = real(0.0)
            depth_image[pixel] = far
        alpha[pixel] = opaque

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        starts: wp.array(dtype=wp.int32),
        face: wp.array(dtype=wp.int32),
        depth: wp.array(dtype=real),
        shade: wp.array(dtype=real),
        share: wp.array(dtype=real),
        attenuation: wp.array(dtype=real),
        first_pixel: int,
        gamma: real,
        far: real,
        order: wp.array(dtype=wp.int32),
        tau: wp.array(dtype=real),
        front: wp.array(dtype=real),
        layer: wp.array(dtype=real),
        grad_image: wp.array(dtype=real),  # (P,), or empty: no gradient
        grad_alpha: wp.array(dtype=real),
        grad_depth_image: wp.array(dtype=real),
        grad_depth: wp.array(dtype=real),  # (K,)
        grad_shade: wp.array(dtype=real),
        grad_share: wp.array(dtype=real),
        grad_attenuation: wp.array(dtype=real),  # of each fragment
        grad_front: wp.array(dtype=real),  # (K,) scratch
        grad_layer: wp.array(dtype=real),  # (K,) scratch
    ):
        pixel = first_pixel + wp.tid()
        g_image = real(0.0)
        g_alpha = real(0.0)
        g_depth = real(0.0)
        if grad_image.shape[0] > 0:
            g_image = grad_image[pixel]
        if grad_alpha.shape[0] > 0:
            g_alpha = grad_alpha[pixel]
        if grad_depth_image.shape[0] > 0:
            g_depth = grad_depth_image[pixel]
        start = starts[pixel]
        stop = starts[pixel + 1]
        if g_image == real(0.0) and g_alpha == real(0.0) and g_depth == real(0.0):
            for k in range(start, stop):
                grad_depth[k] = real(0.0)
                grad_shade[k] = real(0.0)
                grad_share[k] = real(0.0)
                grad_attenuation[k] = real(0.0)
            return

        total = real(0.0)
        seen = real(0.0)
        mean_shade = real(0.0)
        mean_depth = real(0.0)
        first = real(-1.0)
        for place in range(start, stop):
            if tau[place] > real(0.0):
                if first < real(0.0):
                    first = front[place]
                v = wp.exp(first - front[place]) * absorbed(layer[place]) * tau[place]
                total += tau[place]
                seen += v
                mean_shade += v * shade[order[place]]
                mean_depth += v * depth[order[place]]
        # Where nothing is seen, the limit: image = sum tau_j c_j to first order, so that A / sum v is 1.
        scale = real(1.0)
        if seen > real(0.0):
            scale = total * absorbed(total) / seen
            mean_shade = mean_shade / seen
            mean_depth = mean_depth / seen
        g_opaque = g_alpha + g_image * mean_shade + g_depth * (mean_depth - far)
        g_total = g_opaque * wp.exp(-total)

        # image = A sum v_j c_j / sum v_j and the depth alike, v_j = exp(-F_j) absorbed(L_j) tau_j.
        for place in range(start, stop):
            j = order[place]
            toward = scale * (g_image * (shade[j] - mean_shade) + g_depth * (depth[j] - mean_depth))
            through = real(1.0)
            if first >= real(0.0):
                through = wp.exp(wp.min(first - front[place], real(60.0)))
            taken = absorbed(layer[place])
            v = through * taken * tau[place]
            grad_shade[j] = scale * v * g_image
            grad_depth[j] = scale * v * g_depth
            grad_attenuation[j] = g_total + toward * through * taken  # in tau, so far
            grad_front[place] = -toward * v
            grad_layer[place] = toward * through * absorbed_slope(layer[place], taken) * tau[place]

        # Through F and L: the fragments j in whose F and L fragment i is, and the other way; the farthest i first.
        near = int(stop)
        until = int(stop)
        behind = real(0.0)  # sum of grad_front from `until` on
        for step in range(stop - start):
            place = stop - 1 - step
            i = order[place]
            z = depth[i]
            while near > start:
                if z - depth[order[near - 1]] > separate * gamma:
                    break
                near -= 1
            while depth[order[until - 1]] - z > separate * gamma:
                until -= 1
                behind += grad_front[until]
            g_t = behind
            g_z = real(0.0)
            for other in range(near, until):
                window = pair((depth[order[other]] - z) / gamma)
                g_t += grad_front[other] * window[0] + grad_layer[other] * window[2]
                # d front / dx, -d back / dx and d layer / dx.
                front_slope = window[0] * (real(1.0) - window[0])
                back_slope = window[1] * (real(1.0) - window[1])
                layer_slope = back_slope - front_slope
                g_z += tau[other] * (grad_front[place] * back_slope - grad_layer[place] * layer_slope)
                g_z -= tau[place] * (grad_front[other] * front_slope + grad_layer[other] * layer_slope)
            g_t += grad_attenuation[i]
            grad_depth[i] = grad_depth[i] + g_z / gamma
            grad_share[i] = g_t * attenuation[face[i]]
            grad_attenuation[i] = g_t * share[i]

    return types.SimpleNamespace(forward=forward, backward=backward)
