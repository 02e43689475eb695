"""Shapes to train and to test on: parametric ones with part labels."""

from __future__ import annotations

from dr_kfs.datasets.procedural import (
    FAMILIES,
    LabelledShape,
    Part,
    generate,
    generate_many,
    style_options,
)

__all__ = ["FAMILIES", "LabelledShape", "Part", "generate", "generate_many", "style_options"]
