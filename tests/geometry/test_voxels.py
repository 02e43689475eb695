from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_kfs.geometry import VoxelGrid


def grid() -> VoxelGrid:
    return VoxelGrid(torch.rand(3, 4, 5, 6), torch.rand(3, 3), 1 + torch.rand(3, 3), "logit")


def same(one: VoxelGrid, other: VoxelGrid) -> bool:
    parts = ("values", "origin", "spacing")
    return one.kind == other.kind and all(torch.equal(getattr(one, part), getattr(other, part)) for part in parts)


class TestInBox:
    @pytest.mark.parametrize(
        ("sample", "first", "spacing"), [("center", [-0.75, 0.25, 2.5], 0.5), ("corner", [-1.0, 0.0, 2.0], 2 / 3)]
    )
    def test_places(self, sample: str, first: list[float], spacing: float) -> None:
        voxels = VoxelGrid.in_box(torch.rand(4, 2, 3), ((-1.0, 0.0, 2.0), (1.0, 1.0, 5.0)), sample=sample)
        assert voxels.origin.tolist() == [first]
        assert voxels.spacing[0, 0].item() == pytest.approx(spacing)
        points = voxels.points()
        assert points.shape == (1, 4, 2, 3, 3)
        assert points[0, 0, 0, 0].tolist() == first
        # The axes of the array are x, y, z.
        step = points[0, 1, 0, 0] - points[0, 0, 0, 0]
        torch.testing.assert_close(step, torch.tensor([spacing, 0.0, 0.0]))

    @pytest.mark.parametrize("shape", [(4, 4, 4), (1, 4, 4, 4), (1, 1, 4, 4, 4)])
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        assert VoxelGrid.in_box(torch.rand(shape)).values.shape == (1, 4, 4, 4)

    @pytest.mark.parametrize("values", [np.eye(2, dtype=bool)[None], torch.ones(2, 2, 2, dtype=torch.uint8)])
    def test_numbers_become_floats(self, values: np.ndarray | torch.Tensor) -> None:
        assert VoxelGrid.in_box(values).dtype == torch.float32

    def test_read_only_and_big_endian_arrays(self) -> None:
        values = np.broadcast_to(np.arange(3.0, dtype=">f4") / 2, (3, 3, 3))
        assert VoxelGrid.in_box(values).values[0, 1, 1].tolist() == [0.0, 0.5, 1.0]

    def test_keeps_dtype_and_graph(self) -> None:
        leaf = torch.rand(2, 1, 3, 3, 3, dtype=torch.float64, requires_grad=True)
        voxels = VoxelGrid.in_box(leaf)
        assert voxels.dtype == voxels.origin.dtype == torch.float64
        voxels.values.sum().backward()
        assert leaf.grad is not None

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"values": torch.rand(3, 3)}, r"got \(3, 3\)"),
            ({"values": torch.zeros(3, 3, 3, dtype=torch.complex64)}, "real numbers, got .* of torch.complex64"),
            ({"values": torch.rand(2, 3, 3, 3, 3)}, r"got \(2, 3, 3, 3, 3\)"),
            ({"bounds": (1.0, 1.0)}, "low below high"),
            ({"bounds": (0.0, float("inf"))}, "both finite"),
            ({"bounds": ((0.0, 0.0), (1.0, 1.0))}, "each a number or three"),
            ({"sample": "edge"}, '"center" or "corner", got \'edge\''),
            ({"values": torch.rand(1, 3, 3), "sample": "corner"}, "two samples per axis"),
            ({"kind": "density"}, "got 'density'"),
        ],
    )
    def test_rejects(self, options: dict[str, object], message: str) -> None:
        # Type checks, which the tests turn on, refuse some of these before the library does.
        with pytest.raises((ValueError, TypeError)) as caught:
            VoxelGrid.in_box(**{"values": torch.rand(3, 3, 3), **options})
        assert isinstance(caught.value, TypeError) or caught.match(message)


class TestVoxelGrid:
    def test_items(self) -> None:
        voxels = grid()
        assert len(voxels) == 3
        assert torch.equal(voxels[1].values, voxels.values[1:2])
        assert torch.equal(voxels[[2, 0]].origin, voxels.origin[[2, 0]])
        assert torch.equal(voxels[-1].spacing, voxels.spacing[2:])
        assert len(voxels[1:]) == 2
        with pytest.raises(IndexError):
            voxels[3]

    def test_cat(self) -> None:
        voxels = grid()
        assert same(VoxelGrid.cat([voxels[:1], voxels[1:]]), voxels)
        with pytest.raises(ValueError, match=r"one size, kind, dtype and device, got \[VoxelGrid\(3 items"):
            VoxelGrid.cat([voxels, voxels.to(dtype=torch.float64)])

    def test_conversions(self) -> None:
        voxels = grid()
        assert voxels.to(dtype=torch.float64).spacing.dtype == torch.float64
        assert voxels.to(dtype=torch.float16).values.dtype == torch.float16
        assert torch.equal(voxels.to(dtype=torch.float16).origin, voxels.origin)
        leaf = voxels.values.clone().requires_grad_()
        learned = voxels.with_values(leaf)
        assert learned.values is leaf
        assert not learned.detach().values.requires_grad
        assert same(learned.detach(), voxels)

    def test_repr(self) -> None:
        assert repr(grid()) == "VoxelGrid(3 items of 4 x 5 x 6, logit, float32, cpu)"

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ((torch.rand(3, 3, 3), torch.rand(3, 3), torch.rand(3, 3)), r"values of shape \(B, X, Y, Z\)"),
            (
                (torch.rand(2, 3, 3, 0), torch.rand(2, 3), torch.rand(2, 3)),
                r"got torch.float32 of shape \(2, 3, 3, 0\)",
            ),
            ((torch.ones(2, 3, 3, 3).int(), torch.rand(2, 3), torch.rand(2, 3)), "VoxelGrid.in_box converts"),
            ((torch.rand(2, 3, 3, 3), torch.rand(3), torch.rand(2, 3)), r"a floating-point origin of shape \(2, 3\)"),
            ((torch.rand(2, 3, 3, 3), torch.rand(2, 3), torch.rand(1, 3)), "a floating-point spacing"),
        ],
    )
    def test_rejects(self, parts: tuple[torch.Tensor, ...], message: str) -> None:
        with pytest.raises((ValueError, TypeError)) as caught:
            VoxelGrid(*parts)
        assert isinstance(caught.value, TypeError) or caught.match(message)
