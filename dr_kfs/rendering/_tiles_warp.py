"""Faces and the screen: the tiles and pixels that a face reaches, and how its gradients are added to memory.

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

# Threads of a CUDA warp sum before one of them adds to memory. All of them must arrive here, whatever they have to
# add, with the same face: the callers' loops run over the faces of a tile, the same for all threads of a block, or
# give each face whole warps.
_ADD_OVER_WARP = """
#if defined(__CUDA_ARCH__)
    for (int step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
    if ((threadIdx.x & 31) == 0) wp::atomic_add(target, index, value);
#else
    wp::atomic_add(target, index, value);
#endif
"""
_ANY_IN_WARP = """
#if defined(__CUDA_ARCH__)
    return __any_sync(0xffffffffu, mine) != 0;
#else
    return mine;
#endif
"""


@functools.cache
@no_type_check  # Warp's annotations are its own language
def tile_functions(real: Any) -> types.SimpleNamespace:
    """Pixels of a tile and sums over a CUDA warp, for `real` = wp.float32 or wp.float64."""
    vec3 = wp.types.vector(length=3, dtype=real)
    mat32 = wp.types.matrix(shape=(3, 2), dtype=real)

    @wp.func_native(_ANY_IN_WARP)
    def any_in_warp(mine: bool) -> bool: ...

    @wp.func_native(_ADD_OVER_WARP)
    def add_over_warp(target: wp.array(dtype=real), index: int, value: real): ...

    @wp.func
    def add_to_face(
        grad_faces: wp.array(dtype=real), grad_shades: wp.array(dtype=real), r: int, xy: mat32, z: vec3, shade: vec3
    ):
        """Add to the gradients of row `r`; all threads of a CUDA warp must call with the same row."""
        for i in range(3):
            add_over_warp(grad_faces, 9 * r + 3 * i, xy[i, 0])
            add_over_warp(grad_faces, 9 * r + 3 * i + 1, xy[i, 1])
            add_over_warp(grad_faces, 9 * r + 3 * i + 2, z[i])
            add_over_warp(grad_shades, 3 * r + i, shade[i])

    @wp.func
    def tile_pixel(thread: int, first_view: int, size: int) -> wp.vec4i:
        """View, row, column and tile of a thread; the last tiles reach over the border."""
        tiles = (size + TILE - 1) // TILE
        tile = thread // (TILE * TILE)
        within = thread % (TILE * TILE)
        view = first_view + tile // (tiles * tiles)
        row = (tile // tiles) % tiles * TILE + within // TILE
        column = tile % tiles * TILE + within % TILE
        return wp.vec4i(view, row, column, first_view * tiles * tiles + tile)

    @wp.func
    def reached_pixels(faces: wp.array3d(dtype=real), r: int, size: int, reach: real, clip: real) -> wp.vec4i:
        """First column, first row, width and height of the pixels that a face may reach; 0, 0 if it is dropped."""
        box = wp.vec4i(0, 0, 0, 0)
        low_x = wp.min(wp.min(faces[r, 0, 0], faces[r, 1, 0]), faces[r, 2, 0]) - reach
        high_x = wp.max(wp.max(faces[r, 0, 0], faces[r, 1, 0]), faces[r, 2, 0]) + reach
        low_y = wp.min(wp.min(faces[r, 0, 1], faces[r, 1, 1]), faces[r, 2, 1]) - reach
        high_y = wp.max(wp.max(faces[r, 0, 1], faces[r, 1, 1]), faces[r, 2, 1]) + reach
        drawn = bool(True)
        for i in range(3):
            # A comparison with NaN is false; what is infinite is neither near nor far.
            drawn = drawn and faces[r, i, 2] > clip and faces[r, i, 2] < real(1e30)
            drawn = drawn and wp.abs(faces[r, i, 0]) < real(1e30) and wp.abs(faces[r, i, 1]) < real(1e30)
        on_screen = low_x <= real(1.0) and high_x >= real(-1.0) and low_y <= real(1.0) and high_y >= real(-1.0)
        if drawn and on_screen:
            # Centres lie at (2 column + 1 - size) / size, and y points up. A hundredth of a pixel absorbs rounding.
            half = real(0.5) * real(size)
            last = real(size - 1)  # clamped before they are integers, which hold less
            first_column = int(wp.max(wp.ceil((low_x + real(1.0)) * half - real(0.51)), real(0.0)))
            last_column = int(wp.min(wp.floor((high_x + real(1.0)) * half - real(0.49)), last))
            first_row = int(wp.max(wp.ceil((real(1.0) - high_y) * half - real(0.51)), real(0.0)))
            last_row = int(wp.min(wp.floor((real(1.0) - low_y) * half - real(0.49)), last))
            if last_column >= first_column and last_row >= first_row:
                box = wp.vec4i(first_column, first_row, last_column - first_column + 1, last_row - first_row + 1)
        return box

    @wp.func
    def reached_tiles(faces: wp.array3d(dtype=real), r: int, size: int, reach: real, clip: real) -> wp.vec4i:
        """The same in tiles."""
        box = reached_pixels(faces, r, size, reach, clip)
        tiles = box
        if box[2] > 0:
            for axis in range(2):
                first = box[axis] // TILE
                tiles[axis] = first
                tiles[axis + 2] = (box[axis] + box[axis + 2] - 1) // TILE - first + 1
        return tiles

    @wp.kernel(module="unique", enable_backward=False)
    def count_tiles(
        faces: wp.array3d(dtype=real),  # (R, 3, 3): x, y [NDC], depth; R = faces of all views
        view_starts: wp.array(dtype=wp.int32),  # (views + 1,): the rows of each view's faces
        first_view: int,
        faces_per_view: int,  # at most
        size: int,
        reach: real,
        clip: real,
        counts: wp.array(dtype=wp.int32),  # (R,): how many tiles each face reaches
    ):
        thread = wp.tid()
        view = first_view + thread // faces_per_view
        r = view_starts[view] + thread % faces_per_view
        if r < view_starts[view + 1]:
            box = reached_tiles(faces, r, size, reach, clip)
            counts[r] = box[2] * box[3]

    @wp.kernel(module="unique", enable_backward=False)
    def list_tiles(
        faces: wp.array3d(dtype=real),
        view_starts: wp.array(dtype=wp.int32),
        first_view: int,
        faces_per_view: int,
        size: int,
        reach: real,
        clip: real,
        ends: wp.array(dtype=wp.int64),  # (R,): running sum of the counts
        tile: wp.array(dtype=wp.int32),  # (total,): which tile of which view, for each face and tile that it reaches
        row: wp.array(dtype=wp.int32),  # (total,): the face
    ):
        thread = wp.tid()
        view = first_view + thread // faces_per_view
        r = view_starts[view] + thread % faces_per_view
        if r >= view_starts[view + 1]:
            return
        box = reached_tiles(faces, r, size, reach, clip)
        along = (size + TILE - 1) // TILE
        count = box[2] * box[3]
        first = int(ends[r]) - count
        for k in range(count):
            tile[first + k] = (view * along + box[1] + k // box[2]) * along + box[0] + k % box[2]
            row[first + k] = r

    return types.SimpleNamespace(
        any_in_warp=any_in_warp,
        add_to_face=add_to_face,
        tile_pixel=tile_pixel,
        reached_pixels=reached_pixels,
        count_tiles=count_tiles,
        list_tiles=list_tiles,
    )
