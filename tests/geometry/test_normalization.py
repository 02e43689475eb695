from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from dr_kfs.geometry import Frame, Meshes, bounding_frame, normalize

FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def random_batch(count: int = 3, dtype: torch.dtype = torch.float32) -> Meshes:
    generator = torch.Generator().manual_seed(1)
    vertices = [torch.rand(4, 3, generator=generator).to(dtype) * (item + 1) + item for item in range(count)]
    return Meshes.from_list(vertices, [FACES] * count)


class TestBoundingFrame:
    def test_value(self) -> None:
        vertices = torch.tensor([[1.0, 0, 0], [4, 0, 0], [4, 4, 0], [1, 4, 12]])
        frame = bounding_frame(Meshes.from_list([vertices], [FACES]))
        assert frame.center.tolist() == [[2.5, 2, 6]]
        assert frame.scale.tolist() == [13.0]

    def test_unreferenced_vertices_do_not_count(self) -> None:
        meshes = random_batch(1)
        more = Meshes.from_list([torch.cat([torch.full((2, 3), 50.0), meshes.vertices])], [FACES + 2])
        assert bounding_frame(more).allclose(bounding_frame(meshes), tolerance=0.0)

    def test_batch_is_loop(self) -> None:
        meshes = random_batch()
        frame = bounding_frame(meshes)
        for item, mesh in enumerate(meshes):
            assert bounding_frame(mesh).allclose(frame[item], tolerance=0.0)

    @pytest.mark.parametrize("size", [1e-36, 1e-20, 1e20, 1e38])
    def test_extreme_sizes(self, size: float) -> None:
        meshes = random_batch(1)
        scaled = meshes.with_vertices(meshes.vertices * size)
        expected = bounding_frame(meshes)
        assert (bounding_frame(scaled).scale / size).item() == pytest.approx(expected.scale.item(), rel=1e-6)
        assert torch.allclose(normalize(scaled).vertices, normalize(meshes).vertices, atol=1e-6)

    def test_no_extent_names_the_item(self) -> None:
        vertices = [random_batch(1).vertices, torch.ones(4, 3)]
        with pytest.raises(ValueError, match=r"item 1: expected a bounding box.*got 0\.0 from 2 faces"):
            bounding_frame(Meshes.from_list(vertices, [FACES] * 2))

    def test_flat_shapes_have_a_frame(self) -> None:
        flat = torch.tensor([[0.0, 0, 0], [3, 0, 0], [3, 0, 4], [0, 0, 4]])
        assert bounding_frame(Meshes.from_list([flat], [FACES])).scale.tolist() == [5.0]

    def test_no_faces_names_the_item(self) -> None:
        vertices, faces = [torch.rand(4, 3)] * 2, [FACES, FACES[:0]]
        with pytest.raises(ValueError, match=r"item 1: expected faces"):
            bounding_frame(Meshes.from_list(vertices, faces, allow_empty=True))

    def test_not_a_number_is_an_error(self) -> None:
        meshes = random_batch()
        with pytest.raises(ValueError, match="item 0: expected a bounding box with a positive, finite diagonal"):
            bounding_frame(meshes.with_vertices(meshes.vertices * float("nan")))


class TestNormalize:
    def test_unit_diagonal_at_the_origin(self) -> None:
        frame = bounding_frame(normalize(random_batch()))
        assert frame.allclose(Frame.identity(3), tolerance=1e-6)

    def test_invariant_to_units_and_translation(self) -> None:
        meshes = random_batch(dtype=torch.float64)
        moved = meshes.with_vertices(meshes.vertices * 25.4 + torch.tensor([3.0, -7, 100]))
        assert torch.allclose(normalize(moved).vertices, normalize(meshes).vertices, atol=1e-12)

    def test_foreign_frame(self) -> None:
        meshes = random_batch()
        frame = Frame(center=torch.tensor([[1.0, 2, 3]]), scale=torch.tensor([2.0]))
        assert torch.equal(normalize(meshes, frame).vertices, (meshes.vertices - frame.center) / 2)
        frames = Frame(center=frame.center.repeat(3, 1), scale=frame.scale.repeat(3))
        assert torch.equal(normalize(meshes, frames).vertices, normalize(meshes, frame).vertices)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        meshes = random_batch(dtype=dtype)
        result = normalize(meshes)
        assert result.dtype == torch.float32
        assert torch.equal(result.vertices, normalize(meshes.to(dtype=torch.float32)).vertices)

    def test_gradcheck(self) -> None:
        meshes = random_batch(dtype=torch.float64)
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: normalize(meshes.with_vertices(v)).vertices, leaf)

    def test_gradient_through_a_given_frame(self) -> None:
        meshes = random_batch(dtype=torch.float64)
        frame = bounding_frame(meshes)
        leaf = meshes.vertices.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: normalize(meshes.with_vertices(v), frame).vertices, leaf)

    def test_rejects(self) -> None:
        meshes = random_batch()
        with pytest.raises(ValueError, match="1 or 3 shapes, one per mesh, got 2"):
            normalize(meshes, Frame.identity(2))
        with pytest.raises(ValueError, match=r"frame on cpu.*got meta.*frame\.to"):
            normalize(meshes, Frame.identity(3).to("meta"))


class TestFrame:
    def test_items(self) -> None:
        frame = bounding_frame(random_batch())
        assert len(frame) == 3
        assert torch.equal(frame[-1].center, frame.center[2:])
        assert torch.equal(frame[1:].scale, frame.scale[1:])
        with pytest.raises(IndexError, match="got 3"):
            frame[3]

    def test_allclose(self) -> None:
        frame = Frame(center=torch.tensor([[0.0, 0, 0]]), scale=torch.tensor([100.0]))
        near = Frame(center=torch.tensor([[5e-4, 0, 0]]), scale=torch.tensor([100.0]))
        far = Frame(center=torch.tensor([[5e-3, 0, 0]]), scale=torch.tensor([100.0]))
        larger = Frame(center=torch.zeros(1, 3), scale=torch.tensor([100.1]))
        assert frame.allclose(near.to(dtype=torch.float64))
        assert not frame.allclose(far)
        assert not frame.allclose(larger)
        assert not frame.allclose(Frame.identity(2))

    def test_conversions(self) -> None:
        frame = bounding_frame(random_batch())
        assert frame.to(dtype=torch.float64).scale.dtype == torch.float64
        leaf = Frame(center=frame.center.requires_grad_(), scale=frame.scale)
        assert not leaf.detach().center.requires_grad

    def test_rejects(self) -> None:
        # Without the type checker of the tests it is Frame's own ValueError.
        with pytest.raises((ValueError, TypeCheckError), match="scale"):
            Frame(center=torch.zeros(2, 3), scale=torch.ones(3))
