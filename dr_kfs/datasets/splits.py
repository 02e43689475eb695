"""Which shapes may be trained on, which choices may be tuned on, and which are kept for the final figures.

A shape is a family and a seed, and both are split:

- `TRAIN_FAMILIES` with `TRAIN_SEEDS`: everything that weights are fitted to.
- `VALIDATION_FAMILIES` with `VALIDATION_SEEDS`: settings, stopping, ablations. Training never sees these families,
  so they say how well something carries over to shapes of another kind.
- `TEST_FAMILIES` with `TEST_SEEDS`: looked at once, for the figures that are published.

A protocol that is about a family of the training set (the chairs of the paper's Table 5 and Figure 2) draws it from
the seeds of its own split: chairs of `TEST_SEEDS` are tested, of `VALIDATION_SEEDS` tuned on, of `TRAIN_SEEDS`
trained on, and never is a shape in two splits. Say which of the two a figure is: *new shapes of known families*
or *new families*.

    for i in range(1000):
        family = TRAIN_FAMILIES[i % len(TRAIN_FAMILIES)]
        shape = generate(family, TRAIN_SEEDS[i // len(TRAIN_FAMILIES)])

`generate_many` derives seeds of 32 bits, which practically never lie in these ranges: it is for demonstrations and
tests, not for figures.
"""

from __future__ import annotations

from typing import Literal

from dr_kfs.datasets.procedural import FAMILIES

__all__ = [
    "TEST_FAMILIES",
    "TEST_SEEDS",
    "TRAIN_FAMILIES",
    "TRAIN_SEEDS",
    "VALIDATION_FAMILIES",
    "VALIDATION_SEEDS",
    "Split",
    "split_of",
]

Split = Literal["train", "validation", "test"]

VALIDATION_FAMILIES: tuple[str, ...] = ("sofa", "bicycle")
"""One upholstered and boxy, one of thin tubes and spokes."""
TEST_FAMILIES: tuple[str, ...] = ("ship", "creature")
"""One of hulls, masts and sails, one grown: rounded, with legs, tails and wings."""
TRAIN_FAMILIES: tuple[str, ...] = tuple(
    family for family in FAMILIES if family not in VALIDATION_FAMILIES + TEST_FAMILIES
)
"""All others, the chair among them."""

TRAIN_SEEDS = range(0, 10_000)
VALIDATION_SEEDS = range(10_000, 20_000)
TEST_SEEDS = range(20_000, 30_000)


def split_of(family: str, seed: int) -> Split | None:
    """The split that the shape may be used in, or None: a held-out family with another split's seed, say.

    A training family with seeds of validation or test belongs to those: new shapes of a known family.
    """
    seeds: dict[Split, range] = {"train": TRAIN_SEEDS, "validation": VALIDATION_SEEDS, "test": TEST_SEEDS}
    families: dict[Split, tuple[str, ...]] = {
        "train": TRAIN_FAMILIES,
        "validation": TRAIN_FAMILIES + VALIDATION_FAMILIES,
        "test": TRAIN_FAMILIES + TEST_FAMILIES,
    }
    return next((split for split in seeds if seed in seeds[split] and family in families[split]), None)
