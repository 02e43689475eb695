"""The measure that ranks detectors: what counts as found again, and that all give the same number of points."""

import pytest
import torch

from dr_kfs.keypoints import GHHDetector
from dr_kfs.rendering import Cameras, hemisphere_rig
from dr_kfs.training.repeatability import (
    ViewPair,
    above_blank,
    baselines,
    carried,
    fewest_points,
    found_again,
    repeatability,
    strongest_points,
    view_pair,
)


@pytest.fixture(scope="module")
def pair():
    return view_pair("chair", 1, "view", generator=torch.Generator().manual_seed(0))


def flat_pair(first, second):
    """Two images of a plate that faces one camera, which both are taken with."""
    images = torch.stack([first, second])
    camera = hemisphere_rig()[[0, 0]]
    return ViewPair("plate", images, torch.full_like(images, 2.7), camera)


def dots(*pixels, size=64):
    image = torch.zeros(size, size)
    for strength, (column, row) in enumerate(reversed(pixels), start=1):
        image[row, column] = float(strength)
    return image


class TestStrongestPoints:
    def test_highest_first_and_none_that_is_faint(self):
        score = torch.zeros(32, 32)
        score[5, 9], score[20, 21], score[28, 3] = 1.0, 2.0, 1e-9
        assert strongest_points(score, 5).tolist() == [[21.0, 20.0], [9.0, 5.0]]

    def test_one_of_two_neighbours(self):
        score = torch.zeros(32, 32)
        score[5, 9], score[7, 11] = 1.0, 2.0
        assert strongest_points(score, 5).tolist() == [[11.0, 7.0]]


class TestFoundAgain:
    def test_each_point_is_found_by_one(self):
        # Two points share a neighbour: only the nearer of them is found.
        points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [40.0, 0.0]])
        assert found_again(points, torch.tensor([[0.5, 0.0]]), radius=3.0).tolist() == [True, False, False]

    def test_nothing_to_find(self):
        assert found_again(torch.zeros(2, 2), torch.zeros(0, 2), radius=3.0).tolist() == [False, False]


class TestCarried:
    def test_a_view_carries_to_itself(self, pair):
        points = strongest_points(pair.images[0], 20)
        same = pair.depth[[0, 0]]
        pixels, visible = carried(points, same, pair.cameras[[0, 0]])
        assert visible.all()
        torch.testing.assert_close(pixels, points, atol=1e-3, rtol=0)

    def test_the_background_is_not_visible_from_the_same_camera(self, pair):
        _, visible = carried(torch.tensor([[2.0, 2.0]]), pair.depth[[0, 0]], pair.cameras[[0, 0]])
        assert not visible.any()

    def test_what_is_covered_is_not_visible(self, pair):
        covered = torch.stack([pair.depth[0], pair.depth[0] - 0.1])
        _, visible = carried(strongest_points(pair.images[0], 20), covered, pair.cameras[[0, 0]])
        assert not visible.any()


class TestViewPair:
    def test_other_triangles_look_the_same(self):
        same = view_pair("table", 3, "triangles", generator=torch.Generator().manual_seed(0))
        assert (same.images[0] - same.images[1]).abs().mean() < 0.01 * same.images[0].mean()

    def test_another_view_does_not(self, pair):
        assert (pair.images[0] - pair.images[1]).abs().mean() > 0.05 * pair.images[0].mean()


def as_image(images):
    return images


class TestRepeatability:
    def test_half_is_found(self):
        pair = flat_pair(dots((20, 20), (40, 40)), dots((20, 20), (40, 20)))
        assert repeatability({"image": as_image}, [pair], [2])["image"] == 0.5

    def test_all_give_as_many_points_as_the_one_with_the_fewest(self):
        # The second of two points is the wrong one: whoever gives one point alone must not gain by it.
        pair = flat_pair(dots((20, 20), (40, 40)), dots((20, 20), (40, 20)))
        detectors = {"two": as_image, "one": lambda images: (images - 1.0).clamp_min(0.0)}
        assert fewest_points(detectors, [pair]) == [1]
        assert repeatability(detectors, [pair], [1]) == {"two": 1.0, "one": 1.0}

    def test_points_that_are_missing_are_lost(self):
        pairs = [flat_pair(*[dots((20, 20), (40, 40))] * 2), flat_pair(*[dots((9, 9), (30, 30), (50, 50))] * 2)]
        one = {"one": lambda images: (images - images.amax() + 1.0).clamp_min(0.0)}
        assert repeatability(one, pairs, [2, 3])["one"] == pytest.approx(2 / 5, abs=1e-4)
        assert repeatability(one, pairs, [1, 1])["one"] == 1.0

    def test_the_number_is_of_each_pair(self):
        pairs = [
            flat_pair(dots((20, 20), (40, 40)), dots((20, 20), (40, 20))),
            flat_pair(*[dots((9, 9), (40, 40))] * 2),
        ]
        two = {"two": as_image}
        assert fewest_points(two, pairs) == fewest_points(two, pairs, count=5) == [2, 2]
        assert fewest_points(two, pairs, count=1) == [1, 1]
        for numbers, expected in (([1, 2], 1.0), ([2, 1], 2 / 3), ([2, 2], 0.75)):
            assert repeatability(two, pairs, numbers)["two"] == pytest.approx(expected, abs=1e-4)

    def test_what_is_beside_the_shape_or_hidden_counts_for_nothing(self):
        """Not as found, not as lost, and not in place of points that could be found."""
        both = dots((5, 5), (8, 50), (20, 20), (40, 40)), dots((5, 5), (12, 30), (20, 20), (40, 20))
        pair = flat_pair(*both)
        pair.depth[:, :, :16] = Cameras.far  # beside
        pair.depth[1, 40:] = 2.0  # something in front of it
        assert pair.common[0, 20, 16:].all()
        assert not pair.common[0, :, :14].any()
        assert not pair.common[:, 42:].any()
        assert fewest_points({"image": as_image}, [pair]) == [1]
        assert repeatability({"image": as_image}, [pair], [1]) == {"image": 1.0}

    def test_the_brightest_of_neighbours_may_be_beside_the_shape(self):
        pair = flat_pair(*[dots((12, 20), (16, 20))] * 2)
        assert fewest_points({"image": as_image}, [pair]) == [1]
        pair = flat_pair(*[dots((12, 20), (16, 20))] * 2)
        pair.depth[:, :, :14] = Cameras.far
        assert fewest_points({"image": as_image}, [pair]) == [0]

    def test_every_baseline_finds_all_in_an_equal_image(self, pair):
        same = ViewPair(pair.family, pair.images[[0, 0]], pair.depth[[0, 0]], pair.cameras[[0, 0]])
        numbers = fewest_points(baselines(), [same])
        assert numbers[0] > 3
        assert set(repeatability(baselines(), [same], numbers).values()) == {1.0}

    def test_no_point_is_none_found(self):
        pair = flat_pair(torch.zeros(64, 64), torch.zeros(64, 64))
        assert repeatability({"image": as_image}, [pair], fewest_points({"image": as_image}, [pair])) == {"image": 0.0}
        assert repeatability({"image": as_image}, [pair], [3]) == {"image": 0.0}


class TestAboveBlank:
    def test_ranks_as_the_map_does_without_its_ties(self, pair):
        detector = GHHDetector()
        response, poi = above_blank(detector)(pair.images), detector(pair.images)
        assert torch.equal(response > 0, poi > 0)
        order = response.flatten().argsort()
        assert poi.flatten()[order].diff().min() >= -1e-6  # rounding of the sigmoid
        strongest = poi == poi.amax()
        assert response[strongest].unique().numel() >= poi[strongest].unique().numel()

    def test_black_has_no_points(self):
        assert above_blank(GHHDetector())(torch.zeros(1, 32, 32)).abs().max() == 0
