from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from dr_kfs.geometry import VoxelGrid, load_voxels, save_voxels
from dr_kfs.geometry._binvox import decode, encode

# 3 x 4 x 5 distinct probabilities: no axis can be mistaken for another.
VALUES = (np.arange(60, dtype=np.float32).reshape(3, 4, 5) + 1) / 64
# One voxel of 2^3, at x = 1, y = 0, z = 1: the bytes run along y, then z, then x, so it is number 4 + 2 + 0.
BINVOX = (
    b"#binvox 1\ndim 2 2 2\ntranslate -1.5 2 0.25\nscale 4\ndata\n" + bytes([0, 6, 1, 1, 0, 1])
)  # fmt: skip


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class TestBinvox:
    def test_order_and_places(self, tmp_path: Path) -> None:
        grid = load_voxels(write(tmp_path / "a.binvox", BINVOX))
        assert grid.values.nonzero().tolist() == [[0, 1, 0, 1]]
        # The centre of voxel (1, 0, 1): translate + scale * ((1, 0, 1) + 0.5) / 2.
        assert grid.points()[0, 1, 0, 1].tolist() == [-1.5 + 3, 2 + 1, 0.25 + 3]
        assert grid.spacing.tolist() == [[2.0, 2.0, 2.0]]

    def test_order_is_that_of_trimesh(self, tmp_path: Path) -> None:
        inside = np.random.default_rng(0).random((5, 5, 5)) < 0.4
        path = write(tmp_path / "a.binvox", encode(inside, (0.0, 0.0, 0.0), 1.0))
        np.testing.assert_array_equal(trimesh.load(path).matrix, inside)

    def test_optional_lines_and_version_2(self) -> None:
        inside, low, side = decode(b"#binvox 2\ndim 1 1 1\ndata\n" + bytes([7, 1]))
        assert (inside.tolist(), low, side) == ([[[True]]], [0.0, 0.0, 0.0], 1.0)

    @given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 100))
    def test_there_and_back(self, side: int, share: float, seed: int) -> None:
        inside = np.random.default_rng(seed).random((side, side, side)) < share
        read, low, length = decode(encode(inside, (0.1, -2.0, 3e-5), 0.7))
        np.testing.assert_array_equal(read, inside)
        assert (low, length) == ([0.1, -2.0, 3e-5], 0.7)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "no whole binvox header"),
            (BINVOX[:30], "no whole binvox header"),
            (BINVOX.replace(b"#binvox 1", b"#binvox 9"), "no whole binvox header"),
            (b"solid\n" + BINVOX, "no whole binvox header"),
            (BINVOX[:-2], "7 voxels where the header announces 8"),
            (BINVOX[:-1], "announces 8"),
            (BINVOX + b"\x00\x01", "9 voxels where the header announces 8"),
            (BINVOX.replace(b"dim 2 2 2", b"dim 2 2 4"), "three equal sides"),
            (BINVOX.replace(b"dim 2 2 2", b"dim -2 -2 -2"), "three equal sides"),
            (BINVOX.replace(b"dim 2 2 2", b"dim 99999 99999 99999"), "three equal sides of 1 to 2048"),
            (BINVOX.replace(b"dim 2 2 2", b"dim two"), "could not read one"),
            (BINVOX.replace(b"scale 4", b"scale 0"), "positive scale"),
            (BINVOX.replace(b"scale 4", b"scale nan"), "positive scale"),
            (BINVOX.replace(b"-1.5 2 0.25", b"-1.5 2"), "three numbers for translate"),
        ],
    )
    def test_damaged(self, tmp_path: Path, data: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=rf"a\.binvox: expected a volume as binvox.*{message}") as caught:
            load_voxels(write(tmp_path / "a.binvox", data))
        assert "\n" not in str(caught.value)


class TestArrays:
    @pytest.mark.parametrize(
        ("layout", "stored"),
        [
            ("xyz", VALUES),
            ("zyx", VALUES.transpose(2, 1, 0)),
            ("xzy", VALUES.transpose(0, 2, 1)),
            ("zxy", VALUES.transpose(2, 0, 1)),
            ("yzx", VALUES.transpose(1, 2, 0)),
            ("matryoshka", VALUES[::-1, ::-1, ::-1]),
        ],
    )
    def test_layouts(self, tmp_path: Path, layout: str, stored: np.ndarray) -> None:
        np.save(tmp_path / "a.npy", stored)
        grid = load_voxels(tmp_path / "a.npy", layout=layout)
        np.testing.assert_array_equal(grid.values[0], VALUES)

    def test_3d_r2n2(self, tmp_path: Path) -> None:
        """(B, X, 2, Y, Z): a softmax of empty and full."""
        full = np.stack([VALUES, 1 - VALUES])
        np.save(tmp_path / "a.npy", np.stack([1 - full, full], axis=2))
        np.testing.assert_allclose(load_voxels(tmp_path / "a.npy").values, full)

    def test_matryoshka(self, tmp_path: Path) -> None:
        """As its binvox2mat.py writes them: one variable, `voxel`, all axes reversed."""
        inside = VALUES > 0.3
        voxel = inside.astype(np.uint8)[::-1, ::-1, ::-1].copy()
        scipy.io.savemat(tmp_path / "model.vox.mat", {"voxel": voxel}, do_compression=True)
        grid = load_voxels(tmp_path / "model.vox.mat", layout="matryoshka")
        np.testing.assert_array_equal(grid.values[0].bool(), inside)

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, ">i4", ">f8", "<f2"])
    def test_dtypes(self, tmp_path: Path, dtype: object) -> None:
        ones = (VALUES > 0.5).astype(dtype)
        np.save(tmp_path / "a.npy", ones)
        grid = load_voxels(tmp_path / "a.npy")
        assert grid.dtype == torch.float32
        np.testing.assert_array_equal(grid.values[0], ones.astype(np.float32))

    def test_places_and_kind(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", 10 * VALUES)
        grid = load_voxels(tmp_path / "a.npy", kind="distance", bounds=(-1.0, 1.0), sample="corner")
        assert grid.kind == "distance"
        assert grid.points()[0, -1, -1, -1].tolist() == [1.0, 1.0, 1.0]

    def test_variable(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", one=VALUES, two=VALUES / 2)
        np.testing.assert_array_equal(load_voxels(tmp_path / "a.npz", variable="two").values[0], VALUES / 2)
        with pytest.raises(ValueError, match="one variable expected, the file has one, two"):
            load_voxels(tmp_path / "a.npz")
        with pytest.raises(ValueError, match="a variable 'three' expected"):
            load_voxels(tmp_path / "a.npz", variable="three")

    def test_several_files(self, tmp_path: Path) -> None:
        for name, values in (("a", VALUES), ("b", 1 - VALUES), ("c", VALUES[:2])):
            np.save(tmp_path / f"{name}.npy", values)
        assert len(load_voxels([tmp_path / "a.npy", str(tmp_path / "b.npy")])) == 2
        with pytest.raises(ValueError, match=r"c\.npy: expected a grid like the first"):
            load_voxels([tmp_path / "a.npy", tmp_path / "c.npy"])

    @pytest.mark.parametrize(
        ("name", "data", "message"),
        [
            ("a.npy", b"", "could not read one"),
            ("a.npy", b"\x93NUMPY\x01", "could not read one"),
            ("a.npz", b"PK\x03\x04 no more", "could not read one"),
            ("a.mat", b"MATLAB 5.0 MAT-file", "could not read one"),
            ("a.mat", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", r"HDF5 file.*Save it with the option -v7"),
        ],
    )
    def test_damaged(self, tmp_path: Path, name: str, data: bytes, message: str) -> None:
        with pytest.raises(ValueError, match=rf"{name}: expected a volume as .*{message}") as caught:
            load_voxels(write(tmp_path / name, data))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.zeros((3, 3)), r"expected, got \(3, 3\)"),
            (np.zeros((2, 3, 3, 3, 3)), r"expected, got \(2, 3, 3, 3, 3\)"),
            (np.zeros((0, 3, 3, 3)), r"expected, got \(0, 3, 3, 3\)"),
            (np.zeros((3, 3, 3), dtype=complex), "numbers expected, got an array of complex128"),
            (np.full((3, 3, 3), "a"), "numbers expected, got an array of <U1"),
            (np.full((3, 3, 3), None), "allow_pickle"),
            (np.full((3, 3, 3), np.nan), "expected finite values, got 27 of 27"),
            (np.full((3, 3, 3), 7.0), r"expected probabilities in \[0, 1\], got values from 7 to 7"),
        ],
    )
    def test_no_volume(self, tmp_path: Path, array: np.ndarray, message: str) -> None:
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(ValueError, match=rf"a\.npy: expected.*{message}|a\.npy: {message}"):
            load_voxels(tmp_path / "a.npy")

    def test_other_files(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"a\.npy: expected a voxel file, got no such file"):
            load_voxels(tmp_path / "a.npy")
        with pytest.raises(ValueError, match="got a directory"):
            load_voxels(tmp_path)
        with pytest.raises(ValueError, match=r"expected a file of \.binvox, \.mat, \.npy, \.npz, got \.obj"):
            load_voxels(write(tmp_path / "a.obj", b""))
        with pytest.raises(ValueError, match="at least one voxel file"):
            load_voxels([])


class TestSaveVoxels:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_npz_keeps_everything(self, tmp_path: Path, dtype: torch.dtype) -> None:
        grid = VoxelGrid(torch.randn(2, 3, 4, 5).to(dtype), torch.rand(2, 3), 1 + torch.rand(2, 3), "distance")
        save_voxels(grid, tmp_path / "A.NPZ")
        read = load_voxels(tmp_path / "A.NPZ", dtype=dtype)
        assert read.kind == "distance"
        assert torch.equal(read.values, grid.values)
        for part in ("origin", "spacing"):
            assert torch.equal(getattr(read, part).float(), getattr(grid, part))

    @pytest.mark.parametrize(("kind", "level"), [("probability", 0.3), ("logit", None), ("distance", None)])
    def test_binvox_keeps_what_is_inside(self, tmp_path: Path, kind: str, level: float | None) -> None:
        values = torch.rand(6, 6, 6) - (0.0 if kind == "probability" else 0.5)
        grid = VoxelGrid.in_box(values, ((-3.0, 0.0, 1.0), (0.0, 3.0, 4.0)), kind=kind)
        save_voxels(grid, tmp_path / "a.binvox", level=level)
        read = load_voxels(tmp_path / "a.binvox")
        expected = values < 0 if kind == "distance" else values > (level or 0.0)
        assert torch.equal(read.values[0].bool(), expected)
        torch.testing.assert_close(read.points(), grid.points())

    @pytest.mark.parametrize(
        ("values", "bounds"),
        [
            (torch.rand(2, 3, 3, 3), (-0.5, 0.5)),
            (torch.rand(3, 3, 4), (0.0, 1.0)),
            (torch.rand(3, 3, 3), (0.0, (1.0, 1.0, 2.0))),
        ],
    )
    def test_what_binvox_cannot_hold(self, tmp_path: Path, values: torch.Tensor, bounds: tuple) -> None:
        with pytest.raises(ValueError, match="binvox holds one cube of cubic voxels, got VoxelGrid"):
            save_voxels(VoxelGrid.in_box(values, bounds), tmp_path / "a.binvox")

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"expected a suffix of \.binvox, \.npz, got \.vox"):
            save_voxels(VoxelGrid.in_box(torch.rand(2, 2, 2)), tmp_path / "a.vox")
