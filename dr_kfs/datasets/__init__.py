"""Shapes to train and to test on: parametric ones with part labels."""

from __future__ import annotations

from dr_kfs.datasets.cad_defects import DEFECTS, Defect, with_cad_defects
from dr_kfs.datasets.procedural import (
    FAMILIES,
    LabelledShape,
    Part,
    generate,
    generate_many,
    style_options,
)
from dr_kfs.datasets.retriangulation import retriangulated
from dr_kfs.datasets.splits import (
    TEST_FAMILIES,
    TEST_SEEDS,
    TRAIN_FAMILIES,
    TRAIN_SEEDS,
    VALIDATION_FAMILIES,
    VALIDATION_SEEDS,
    Split,
    split_of,
)

__all__ = [
    "DEFECTS",
    "FAMILIES",
    "TEST_FAMILIES",
    "TEST_SEEDS",
    "TRAIN_FAMILIES",
    "TRAIN_SEEDS",
    "VALIDATION_FAMILIES",
    "VALIDATION_SEEDS",
    "Defect",
    "LabelledShape",
    "Part",
    "Split",
    "generate",
    "generate_many",
    "retriangulated",
    "split_of",
    "style_options",
    "with_cad_defects",
]
