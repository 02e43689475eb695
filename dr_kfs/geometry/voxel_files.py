"""Reads volumes from files and writes them: binvox, and arrays of NumPy and MATLAB."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import torch

from dr_kfs.geometry import _binvox as binvox
from dr_kfs.geometry._field_kinds import FieldKind, check_level, check_values, is_inside
from dr_kfs.geometry.voxels import Bounds, SamplePlace, VoxelGrid, expect_grid
from dr_kfs.whole_files import check_suffix, written_whole

__all__ = ["Layout", "load_voxels", "save_voxels"]

PathLike = str | os.PathLike[str]
Layout = Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx", "matryoshka"]
"""The order of an array's axes; `"matryoshka"` is x, y, z, all three running backwards."""

ARRAY_SUFFIXES = (".mat", ".npy", ".npz")
"""Formats that do not say what their numbers mean, but for a .npz of `save_voxels`."""
VOXEL_SUFFIXES = (".binvox", *ARRAY_SUFFIXES)
"""Formats that `load_voxels` reads."""


def load_voxels(
    paths: PathLike | Sequence[PathLike],
    *,
    kind: FieldKind = "probability",
    layout: Layout = "xyz",
    bounds: Bounds = (-0.5, 0.5),
    sample: SamplePlace = "center",
    variable: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> VoxelGrid:
    """Volumes from files: .binvox, .npy, .npz and .mat (up to version 7), by their suffix.

    A binvox file says all there is to know, and the options do not apply to it: voxel (i, j, k) of d^3 is centred at
    `translate + scale * ((i, j, k) + 0.5) / d`, and its bytes run along y fastest, then z, then x. So does a .npz
    file that `save_voxels` wrote. Other arrays need the options, and may have the shapes (X, Y, Z), (B, X, Y, Z),
    (B, 1, X, Y, Z), or that of 3D-R2N2. What the networks write:

        3D-R2N2      (B, X, 2, Y, Z): channels 0 and 1 of axis 2 are the softmax of empty and full. Its targets are
                     binvox files with the axes x, y, z, y up; it is evaluated at level 0.4. `layout="xyz"`.
        Matryoshka   `.vox.mat` files with one variable, `voxel`: the axes x, y, z of a binvox file, all reversed.
                     `layout="matryoshka"`. A `.shl.mat` file holds shape layers: decode it with the network's code.
        OGN          `.ot` octrees: expand them with its `octree_to_voxel_grid`, and save the array. The axes are in
                     the order of the bytes of the binvox files that it was trained on: `layout="xzy"`.
        PyTorch      Networks that call their axes D, H, W have often been trained on x, y, z nevertheless: look at
                     one shape before trusting any `layout`.

    Args:
        paths: one file, or a sequence of files that hold volumes of one size and kind.
        kind: what the values mean.
        layout: order of the array's axes.
        bounds: box that the array fills [world units]; see `VoxelGrid.in_box`.
        sample: where in it the samples are.
        variable: which variable of a .npz or .mat file, if it holds several.
        device: where the grid goes; the CPU by default.
        dtype: floating-point type of the grid.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no volume: truncated, damaged, of another format, with objects or text in it, of
            another shape, with values that are not finite or no probabilities; the message names the file. Or
            files of different sizes, or an unknown option.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise ValueError("Expected at least one voxel file, got none.")
    check_level(None, kind)
    if layout not in get_args(Layout):
        raise ValueError(f"Expected a layout of {', '.join(get_args(Layout))}, got {layout!r}.")
    grids: list[VoxelGrid] = []
    for path in map(Path, files):
        found = _contents(path, layout, variable)
        grid = found if isinstance(found, VoxelGrid) else VoxelGrid.in_box(found, bounds, kind=kind, sample=sample)
        check_values(grid.values, grid.kind, str(path))
        if grids and (grid.values.shape[1:], grid.kind) != (grids[0].values.shape[1:], grids[0].kind):
            raise ValueError(f"{path}: expected a grid like the first, {grids[0]!r}, got {grid!r}. Load them apart.")
        grids.append(grid.to(dtype=dtype))
    return VoxelGrid.cat(grids).to(device=device)


def save_voxels(grid: VoxelGrid, path: PathLike, *, level: float | None = None) -> None:
    """Write volumes to a file: .binvox or .npz, by its suffix.

    A .npz file keeps everything, of any number of items. A binvox file holds one, which must be a cube of voxels
    with equal sides, and keeps which of them are inside.

    Args:
        grid: the volumes.
        path: the file to write; one that is there is replaced.
        level: for binvox: what is inside; 0.5 for probabilities, 0 for logits and distances.

    Raises:
        TypeError: something other than a `VoxelGrid`.
        ValueError: an unknown suffix, or a grid that binvox cannot hold.
    """
    expect_grid(grid)
    path = Path(path)
    suffix = path.suffix.lower()
    check_suffix(path, (".binvox", ".npz"))
    grid = grid.detach().to(device="cpu")  # a file has no gradient
    if suffix == ".npz":
        # bfloat16, which NumPy does not have, fits into float32.
        values, origin, spacing = (
            part.float().numpy() if part.dtype == torch.bfloat16 else part.numpy()
            for part in (grid.values, grid.origin, grid.spacing)
        )
        with written_whole(path) as partial, partial.open("wb") as file:  # given a name, NumPy changes its suffix
            np.savez_compressed(file, values=values, origin=origin, spacing=spacing, kind=np.array(grid.kind))
        return
    sides, spacing = grid.values.shape[1:], grid.spacing.double()
    if len(grid) != 1 or len(set(sides)) != 1 or not torch.allclose(spacing, spacing[:, :1], rtol=1e-4, atol=0.0):
        raise ValueError(f"{path}: binvox holds one cube of cubic voxels, got {grid}, spacing {spacing.tolist()}.")
    inside = is_inside(grid.values[0].double(), check_level(level, grid.kind), grid.kind)
    low = grid.origin[0].double() - spacing[0] / 2
    data = binvox.encode(inside.numpy(), low.tolist(), float(spacing[0, 0]) * sides[0])
    with written_whole(path) as partial:
        partial.write_bytes(data)


def _contents(path: Path, layout: Layout, variable: str | None) -> VoxelGrid | np.ndarray:
    """A grid where the file says where its samples are, an array (B, X, Y, Z) otherwise."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a voxel file, got no such file.")
    if path.is_dir():
        raise ValueError(f"{path}: expected a voxel file, got a directory. Pass the files in it.")
    suffix = path.suffix.lower()
    if suffix not in VOXEL_SUFFIXES:
        raise ValueError(f"{path}: expected a file of {', '.join(VOXEL_SUFFIXES)}, got {suffix or 'no suffix'}.")
    try:
        contents = _read(path, variable)
        return contents if isinstance(contents, VoxelGrid) else _arranged(contents, layout)
    # Readers fail in every way there is on a damaged file: KeyError, struct.error, zlib.error, ...
    except Exception as error:
        came = " ".join(str(error).split()).rstrip(".")
        if not isinstance(error, ValueError) or not came:
            came = f"{type(error).__name__}: {came}".rstrip(": ")
        raise ValueError(f"{path}: expected a volume as {suffix[1:]}, and could not read one: {came[:400]}.") from error


def _read(path: Path, variable: str | None) -> VoxelGrid | np.ndarray:
    """What the file holds, as it stands there."""
    suffix = path.suffix.lower()
    if suffix == ".binvox":
        inside, low, side = binvox.decode(path.read_bytes())
        return VoxelGrid.in_box(torch.from_numpy(inside), (low, [corner + side for corner in low]))
    # Opened here: on a damaged file NumPy and SciPy leave open what they opened themselves.
    with path.open("rb") as file:
        if suffix == ".mat":
            return _read_mat(file, variable)
        held = np.load(file, allow_pickle=False)
        if suffix == ".npy":
            return held
        if variable is None and set(held.files) == {"values", "origin", "spacing", "kind"}:
            parts = (torch.from_numpy(held[name]) for name in ("values", "origin", "spacing"))
            return VoxelGrid(*parts, kind=held["kind"].item())
        return held[_chosen(held.files, variable)]


def _read_mat(file: BinaryIO, variable: str | None) -> np.ndarray:
    from scipy.io import loadmat

    try:
        held: dict[str, Any] = loadmat(file)
    except NotImplementedError as error:  # what scipy says to version 7.3
        raise ValueError("an HDF5 file (MATLAB 7.3). Save it with the option -v7") from error
    return held[_chosen([name for name in held if not name.startswith("__")], variable)]


def _chosen(names: Sequence[str], variable: str | None) -> str:
    if variable is None and len(names) == 1:
        return names[0]
    if variable is None or variable not in names:
        wanted = "one variable" if variable is None else f"a variable {variable!r}"
        raise ValueError(f"{wanted} expected, the file has {', '.join(names) or 'none'}. Choose one with variable=")
    return variable


def _arranged(array: np.ndarray, layout: Layout) -> np.ndarray:
    """The array as (B, X, Y, Z)."""
    if array.dtype.kind not in "biuf":
        raise ValueError(f"numbers expected, got an array of {array.dtype}")
    shape = array.shape
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)  # torch computes with no other unsigned integers than bytes
    if array.ndim == 5 and shape[1] != 1 and shape[2] == 2:
        array = array[:, :, 1]  # 3D-R2N2: the probability of being full
    elif array.ndim == 5 and shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(f"an array (X, Y, Z), (B, X, Y, Z), (B, 1, X, Y, Z) or (B, X, 2, Y, Z) expected, got {shape}")
    if layout == "matryoshka":
        return array[:, ::-1, ::-1, ::-1]
    return array.transpose(0, *(1 + layout.index(axis) for axis in "xyz"))
