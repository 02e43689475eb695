from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from dr_kfs.geometry import Meshes, VoxelGrid, as_meshes, load_meshes, load_shapes, marching_cubes, save_voxels

TRIANGLE = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), torch.tensor([[0, 1, 2]])
TETRAHEDRON = (
    torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)


def batch() -> Meshes:
    return Meshes.from_list(*zip(TRIANGLE, TETRAHEDRON, strict=True))


def grid(items: int = 1) -> VoxelGrid:
    return VoxelGrid.in_box(torch.rand(items, 4, 5, 6))


def same(one: Meshes, other: Meshes) -> bool:
    return (
        torch.equal(one.vertices, other.vertices)
        and torch.equal(one.faces, other.faces)
        and one.vertex_offsets == other.vertex_offsets
        and one.face_offsets == other.face_offsets
    )


class FakePyTorch3D:
    """The two methods of pytorch3d.structures.Meshes that are used."""

    def verts_list(self) -> list[torch.Tensor]:
        return [TRIANGLE[0]]

    def faces_list(self) -> list[torch.Tensor]:
        return [TRIANGLE[1]]


class TestAsMeshes:
    def test_meshes_stay(self) -> None:
        meshes = batch()
        assert as_meshes(meshes) is meshes

    def test_voxels(self) -> None:
        voxels = grid(2)
        assert same(as_meshes(voxels), marching_cubes(voxels))

    def test_pairs(self) -> None:
        vertices, faces = TETRAHEDRON
        one = Meshes.from_list([vertices], [faces])
        two = Meshes.from_list([vertices, vertices + 1], [faces, faces])
        stack = torch.stack([vertices, vertices + 1])
        assert same(as_meshes((vertices, faces)), one)
        assert same(as_meshes([vertices.numpy(), faces.numpy()]), one)
        assert same(as_meshes((stack, faces)), two)
        assert same(as_meshes((stack, faces.expand(2, -1, -1))), two)
        assert same(as_meshes([(vertices, faces), (vertices + 1, faces)]), two)

    def test_mixed_sequence(self) -> None:
        voxels = grid()
        meshes = as_meshes([batch(), trimesh.creation.box(), FakePyTorch3D(), voxels, TETRAHEDRON])
        assert meshes.face_counts == (1, 4, 12, 1, len(marching_cubes(voxels).faces), 4)

    def test_keeps_the_graph(self) -> None:
        stack = torch.rand(2, 4, 3, requires_grad=True)
        as_meshes((stack, TETRAHEDRON[1])).vertices.sum().backward()
        assert stack.grad is not None

    @pytest.mark.parametrize("shape", [3, "mesh.obj", None, [batch(), 5], torch.rand(4, 3)])
    def test_other_types(self, shape: object) -> None:
        with pytest.raises(TypeError, match=r"expected a Meshes, a VoxelGrid, a trimesh\.Trimesh"):
            as_meshes(shape)

    def test_a_bare_volume_says_the_way_out(self) -> None:
        with pytest.raises(TypeError, match=r"got Tensor\. For a volume pass VoxelGrid\.in_box\(values\)"):
            as_meshes(torch.rand(2, 8, 8, 8))

    def test_other_shapes(self) -> None:
        vertices, faces = TETRAHEDRON
        with pytest.raises(ValueError, match=r"got \(2, 4, 3\) and \(3, 4, 3\)"):
            as_meshes((vertices.expand(2, 4, 3), faces.expand(3, 4, 3)))
        with pytest.raises(ValueError, match="empty sequence"):
            as_meshes([])

    def test_errors_count_the_whole_batch(self) -> None:
        vertices, faces = TETRAHEDRON
        with pytest.raises(ValueError, match="item 2: expected faces of indices"):
            as_meshes([batch(), (vertices, faces + 1)])


class TestLoadShapes:
    def test_any_mix(self, tmp_path: Path) -> None:
        voxels = grid(2)
        save_voxels(voxels, tmp_path / "a.npz")
        np.save(tmp_path / "b.npy", voxels.values[0].numpy())
        trimesh.creation.box().export(tmp_path / "c.obj")
        meshes = load_shapes([tmp_path / name for name in ("a.npz", "b.npy", "c.obj")])
        assert same(meshes[:2], marching_cubes(voxels))
        assert torch.equal(meshes[2].faces, meshes[0].faces)
        assert same(meshes[3], load_meshes(tmp_path / "c.obj"))

    def test_level_and_dtype(self, tmp_path: Path) -> None:
        voxels = grid()
        save_voxels(voxels, tmp_path / "a.npz")
        meshes = load_shapes(tmp_path / "a.npz", level=0.3, dtype=torch.float64)
        assert meshes.dtype == torch.float64
        assert torch.equal(meshes.faces, marching_cubes(voxels, level=0.3).faces)

    def test_an_array_is_what_it_is_said_to_be(self, tmp_path: Path) -> None:
        logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)) - 1.0
        np.savez(tmp_path / "a.npz", occupancy=logits.numpy(), other=np.zeros(3))
        said: dict[str, Any] = {"kind": "logit", "layout": "zyx", "bounds": (-1.0, 1.0), "sample": "corner"}
        meshes = load_shapes(tmp_path / "a.npz", level=-0.5, variable="occupancy", **said)
        grid = VoxelGrid.in_box(logits.permute(2, 1, 0), (-1.0, 1.0), kind="logit", sample="corner")
        assert same(meshes, marching_cubes(grid, level=-0.5))

    def test_the_voxels_of_a_binvox_file_have_no_level(self, tmp_path: Path) -> None:
        save_voxels(VoxelGrid.in_box(torch.ones(2, 2, 2)), tmp_path / "a.binvox")
        assert same(load_shapes(tmp_path / "a.binvox", level=-0.5, kind="logit"), load_shapes(tmp_path / "a.binvox"))

    def test_an_empty_volume_is_an_empty_mesh(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((4, 4, 4), dtype=bool))
        assert load_shapes(tmp_path / "a.npy").face_counts == (0,)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("a.txt", r"a\.txt: expected a file of \.binvox, \.glb, .*\.stl, got \.txt"),
            ("a", r"expected a file of .*, got no suffix"),
            (".", r"got a directory"),
        ],
    )
    def test_rejects(self, tmp_path: Path, name: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            load_shapes(tmp_path / name)

    def test_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="at least one file, got none"):
            load_shapes([])
        for name in ("a.obj", "a.npy"):
            with pytest.raises(FileNotFoundError, match="no such file"):
                load_shapes(tmp_path / name)


class TestFarFromTheOrigin:
    def test_a_shape_that_float32_would_deform_is_named(self):
        mesh = trimesh.creation.box((1.0, 1.0, 1.0))
        mesh.vertices += np.array([500_000.0, 4_649_776.0, 120.0])
        with pytest.warns(UserWarning, match=r"item 0: float32 moves its vertices by up to .* Subtract one offset"):
            as_meshes(mesh)
        mesh.vertices -= mesh.vertices.mean(0)
        as_meshes(mesh)  # warnings are errors here
