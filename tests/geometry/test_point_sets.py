from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_kfs.geometry import Meshes, PointSets, as_point_sets, sample_surface

TRIANGLE = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
FACES = torch.tensor([[0, 1, 2]])


def ragged() -> list[torch.Tensor]:
    return [torch.rand(4, 3), torch.rand(2, 3)]


class TestPointSets:
    def test_from_list(self) -> None:
        points = ragged()
        sets = PointSets.from_list(points)
        assert len(sets) == 2
        assert sets.counts == (4, 2)
        assert all(torch.equal(a, b) for a, b in zip(sets.points_list(), points, strict=True))
        assert repr(sets) == "PointSets(2 items, 6 points, float32, cpu)"

    def test_arrays(self) -> None:
        sets = PointSets.from_list([np.ones((3, 3), dtype=">f8")], weights=[np.ones(3)])
        assert sets.dtype == torch.float64
        assert torch.equal(sets.points, torch.ones(3, 3, dtype=torch.float64))
        assert repr(sets) == "PointSets(1 item, 3 points, weights, float64, cpu)"

    def test_padding_is_ignored_and_has_no_gradient(self) -> None:
        points = torch.rand(2, 4, 3)
        points[1, 2:] = torch.nan
        leaf = points.requires_grad_()
        sets = PointSets.from_padded(
            leaf, lengths=torch.tensor([4, 2]), normals=torch.ones(2, 4, 3), weights=torch.arange(1.0, 9.0).view(2, 4)
        )
        assert torch.equal(sets.points, torch.cat([points[0], points[1, :2]]))
        assert sets.weights is not None
        assert sets.weights.tolist() == [1, 2, 3, 4, 5, 6]
        assert sets.normals is not None
        assert sets.normals.shape == (6, 3)
        (gradient,) = torch.autograd.grad(sets.points.sum(), leaf)
        assert torch.equal(gradient.sum((1, 2)), torch.tensor([12.0, 6.0]))

    def test_from_meshes(self) -> None:
        meshes = Meshes.from_list([TRIANGLE, TRIANGLE + 1], [FACES, FACES])
        sets, drawn = PointSets.from_meshes(meshes, 5, seed=1), sample_surface(meshes, 5, seed=1)
        assert sets.counts == (5, 5)
        assert torch.equal(sets.points, drawn.points.flatten(0, 1))
        assert sets.normals is not None
        assert torch.equal(sets.normals, drawn.normals.flatten(0, 1))
        with pytest.raises(ValueError, match="at least one shape"):
            PointSets.from_meshes(meshes[:0], 5)

    def test_select_and_repeat(self) -> None:
        sets = PointSets.from_list(ragged(), weights=[torch.ones(4), torch.ones(2)])
        chosen = sets.select(torch.tensor([3, 0, 5]), [2, 1])
        assert chosen.counts == (2, 1)
        assert torch.equal(chosen.points, sets.points[[3, 0, 5]])
        twice = sets.repeat(2)
        assert twice.counts == (4, 2, 4, 2)
        assert twice.weights is not None
        assert torch.equal(twice.points, torch.cat([sets.points, sets.points]))

    def test_to(self) -> None:
        sets = PointSets.from_list(ragged(), normals=ragged()).to(dtype=torch.float64)
        assert sets.dtype == torch.float64
        assert sets.normals is not None
        assert sets.normals.dtype == torch.float64

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([], "at least one point set"),
            ([torch.rand(1, 3), torch.rand(0, 3)], "item 1: expected at least one point"),
            ([torch.rand(1, 3), torch.tensor([[0.0, 0, 0], [0, torch.nan, 0]])], r"item 1: .* at point 1 \(1 of 2"),
            ([torch.rand(1, 3), torch.rand(2, 2)], r"item 1: expected points of shape \(N, 3\), got \(2, 2\)"),
            ([torch.zeros(1, 3, dtype=torch.int64)], "item 0: expected points of floating point"),
            ([torch.rand(1, 3), torch.rand(1, 3).double()], "item 1: expected points of one dtype"),
            ([torch.rand(1, 3), torch.rand(1, 3, device="meta")], "item 1: expected points on cpu"),
        ],
    )
    def test_refuses(self, points: list[torch.Tensor], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            PointSets.from_list(points)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([torch.ones(4)], "weights for each of 2"),
            ([torch.ones(4), torch.ones(3)], r"item 1: expected weights of shape \(2\), got \(3,\)"),
            ([torch.ones(4), torch.zeros(2)], "item 1: expected weights of at least 0 with a positive sum"),
            ([torch.ones(4), torch.tensor([2.0, -1.0])], "item 1: expected weights of at least 0"),
            ([torch.ones(4), torch.tensor([1.0, torch.inf])], "item 1: expected finite weights"),
        ],
    )
    def test_refuses_weights(self, weights: list[torch.Tensor], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            PointSets.from_list(ragged(), weights=weights)

    def test_refuses_what_is_no_tensor(self) -> None:
        with pytest.raises(TypeError):
            PointSets.from_list(["points"])  # type: ignore[list-item]

    @pytest.mark.parametrize("lengths", [[1], [1, 5], [-1, 2]])
    def test_refuses_lengths(self, lengths: list[int]) -> None:
        with pytest.raises(ValueError, match="Expected 2 lengths"):
            PointSets.from_padded(torch.rand(2, 4, 3), lengths=lengths)


class TestAsPointSets:
    def test_what_it_takes(self) -> None:
        points = torch.rand(2, 4, 3)
        sets = PointSets.from_padded(points)
        assert as_point_sets(sets) is sets
        for value in (points, list(points), points.numpy(), list(points.numpy()), tuple(points)):
            assert torch.equal(as_point_sets(value).points, sets.points)
        assert as_point_sets(points[0]).counts == (4,)

    def test_surfaces_need_samples(self) -> None:
        for shape in (Meshes.from_list([TRIANGLE], [FACES]), (TRIANGLE, FACES)):
            assert as_point_sets(shape, samples=7, seed=0).counts == (7,)
            with pytest.raises(TypeError, match="samples=2048"):
                as_point_sets(shape)

    def test_refuses(self) -> None:
        with pytest.raises(ValueError, match="item 0: expected points of shape"):
            as_point_sets(torch.rand(3))
        with pytest.raises(TypeError, match="expected a Meshes"):
            as_point_sets("points", samples=3)
