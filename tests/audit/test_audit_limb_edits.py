from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit import limb_edits
from dr_kfs.audit.chamfer import SAMPLES, chamfer, chamfer_target
from dr_kfs.audit.distances import ChamferDistance
from dr_kfs.audit.limb_edits import LIMB_CHANGES, changed_limbs, limb_removed, matched_amount, matched_limbs
from dr_kfs.audit.targets import NotApplicableError, diagonal
from dr_kfs.datasets import LabelledShape, Part, generate


@pytest.fixture(scope="module")
def table() -> LabelledShape:
    """A plate on two upright posts [0, 1] high, 0.1 thick."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    boxes = {
        "top": corners * (2.0, 0.1, 1.0) + (-0.5, 1.0, 0.0),
        "leg_0": corners * (0.1, 1.0, 0.1) + (0.0, 0.0, 0.45),
        "leg_1": corners * (0.1, 1.0, 0.1) + (0.9, 0.0, 0.45),
    }
    parts = {name: Part(name, vertices, faces) for name, vertices in boxes.items()}
    return LabelledShape("table", {"seed": 0, "style": {}, "sizes": {}}, parts)


def leg(shape: LabelledShape, change, amount: float) -> np.ndarray:
    """Vertices of the legs after a change."""
    meshes = changed_limbs(shape, change, amount)
    vertices = meshes.vertices.double().numpy()
    return vertices[8:] if change != "bent" else vertices[8 : 8 + (len(vertices) - 8) // 2]


class TestChangedLimbs:
    @pytest.mark.parametrize("change", LIMB_CHANGES)
    def test_nothing_at_zero(self, limbed, change):
        target = chamfer_target(limbed.to_meshes(), samples=500)
        assert chamfer(changed_limbs(limbed, change, 0.0), target) < 1e-6

    @pytest.mark.parametrize(("change", "factor"), [("lengthened", 1.5), ("shortened", 0.5)])
    def test_length_changes_at_the_free_end(self, table, change, factor):
        heights = leg(table, change, 0.5)[:, 1]
        assert heights.max() == pytest.approx(1)
        assert np.ptp(heights) == pytest.approx(factor)

    def test_bent_legs_keep_both_ends(self, table):
        vertices = leg(table, "bent", 0.1)
        ends = np.isclose(vertices[:, 1], 0) | np.isclose(vertices[:, 1], 1)
        middle = np.isclose(vertices[:, 1], 0.5)
        assert np.ptp(vertices[ends, 0]) == pytest.approx(0.1)
        # leg_0 stands left of the middle: outwards is -x
        assert vertices[middle, 0].min() == pytest.approx(-0.1 * diagonal(table), rel=1e-5)

    def test_thickened_legs_grow_on_all_sides(self, table):
        vertices = leg(table, "thickened", 0.02)[:8]
        assert (np.ptp(vertices, axis=0) > (0.1, 1.0, 0.1)).all()
        np.testing.assert_allclose(vertices.mean(axis=0), [0.05, 0.5, 0.5], atol=1e-6)
        moved = np.linalg.norm(vertices - table.parts["leg_0"].vertices, axis=1)
        np.testing.assert_allclose(moved, 0.02 * diagonal(table), rtol=1e-5)

    def test_all_limbs_change_alike(self, table):
        vertices = leg(table, "lengthened", 0.3)
        np.testing.assert_allclose(vertices[8:] - vertices[:8], np.broadcast_to([0.9, 0, 0], (8, 3)), atol=1e-6)


@pytest.fixture
def quick(monkeypatch) -> int:
    """Fewer samples, for matching and for the test."""
    monkeypatch.setattr("dr_kfs.audit.limb_edits.MATCHING_SAMPLES", 1000)
    for cached in (limb_edits._removal, limb_edits._known_amounts):
        cached.cache_clear()
    return 1000


class TestMatchedLimbs:
    """Figure 2 by construction: the Chamfer distance cannot tell these from a removed leg."""

    @pytest.mark.parametrize("change", LIMB_CHANGES)
    def test_chamfer_equals_that_of_the_removal(self, limbed, change, quick):
        target = chamfer_target(limbed.to_meshes(), samples=quick)
        removal = chamfer(limb_removed(limbed, 1.0), target)
        value = chamfer(matched_limbs(limbed, change, 1.0), target)
        assert value == pytest.approx(removal, rel=0.01)

    def test_weaker_is_smaller(self, limbed, quick):
        target = chamfer_target(limbed.to_meshes(), samples=quick)
        removal = chamfer(limb_removed(limbed, 1.0), target)
        assert chamfer(matched_limbs(limbed, "bent", 0.5), target) == pytest.approx(0.5 * removal, rel=0.01)
        assert matched_amount(limbed, "bent", 0.5) < matched_amount(limbed, "bent", 1.0)

    def test_out_of_reach(self, limbed, quick):
        with pytest.raises(NotApplicableError, match="limbs shortened by"):
            matched_amount(limbed, "shortened", 50.0)

    def test_as_many_samples_as_the_audited_distance(self):
        assert limb_edits.MATCHING_SAMPLES == SAMPLES == ChamferDistance().samples


class TestLimbRemoved:
    def test_takes_the_first(self, limbed):
        left = len(limb_removed(limbed, 2.0).faces)
        assert left == len(limbed.without("leg_0", "leg_1").to_meshes().faces)

    def test_more_than_there_are(self):
        with pytest.raises(NotApplicableError, match="has 2 limbs, not 3"):
            limb_removed(generate("airplane", 10_003), 3.0)
