"""Which faces reach which tile of the screen: the lists that the kernels with a thread per pixel walk."""

from __future__ import annotations

import math
from itertools import accumulate

import torch
from torch import Tensor

from dr_kfs._constants import constant
from dr_kfs._kernel_launch import MAX_THREADS, TILE, kernels_like, launch_tasks
from dr_kfs._warp_runtime import quiet_warp


def face_starts(face_counts: list[int], device: torch.device) -> Tensor:
    """(views + 1,) rows where the faces of each view start, and their end; int32."""
    return constant((0, *accumulate(face_counts)), torch.int32, device)


def fill_tiles(
    face_ndc: Tensor, face_counts: list[int], *, image_size: int, reach: float, clip: float
) -> tuple[Tensor, Tensor]:
    """For each tile of each view the rows of the faces that reach it: `faces[starts[i]:starts[i + 1]]`.

    Count, scan, fill: no bin can overflow, and the host waits once, for the total. Rows keep their order (a stable
    sort), so that a pixel's sums run in the same order every time.

    Args:
        face_ndc: (R, 3, 3) corners of the faces of all views, contiguous.
        face_counts: of each view.
        image_size: side of the image [px].
        reach: how far beyond a face pixels are listed [NDC].
        clip: faces with a corner at or nearer than this depth are in no list.
    """
    from dr_kfs.rendering._tiles_warp import tile_functions

    device, views, most = face_ndc.device, len(face_counts), max(face_counts, default=0)
    tiles = views * math.ceil(image_size / TILE) ** 2
    counts = torch.zeros(len(face_ndc), dtype=torch.int32, device=device)
    if most == 0:
        return counts.new_zeros(tiles + 1), counts
    with quiet_warp():
        kernels = kernels_like(tile_functions, face_ndc)
        scene = [face_ndc, face_starts(face_counts, device)]
        numbers = [most, image_size, reach, clip]
        launch_tasks(kernels.count_tiles, scene, [*numbers, counts], views, device=device, threads=most)
        ends = counts.cumsum(0)
        total = int(ends[-1])
        if total > MAX_THREADS:
            raise ValueError(f"{total} faces in tiles are more than {MAX_THREADS}: render fewer views at a time.")
        tile, row = counts.new_empty(2, total)
        launch_tasks(kernels.list_tiles, scene, [*numbers, ends, tile, row], views, device=device, threads=most)
    tile, order = tile.sort(stable=True)
    boundaries = torch.arange(tiles + 1, dtype=torch.int32, device=device)
    return torch.searchsorted(tile, boundaries, out_int32=True), row[order]


def threads_per_view(image_size: int) -> int:
    """Of a kernel with a thread per pixel: one for each pixel of whole tiles."""
    return math.ceil(image_size / TILE) ** 2 * TILE**2
