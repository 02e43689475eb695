"""Visual recall and precision: values by hand, laws, a removed part and an extra one."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dr_kfs import Comparison, DRKFSLoss, SoftRenderer, hemisphere_rig
from dr_kfs.comparison import Direction, SeenShape
from dr_kfs.datasets import generate
from dr_kfs.descriptors import PatchScales
from dr_kfs.metrics import f_score, visual_scores


def direction(distance: torch.Tensor, weights: torch.Tensor) -> Direction:
    return Direction(distance.sum(-1), distance, weights, torch.zeros_like(distance, dtype=torch.long))


def made_up(forth: Direction, back: Direction, size: int = 48, factors: tuple[int, ...] = (1,)) -> Comparison:
    """Images of 48 px have 2x2 patches."""
    sides = [SeenShape(torch.zeros(*each.weights.shape, 8), each.weights, None, None) for each in (forth, back)]
    return Comparison(*sides, forth, back, PatchScales(size, factors), {})


DISTANCE = torch.tensor([[[0.0, 0.1, 0.2, 0.3], [0.2, 0.2, 0.2, 0.2], [9.0, 9.0, 9.0, 9.0]]])
WEIGHTS = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])


class TestVisualScores:
    def test_value_by_hand(self) -> None:
        back = direction(DISTANCE, WEIGHTS)
        forth = direction(torch.zeros_like(DISTANCE), WEIGHTS)
        scores = visual_scores(made_up(forth, back), [0.0, 0.1, 0.2, 0.3])
        # The third view shows no keypoint of the target and does not count.
        torch.testing.assert_close(scores.recall, torch.tensor([[0.1 / 2, 0.3 / 2, (0.6 + 1) / 2, 1.0]]))
        torch.testing.assert_close(scores.precision, torch.ones(1, 4))
        torch.testing.assert_close(scores.f1, 2 * scores.recall / (1 + scores.recall))

    def test_scales_have_the_same_say(self) -> None:
        # 96 px and its half: 5x5 and 2x2 patches.
        far = torch.cat([torch.zeros(25), torch.ones(4)]).expand(1, 1, 29)
        scores = visual_scores(made_up(*[direction(far, torch.ones(1, 1, 29))] * 2, size=96, factors=(1, 2)), 0.5)
        assert scores.recall.item() == pytest.approx(0.5)

    def test_a_side_without_keypoints_scores_0(self) -> None:
        seen, nothing = direction(DISTANCE, WEIGHTS), direction(DISTANCE, torch.zeros_like(WEIGHTS))
        scores = visual_scores(made_up(nothing, seen), 0.3)
        assert scores.precision.item() == 0.0
        assert scores.f1.item() == 0.0

    def test_default_curve_and_bad_thresholds(self) -> None:
        comparison = made_up(*[direction(DISTANCE, WEIGHTS)] * 2)
        tau = visual_scores(comparison).tau
        assert (len(tau), tau[0].item(), tau[-1].item()) == (33, 0.0, 0.5)  # 4 / D for descriptors of length 8
        for wrong in ([], -0.1, [0.1, float("nan")]):
            with pytest.raises(ValueError, match="at least one threshold"):
                visual_scores(comparison, wrong)

    def test_weights_of_the_directions_do_not_enter(self) -> None:
        comparison = made_up(*[direction(DISTANCE, WEIGHTS)] * 2)
        heavier = dataclasses.replace(comparison, recall_weight=5.0)
        assert torch.equal(visual_scores(heavier).recall, visual_scores(comparison).recall)

    def test_what_is_missing_costs_recall(self) -> None:
        loss_fn = DRKFSLoss(renderer=SoftRenderer(cameras=hemisphere_rig()[[1, 9]]))
        chair = generate("chair", 4, style={"legs": "four", "bars": "box", "arms": "none"})
        whole, broken = loss_fn.encode(chair.to_meshes()), chair.without("leg_0", "bar_*").to_meshes()
        broken = loss_fn.encode(broken, frame=whole.frame)
        missing = visual_scores(loss_fn.compare(broken, whole), [0.001, 0.003])
        assert (missing.recall < missing.precision).all()
        same = visual_scores(loss_fn.compare(whole, whole))
        assert torch.equal(same.f1, torch.ones(1, 33))


class TestFScore:
    def test_values(self) -> None:
        scores = f_score(torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.0, 1.0, 1.0]))
        torch.testing.assert_close(scores, torch.tensor([0.0, 1.0, 2 / 3]))
