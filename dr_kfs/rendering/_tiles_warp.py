"""Blocks of threads as screen tiles: where a thread's pixel lies, and how its gradients are added to memory.

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

from dr_kfs.rendering._kernel_launch import TILE

# Threads of a CUDA warp sum before one of them adds to memory. All of them must arrive here, whatever they have to
# add: the callers' loops run over the tile's faces, which are the same for all threads of a block.
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

    return types.SimpleNamespace(any_in_warp=any_in_warp, add_to_face=add_to_face, tile_pixel=tile_pixel)
