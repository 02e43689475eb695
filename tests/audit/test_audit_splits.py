from __future__ import annotations

from itertools import combinations

import pytest

from dr_kfs.audit.splits import SPLITS, neighbour_seed, split_seeds


class TestSplits:
    def test_are_disjoint(self):
        for first, second in combinations(SPLITS.values(), 2):
            assert not set(first) & set(second)

    @pytest.mark.parametrize("split", SPLITS)
    def test_seeds_come_from_the_split_and_differ(self, split):
        seeds = split_seeds(split, 300, seed=3)
        assert len(set(seeds)) == 300
        assert set(seeds) <= set(SPLITS[split])

    def test_a_larger_draw_contains_the_smaller_one(self):
        assert split_seeds("test", 20, seed=1)[:5] == split_seeds("test", 5, seed=1)
        assert split_seeds("test", 5, seed=1) != split_seeds("test", 5, seed=2)

    @pytest.mark.parametrize(("split", "count"), [("validation", 0), ("validation", 10_001)])
    def test_bad_counts(self, split, count):
        with pytest.raises(ValueError, match="has 1 to 10000 shapes per family"):
            split_seeds(split, count)

    @pytest.mark.parametrize("seed", [0, 9_999, 10_000, 19_999, 29_998])
    def test_neighbours_stay_in_the_split(self, seed):
        (home,) = [seeds for seeds in SPLITS.values() if seed in seeds]
        neighbours = {neighbour_seed(seed, step) for step in (1, 2, 3)}
        assert len(neighbours) == 3
        assert neighbours <= set(home) - {seed}
