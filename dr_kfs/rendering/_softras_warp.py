"""The soft rasterizer's kernels in Warp: one pixel per thread, the same source for CPU and CUDA.

`softras.py` documents the formulas, `_softras_reference.py` states them in PyTorch; the kernels follow the same
three steps (base, layer, occluders) with the same names. Each pixel walks the faces of its screen tile, so that no
face is ever dropped. The backward is written by hand (Warp's automatic adjoint is wrong for loop-carried state) and
is the exact derivative of the forward.

No `from __future__ import annotations` here: Warp reads the annotations as objects.
"""

import functools
import types
from typing import Any, no_type_check

import warp as wp

from dr_kfs.rendering._softras_reference import CUTOFF, LAYER_MARGIN, MIN_AREA, MIN_HALO

TILE = 8
"""Side of a screen tile [px]."""
BUFFERS = 8
"""Per-pixel values that the forward keeps for the backward: see the `KEPT_*` constants."""

KEPT_BASE_DEPTH = wp.constant(0)
KEPT_LOG_SUM = wp.constant(1)  # -gamma log sum exp(-z / gamma) over the covering faces; infinite where there are none
KEPT_LAYER_TOTAL = wp.constant(2)
KEPT_LAYER_SHADE = wp.constant(3)
KEPT_FRONT = wp.constant(4)
KEPT_MIX_TOTAL = wp.constant(5)
KEPT_FRONT_SHADE = wp.constant(6)
KEPT_FRONT_DEPTH = wp.constant(7)


@functools.cache
@no_type_check  # Warp's annotations are its own language
def softras_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `forward` and `backward` for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)
    cutoff, margin = wp.constant(real(CUTOFF)), wp.constant(real(LAYER_MARGIN))
    min_area, min_halo = wp.constant(real(MIN_AREA)), wp.constant(real(MIN_HALO))
    no_base = wp.constant(real(1e30))

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

    @wp.func
    def on_edge(edge: int, along: real) -> vec3:
        """Barycentrics of a point on an edge."""
        weights = vec3()
        weights[edge] = real(1.0) - along
        weights[(edge + 1) % 3] = along
        return weights

    @wp.func
    def fade_of(squared: real, sigma: real) -> real:
        return wp.max((wp.exp(-squared / sigma) - cutoff) / (real(1.0) - cutoff), real(0.0))

    @wp.func
    def pixel_x(column: int, size: int) -> real:
        return real(2 * column + 1 - size) / real(size)

    @wp.func
    def pixel_y(row: int, size: int) -> real:
        return real(size - 1 - 2 * row) / real(size)

    @wp.kernel(module="unique", enable_backward=False)
    def forward(
        faces: wp.array3d(dtype=real),  # (R, 3, 3): x, y [NDC], depth; R = faces of all views
        shades: wp.array2d(dtype=real),  # (R, 3)
        boxes: wp.array2d(dtype=real),  # (R, 4): x and y range that the face reaches [NDC]
        tile_starts: wp.array(dtype=wp.int32),  # (views * tiles + 1,)
        tile_faces: wp.array(dtype=wp.int32),  # rows of the faces that reach each tile
        first_view: int,
        size: int,
        sigma: real,
        gamma: real,
        far: real,
        image: wp.array3d(dtype=real),  # (views, H, W)
        alpha: wp.array3d(dtype=real),
        depth_image: wp.array3d(dtype=real),
        kept: wp.array4d(dtype=real),  # (BUFFERS, views, H, W)
        winners: wp.array3d(dtype=wp.int32),  # the occluder with the largest coverage; -1: none
    ):
        local, py, px = wp.tid()
        view = first_view + local
        x = pixel_x(px, size)
        y = pixel_y(py, size)
        tiles = (size + TILE - 1) // TILE
        tile = (view * tiles + py // TILE) * tiles + px // TILE
        start = tile_starts[tile]
        stop = tile_starts[tile + 1]

        # Base: softmin of the depth over the faces that cover the centre, in one pass.
        nearest = no_base
        total = real(0.0)
        depth_sum = real(0.0)
        for k in range(start, stop):
            r = tile_faces[k]
            if x >= boxes[r, 0] and x <= boxes[r, 1] and y >= boxes[r, 2] and y <= boxes[r, 3]:
                covers, weights = barycentrics(screen_corners(faces, r, x, y))
                if covers:
                    z = real(1.0) / wp.dot(weights, inverse_depths(faces, r))
                    if z < nearest:
                        rescale = wp.exp((z - nearest) / gamma)
                        total = total * rescale
                        depth_sum = depth_sum * rescale
                        nearest = z
                    w = wp.exp((nearest - z) / gamma)
                    total += w
                    depth_sum += w * z
        has_base = total > real(0.0)
        base_depth = far
        log_sum = no_base
        if has_base:
            base_depth = depth_sum / total
            log_sum = nearest - gamma * wp.log(total)

        # Layer and occluders.
        layer_total = real(0.0)
        layer_shade = real(0.0)
        front = real(0.0)
        winner = int(-1)
        mix_total = real(0.0)
        mix_shade = real(0.0)
        mix_depth = real(0.0)
        for k in range(start, stop):
            r = tile_faces[k]
            if x >= boxes[r, 0] and x <= boxes[r, 1] and y >= boxes[r, 2] and y <= boxes[r, 3]:
                corners = screen_corners(faces, r, x, y)
                covers, weights = barycentrics(corners)
                squared, edge, along = nearest_on_edges(corners)
                fade = fade_of(squared, sigma)
                if covers or fade > real(0.0):
                    if not covers:
                        weights = on_edge(edge, along)
                    weights = wp.cw_mul(weights, inverse_depths(faces, r))
                    z = real(1.0) / (weights[0] + weights[1] + weights[2])
                    shade = z * (weights[0] * shades[r, 0] + weights[1] * shades[r, 1] + weights[2] * shades[r, 2])
                    occludes = real(1.0)
                    if has_base:
                        behind = (z - base_depth) / gamma
                        occludes = sigmoid(-behind - margin)
                        share = real(0.5) * fade
                        if covers:
                            share = real(1.0) - share
                        share = share * sigmoid(-behind) * (real(1.0) - occludes)
                        layer_total += share
                        layer_shade += share * shade
                    halo = fade * occludes
                    if not covers and halo > min_halo:
                        if halo > front:
                            front = halo
                            winner = r
                        mix_total += halo * halo
                        mix_shade += halo * halo * shade
                        mix_depth += halo * halo * z
        if has_base:
            layer_shade = layer_shade / layer_total
        if mix_total > real(0.0):
            mix_shade = mix_shade / mix_total
            mix_depth = mix_depth / mix_total

        image[view, py, px] = (real(1.0) - front) * layer_shade + front * mix_shade
        depth_image[view, py, px] = (real(1.0) - front) * base_depth + front * mix_depth
        if has_base:
            alpha[view, py, px] = real(1.0)
        else:
            alpha[view, py, px] = front
        kept[KEPT_BASE_DEPTH, view, py, px] = base_depth
        kept[KEPT_LOG_SUM, view, py, px] = log_sum
        kept[KEPT_LAYER_TOTAL, view, py, px] = layer_total
        kept[KEPT_LAYER_SHADE, view, py, px] = layer_shade
        kept[KEPT_FRONT, view, py, px] = front
        kept[KEPT_MIX_TOTAL, view, py, px] = mix_total
        kept[KEPT_FRONT_SHADE, view, py, px] = mix_shade
        kept[KEPT_FRONT_DEPTH, view, py, px] = mix_depth
        winners[view, py, px] = winner

    @wp.func
    def add_position_gradient(
        grad_faces: wp.array3d(dtype=real),
        r: int,
        c: mat32,
        covers: bool,
        edge: int,
        along: real,
        weights: vec3,
        grad_weights: vec3,  # d loss / d screen barycentrics
        grad_squared: real,  # d loss / d squared edge distance
    ):
        """Chain the gradients of the barycentrics and of the distance to the corners' x, y."""
        i = edge
        j = (edge + 1) % 3
        ex = c[j, 0] - c[i, 0]
        ey = c[j, 1] - c[i, 1]
        dx = c[i, 0] + along * ex
        dy = c[i, 1] + along * ey
        # The nearest point's own motion along the edge does not change the distance to first order.
        gx_i = real(2.0) * grad_squared * (real(1.0) - along) * dx
        gy_i = real(2.0) * grad_squared * (real(1.0) - along) * dy
        gx_j = real(2.0) * grad_squared * along * dx
        gy_j = real(2.0) * grad_squared * along * dy
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
            for k in range(3):
                wp.atomic_add(grad_faces, r, k, 0, -weights[k] * gx / area)
                wp.atomic_add(grad_faces, r, k, 1, -weights[k] * gy / area)
        else:
            if along > real(0.0) and along < real(1.0):
                length = wp.max(ex * ex + ey * ey, real(1e-20))
                g = (grad_weights[j] - grad_weights[i]) / length
                # t = -(c_i . e) / |e|^2 with e = c_j - c_i.
                gx_i += g * (c[i, 0] - ex + real(2.0) * along * ex)
                gy_i += g * (c[i, 1] - ey + real(2.0) * along * ey)
                gx_j -= g * (c[i, 0] + real(2.0) * along * ex)
                gy_j -= g * (c[i, 1] + real(2.0) * along * ey)
        wp.atomic_add(grad_faces, r, i, 0, gx_i)
        wp.atomic_add(grad_faces, r, i, 1, gy_i)
        wp.atomic_add(grad_faces, r, j, 0, gx_j)
        wp.atomic_add(grad_faces, r, j, 1, gy_j)

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        faces: wp.array3d(dtype=real),
        shades: wp.array2d(dtype=real),
        boxes: wp.array2d(dtype=real),
        tile_starts: wp.array(dtype=wp.int32),
        tile_faces: wp.array(dtype=wp.int32),
        first_view: int,
        size: int,
        sigma: real,
        gamma: real,
        kept: wp.array4d(dtype=real),
        winners: wp.array3d(dtype=wp.int32),
        grad_image: wp.array3d(dtype=real),
        grad_alpha: wp.array3d(dtype=real),
        grad_depth: wp.array3d(dtype=real),
        grad_faces: wp.array3d(dtype=real),  # (R, 3, 3), zero on entry
        grad_shades: wp.array2d(dtype=real),  # (R, 3), zero on entry
    ):
        local, py, px = wp.tid()
        view = first_view + local
        x = pixel_x(px, size)
        y = pixel_y(py, size)
        tiles = (size + TILE - 1) // TILE
        tile = (view * tiles + py // TILE) * tiles + px // TILE
        start = tile_starts[tile]
        stop = tile_starts[tile + 1]
        g_image = grad_image[view, py, px]
        g_depth = grad_depth[view, py, px]
        g_alpha = grad_alpha[view, py, px]
        if start == stop or (g_image == real(0.0) and g_depth == real(0.0) and g_alpha == real(0.0)):
            return

        base_depth = kept[KEPT_BASE_DEPTH, view, py, px]
        log_sum = kept[KEPT_LOG_SUM, view, py, px]
        layer_total = kept[KEPT_LAYER_TOTAL, view, py, px]
        layer_shade = kept[KEPT_LAYER_SHADE, view, py, px]
        front = kept[KEPT_FRONT, view, py, px]
        mix_total = kept[KEPT_MIX_TOTAL, view, py, px]
        mix_shade = kept[KEPT_FRONT_SHADE, view, py, px]
        mix_depth = kept[KEPT_FRONT_DEPTH, view, py, px]
        winner = winners[view, py, px]
        has_base = log_sum < no_base

        # image = (1 - front) layer_shade + front mix_shade, and the depth alike.
        g_front = g_image * (mix_shade - layer_shade) + g_depth * (mix_depth - base_depth)
        if not has_base:
            g_front += g_alpha
        g_base_depth = g_depth * (real(1.0) - front)

        for k in range(start, stop):
            r = tile_faces[k]
            if x >= boxes[r, 0] and x <= boxes[r, 1] and y >= boxes[r, 2] and y <= boxes[r, 3]:
                corners = screen_corners(faces, r, x, y)
                covers, weights = barycentrics(corners)
                squared, edge, along = nearest_on_edges(corners)
                fade = fade_of(squared, sigma)
                if covers or fade > real(0.0):
                    if not covers:
                        weights = on_edge(edge, along)
                    inverse = inverse_depths(faces, r)
                    z = real(1.0) / wp.dot(weights, inverse)
                    perspective = z * wp.cw_mul(weights, inverse)  # (3,) perspective-correct barycentrics
                    corner_shade = vec3(shades[r, 0], shades[r, 1], shades[r, 2])
                    shade = wp.dot(perspective, corner_shade)

                    g_shade = real(0.0)
                    g_z = real(0.0)
                    g_fade = real(0.0)
                    occludes = real(1.0)
                    g_occludes = real(0.0)
                    behind = real(0.0)
                    if has_base:
                        behind = (z - base_depth) / gamma
                        occludes = sigmoid(-behind - margin)
                        near = sigmoid(-behind)
                        window = near * (real(1.0) - occludes)
                        area = real(0.5) * fade
                        if covers:
                            area = real(1.0) - area
                        g_layer = g_image * (real(1.0) - front) / layer_total
                        g_shade += g_layer * area * window
                        g_share = g_layer * (shade - layer_shade)
                        if covers:
                            g_fade -= real(0.5) * g_share * window
                        else:
                            g_fade += real(0.5) * g_share * window
                        g_behind = g_share * area * window * (occludes - (real(1.0) - near))
                        g_z += g_behind / gamma
                        g_base_depth -= g_behind / gamma
                    halo = fade * occludes
                    if not covers and halo > min_halo:
                        g_mix = front * halo / mix_total
                        g_shade += g_image * g_mix * halo
                        g_z += g_depth * g_mix * halo
                        g_halo = real(2.0) * g_mix * (g_image * (shade - mix_shade) + g_depth * (z - mix_depth))
                        if r == winner:
                            g_halo += g_front
                        g_fade += g_halo * occludes
                        g_occludes += g_halo * fade
                        if has_base:
                            g_behind = -g_occludes * occludes * (real(1.0) - occludes)
                            g_z += g_behind / gamma
                            g_base_depth -= g_behind / gamma

                    # shade = z sum w_i s_i / z_i and 1/z = sum w_i / z_i, in the screen weights w and the corners.
                    g_inverse = -g_shade * shade * z - g_z * z * z
                    g_weights = vec3()
                    for i in range(3):
                        per_weight = g_shade * z * corner_shade[i] + g_inverse
                        g_weights[i] = per_weight * inverse[i]
                        wp.atomic_add(grad_faces, r, i, 2, -per_weight * weights[i] * inverse[i] * inverse[i])
                        wp.atomic_add(grad_shades, r, i, g_shade * perspective[i])
                    g_squared = real(0.0)
                    if fade > real(0.0):
                        g_squared = -g_fade * (fade + cutoff / (real(1.0) - cutoff)) / sigma
                    add_position_gradient(
                        grad_faces, r, corners, covers, edge, along, weights, g_weights, g_squared
                    )

        # Base depth: softmin over the covering faces.
        if has_base and g_base_depth != real(0.0):
            for k in range(start, stop):
                r = tile_faces[k]
                if x >= boxes[r, 0] and x <= boxes[r, 1] and y >= boxes[r, 2] and y <= boxes[r, 3]:
                    corners = screen_corners(faces, r, x, y)
                    covers, weights = barycentrics(corners)
                    if covers:
                        inverse = inverse_depths(faces, r)
                        z = real(1.0) / wp.dot(weights, inverse)
                        g_z = g_base_depth * wp.exp((log_sum - z) / gamma) * (
                            real(1.0) - (z - base_depth) / gamma
                        )
                        g_inverse = -g_z * z * z
                        for i in range(3):
                            wp.atomic_add(grad_faces, r, i, 2, -g_inverse * weights[i] * inverse[i] * inverse[i])
                        add_position_gradient(
                            grad_faces, r, corners, True, 0, real(0.0), weights, g_inverse * inverse, real(0.0)
                        )

    return types.SimpleNamespace(forward=forward, backward=backward)
