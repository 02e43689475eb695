"""Comparisons that are made up, so that no network runs.

dr_kfs is imported inside the fixture: at the top it could come before the type checks of tests/conftest.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from dr_kfs import Comparison

SIZE, GRID = 64, 3
"""Images of 64 px have 3x3 patches."""


@pytest.fixture
def make_comparison():
    """A comparison of two pairs in three views; `pictures=False` as if the predicted side were a ShapeCode."""

    from dr_kfs import Comparison, hemisphere_rig
    from dr_kfs.comparison import Direction, SeenShape
    from dr_kfs.descriptors import PatchScales

    def make(*, pictures: bool = True, distance: torch.Tensor | None = None) -> Comparison:
        generator = torch.Generator().manual_seed(0)

        def rand(*shape: int) -> torch.Tensor:
            return torch.rand(2, 3, *shape, generator=generator)

        def seen(with_pictures: bool) -> SeenShape:
            images = (rand(SIZE, SIZE), (rand(SIZE, SIZE),)) if with_pictures else (None, None)
            return SeenShape(rand(GRID**2, 4), weights, *images)

        def direction() -> Direction:
            patch_distance = rand(GRID**2) if distance is None else distance
            per_view = (weights * patch_distance).sum(-1) / weights.sum(-1)
            match = torch.randint(GRID**2, (2, 3, GRID**2), generator=generator)
            return Direction(per_view, patch_distance, weights, match)

        weights = rand(GRID**2)
        settings = {
            "renderer": {"cameras": hemisphere_rig()[[0, 12, 24]].settings()},
            "detector": {"type": "D", "weights": "ghh-[shapes]", "fingerprint": "0123456789ab"},
            "descriptor": {"type": "mine.Descriptor"},
        }
        return Comparison(seen(pictures), seen(True), direction(), direction(), PatchScales(SIZE), settings)

    return make
