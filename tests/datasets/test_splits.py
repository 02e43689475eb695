from __future__ import annotations

import pytest

from dr_kfs.datasets import (
    FAMILIES,
    TEST_FAMILIES,
    TEST_SEEDS,
    TRAIN_FAMILIES,
    TRAIN_SEEDS,
    VALIDATION_FAMILIES,
    VALIDATION_SEEDS,
    split_of,
)


class TestSplits:
    def test_each_family_is_in_exactly_one_split(self):
        assert sorted(TRAIN_FAMILIES + VALIDATION_FAMILIES + TEST_FAMILIES) == sorted(FAMILIES)
        assert len(TRAIN_FAMILIES) >= 8
        assert len(VALIDATION_FAMILIES) >= 2
        assert len(TEST_FAMILIES) >= 2
        assert "chair" in TRAIN_FAMILIES

    def test_seeds_do_not_meet(self):
        ranges = (TRAIN_SEEDS, VALIDATION_SEEDS, TEST_SEEDS)
        assert len(set().union(*ranges)) == sum(len(seeds) for seeds in ranges) == 30_000

    @pytest.mark.parametrize(
        ("family", "seed", "split"),
        [
            ("chair", 0, "train"),
            ("chair", 9_999, "train"),
            ("chair", 10_000, "validation"),
            ("chair", 20_000, "test"),
            ("sofa", 10_001, "validation"),
            ("ship", 29_999, "test"),
            ("sofa", 5, None),
            ("ship", 10_000, None),
            ("sofa", 20_000, None),
            ("chair", 30_000, None),
        ],
    )
    def test_split_of(self, family, seed, split):
        assert split_of(family, seed) == split
