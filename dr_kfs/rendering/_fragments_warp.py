"""The fragment lists' kernels in Warp: one pixel per thread, the same source for CUDA and for float64 on the CPU.

`fragments.py` documents what a fragment is. A block of threads is a screen tile; all of its pixels walk the list of
the tile's faces together, so that gradients are summed over the threads before they are added to memory.

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

from dr_kfs.rendering._share_warp import share_functions
from dr_kfs.rendering._tiles_warp import tile_functions
from dr_kfs.rendering._triangles_warp import triangle_functions


@functools.cache
@no_type_check  # Warp's annotations are its own language
def fragment_kernels(real: Any) -> types.SimpleNamespace:
    """The kernels `count`, `fill` and `backward` for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)

    on_screen, tiles = triangle_functions(real), tile_functions(real)
    pixel_x, pixel_y = on_screen.pixel_x, on_screen.pixel_y
    screen_corners, inverse_depths = on_screen.screen_corners, on_screen.inverse_depths
    barycentrics, nearest_on_edges, on_edge = on_screen.barycentrics, on_screen.nearest_on_edges, on_screen.on_edge
    position_gradient, may_touch = on_screen.position_gradient, on_screen.may_touch
    share_of, share_gradient = share_functions(real).share_of, share_functions(real).share_gradient
    any_in_warp, add_to_face, tile_pixel = tiles.any_in_warp, tiles.add_to_face, tiles.tile_pixel

    @wp.kernel(module="unique", enable_backward=False)
    def count(
        faces: wp.array3d(dtype=real),  # (R, 3, 3): x, y [NDC], depth; R = faces of all views
        shades: wp.array2d(dtype=real),  # (R, 3)
        tile_starts: wp.array(dtype=wp.int32),  # (views * tiles + 1,)
        tile_faces: wp.array(dtype=wp.int32),  # rows of the faces that reach each tile, ascending
        first_view: int,
        size: int,
        reach: real,
        counts: wp.array2d(dtype=wp.int32),  # (views, at least H W)
    ):
        place = tile_pixel(wp.tid(), first_view, size)
        row = place[1]
        column = place[2]
        if row >= size or column >= size:
            return
        x = pixel_x(column, size)
        y = pixel_y(row, size)
        fragments = int(0)
        for entry in range(tile_starts[place[3]], tile_starts[place[3] + 1]):
            corners = screen_corners(faces, tile_faces[entry], x, y)
            if may_touch(corners, reach):
                covers, _weights = barycentrics(corners)
                squared, _edge, _along = nearest_on_edges(corners)
                if covers or squared < reach * reach:
                    fragments += 1
        counts[place[0], row * size + column] = fragments

    @wp.kernel(module="unique", enable_backward=False)
    def fill(
        faces: wp.array3d(dtype=real),
        shades: wp.array2d(dtype=real),
        tile_starts: wp.array(dtype=wp.int32),
        tile_faces: wp.array(dtype=wp.int32),
        first_view: int,
        size: int,
        reach: real,
        starts: wp.array(dtype=wp.int32),  # (views H W + 1,) first fragment of each pixel
        fragment_face: wp.array(dtype=wp.int32),  # (K,)
        fragment_depth: wp.array(dtype=real),
        fragment_shade: wp.array(dtype=real),
        fragment_signed: wp.array(dtype=real),
        fragment_share: wp.array(dtype=real),
    ):
        place = tile_pixel(wp.tid(), first_view, size)
        row = place[1]
        column = place[2]
        if row >= size or column >= size:
            return
        x = pixel_x(column, size)
        y = pixel_y(row, size)
        pixel = (place[0] * size + row) * size + column
        next = starts[pixel]
        stop = starts[pixel + 1]
        face = int(0)
        z = real(1.0)
        shade = real(0.0)
        for entry in range(tile_starts[place[3]], tile_starts[place[3] + 1]):
            r = tile_faces[entry]
            corners = screen_corners(faces, r, x, y)
            if may_touch(corners, reach):
                covers, weights = barycentrics(corners)
                squared, edge, along = nearest_on_edges(corners)
                if (covers or squared < reach * reach) and next < stop:
                    if not covers:
                        weights = on_edge(edge, along)
                        squared = -squared
                    weights = wp.cw_mul(weights, inverse_depths(faces, r))
                    face = r
                    z = real(1.0) / (weights[0] + weights[1] + weights[2])
                    shade = z * (weights[0] * shades[r, 0] + weights[1] * shades[r, 1] + weights[2] * shades[r, 2])
                    fragment_face[next] = face
                    fragment_depth[next] = z
                    fragment_shade[next] = shade
                    fragment_signed[next] = squared
                    fragment_share[next] = share_of(corners, reach)
                    next += 1
        # A GPU compiler may round a distance that equals the reach to the last bit differently here than in `count`.
        # An entry that is left over then becomes a fragment at the reach, where composites no longer see it.
        for k in range(next, stop):
            fragment_face[k] = face
            fragment_depth[k] = z
            fragment_shade[k] = shade
            fragment_signed[k] = -reach * reach
            fragment_share[k] = real(0.0)

    @wp.kernel(module="unique", enable_backward=False)
    def backward(
        faces: wp.array3d(dtype=real),
        shades: wp.array2d(dtype=real),
        tile_starts: wp.array(dtype=wp.int32),
        tile_faces: wp.array(dtype=wp.int32),
        first_view: int,
        size: int,
        reach: real,
        starts: wp.array(dtype=wp.int32),
        fragment_face: wp.array(dtype=wp.int32),
        grad_depth: wp.array(dtype=real),  # (K,), or empty: no gradient
        grad_shade: wp.array(dtype=real),
        grad_signed: wp.array(dtype=real),
        grad_share: wp.array(dtype=real),
        grad_faces: wp.array(dtype=real),  # (9 R,): x, y, depth of each corner; zero on entry
        grad_shades: wp.array(dtype=real),  # (3 R,); zero on entry
    ):
        place = tile_pixel(wp.tid(), first_view, size)
        row = place[1]
        column = place[2]
        x = pixel_x(column, size)
        y = pixel_y(row, size)
        next = int(0)
        stop = int(0)
        if row < size and column < size:
            pixel = (place[0] * size + row) * size + column
            next = starts[pixel]
            stop = starts[pixel + 1]
        if not any_in_warp(next < stop):
            return
        for entry in range(tile_starts[place[3]], tile_starts[place[3] + 1]):
            r = tile_faces[entry]
            # The pixel's list runs in the order of the tile's.
            mine = bool(False)
            if next < stop:
                mine = fragment_face[next] == r
            g_z = real(0.0)
            g_shade = real(0.0)
            g_signed = real(0.0)
            g_share = real(0.0)
            if mine:
                if grad_depth.shape[0] > 0:
                    g_z = grad_depth[next]
                if grad_shade.shape[0] > 0:
                    g_shade = grad_shade[next]
                if grad_signed.shape[0] > 0:
                    g_signed = grad_signed[next]
                if grad_share.shape[0] > 0:
                    g_share = grad_share[next]
                next += 1
            active = g_z != real(0.0) or g_shade != real(0.0) or g_signed != real(0.0) or g_share != real(0.0)
            if any_in_warp(active):
                g_xy = mat32()
                g_corner_z = vec3()
                g_corner_shade = vec3()
                if active:
                    corners = screen_corners(faces, r, x, y)
                    covers, weights = barycentrics(corners)
                    _squared, edge, along = nearest_on_edges(corners)
                    if not covers:
                        weights = on_edge(edge, along)
                        g_signed = -g_signed
                    # shade = z sum w_i s_i / z_i and 1/z = sum w_i / z_i, in the screen weights w and the corners.
                    inverse = inverse_depths(faces, r)
                    z = real(1.0) / wp.dot(weights, inverse)
                    perspective = z * wp.cw_mul(weights, inverse)  # (3,) perspective-correct barycentrics
                    corner_shade = vec3(shades[r, 0], shades[r, 1], shades[r, 2])
                    g_inverse = -g_shade * wp.dot(perspective, corner_shade) * z - g_z * z * z
                    g_weights = vec3()
                    for i in range(3):
                        per_weight = g_shade * z * corner_shade[i] + g_inverse
                        g_weights[i] = per_weight * inverse[i]
                        g_corner_z[i] = -per_weight * weights[i] * inverse[i] * inverse[i]
                        g_corner_shade[i] = g_shade * perspective[i]
                    g_xy = position_gradient(corners, covers, edge, along, weights, g_weights, g_signed)
                    if g_share != real(0.0):
                        g_xy += share_gradient(corners, reach, g_share)
                add_to_face(grad_faces, grad_shades, r, g_xy, g_corner_z, g_corner_shade)

    return types.SimpleNamespace(count=count, fill=fill, backward=backward)
