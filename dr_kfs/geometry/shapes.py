"""Anything shape-like as meshes: the one place where other types and files are converted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dr_kfs.geometry import _packing as packing
from dr_kfs.geometry import _shape_types as shape_types
from dr_kfs.geometry.io import MESH_SUFFIXES, PathLike, load_meshes
from dr_kfs.geometry.marching_cubes import marching_cubes
from dr_kfs.geometry.meshes import Meshes
from dr_kfs.geometry.soft_surface import SoftSurface
from dr_kfs.geometry.voxel_files import ARRAY_SUFFIXES, VOXEL_SUFFIXES, Layout, load_voxels
from dr_kfs.geometry.voxels import Bounds, FieldKind, SamplePlace, VoxelGrid

__all__ = ["as_meshes", "as_surface", "load_shapes"]

_ACCEPTED = (
    "a Meshes, a VoxelGrid, a trimesh.Trimesh or trimesh.Scene, a pytorch3d Meshes, a pair (vertices, faces) of "
    "tensors or arrays of shape (N, 3) and (F, 3), or (B, N, 3) and (F, 3) or (B, F, 3), or a sequence of these"
)

Shape = Any
"""What `as_meshes` takes: `Meshes`, `VoxelGrid`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence."""


def as_meshes(shape: Any) -> Meshes:
    """Anything shape-like as a `Meshes`.

    Args:
        shape: a `Meshes` (returned as it is); a `VoxelGrid` (its `marching_cubes` at the usual level); a
            `trimesh.Trimesh` or `trimesh.Scene` (float32); a `pytorch3d.structures.Meshes`; a pair (vertices, faces)
            of tensors or arrays, either of one mesh, (N, 3) and (F, 3), or of a batch, (B, N, 3) with shared faces
            (F, 3) or with (B, F, 3); or a sequence of any of these, whose items are put one after the other.
            Gradients flow back to tensors.

    Raises:
        TypeError: something else came.
        ValueError: a mesh is malformed; the message names the batch item.
    """
    return _as_meshes(shape, 0)


def as_surface(shape: Any) -> Meshes | SoftSurface:
    """What a renderer draws: a `SoftSurface` as it is, anything else shape-like as a `Meshes`; see `as_meshes`."""
    return shape if isinstance(shape, SoftSurface) else _as_meshes(shape, 0)


def load_shapes(
    paths: PathLike | Sequence[PathLike],
    *,
    level: float | None = None,
    kind: FieldKind = "probability",
    layout: Layout = "xyz",
    bounds: Bounds = (-0.5, 0.5),
    sample: SamplePlace = "center",
    variable: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Meshes:
    """Shapes from files of any kind, as meshes: those of `load_meshes` and those of `load_voxels`, by their suffix.

    A mesh file is one item of the batch, a voxel file as many as it holds. A volume without a surface is an empty
    mesh: a prediction may be empty.

    Args:
        paths: one file, or a sequence of files, in any mix of formats.
        level: of the surface in volumes; see `marching_cubes`. Not of a binvox file, whose voxels are inside or not.
        kind: of the arrays (.npy, .npz, .mat), as are the next four: see `load_voxels`.
        layout: order of their axes.
        bounds: box that they fill [world units].
        sample: where in it their samples are.
        variable: which one of a file, if it holds several.
        device: where the meshes go; the CPU by default.
        dtype: floating-point type of the vertices.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds no shape (the message names the file), an unknown option, or a level that the
            kind does not have.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise ValueError("Expected at least one file, got none.")
    options = {"kind": kind, "layout": layout, "bounds": bounds, "sample": sample, "variable": variable}
    return Meshes.cat([_load(Path(file), level, options, device, dtype) for file in files])


def _load(
    path: Path, level: float | None, options: dict[str, Any], device: torch.device | str | None, dtype: torch.dtype
) -> Meshes:
    if path.suffix.lower() in VOXEL_SUFFIXES:
        grid = load_voxels(path, **options, device=device, dtype=torch.promote_types(dtype, torch.float32))
        graded = path.suffix.lower() in ARRAY_SUFFIXES
        return marching_cubes(grid, level=level if graded else None).to(dtype=dtype)
    if path.suffix.lower() in MESH_SUFFIXES or path.is_dir():
        return load_meshes(path, device=device, dtype=dtype)
    suffixes = ", ".join(sorted((*MESH_SUFFIXES, *VOXEL_SUFFIXES)))
    raise ValueError(f"{path}: expected a file of {suffixes}, got {path.suffix or 'no suffix'}.")


def _as_meshes(shape: Any, first_item: int) -> Meshes:
    if isinstance(shape, Meshes):
        return shape
    if isinstance(shape, VoxelGrid):
        return marching_cubes(shape)
    if shape_types.is_trimesh(shape):
        vertices, faces = shape_types.trimesh_arrays(shape, first_item, torch.float32)
        return _packed([vertices], [faces], first_item).to(dtype=torch.float32)
    if shape_types.is_pytorch3d(shape):
        return _packed(shape.verts_list(), shape.faces_list(), first_item)
    if not shape_types.is_plain_sequence(shape):
        way_out = " For a volume pass VoxelGrid.in_box(values)." if isinstance(shape, Tensor | np.ndarray) else ""
        if isinstance(shape, SoftSurface):
            way_out = " It is no mesh, and no target: pass marching_cubes(grid)."
        if type(shape).__name__ == "ShapeCode":
            way_out = " A code is no shape, and several codes are one: ShapeCode.cat(codes)."
        raise TypeError(f"item {first_item}: expected {_ACCEPTED}; got {type(shape).__name__}.{way_out}")
    if len(shape) == 2 and all(isinstance(part, Tensor | np.ndarray) for part in shape):
        return _pair_to_meshes(shape[0], shape[1], first_item)
    if not shape:
        raise ValueError("Expected at least one shape, got an empty sequence.")
    batches: list[Meshes] = []
    for part in shape:
        batches.append(_as_meshes(part, first_item))
        first_item += len(batches[-1])
    return Meshes.cat(batches)


def _pair_to_meshes(vertices: Tensor | np.ndarray, faces: Tensor | np.ndarray, first_item: int) -> Meshes:
    if vertices.ndim == 2:
        return _packed([vertices], [faces], first_item)
    if vertices.ndim != 3 or faces.ndim not in (2, 3) or (faces.ndim == 3 and len(faces) != len(vertices)):
        raise ValueError(
            f"item {first_item}: a pair (vertices, faces) needs shapes (N, 3) and (F, 3), or (B, N, 3) and "
            f"(F, 3) or (B, F, 3), got {tuple(vertices.shape)} and {tuple(faces.shape)}."
        )
    return _packed(list(vertices), list(faces) if faces.ndim == 3 else [faces] * len(vertices), first_item)


def _packed(vertices: Sequence[Tensor | np.ndarray], faces: Sequence[Tensor | np.ndarray], first_item: int) -> Meshes:
    return Meshes(*packing.pack(vertices, faces, allow_empty=False, first_item=first_item))
