"""Rows of fits, one per shape and way of fitting it: which shapes are whole, and their picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from experiment_rows import Row
from hybrid_fits import Shape, target_mesh

import dr_kfs
from dr_kfs.report.sheets import contact_sheet

SHOWN_VIEW = 9
"""From the front left, 30 degrees up."""


def shape_of(row: Row) -> Shape:
    """Family and seed."""
    return row["family"], row["seed"]


def whole_shapes(rows: list[Row], way: str) -> list[Shape]:
    """The shapes that were fitted in every way that occurs: others would make means of different shapes.

    Args:
        rows: of the fits.
        way: the column that says how each was fitted.
    """
    ways = {row[way] for row in rows}
    found: dict[Shape, set[str]] = {}
    for row in rows:
        found.setdefault(shape_of(row), set()).add(row[way])
    return [shape for shape, names in found.items() if names == ways]


def fits_sheet(
    rows: list[Row], way: str, names: Sequence[str], shown: list[Shape], folder: Path, *, image_size: int
) -> np.ndarray:
    """Ways of fitting as rows, shapes as columns, the targets at the bottom.

    Args:
        rows: of the fits, with the place of each "mesh" in the folder.
        way: the column that says how each was fitted.
        names: the ways, in the order of the picture.
        shown: the shapes.
        folder: of the meshes.
        image_size: of each view [px].
    """
    renderer = dr_kfs.SoftRenderer(image_size=image_size, cameras=dr_kfs.hemisphere_rig()[[SHOWN_VIEW]])
    places = {(shape_of(row), row[way]): folder / row["mesh"] for row in rows}
    sheet = [[dr_kfs.load_meshes(places[shape, name]) for shape in shown] for name in names]
    sheet.append([target_mesh(*shape) for shape in shown])
    with torch.no_grad():  # a picture has no gradient
        images = [torch.stack([renderer(mesh).images[0, 0] for mesh in line]) for line in sheet]
    return contact_sheet(torch.stack(images), [*names, "target"], captions=[family for family, _ in shown])
