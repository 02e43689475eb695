from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.audit.targets import BARS_SEEN_FROM_THE_FRONT, bounds, diagonal, limbs, random_stream, target_shape
from dr_kfs.datasets import FAMILIES, generate


class TestTargetShape:
    @pytest.mark.parametrize("seed", range(10_000, 10_012))
    def test_barred_chairs_have_four_legs_and_visible_bars(self, seed):
        shape = target_shape("chair", seed, "barred")
        assert shape is not None
        assert shape.parameters["style"]["bars"] in BARS_SEEN_FROM_THE_FRONT
        assert len(shape.part_names("leg_*")) == 4
        assert shape.part_names("bar_*")

    def test_what_the_variant_does_not_fix_stays(self):
        free, barred = (target_shape("chair", 10_004, variant) for variant in ("free", "barred"))
        assert free is not None
        assert barred is not None
        sizes = free.parameters["sizes"]
        assert sizes["seat_width"] == barred.parameters["sizes"]["seat_width"]
        assert free.parameters == generate("chair", 10_004).parameters

    @pytest.mark.parametrize("family", FAMILIES)
    def test_limbed_shapes_have_limbs_and_no_bars(self, family):
        shape = target_shape(family, 10_003, "limbed")
        if family in ("chair", "table"):
            assert shape is not None
            assert limbs(shape) == [f"leg_{number}" for number in range(4)]
            assert not any(name.startswith("bar") for name in shape.parts)
        elif family == "airplane":
            assert shape is not None
            assert limbs(shape) == ["wing_left", "wing_right"]
        elif shape is not None:
            assert len(limbs(shape)) >= 2

    def test_a_family_without_the_variant(self):
        assert target_shape("airplane", 10_003, "barred") is None
        assert target_shape("car", 10_003, "limbed") is None


class TestMeasures:
    def test_box_of_the_cube(self, cube):
        np.testing.assert_array_equal(bounds(cube), [[0, 0, 0], [1, 1, 1]])
        assert diagonal(cube) == pytest.approx(3**0.5)

    def test_random_streams_depend_on_seed_family_and_purpose(self, cube, chair):
        draws = [random_stream(*of).random() for of in ((cube, "a"), (cube, "a"), (cube, "b"), (chair, "a"))]
        assert draws[0] == draws[1]
        assert len(set(draws)) == 3
