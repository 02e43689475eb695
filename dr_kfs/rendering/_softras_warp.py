"""The soft rasterizer's kernels in Warp: the same source for CUDA and for float64 on the CPU.

`softras.py` documents the formulas, `_softras_reference.py` states them in PyTorch; the kernels follow the same
three steps (base, layer, occluders) with the same names. The **forward** gives each pixel a thread; a block is a screen
tile, whose pixels walk the list of the tile's faces together, so that no face is ever dropped. The **backward** gives
each face a warp, whose threads walk the pixels that the face reaches: what a face gathers stays in registers and is
added to memory once. It is written by hand (Warp's automatic adjoint is wrong for loop-carried state) and is the exact
derivative of the forward, which keeps for it how each pixel changes with the depth of its base.

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

from dr_kfs._kernel_launch import TILE
from dr_kfs.rendering._softras_reference import CUTOFF, LAYER_MARGIN, MIN_HALO
from dr_kfs.rendering._tiles_warp import tile_functions
from dr_kfs.rendering._triangles_warp import triangle_functions

# Planes of `kept`, (10, views, H, W).
KEPT_BASE_DEPTH = wp.constant(0)
KEPT_LOG_SUM = wp.constant(1)  # -gamma log sum exp(-z / gamma) over the covering faces; infinite where there are none
KEPT_LAYER_TOTAL = wp.constant(2)
KEPT_LAYER_SHADE = wp.constant(3)
KEPT_FRONT = wp.constant(4)
KEPT_MIX_TOTAL = wp.constant(5)
KEPT_FRONT_SHADE = wp.constant(6)
KEPT_FRONT_DEPTH = wp.constant(7)
KEPT_IMAGE_SLOPE = wp.constant(8)  # d image / d base depth
KEPT_DEPTH_SLOPE = wp.constant(9)  # d depth image / d base depth

CUDA_OPTIONS: dict[str, Any] = {"launch_bounds": (TILE**2, 12), "module_options": {"fast_math": True}}
"""Twelve blocks on a multiprocessor, at 80 registers a thread, and the GPU's own division and exponential: together
they take a third off the kernels in float32 (H200, 20,480 faces: forward 1.44 to 0.97 ms, backward 1.40 to 1.03 ms)."""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def softras_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `forward` and `backward` for `real` = wp.float32 or wp.float64."""
    options = CUDA_OPTIONS if real is wp.float32 else {}
    vec3 = wp.types.vector(length=3, dtype=real)
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)
    cutoff, margin = wp.constant(real(CUTOFF)), wp.constant(real(LAYER_MARGIN))
    min_halo = wp.constant(real(MIN_HALO))
    no_base = wp.constant(real(1e30))
    # So far behind the base [gamma] a face has exp(-40) of a share: less than float64 resolves.
    hidden_after = wp.constant(real(40.0))

    on_screen, tiles = triangle_functions(real), tile_functions(real)
    add_to_face, tile_pixel, reached_pixels = tiles.add_to_face, tiles.tile_pixel, tiles.reached_pixels
    sigmoid, fade_of = on_screen.sigmoid, on_screen.fade_of
    pixel_x, pixel_y = on_screen.pixel_x, on_screen.pixel_y
    screen_corners, inverse_depths = on_screen.screen_corners, on_screen.inverse_depths
    barycentrics, nearest_on_edges, on_edge = on_screen.barycentrics, on_screen.nearest_on_edges, on_screen.on_edge
    position_gradient, may_touch, hidden = on_screen.position_gradient, on_screen.may_touch, on_screen.hidden

    @wp.kernel(module="unique", enable_backward=False, **options)
    def forward(
        faces: wp.array3d(dtype=real),  # (R, 3, 3): x, y [NDC], depth; R = faces of all views
        shades: wp.array2d(dtype=real),  # (R, 3)
        tile_starts: wp.array(dtype=wp.int32),  # (views * tiles + 1,)
        tile_faces: wp.array(dtype=wp.int32),  # rows of the faces that reach each tile
        first_view: int,
        size: int,
        sigma: real,
        gamma: real,
        far: real,
        reach: real,
        image: wp.array3d(dtype=real),  # (views, H, W)
        alpha: wp.array3d(dtype=real),
        depth_image: wp.array3d(dtype=real),
        kept: wp.array4d(dtype=real),  # (10, views, H, W)
        winners: wp.array3d(dtype=wp.int32),  # the occluder with the largest coverage; -1: none
    ):
        place = tile_pixel(wp.tid(), first_view, size)
        view = place[0]
        py = place[1]
        px = place[2]
        if py >= size or px >= size:
            return
        x = pixel_x(px, size)
        y = pixel_y(py, size)
        start = tile_starts[place[3]]
        stop = tile_starts[place[3] + 1]

        # Base: softmin of the depth over the faces that cover the centre, in one pass.
        nearest = no_base
        total = real(0.0)
        depth_sum = real(0.0)
        for k in range(start, stop):
            r = tile_faces[k]
            corners = screen_corners(faces, r, x, y)
            if may_touch(corners, reach):
                covers, weights = barycentrics(corners)
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
        hidden_from = no_base
        if has_base:
            hidden_from = base_depth + hidden_after * gamma
        layer_total = real(0.0)
        layer_shade = real(0.0)
        front = real(0.0)
        winner = int(-1)
        mix_total = real(0.0)
        mix_shade = real(0.0)
        mix_depth = real(0.0)
        # Derivatives by the depth of the base, times gamma: of the faces' shares, and of half their halos' squares.
        share_slope = real(0.0)
        share_slope_shade = real(0.0)
        front_slope = real(0.0)
        halo_slope = real(0.0)
        halo_slope_shade = real(0.0)
        halo_slope_depth = real(0.0)
        for k in range(start, stop):
            r = tile_faces[k]
            corners = screen_corners(faces, r, x, y)
            if may_touch(corners, reach) and not hidden(faces, r, hidden_from):
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
                        near = sigmoid(-behind)
                        share = share * near * (real(1.0) - occludes)
                        layer_total += share
                        layer_shade += share * shade
                        slope = share * (real(1.0) - near - occludes)
                        share_slope += slope
                        share_slope_shade += slope * shade
                    halo = fade * occludes
                    if not covers and halo > min_halo:
                        slope = real(0.0)
                        if has_base:
                            slope = halo * (real(1.0) - occludes)
                        if halo > front:
                            front = halo
                            front_slope = slope
                            winner = r
                        mix_total += halo * halo
                        mix_shade += halo * halo * shade
                        mix_depth += halo * halo * z
                        halo_slope += halo * slope
                        halo_slope_shade += halo * slope * shade
                        halo_slope_depth += halo * slope * z
        image_slope = real(0.0)
        depth_slope = real(0.0)
        if has_base:
            layer_shade = layer_shade / layer_total
            image_slope = (real(1.0) - front) * (share_slope_shade - layer_shade * share_slope) / layer_total
        if mix_total > real(0.0):
            mix_shade = mix_shade / mix_total
            mix_depth = mix_depth / mix_total
            per_halo = real(2.0) * front / mix_total
            image_slope += per_halo * (halo_slope_shade - mix_shade * halo_slope)
            image_slope += front_slope * (mix_shade - layer_shade)
            depth_slope += per_halo * (halo_slope_depth - mix_depth * halo_slope)
            depth_slope += front_slope * (mix_depth - base_depth)

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
        kept[KEPT_IMAGE_SLOPE, view, py, px] = image_slope / gamma
        kept[KEPT_DEPTH_SLOPE, view, py, px] = depth_slope / gamma + real(1.0) - front
        winners[view, py, px] = winner

    @wp.kernel(module="unique", enable_backward=False, **options)
    def backward(
        faces: wp.array3d(dtype=real),
        shades: wp.array2d(dtype=real),
        view_starts: wp.array(dtype=wp.int32),  # (views + 1,): the rows of each view's faces
        first_view: int,
        faces_per_view: int,  # at most
        lanes: int,  # threads of a face: a multiple of a warp on CUDA, 1 on the CPU
        size: int,
        sigma: real,
        gamma: real,
        clip: real,
        reach: real,
        kept: wp.array4d(dtype=real),
        winners: wp.array3d(dtype=wp.int32),
        grad_image: wp.array3d(dtype=real),  # (views, H, W), or empty: no gradient
        grad_alpha: wp.array3d(dtype=real),
        grad_depth: wp.array3d(dtype=real),
        grad_faces: wp.array(dtype=real),  # (9 R,): x, y, depth of each corner; zero on entry
        grad_shades: wp.array(dtype=real),  # (3 R,); zero on entry
    ):
        thread = wp.tid()
        view = first_view + thread // (faces_per_view * lanes)
        within = thread % (faces_per_view * lanes)
        r = view_starts[view] + within // lanes
        if r >= view_starts[view + 1]:
            return
        box = reached_pixels(faces, r, size, reach, clip)  # first column and row, width and height
        inverse = inverse_depths(faces, r)
        corner_shade = vec3(shades[r, 0], shades[r, 1], shades[r, 2])
        g_xy = mat32()
        g_corner_z = vec3()
        g_corner_shade = vec3()
        for p in range(within % lanes, box[2] * box[3], lanes):
            px = box[0] + p % box[2]
            py = box[1] + p // box[2]
            g_image = real(0.0)
            g_depth = real(0.0)
            g_alpha = real(0.0)
            if grad_image.shape[0] > 0:
                g_image = grad_image[view, py, px]
            if grad_depth.shape[0] > 0:
                g_depth = grad_depth[view, py, px]
            if grad_alpha.shape[0] > 0:
                g_alpha = grad_alpha[view, py, px]
            corners = screen_corners(faces, r, pixel_x(px, size), pixel_y(py, size))
            covers = bool(False)
            weights = vec3()
            edge = int(0)
            along = real(0.0)
            fade = real(0.0)
            active = g_image != real(0.0) or g_depth != real(0.0) or g_alpha != real(0.0)
            base_depth = real(0.0)
            log_sum = real(0.0)
            if active and may_touch(corners, reach):
                base_depth = kept[KEPT_BASE_DEPTH, view, py, px]
                log_sum = kept[KEPT_LOG_SUM, view, py, px]
                if log_sum >= no_base or not hidden(faces, r, base_depth + hidden_after * gamma):
                    covers, weights = barycentrics(corners)
                    squared, edge, along = nearest_on_edges(corners)
                    fade = fade_of(squared, sigma)
            if covers or fade > real(0.0):
                layer_shade = kept[KEPT_LAYER_SHADE, view, py, px]
                front = kept[KEPT_FRONT, view, py, px]
                mix_shade = kept[KEPT_FRONT_SHADE, view, py, px]
                mix_depth = kept[KEPT_FRONT_DEPTH, view, py, px]
                has_base = log_sum < no_base
                if not covers:
                    weights = on_edge(edge, along)
                z = real(1.0) / wp.dot(weights, inverse)
                perspective = z * wp.cw_mul(weights, inverse)  # (3,) perspective-correct barycentrics
                shade = wp.dot(perspective, corner_shade)

                g_shade = real(0.0)
                g_z = real(0.0)
                g_fade = real(0.0)
                occludes = real(1.0)
                if has_base:
                    behind = (z - base_depth) / gamma
                    occludes = sigmoid(-behind - margin)
                    near = sigmoid(-behind)
                    window = near * (real(1.0) - occludes)
                    area = real(0.5) * fade
                    if covers:
                        area = real(1.0) - area
                    g_layer = g_image * (real(1.0) - front) / kept[KEPT_LAYER_TOTAL, view, py, px]
                    g_shade += g_layer * area * window
                    g_share = g_layer * (shade - layer_shade)
                    if covers:
                        g_fade -= real(0.5) * g_share * window
                        # Its part of the base, whose depth moves the whole pixel.
                        g_base_depth = g_image * kept[KEPT_IMAGE_SLOPE, view, py, px]
                        g_base_depth += g_depth * kept[KEPT_DEPTH_SLOPE, view, py, px]
                        # It covered in the forward too, but for rounding: then log_sum <= z.
                        part = wp.exp(wp.min((log_sum - z) / gamma, real(0.0)))
                        g_z += g_base_depth * part * (real(1.0) - behind)
                    else:
                        g_fade += real(0.5) * g_share * window
                    g_z += g_share * area * window * (occludes - (real(1.0) - near)) / gamma
                halo = fade * occludes
                mix_total = kept[KEPT_MIX_TOTAL, view, py, px]
                if not covers and halo > min_halo and mix_total > real(0.0):
                    g_mix = front * halo / mix_total
                    g_shade += g_image * g_mix * halo
                    g_z += g_depth * g_mix * halo
                    g_halo = real(2.0) * g_mix * (g_image * (shade - mix_shade) + g_depth * (z - mix_depth))
                    if r == winners[view, py, px]:
                        # image = (1 - front) layer_shade + front mix_shade, and the depth alike.
                        g_halo += g_image * (mix_shade - layer_shade) + g_depth * (mix_depth - base_depth)
                        if not has_base:
                            g_halo += g_alpha
                    g_fade += g_halo * occludes
                    if has_base:
                        g_z -= g_halo * halo * (real(1.0) - occludes) / gamma

                # shade = z sum w_i s_i / z_i and 1/z = sum w_i / z_i, in the screen weights w and the corners.
                g_inverse = -g_shade * shade * z - g_z * z * z
                g_weights = vec3()
                for i in range(3):
                    per_weight = g_shade * z * corner_shade[i] + g_inverse
                    g_weights[i] = per_weight * inverse[i]
                    g_corner_z[i] = g_corner_z[i] - per_weight * weights[i] * inverse[i] * inverse[i]
                    g_corner_shade[i] = g_corner_shade[i] + g_shade * perspective[i]
                g_squared = real(0.0)
                if fade > real(0.0):
                    g_squared = -g_fade * (fade + cutoff / (real(1.0) - cutoff)) / sigma
                g_xy += position_gradient(corners, covers, edge, along, weights, g_weights, g_squared)
        add_to_face(grad_faces, grad_shades, r, g_xy, g_corner_z, g_corner_shade)

    return types.SimpleNamespace(forward=forward, backward=backward)
