from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.datasets import generate
from dr_kfs.datasets.families.placement import both_sides, scattered
from dr_kfs.datasets.primitives import box


def names(family: str, seed: int, **style: str) -> list[str]:
    return list(generate(family, seed, style=style).parts)


class TestPartNames:
    @pytest.mark.parametrize(
        ("family", "style", "patterns"),
        [
            ("cabinet", {"form": "dresser", "handles": "knobs"}, ["side_left", "shelf_*", "drawer_*", "handle_*"]),
            ("cabinet", {"form": "wardrobe", "fronts": "doors"}, ["door_*", "ceiling", "floor", "back"]),
            ("cabinet", {"form": "rack", "base": "casters"}, ["post_[0-3]", "caster_[0-3]", "shelf_*"]),
            ("cabinet", {"form": "bookcase", "contents": "books"}, ["books_*", "shelf_0"]),
            ("cabinet", {"base": "legs"}, ["leg_[0-3]"]),
            ("sofa", {"form": "three", "seat": "box"}, ["base", "seat_cushion_0", "seat_cushion_2", "back*"]),
            ("sofa", {"arms": "scroll", "legs": "tapered"}, ["arm_left", "arm_right", "leg_[0-3]"]),
            ("sofa", {"back": "slatted"}, ["rail_top", "slat_*", "back_post_left"]),
            ("vessel", {"form": "teapot"}, ["body", "handle_0", "spout", "lid", "knob"]),
            ("vessel", {"form": "goblet"}, ["body", "foot"]),
            ("guitar", {"body": "acoustic", "sound": "hole"}, ["body", "neck", "string_*", "peg_*", "rosette"]),
            ("guitar", {"body": "violin"}, ["f_hole_left", "f_hole_right", "tailpiece", "head"]),
            ("bicycle", {"frame": "diamond"}, ["tube_*", "wheel_front", "wheel_back", "spokes_*", "fork", "chain"]),
            ("bicycle", {"frame": "tricycle"}, ["wheel_left", "wheel_right", "axle"]),
            ("bicycle", {"frame": "motor"}, ["engine", "tank", "exhaust"]),
            ("ship", {"hull": "clipper", "rig": "square", "sails": "set"}, ["hull", "mast_*", "yard_*", "sail_*"]),
            ("ship", {"hull": "cargo", "cargo": "containers"}, ["container_*", "cabin_*"]),
            ("ship", {"hull": "liner"}, ["funnel_*", "boat_left_*"]),
            ("creature", {"body": "horse"}, ["torso", "neck", "head", "leg_front_left", "foot_back_right", "ear_*"]),
            ("creature", {"body": "elephant"}, ["trunk", "ear_left"]),
            ("creature", {"body": "bird"}, ["beak", "wing_left", "leg_right"]),
            ("plant", {"growth": "fern"}, ["pot", "soil", "leaf_*"]),
            ("plant", {"growth": "flowers", "bloom": "daisy"}, ["stem_*", "bloom_*", "leaf_*"]),
            ("plant", {"growth": "tree"}, ["trunk", "branch_*"]),
        ],
    )  # fmt: skip
    def test_parts_of_a_style(self, family, style, patterns):
        assert len(generate(family, 5, style=style).part_names(*patterns)) >= len(
            patterns
        )  # raises for one without match

    def test_left_out_parts(self):
        assert not [
            name for name in names("cabinet", 4, fronts="open") if name.startswith(("door", "drawer", "handle"))
        ]
        assert not [name for name in names("sofa", 4, form="daybed", back="none") if name.startswith("back")]
        assert not [name for name in names("ship", 4, rig="square", sails="furled") if name.startswith("sail_0")]
        assert "saddle" not in names("bicycle", 4, frame="scooter")
        assert not [name for name in names("creature", 4, body="bird") if name.startswith("ear")]

    def test_counts_follow_the_sizes(self):
        assert len(generate("guitar", 2, style={"body": "acoustic"}, sizes={"strings": 5}).part_names("string_*")) == 5
        rosette = generate("plant", 2, style={"growth": "rosette"}, sizes={"leaves": 14})
        assert len(rosette.part_names("leaf_*")) == 14


class TestSizes:
    @pytest.mark.parametrize(
        ("family", "style", "name", "value", "part", "axis"),
        [
            ("cabinet", {"base": "legs"}, "leg_height", 0.3, "leg_0", 1),
            ("sofa", {"arms": "box"}, "arm_width", 0.14, "arm_left", 0),
            ("vessel", {"form": "pan", "handle": "stick"}, "stick_length", 0.9, "handle_0", 2),
            ("guitar", {"body": "acoustic"}, "neck_length", 0.6, "neck", 1),
            ("bicycle", {"frame": "diamond"}, "wheel_radius", 0.3, "wheel_front", 1),
            ("ship", {"hull": "clipper"}, "mast_height", 1.1, "mast_0", 1),
            ("creature", {"body": "horse", "tail": "long"}, "tail_length", 0.9, "tail", 2),
            ("plant", {"growth": "topiary"}, "pot_height", 2.2, "pot", 1),
        ],
    )
    def test_a_larger_size_makes_a_larger_part(self, family, style, name, value, part, axis):
        drawn = generate(family, 9, style=style)
        larger = generate(family, 9, style=style, sizes={name: value})
        assert value > drawn.parameters["sizes"][name]
        before, after = (np.ptp(shape.parts[part].vertices[:, axis]) for shape in (drawn, larger))
        assert after > before


class TestPlacement:
    def test_both_sides_names(self):
        parts = both_sides({"wing": box((1, 1, 1), (2, 0, 0)), "strut_1": box((1, 1, 1), (2, 0, 0))})
        assert list(parts) == ["wing_left", "wing_right", "strut_left_1", "strut_right_1"]
        assert parts["wing_right"].vertices[:, 0].max() < 0

    def test_scattered_values_fill_the_interval(self):
        values = np.sort([scattered(0.3, index) for index in range(40)])
        assert values[0] >= 0
        assert values[-1] < 1
        assert np.diff(values).max() < 0.07
