"""Partial views of procedural shapes: what one camera sees of a surface, and the whole surface as the target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

import dr_kfs
from dr_kfs.datasets import (
    TEST_FAMILIES,
    TEST_SEEDS,
    TRAIN_FAMILIES,
    TRAIN_SEEDS,
    VALIDATION_FAMILIES,
    VALIDATION_SEEDS,
    generate,
)
from dr_kfs.geometry import sample_surface
from dr_kfs.rendering import Cameras, SoftRenderer

DEPTH_MARGIN = 0.01
"""How far behind the depth map a point may lie and still be seen [target diagonals]; a pixel is 0.009 wide."""
DEPTH_SIZE = 128
"""Of the depth maps [px]."""
TEST_FIRST = 1000
"""Test seeds begin here: earlier ones have been looked at."""

Shape = tuple[str, int]


@dataclass(frozen=True, eq=False)
class PartialViews:
    """S shapes in the frame of the complete shape (centre 0, diagonal 1), each seen from V cameras."""

    complete: Float[Tensor, "S M 3"]
    """Samples of the whole surface, what is hidden inside included."""
    partial: Float[Tensor, "S V P 3"]
    """Points that a camera sees; not those of `complete`, but others of the same surface."""

    def to(self, device: str) -> PartialViews:
        """The same on another device."""
        return PartialViews(self.complete.to(device), self.partial.to(device))


def shapes_of(split: str, per_family: int) -> list[Shape]:
    """The shapes of a split: `"train"`, `"validation"`, `"known families"` or `"new families"` (both of test)."""
    families, seeds = {
        "train": (TRAIN_FAMILIES, TRAIN_SEEDS),
        "validation": (TRAIN_FAMILIES + VALIDATION_FAMILIES, VALIDATION_SEEDS),
        "known families": (TRAIN_FAMILIES, TEST_SEEDS[TEST_FIRST:]),
        "new families": (TEST_FAMILIES, TEST_SEEDS[TEST_FIRST:]),
    }[split]
    return [(family, seed) for seed in seeds[:per_family] for family in families]


def partial_views(shapes: Sequence[Shape], *, views: int, points: int, observed: int) -> PartialViews:
    """Samples of every shape, and what `views` cameras of the rig, drawn at random, see of other samples.

    Args:
        shapes: families and seeds.
        views: V, cameras per shape.
        points: M, samples of the complete surface.
        observed: P, points of a partial view, drawn from those that are seen, repeatedly where they are fewer.
    """
    renderer = SoftRenderer(image_size=DEPTH_SIZE)
    complete, partial = [], []
    for family, seed in shapes:
        generator = torch.Generator().manual_seed(seed)
        mesh = dr_kfs.normalize(generate(family, seed).to_meshes())
        drawn = sample_surface(mesh, points + 8 * observed, generator=generator).points[0]
        complete.append(drawn[:points])
        candidates = drawn[points:]
        chosen = torch.randperm(len(renderer.cameras), generator=generator)[:views].tolist()
        cameras = renderer.cameras[chosen]
        with torch.no_grad():  # data
            depth = renderer(mesh, cameras).depth[0]
        for seen in seen_points(candidates, depth, cameras):
            rows = torch.where(seen)[0]
            if len(rows) == 0:
                raise ValueError(f"A camera sees nothing of {family} {seed}: none of {len(candidates)} samples.")
            order = torch.randperm(len(rows), generator=generator)
            partial.append(candidates[rows[order[torch.arange(observed) % len(rows)]]])
    stacked = torch.stack(partial)
    return PartialViews(torch.stack(complete), stacked.view(len(shapes), views, observed, 3))


def seen_points(points: Float[Tensor, "N 3"], depth: Float[Tensor, "V H W"], cameras: Cameras) -> Bool[Tensor, "V N"]:
    """The depth test: which points lie on, or at most `DEPTH_MARGIN` behind, what the depth map shows there.

    Within a pixel of an outline the map may show the background, and what lies behind the outline passes too; steep
    slopes, which change by more than the margin within a pixel, are seen in part, as by a depth camera.
    """
    size = depth.shape[-1]
    projected = cameras.project(points)
    column = ((projected[..., 0] + 1.0) * size / 2.0).long().clamp(0, size - 1)
    row = ((1.0 - projected[..., 1]) * size / 2.0).long().clamp(0, size - 1)
    view = torch.arange(len(depth))[:, None]
    return projected[..., 2] <= depth[view, row, column] + DEPTH_MARGIN
