"""Shapes of a split: the seeds that `dr_kfs.datasets.splits` keeps apart, drawn at random."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets import TEST_SEEDS, TRAIN_SEEDS, VALIDATION_SEEDS, Split

__all__ = ["SPLITS", "Split", "neighbour_seed", "split_seeds"]

SPLITS: dict[Split, range] = {"train": TRAIN_SEEDS, "validation": VALIDATION_SEEDS, "test": TEST_SEEDS}
"""Seeds of `dr_kfs.datasets.generate`, disjoint. Choices are made on validation; test is for the last run. An audit
does not look at which families are held out whole: that is the caller's choice."""


def split_seeds(split: Split, count: int, *, seed: int = 0) -> list[int]:
    """`count` different seeds of a split, drawn at random; the first n do not depend on `count`.

    Raises:
        ValueError: unknown split, or a count that it does not hold.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}.")
    seeds = SPLITS[split]
    if not 1 <= count <= len(seeds):
        raise ValueError(f"The {split} split has 1 to {len(seeds)} shapes per family, got {count}.")
    return [seeds[int(place)] for place in np.random.default_rng(seed).permutation(len(seeds))[:count]]


def neighbour_seed(seed: int, step: int) -> int:
    """The seed `step` places further in the split that holds `seed` (around its end), for another shape."""
    for seeds in SPLITS.values():
        if seed in seeds:
            return seeds[(seed - seeds.start + step) % len(seeds)]
    return seed + step
