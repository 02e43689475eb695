"""From tensors to the launches of the opaque kernels: which of them run, and how they get the faces.

The CPU kernels follow a mesh's indices. The tile kernels take loose faces, which lie side by side for their threads.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from dr_kfs._constants import constant
from dr_kfs._kernel_launch import WARP, in_lanes, kernels_like, launch_tasks
from dr_kfs._warp_runtime import quiet_warp
from dr_kfs.rendering._loose_faces import counts_by_view, loose_faces, mesh_gradients
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering._tiles_launch import face_starts, fill_tiles, threads_per_view

BUSY = 2**20
"""Threads that keep a GPU busy: where there are fewer faces, each has more warps, up to `MOST_LANES` threads."""
MOST_LANES = 64 * WARP


def forward(
    corners: Tensor,
    faces: Tensor,
    shade: Tensor,
    face_offsets: list[int],
    image_size: int,
    sigma: float,
    gamma: float,
    far: float,
    clip: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Image, alpha, depth; then, for the backward, what pixels keep, their winners, and how the faces are seen.

    Only the CPU kernels tell how: flags of `kernels/softras_lanes.h`.
    """
    if corners.device.type == "cpu" and len(faces) and not (faces.min() >= 0 and faces.max() < corners.shape[1]):
        raise IndexError(f"A face has a vertex that is not there: there are {corners.shape[1]}.")
    views = len(corners) * (len(face_offsets) - 1)
    image, alpha, depth = (corners.new_empty(views, image_size, image_size) for _ in range(3))
    padded = (views, *buffer_size(corners, image_size))
    kept = corners.new_empty(buffer_count(corners), *padded)
    winners = torch.empty(padded, dtype=torch.int32, device=corners.device)
    images = [image, alpha, depth, kept, winners]
    if in_lanes(corners):
        seen = winners.new_empty(shade.shape[0] * shade.shape[1])
        _check_owners(corners, faces, face_offsets, clip)
        scene = _indexed_scene(corners, faces, shade, face_offsets)
        numbers, threads = [views, image_size, sigma, gamma, far, clip, reach(sigma)], 1
        images = [*images, seen]
    else:
        seen = winners.new_empty(0)
        face_ndc, face_shade = (x.contiguous() for x in loose_faces(corners, faces, shade, face_offsets))
        counts = counts_by_view(len(corners), face_offsets)
        tiles = fill_tiles(face_ndc, counts, image_size=image_size, reach=reach(sigma), clip=clip)
        scene = [face_ndc, face_shade, *tiles]
        numbers, threads = [image_size, sigma, gamma, far, reach(sigma)], threads_per_view(image_size)
    _launch("forward", scene, [*numbers, *images], views, threads)
    return image, alpha, depth, kept, winners, seen


def backward(
    corners: Tensor,
    faces: Tensor,
    shade: Tensor,
    kept_tensors: tuple[Tensor, Tensor, Tensor],
    gradients: tuple[Tensor | None, Tensor | None, Tensor | None],
    face_offsets: list[int],
    sigma: float,
    gamma: float,
    clip: float,
) -> tuple[Tensor, Tensor]:
    """Gradients of `corners` and `shade`; None stands for an incoming gradient of zero."""
    kept, winners, seen = kept_tensors
    margin_rows, margin_columns = buffer_size(corners, 0)
    views, size = winners.shape[0], winners.shape[1] - margin_rows
    padding = (0, margin_columns, 0, margin_rows)
    incoming = [
        kept.new_empty(0, 0, 0) if gradient is None else torch.nn.functional.pad(gradient, padding).contiguous()
        for gradient in gradients
    ]
    if in_lanes(corners):
        scene = _indexed_scene(corners, faces, shade, face_offsets)
        grads = [torch.zeros_like(tensor, memory_format=torch.contiguous_format) for tensor in (corners, shade)]
        scratch = torch.empty_like(kept[0])
        rest = [views, size, sigma, gamma, clip, reach(sigma), kept, winners, seen, *incoming, scratch, *grads]
        _launch("backward", scene, rest, views, threads=1)
        return grads[0], grads[1]
    face_ndc, face_shade = (x.contiguous() for x in loose_faces(corners, faces, shade, face_offsets))
    grad_ndc, grad_shade = torch.zeros_like(face_ndc), torch.zeros_like(face_shade)
    counts = counts_by_view(len(corners), face_offsets)
    most = max(counts, default=0)
    lanes = _lanes(views * most) if face_ndc.is_cuda else 1
    scene = [face_ndc, face_shade, face_starts(counts, face_ndc.device)]
    numbers = [most, lanes, size, sigma, gamma, clip, reach(sigma)]
    rest = [*numbers, kept, winners, *incoming, grad_ndc.view(-1), grad_shade.view(-1)]
    _launch("backward", scene, rest, views, threads=most * lanes)
    return mesh_gradients(grad_ndc, grad_shade, corners, faces, shade, face_offsets)


def _indexed_scene(corners: Tensor, faces: Tensor, shade: Tensor, face_offsets: list[int]) -> list[Tensor]:
    """What the CPU kernels read: they follow the indices themselves."""
    starts = constant(tuple(face_offsets), torch.int32, corners.device)
    return [corners.contiguous(), faces.int().contiguous(), shade.contiguous(), starts]


def _check_owners(corners: Tensor, faces: Tensor, face_offsets: list[int], clip: float) -> None:
    """Meshes that share a vertex are an error: their threads would add to its gradient at the same time."""
    if len(face_offsets) <= 2:
        return
    counts = torch.tensor([stop - start for start, stop in pairwise(face_offsets)])
    mesh = torch.arange(len(counts)).repeat_interleave(counts)
    # Of vertices that no camera can draw nothing is added: the renderer's faces without area share one.
    drawn = (corners[..., 2] > clip).any(0)[faces].all(1)
    mesh, faces = mesh[drawn], faces[drawn]
    owner = mesh.new_full((corners.shape[1],), -1)
    owner[faces] = mesh[:, None].expand(-1, 3)
    if not torch.equal(owner[faces], mesh[:, None].expand(-1, 3)):
        raise ValueError("Two meshes share a vertex: give each its own, as `Meshes` does.")


def _lanes(faces: int) -> int:
    """CUDA threads that share the pixels of a face."""
    return min(MOST_LANES, WARP * max(1, BUSY // max(1, faces * WARP)))


def buffer_count(like: Tensor) -> int:
    """Per-pixel values that the forward keeps for the backward; `_softras_warp.py` names them."""
    return 8 if in_lanes(like) else 10


def buffer_size(like: Tensor, image_size: int) -> tuple[int, int]:
    """Rows and columns of the per-pixel buffers: patches of the CPU kernels may end outside of the image."""
    return (image_size + 1, image_size + 4) if in_lanes(like) else (image_size, image_size)


def _launch(name: str, scene: list[Tensor], rest: list[Any], views: int, threads: int) -> None:
    """Run a kernel over all views, which share no row of gradients.

    Args:
        name: of the kernel.
        scene: its arguments before `first_view`.
        rest: those after it.
        views: how many.
        threads: of each view.
    """
    if views == 0 or threads == 0:
        return
    with quiet_warp():
        if in_lanes(scene[0]):
            from dr_kfs.rendering._softras_cpu_warp import softras_cpu_kernels

            kernels = softras_cpu_kernels(flat=scene[2].shape[2] == 1)
        else:
            from dr_kfs.rendering._softras_warp import softras_kernels

            kernels = kernels_like(softras_kernels, scene[0])
        launch_tasks(getattr(kernels, name), scene, rest, views, device=scene[0].device, threads=threads)
