"""Views of shapes before and after labelled edits: what the descriptor learns from at the level of the metric.

Shapes of the training families and seeds, edited as `dr_kfs.audit` edits those of validation and test: legs changed and
removed at equal Chamfer distance, bars shifted and removed, parts added and removed, noise, voxels, and what else
should cost little. Each shape is seen from a few views of the default rig.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor

from dr_kfs.audit import EDITS, NotApplicableError, target_shape
from dr_kfs.audit.edits import ANOTHER_SHAPE
from dr_kfs.audit.limb_edits import LIMB_CHANGES, matched_limbs
from dr_kfs.audit.part_edits import another_shape
from dr_kfs.audit.targets import Variant
from dr_kfs.datasets import LabelledShape
from dr_kfs.datasets.splits import TRAIN_FAMILIES, TRAIN_SEEDS
from dr_kfs.geometry import Meshes, bounding_frame, normalize
from dr_kfs.rendering import SoftRenderer
from dr_kfs.rendering.cameras import hemisphere_rig
from dr_kfs.training.shape_files import kept_files

__all__ = ["STRENGTHS", "TARGET", "Change", "EditedViews", "collect", "edited_views", "planned_shape"]

Change = tuple[str, float]
"""Name of an edit of `dr_kfs.audit` and its strength."""
TARGET: Change = ("target", 0.0)
"""The shape as it was."""
VIEWS = 4
"""Of each shape."""
FIRST_SEED = TRAIN_SEEDS.start + 1000
"""Shapes below are those of the other trainings."""
MATCHING = {"samples": 2000, "tolerance": 0.05}
"""Of the Chamfer distance at which limbs are changed: five times faster than the audit's, and exact enough here."""
OTHER_FAMILIES = tuple(family for family in TRAIN_FAMILIES if family not in ("chair", "table"))

STRENGTHS: dict[Variant, dict[str, tuple[float, ...]]] = {
    "limbed": {"limbs-removed": (1.0,), **{f"limbs-{change}": (1.0,) for change in LIMB_CHANGES}},
    "barred": {"bars-up": (5.0,), "bars-down": (5.0,), "bars-removed": (1.0,)},
    "free": {
        "part-removed": (1.0,),
        "part-added": (1.0,),
        "hole": (0.2,),
        "noise": (0.0005, 0.002),
        "smoothing": (1.0,),
        "decimation": (0.5,),
        "voxels": (1 / 128, 1 / 64, 1 / 32),
        "translation": (1.0, 5.0),
        "rotation": (3.0,),
    },
}
"""What is done to a shape of each variant; another shape of the family, twice, goes with all."""


@dataclass(frozen=True, eq=False)
class EditedViews:
    """One shape and its edits from the same views."""

    images: dict[Change, UInt8[Tensor, "V H W"]]
    """Shade times 255; `TARGET` first."""

    def stacked(self, changes: list[Change], views: Tensor) -> Float[Tensor, "K V H W"]:
        """Some of the edits in some of the views, [0, 1]."""
        return torch.stack([self.images[change][views] for change in changes]).float() / 255.0

    def to(self, device: str) -> EditedViews:
        """The same on a device."""
        return EditedViews({change: images.to(device) for change, images in self.images.items()})

    def save(self, path: Path) -> None:
        """Write a `.safetensors` file."""
        save_file({f"{name} {strength!r}": images for (name, strength), images in self.images.items()}, path)

    @classmethod
    def load(cls, path: Path) -> EditedViews:
        """Read what `save` wrote."""
        tensors = load_file(path)
        keys = {(text.split()[0], float(text.split()[1])): text for text in tensors}
        ordered = sorted(keys, key=lambda change: (change != TARGET, change))
        return cls({change: tensors[keys[change]] for change in ordered})


def planned_shape(index: int) -> tuple[str, Variant]:
    """Family and variant of the n-th shape: of six, three are chairs, one is a table, two are of the other families."""
    turn = index // 6
    plan: tuple[tuple[str, Variant], ...] = (
        ("chair", "limbed"),
        ("table", "limbed"),
        ("chair", "barred"),
        ("chair", "limbed"),
        (OTHER_FAMILIES[turn % len(OTHER_FAMILIES)], "limbed"),
        (TRAIN_FAMILIES[turn % len(TRAIN_FAMILIES)], "free"),
    )
    return plan[index % 6]


def edited_views(index: int) -> EditedViews:
    """The n-th training shape and its edits; an edit that the shape does not have is left out."""
    family, variant = planned_shape(index)
    seed = FIRST_SEED + index
    shape = target_shape(family, seed, variant)
    if shape is None:  # a family without limbs
        variant = "free"
        shape = target_shape(family, seed, variant)
    assert shape is not None
    generator = torch.Generator().manual_seed(seed)
    views = torch.randperm(25, generator=generator)[:VIEWS].tolist()
    renderer = SoftRenderer(cameras=hemisphere_rig()[views])
    meshes = shape.to_meshes()
    frame = bounding_frame(meshes)

    def draw(edited: Meshes) -> Tensor:
        with torch.no_grad():
            return (renderer(normalize(edited, frame)).images[0] * 255.0).round().to(torch.uint8)

    images = {TARGET: draw(meshes)}
    for change, make in _edits(variant):
        try:
            images[change] = draw(make(shape))
        except NotApplicableError:
            continue
    return EditedViews(images)


def _edits(variant: Variant) -> Iterator[tuple[Change, Callable[[LabelledShape], Meshes]]]:
    for step in (1.0, 2.0):
        yield (ANOTHER_SHAPE, step), functools.partial(another_shape, variant=variant, step=step)
    for name, strengths in STRENGTHS[variant].items():
        for strength in strengths:
            yield (name, strength), functools.partial(_edited, name, strength)


def _edited(name: str, strength: float, shape: LabelledShape) -> Meshes:
    limb_change = name.removeprefix("limbs-")
    if limb_change in LIMB_CHANGES:
        return matched_limbs(shape, limb_change, strength, **MATCHING)  # pyright: ignore[reportArgumentType]
    return EDITS[name].apply(shape, strength)


def collect(planned: range, folder: Path, *, console: Console) -> list[Path]:
    """Files of the planned shapes; those that are there already are kept."""

    def save(index: int, path: Path) -> None:
        edited_views(index).save(path)

    return kept_files(planned, folder, save, label="rendering edited shapes", console=console)
