from __future__ import annotations

import copy
import dataclasses
import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from dr_kfs.geometry import Meshes

TRIANGLE = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), torch.tensor([[0, 1, 2]])
TETRAHEDRON = (
    torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)
# An unreferenced vertex, a face with a repeated corner, and one face twice.
SOUP = (
    torch.tensor([[9.0, 9, 9], [1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 2, 2]]),
    torch.tensor([[1, 2, 3], [1, 2, 3], [4, 4, 1]]),
)


def batch() -> Meshes:
    vertices, faces = zip(TRIANGLE, TETRAHEDRON, SOUP, strict=True)
    return Meshes.from_list(vertices, faces)


def same(one: Meshes, other: Meshes) -> bool:
    return (
        torch.equal(one.vertices, other.vertices)
        and torch.equal(one.faces, other.faces)
        and one.vertex_offsets == other.vertex_offsets
        and one.face_offsets == other.face_offsets
    )


@st.composite
def item_lists(draw: st.DrawFn) -> tuple[list[Tensor], list[Tensor]]:
    """Meshes with any faces at all: repeated corners, duplicates, huge and tiny and coinciding vertices."""
    vertices, faces = [], []
    coordinates = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-38, 1e38, 3.0])
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 5))
        rows = draw(st.lists(st.tuples(*[coordinates] * 3), min_size=count, max_size=count))
        index = st.integers(0, count - 1)
        corners = draw(st.lists(st.tuples(index, index, index), min_size=1, max_size=6))
        vertices.append(torch.tensor(rows))
        faces.append(torch.tensor(corners))
    return vertices, faces


class FakePyTorch3D:
    """The two methods of pytorch3d.structures.Meshes that are used."""

    def __init__(self, vertices: list[Tensor], faces: list[Tensor]) -> None:
        self.vertices, self.faces = vertices, faces

    def verts_list(self) -> list[Tensor]:
        return self.vertices

    def faces_list(self) -> list[Tensor]:
        return self.faces


class TestFromList:
    def test_packs(self) -> None:
        meshes = batch()
        assert len(meshes) == 3
        assert meshes.vertex_offsets == (0, 3, 7, 12)
        assert meshes.face_offsets == (0, 1, 5, 8)
        assert meshes.faces[1].tolist() == [3, 5, 4]
        assert meshes.vertex_counts == (3, 4, 5)
        assert meshes.face_counts == (1, 4, 3)
        assert repr(meshes) == "Meshes(3 items, 12 vertices, 8 faces, float32, cpu)"

    @given(item_lists())
    def test_lists_come_back(self, lists: tuple[list[Tensor], list[Tensor]]) -> None:
        meshes = Meshes.from_list(*lists)
        for ours, given_ in ((meshes.vertices_list(), lists[0]), (meshes.faces_list(), lists[1])):
            assert all(torch.equal(a, b) for a, b in zip(ours, given_, strict=True))

    def test_keeps_the_graph(self) -> None:
        leaves = [torch.rand(3, 3, requires_grad=True), torch.rand(4, 3, requires_grad=True)]
        meshes = Meshes.from_list(leaves, [TRIANGLE[1], TETRAHEDRON[1]])
        (meshes.vertices * torch.arange(1.0, 8)[:, None]).sum().backward()
        assert leaves[1].grad is not None
        assert leaves[1].grad[:, 0].tolist() == [4, 5, 6, 7]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_keeps_the_dtype(self, dtype: torch.dtype) -> None:
        assert Meshes.from_list([TRIANGLE[0].to(dtype)], [TRIANGLE[1].int()]).dtype == dtype

    def test_arrays_of_any_layout(self) -> None:
        vertices = np.asfortranarray(TETRAHEDRON[0].numpy().astype(">f8"))
        vertices.flags.writeable = False
        meshes = Meshes.from_list([vertices], [TETRAHEDRON[1].numpy().astype(np.uint16)])
        assert meshes.dtype == torch.float64
        assert torch.equal(meshes.vertices, TETRAHEDRON[0].double())
        assert torch.equal(meshes.faces, TETRAHEDRON[1])

    def test_does_not_alias_arrays(self) -> None:
        vertices = TRIANGLE[0].numpy().copy()
        meshes = Meshes.from_list([vertices], [TRIANGLE[1]])
        vertices[:] = 7.0
        assert torch.equal(meshes.vertices, TRIANGLE[0])

    @pytest.mark.parametrize(
        ("vertices", "faces", "message"),
        [
            (TRIANGLE[0].long(), TRIANGLE[1], r"item 1: expected vertices of float16.*int64.*\.float\(\)"),
            (TRIANGLE[0].flatten(), TRIANGLE[1], r"item 1: expected vertices of shape \(rows, 3\), got \(9,\)"),
            (TRIANGLE[0][:, :2], TRIANGLE[1], r"item 1: .*got \(3, 2\)"),
            (TRIANGLE[0], torch.tensor([[0, 1, 2, 2]]), r"item 1: expected faces of shape .*got \(1, 4\)"),
            (TRIANGLE[0], torch.tensor([[0.0, 1, 2]]), r"item 1: expected faces of integers.*float32"),
            (TRIANGLE[0], torch.tensor([[0, 1, 3]]), r"item 1: .*\[0, 3\).*got \(0, 1, 3\) at face 0"),
            (TRIANGLE[0], torch.tensor([[0, 1, 2], [0, -1, 2]]), r"item 1: .*got \(0, -1, 2\) at face 1"),
            (TRIANGLE[0], torch.zeros(0, 3).long(), r"item 1: expected at least one face.*allow_empty"),
            (TRIANGLE[0] / 0, TRIANGLE[1], r"item 1: expected finite vertices, got \(nan, .* at vertex 0"),
            (TRIANGLE[0] * 1e39, TRIANGLE[1], r"item 1: expected finite vertices, got \(nan, .*3 of 3 vertices"),
            (TRIANGLE[0].double(), TRIANGLE[1], r"item 1: expected vertices of one dtype, got torch.float64"),
            (np.array([["a", "b", "c"]]), TRIANGLE[1], r"item 1: expected vertices of numbers"),
            (TRIANGLE[0].to("meta"), TRIANGLE[1], r"item 1: expected vertices on cpu.*got meta"),
            (TRIANGLE[0], TRIANGLE[1].to("meta"), r"item 1: expected faces on cpu.*got meta"),
        ],
    )
    def test_malformed_items(self, vertices: Tensor | np.ndarray, faces: Tensor | np.ndarray, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Meshes.from_list([TRIANGLE[0], vertices], [TRIANGLE[1], faces])

    def test_indices_do_not_reach_the_next_item(self) -> None:
        with pytest.raises(ValueError, match="item 0"):
            Meshes.from_list([TRIANGLE[0], TRIANGLE[0]], [torch.tensor([[0, 1, 3]]), TRIANGLE[1]])

    def test_nothing_and_mismatch(self) -> None:
        with pytest.raises(ValueError, match="at least one mesh"):
            Meshes.from_list([], [])
        with pytest.raises(ValueError, match="got 1 vertex and 2 face arrays"):
            Meshes.from_list([TRIANGLE[0]], [TRIANGLE[1]] * 2)

    def test_allow_empty(self) -> None:
        none = np.zeros((0, 3), dtype=np.float32)
        meshes = Meshes.from_list([TRIANGLE[0].numpy(), none], [TRIANGLE[1], none], allow_empty=True)
        assert meshes.vertex_counts == (3, 0)
        assert meshes.face_counts == (1, 0)
        assert meshes[1].face_vertices().shape == (0, 3, 3)


class TestConstructor:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"vertex_offsets": (0, 4)}, "offsets of vertices that rise from 0 to 3"),
            ({"vertex_offsets": ()}, "offsets of vertices"),
            ({"vertex_offsets": (0, 2, 1, 3)}, "offsets of vertices"),
            ({"face_offsets": (0, 1, 1)}, "of one length, got 2 and 3"),
            ({"faces": TRIANGLE[1].int()}, "int64 faces"),
            ({"faces": TRIANGLE[1].to("meta")}, "one device"),
        ],
    )
    def test_rejects(self, changes: dict[str, object], message: str) -> None:
        good = {
            "vertices": TRIANGLE[0],
            "faces": TRIANGLE[1],
            "vertex_offsets": (0, 3),
            "face_offsets": (0, 1),
        }
        with pytest.raises(ValueError, match=message):
            Meshes(**(good | changes))  # type: ignore[arg-type]

    def test_is_immutable(self) -> None:
        with pytest.raises(AttributeError):
            batch().vertices = torch.zeros(12, 3)  # type: ignore[misc]


class TestItems:
    @given(item_lists(), st.data())
    def test_gathering_is_a_list_comprehension(
        self, lists: tuple[list[Tensor], list[Tensor]], data: st.DataObject
    ) -> None:
        meshes = Meshes.from_list(*lists)
        count = len(meshes)
        chosen = data.draw(st.lists(st.integers(-count, count - 1), min_size=1, max_size=6))
        expected = Meshes.from_list([lists[0][i] for i in chosen], [lists[1][i] for i in chosen])
        assert same(meshes[chosen], expected)
        assert same(meshes[torch.tensor(chosen)], expected)
        assert same(meshes[np.array(chosen)], expected)
        assert same(Meshes.cat([meshes[i] for i in chosen]), expected)

    @given(st.slices(3))
    def test_slices(self, index: slice) -> None:
        items = list(range(3))[index]
        assert len(batch()[index]) == len(items)
        assert same(batch()[index], batch()[items])

    def test_integers_and_masks(self) -> None:
        meshes = batch()
        assert same(meshes[-1], meshes[2:])
        assert same(meshes[np.int64(1)], meshes[1])
        assert same(meshes[torch.tensor(1)], meshes[1])
        assert same(meshes[[True, False, True]], meshes[[0, 2]])
        assert same(meshes[torch.tensor([False, True, True])], meshes[1:])

    @pytest.mark.parametrize(
        "index", [3, -4, [0, 3], [True, False], [True, 1, 2], [0.5], torch.tensor([1.5]), "0", torch.eye(3)]
    )
    def test_rejects(self, index: object) -> None:
        with pytest.raises((IndexError, TypeCheckError)):
            batch()[index]  # type: ignore[index]

    def test_empty_batch(self) -> None:
        none = batch()[3:]
        assert len(none) == 0
        assert none.vertices_list() == []
        assert none.faces_list() == []
        assert none.split() == []
        assert none.vertex_item().shape == (0,)
        assert none.face_vertices().shape == (0, 3, 3)

    def test_iteration_and_split(self) -> None:
        meshes = batch()
        assert [len(mesh.faces) for mesh in meshes] == [1, 4, 3]
        assert same(Meshes.cat(meshes.split()), meshes)

    def test_item_of_rows(self) -> None:
        assert batch().vertex_item().tolist() == [0] * 3 + [1] * 4 + [2] * 5
        assert batch().face_item().tolist() == [0] + [1] * 4 + [2] * 3

    def test_face_vertices(self) -> None:
        assert torch.equal(batch().face_vertices()[1], TETRAHEDRON[0][[0, 2, 1]])

    def test_gradient_of_repetitions_adds_up(self) -> None:
        meshes = batch()
        moved = meshes.with_vertices(meshes.vertices.clone().requires_grad_())
        gathered = moved[[2, 0, 2]]
        (gradient,) = torch.autograd.grad(gathered.vertices.sum(), moved.vertices)
        assert gradient[:, 0].tolist() == [1] * 3 + [0] * 4 + [2] * 5


class TestConversions:
    def test_to(self) -> None:
        meshes = batch()
        assert meshes.to() is meshes
        assert meshes.to("cpu", torch.float32) is meshes
        assert meshes.to(dtype=torch.float64).dtype == torch.float64
        assert meshes.to("meta").faces.device.type == "meta"

    def test_detach(self) -> None:
        meshes = batch().with_vertices(batch().vertices.requires_grad_())
        assert meshes.vertices.requires_grad
        assert not meshes.detach().vertices.requires_grad

    def test_with_vertices(self) -> None:
        meshes = batch()
        moved = meshes.with_vertices(meshes.vertices.double() + 1)
        assert moved.dtype == torch.float64
        assert moved.faces is meshes.faces
        with pytest.raises(ValueError, match=r"shape \(12, 3\).*got \(11, 3\)"):
            meshes.with_vertices(meshes.vertices[1:])

    def test_derived_once_per_topology(self) -> None:
        meshes = batch()
        calls = []
        for each in (meshes, meshes.with_vertices(meshes.vertices + 1), meshes.to(dtype=torch.float64)):
            each.derived("count", lambda: calls.append(1))
        assert len(calls) == 1
        meshes[[1, 0]].derived("count", lambda: calls.append(1))
        assert len(calls) == 2

    def test_derived_in_inference_mode_is_usable_outside(self) -> None:
        meshes = batch()
        with torch.inference_mode():
            meshes.vertex_item()
        vertices = meshes.vertices.clone().requires_grad_()
        torch.zeros(3, 3).index_add(0, meshes.vertex_item(), vertices).sum().backward()
        assert vertices.grad is not None

    def test_copies_and_files(self) -> None:
        meshes = batch()
        meshes.vertex_item()
        assert same(copy.deepcopy(meshes), meshes)
        stream = io.BytesIO()
        torch.save(meshes, stream)
        stream.seek(0)
        assert same(torch.load(stream, weights_only=False), meshes)

    def test_cat_rejects(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            Meshes.cat([])
        with pytest.raises(ValueError, match=r"float64 in batch 1.*\.to\("):
            Meshes.cat([batch(), batch().to(dtype=torch.float64)])


class TestFromTrimesh:
    def test_meshes(self) -> None:
        trimesh = pytest.importorskip("trimesh")
        boxes = [trimesh.creation.box(), trimesh.creation.icosphere(subdivisions=1)]
        meshes = Meshes.from_trimesh(boxes)
        assert meshes.dtype == torch.float32
        assert meshes.face_counts == (12, 80)
        assert same(Meshes.from_trimesh(boxes[1]), meshes[1])
        assert Meshes.from_trimesh(boxes[0], dtype=torch.float64).dtype == torch.float64

    def test_scene_places_every_instance(self) -> None:
        trimesh = pytest.importorskip("trimesh")
        scene = trimesh.Scene()
        box = trimesh.creation.box()
        scene.add_geometry(box, geom_name="box", node_name="here")
        mirror = np.diag([-1.0, 2, 1, 1])
        mirror[:3, 3] = [10, 0, 0]
        scene.graph.update("there", geometry="box", matrix=mirror)
        scene.add_geometry(trimesh.PointCloud(np.full((5, 3), 99.0)))
        meshes = Meshes.from_trimesh(scene)
        assert len(meshes) == 1
        assert meshes.face_counts == (24,)
        assert meshes.vertices.amax(0).tolist() == [10.5, 1.0, 0.5]
        corners = meshes.face_vertices()
        volume = torch.linalg.det(corners).sum() / 6
        assert volume.item() == pytest.approx(1 + 2)  # both boxes outside out

    def test_rejects(self) -> None:
        trimesh = pytest.importorskip("trimesh")
        box = trimesh.creation.box()
        with pytest.raises(TypeError, match=r"item 1: expected a trimesh\.Trimesh.*PointCloud"):
            Meshes.from_trimesh([box, trimesh.PointCloud(np.zeros((5, 3)))])
        with pytest.raises(ValueError, match="scene with a triangle mesh, got one of PointCloud"):
            Meshes.from_trimesh(trimesh.Scene([trimesh.PointCloud(np.zeros((5, 3)))]))
        with pytest.raises(ValueError, match="got one of nothing"):
            Meshes.from_trimesh(trimesh.Scene())
        box.apply_scale(1e6)
        with pytest.raises(ValueError, match=r"within \+-6\.55e\+04, the range of the dtype.*got 5e\+05"):
            Meshes.from_trimesh(box, dtype=torch.float16)


class TestCheckFinite:
    def test_looks_once_until_vertices_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        meshes, looked = batch(), []
        norm = torch.linalg.vector_norm
        monkeypatch.setattr(
            torch.linalg, "vector_norm", lambda *args, **kwargs: looked.append(1) or norm(*args, **kwargs)
        )
        for _ in range(3):
            meshes.check_finite()
        assert len(looked) == 1
        meshes.with_vertices(2.0 * meshes.vertices).check_finite()
        assert len(looked) == 2
        with pytest.raises(ValueError, match="item 0: expected finite vertices"):
            dataclasses.replace(meshes, vertices=torch.full_like(meshes.vertices, torch.inf)).check_finite()
        meshes.vertices[4] = torch.nan  # as an optimiser's step does, in place
        with pytest.raises(ValueError, match="item 1: expected finite vertices"):
            meshes.check_finite()

    def test_inference_tensors_count_no_changes(self) -> None:
        with torch.inference_mode():
            meshes = batch().with_vertices(batch().vertices * 1.0)
            meshes.check_finite()
            meshes.vertices[0] = torch.inf
            with pytest.raises(ValueError, match="item 0: expected finite vertices"):
                meshes.check_finite()


class TestFromPyTorch3D:
    def test_keeps_the_graph(self) -> None:
        leaf = TRIANGLE[0].clone().requires_grad_()
        meshes = Meshes.from_pytorch3d(FakePyTorch3D([leaf, TETRAHEDRON[0]], [TRIANGLE[1], TETRAHEDRON[1]]))
        meshes.vertices.sum().backward()
        assert leaf.grad is not None
        assert same(meshes, batch()[:2].with_vertices(meshes.vertices))

    def test_rejects(self) -> None:
        with pytest.raises(TypeError, match=r"verts_list\(\) and faces_list\(\), got int"):
            Meshes.from_pytorch3d(3)
        none = torch.zeros(0, 3)
        with pytest.raises(ValueError, match="item 1: expected at least one face"):
            Meshes.from_pytorch3d(FakePyTorch3D([TRIANGLE[0], none], [TRIANGLE[1], none.long()]))


@pytest.mark.cuda
class TestCuda:
    def test_gathering_matches_the_cpu(self) -> None:
        meshes = batch()
        chosen = meshes.to("cuda")[[2, 0, 2]]
        assert same(chosen.to("cpu"), meshes[[2, 0, 2]])
        assert chosen.vertex_item().is_cuda
