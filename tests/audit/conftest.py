"""Shapes to edit, and distances that are quick: no test renders more than three small views.

dr_kfs is imported inside the fixtures: at the top it could come before the type checks of tests/conftest.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from dr_kfs.datasets import LabelledShape


@pytest.fixture(scope="session")
def chair() -> LabelledShape:
    """As its seed draws it: four splayed legs."""
    from dr_kfs.datasets import generate

    return generate("chair", 10_003)


@pytest.fixture(scope="session")
def barred() -> LabelledShape:
    from dr_kfs.audit import target_shape

    shape = target_shape("chair", 10_003, "barred")
    assert shape is not None
    return shape


@pytest.fixture(scope="session")
def limbed() -> LabelledShape:
    from dr_kfs.audit import target_shape

    shape = target_shape("chair", 10_003, "limbed")
    assert shape is not None
    return shape


@pytest.fixture(scope="session")
def cube() -> LabelledShape:
    """One part: the box [0, 1]^3."""
    from dr_kfs.datasets import LabelledShape, Part

    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return LabelledShape("chair", {"seed": 7, "style": {}, "sizes": {}}, {"seat": Part("seat", corners, faces)})


@pytest.fixture
def counting():
    """A distance that counts its calls: the squared distance of both shapes' mean vertices."""

    class Counting:
        name = "counting"

        def __init__(self) -> None:
            self.prepared = self.measured = 0

        def prepare(self, target: Any) -> Any:
            self.prepared += 1
            return target.vertices.mean(0)

        def distance(self, predicted: Any, state: Any) -> float:
            self.measured += 1
            return float((predicted.vertices.mean(0) - state).square().sum())

        def settings(self) -> dict[str, Any]:
            return {"distance": "counting"}

    return Counting()


@pytest.fixture(scope="session")
def small_renderer():
    """Two views of 64 px."""
    from dr_kfs import SoftRenderer, hemisphere_rig

    return SoftRenderer(cameras=hemisphere_rig()[[1, 9]], image_size=64, sigma=1.6e-4)
