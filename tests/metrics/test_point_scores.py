from __future__ import annotations

import pytest
import torch

from dr_kfs.geometry import Meshes, PointSets
from dr_kfs.metrics import point_noise_floor, point_scores

# Distances from the three predictions to the target: 0, 1, 3; from the two target points: 0, 2.
PREDICTED = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 3]], dtype=torch.float64)
TARGET = torch.tensor([[0.0, 0, 0], [2, 0, 0]], dtype=torch.float64)


def square() -> Meshes:
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    return Meshes.from_list([vertices], [torch.tensor([[0, 1, 2], [1, 3, 2]])])


class TestPointScores:
    def test_values(self) -> None:
        scores = point_scores(PREDICTED, TARGET, [0.5, 1.0, 2.0, 5.0])
        torch.testing.assert_close(scores.coverage, torch.tensor([[0.5, 0.5, 1.0, 1.0]]).double())
        torch.testing.assert_close(scores.precision, torch.tensor([[1 / 3, 2 / 3, 2 / 3, 1.0]]).double())
        torch.testing.assert_close(scores.spurious, torch.tensor([[2 / 3, 1 / 3, 1 / 3, 0.0]]).double())
        torch.testing.assert_close(scores.f1, torch.tensor([[0.4, 4 / 7, 0.8, 1.0]]).double())

    def test_nothing_within_reach(self) -> None:
        scores = point_scores(PREDICTED, TARGET + 100.0, 1.0)
        assert scores.coverage.item() == scores.precision.item() == scores.f1.item() == 0.0

    def test_sides_change_places(self) -> None:
        there, back = point_scores(PREDICTED, TARGET, 1.0), point_scores(TARGET, PREDICTED, 1.0)
        assert torch.equal(there.coverage, back.precision)
        assert torch.equal(there.f1, back.f1)

    def test_rises_with_tau_and_batch_is_loop(self) -> None:
        predicted, target = [torch.rand(30, 3), torch.rand(40, 3)], [torch.rand(20, 3), torch.rand(50, 3)]
        taus = torch.linspace(0.01, 0.5, 20).tolist()
        scores = point_scores(predicted, target, taus)
        assert scores.coverage.shape == scores.f1.shape == (2, 20)
        for values in (scores.coverage, scores.precision, scores.f1):
            assert (values.diff(dim=1) >= 0).all()
        alone = [point_scores(p, t, taus).f1 for p, t in zip(predicted, target, strict=True)]
        assert torch.equal(scores.f1, torch.cat(alone))

    def test_weights(self) -> None:
        target = PointSets.from_list([TARGET], weights=[torch.tensor([3.0, 1.0])])
        assert point_scores(PREDICTED, target, 1.0).coverage.item() == 0.75

    def test_has_no_gradient(self) -> None:
        assert not point_scores(PREDICTED.clone().requires_grad_(), TARGET, 1.0).f1.requires_grad

    @pytest.mark.parametrize("taus", [[], [0.1, 0.0], -1.0, float("nan")])
    def test_refuses(self, taus: float | list[float]) -> None:
        with pytest.raises(ValueError, match="at least one threshold, all above 0"):
            point_scores(PREDICTED, TARGET, taus)


class TestPointNoiseFloor:
    def test_value(self) -> None:
        """Of a unit square: a point is covered with probability 1 - (1 - pi tau^2)^n, away from the border."""
        floor = point_noise_floor(square(), [0.005, 0.3], samples=4000, seed=0)
        expected = 1 - (1 - torch.pi * 0.005**2) ** 4000  # 0.27
        # 5 standard deviations: 5 sqrt(p (1 - p) / 4000) = 0.035
        assert floor.coverage[0, 0].item() == pytest.approx(expected, abs=0.035)
        assert floor.precision[0, 0].item() == pytest.approx(expected, abs=0.035)
        assert floor.f1[0, 1].item() == 1.0

    def test_is_what_a_perfect_prediction_scores(self) -> None:
        meshes = square()
        options = {"samples": 500, "seed": 3}
        floor, perfect = point_noise_floor(meshes, 0.02, **options), point_scores(meshes, meshes, 0.02, **options)
        assert torch.equal(floor.f1, perfect.f1)
        assert 0.1 < floor.f1.item() < 0.9

    def test_refuses_point_sets(self) -> None:
        with pytest.raises(TypeError, match="item 0: expected a Meshes"):
            point_noise_floor(PointSets.from_list([TARGET]), 0.1, samples=5)
