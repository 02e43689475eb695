from __future__ import annotations

import json

import numpy as np
import pytest

from dr_kfs.datasets import FAMILIES, LabelledShape, generate, generate_many, style_options
from dr_kfs.datasets.procedural import _BUILDERS, _anchor, _check_axis

SEEDS = range(50)


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[LabelledShape]]:
    return {family: [generate(family, seed) for seed in SEEDS] for family in FAMILIES}


def same_part(first: LabelledShape, second: LabelledShape, name: str) -> bool:
    a, b = first.parts[name], second.parts[name]
    return np.array_equal(a.vertices, b.vertices) and np.array_equal(a.faces, b.faces)


class TestGenerate:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_shape_is_a_valid_mesh(self, family, shapes):
        for shape in shapes[family]:
            vertices, faces, labels = shape.to_mesh()
            assert (vertices.dtype, faces.dtype) == (np.float64, np.int64)
            assert np.isfinite(vertices).all()
            assert (faces.min(), faces.max()) == (0, len(vertices) - 1)
            assert 100 <= len(faces) <= 9000
            assert sorted(set(labels)) == list(range(len(shape.parts)))
            corners = vertices[faces]
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            assert np.linalg.norm(normals, axis=1).min() > 0

    @pytest.mark.parametrize("family", FAMILIES)
    def test_size_and_place(self, family, shapes):
        for shape in shapes[family]:
            vertices, _, _ = shape.to_mesh()
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            assert 0.4 < np.linalg.norm(high - low) < 2.1
            assert low[0] < 0 < high[0]
            if family in ("chair", "table", "car"):
                assert abs(low[1]) < 1e-9

    @pytest.mark.parametrize("family", FAMILIES)
    def test_deterministic(self, family):
        first, second = generate(family, 7), generate(family, 7)
        assert first.parameters == second.parameters
        assert list(first.parts) == list(second.parts)
        assert all(same_part(first, second, name) for name in first.parts)
        assert generate(family, 8).parameters["sizes"] != first.parameters["sizes"]

    def test_stream_does_not_change(self):
        # Made with generate(family, 3); trained weights and golden distances depend on these shapes.
        drawn = {family: generate(family, 3).parameters["style"] for family in FAMILIES}
        assert drawn["chair"]["legs"] == "cantilever"
        assert drawn["airplane"]["fuselage"] == "airliner"
        assert generate("chair", 3).parameters["sizes"]["seat_width"] == pytest.approx(0.5798800998, abs=1e-9)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_variety(self, family, shapes):
        assert len({frozenset(shape.parts) for shape in shapes[family]}) >= 15
        extents = np.array([np.ptp(shape.to_mesh()[0], axis=0) for shape in shapes[family]])
        assert (extents.std(axis=0) > 0.02).all()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_style_word_is_reachable(self, family):
        options = _BUILDERS[family][0]
        drawn = [options.resolve(seed, {}) for seed in range(250)]
        for option, words in style_options(family).items():
            assert {style[option] for style in drawn} == set(words), option
            for word in words:
                shape = generate(family, 11, style={option: word})
                assert shape.parameters["style"][option] == word

    @pytest.mark.parametrize("family", FAMILIES)
    def test_parts_are_closed_and_look_outwards(self, family, shapes):
        import trimesh

        for shape in shapes[family][:6]:
            for part in shape.parts.values():
                mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
                assert mesh.is_watertight, (family, part.name)
                assert mesh.is_winding_consistent, (family, part.name)
                pieces = mesh.split(only_watertight=False)
                assert all(piece.volume > 0 for piece in pieces), (family, part.name)

    @pytest.mark.parametrize(("family", "left"), [("airplane", "wing_left"), ("car", "wheel_front_left")])
    def test_left_is_positive_x(self, family, left):
        shape = generate(family, 0)
        right = shape.parts[left.replace("left", "right")].vertices
        assert shape.parts[left].vertices[:, 0].mean() > 0
        assert np.allclose(right * (-1, 1, 1), shape.parts[left].vertices)

    def test_front_is_positive_z(self):
        chair = generate("chair", 3, style={"back": "solid"})
        assert chair.parts["back"].vertices[:, 2].mean() < chair.parts["seat"].vertices[:, 2].mean()
        car = generate("car", 3)
        assert car.parts["headlight_left"].vertices[:, 2].mean() > 0

    def test_named_style(self):
        style = {"legs": "four", "bars": "box", "back": "slatted", "arms": "none"}
        chair = generate("chair", 3, style=style)
        assert chair.part_names("leg_*") == ["leg_0", "leg_1", "leg_2", "leg_3"]
        assert chair.part_names("bar_*") == ["bar_0", "bar_1", "bar_2", "bar_3"]
        assert len(chair.part_names("slat_*")) >= 3
        stool = generate("chair", 3, style={"back": "none", "legs": "four"})
        assert not [name for name in stool.parts if name.startswith(("back", "slat", "rail"))]

    def test_one_fixed_choice_leaves_the_rest(self):
        style = {"legs": "four", "arms": "none", "seat": "square", "height": "normal"}
        slatted = generate("chair", 5, style={**style, "back": "slatted"})
        solid = generate("chair", 5, style={**style, "back": "solid"})
        for name in ("seat", "leg_0", "leg_3"):
            assert same_part(slatted, solid, name)

    def test_sizes(self):
        thin = generate("table", 0, style={"base": "four"})
        thick = generate("table", 0, style={"base": "four"}, sizes={"leg_thickness": 0.12})
        assert same_part(thin, thick, "top")
        assert np.ptp(thick.parts["leg_0"].vertices[:, 0]) > np.ptp(thin.parts["leg_0"].vertices[:, 0])

    @pytest.mark.parametrize("family", FAMILIES)
    def test_parameters_rebuild_the_shape(self, family):
        shape = generate(family, 21)
        parameters = json.loads(json.dumps(shape.parameters))
        again = generate(family, parameters["seed"], style=parameters["style"], sizes=parameters["sizes"])
        other_seed = generate(family, 99, style=parameters["style"], sizes=parameters["sizes"])
        for name in shape.parts:
            assert same_part(shape, again, name)
            assert same_part(shape, other_seed, name)

    @pytest.mark.parametrize(
        ("arguments", "keywords", "message"),
        [
            (("sofa", 0), {}, r"unknown family 'sofa'.*chair"),
            (("chair", -1), {}, "seed must be a non-negative whole number, got -1"),
            (("chair", True), {}, "seed must be a non-negative whole number, got True"),
            (("chair", 0), {"style": {"leg": "four"}}, r"unknown style option 'leg'.*'legs'"),
            (("chair", 0), {"style": {"legs": "five"}}, r"unknown word 'five'.*'four'"),
            (("chair", 0), {"style": {"legs": "star", "bars": "box"}}, r"bars='box'.*'four'.*got 'star'"),
            (("table", 0), {"sizes": {"leg_width": 1.0}}, r"no sizes \['leg_width'\].*'height'"),
        ],
    )
    def test_errors(self, arguments, keywords, message):
        with pytest.raises(ValueError, match=message):
            generate(*arguments, **keywords)


class TestGenerateMany:
    def test_families_in_turn_and_independent_of_count(self):
        few, more = list(generate_many(3, 1)), list(generate_many(7, 1))
        assert [shape.family for shape in more[:6]] == [*FAMILIES, FAMILIES[0]]
        assert [shape.parameters for shape in few] == [shape.parameters for shape in more[:3]]
        assert more[0].parameters != more[5].parameters
        assert next(generate_many(1, 2)).parameters != few[0].parameters

    def test_chosen_families(self):
        assert {shape.family for shape in generate_many(4, 0, ["lamp", "car"])} == {"lamp", "car"}

    @pytest.mark.parametrize("families", [["boat"], []])
    def test_errors(self, families):
        with pytest.raises(ValueError, match="choose from"):
            next(generate_many(1, 0, families))


@pytest.fixture(scope="module")
def chair() -> LabelledShape:
    return generate("chair", 3, style={"legs": "four", "bars": "box", "back": "slatted", "leg_shape": "straight"})


class TestLabelledShape:
    def assert_only_changed(self, before: LabelledShape, after: LabelledShape, names: list[str]) -> None:
        assert list(before.parts) == list(after.parts)
        for name in before.parts:
            assert same_part(before, after, name) != (name in names), name

    def test_labels_name_the_faces(self, chair):
        vertices, faces, labels = chair.to_mesh()
        for index, part in enumerate(chair.parts.values()):
            assert np.array_equal(vertices[faces[labels == index]], part.vertices[part.faces])

    def test_without(self, chair):
        broken = chair.without("leg_0", "bar_*")
        gone = ["leg_0", "bar_0", "bar_1", "bar_2", "bar_3"]
        assert list(broken.parts) == [name for name in chair.parts if name not in gone]
        assert all(same_part(chair, broken, name) for name in broken.parts)
        assert broken.parameters["edits"] == [["without", "leg_0", "bar_*"]]
        assert "edits" not in chair.parameters
        assert "leg_0" in chair.parts

    def test_only(self, chair):
        assert list(chair.only("seat", "leg_?").parts) == ["seat", "leg_0", "leg_1", "leg_2", "leg_3"]

    def test_moved(self, chair):
        moved = chair.moved("slat_0", (0.1, 0.0, -0.2))
        self.assert_only_changed(chair, moved, ["slat_0"])
        step = moved.parts["slat_0"].vertices - chair.parts["slat_0"].vertices
        assert np.allclose(step, (0.1, 0, -0.2))

    def test_scaled_about_each_parts_centre(self, chair):
        thick = chair.scaled("leg_*", (1.5, 1.0, 2.0))
        self.assert_only_changed(chair, thick, ["leg_0", "leg_1", "leg_2", "leg_3"])
        before, after = chair.parts["leg_2"].bounds(), thick.parts["leg_2"].bounds()
        assert np.allclose(after.mean(axis=0), before.mean(axis=0))
        assert np.allclose(np.ptp(after, axis=0), np.ptp(before, axis=0) * (1.5, 1.0, 2.0))

    @pytest.mark.parametrize(("about", "fixed"), [("base", 0), ("top", 1)])
    def test_scaled_about_an_end(self, chair, about, fixed):
        short = chair.scaled("leg_1", (1.0, 0.5, 1.0), about=about)
        before, after = chair.parts["leg_1"].bounds(), short.parts["leg_1"].bounds()
        assert after[fixed, 1] == pytest.approx(before[fixed, 1], abs=1e-12)
        assert np.ptp(after[:, 1]) == pytest.approx(0.5 * np.ptp(before[:, 1]))

    def test_scaled_about_a_point(self, chair):
        twice = chair.scaled("*", 2.0, about=(0, 0, 0))
        assert np.allclose(twice.to_mesh()[0], 2 * chair.to_mesh()[0])
        assert np.allclose(chair.scaled("*", 2.0, about="origin").to_mesh()[0], twice.to_mesh()[0])

    def test_rotated(self, chair):
        turned = chair.rotated("*", 90, axis="y", about="origin")
        before = chair.to_mesh()[0]
        assert np.allclose(turned.to_mesh()[0], np.stack([before[:, 2], before[:, 1], -before[:, 0]], axis=1))

    def test_bent_stays_closed_and_keeps_its_foot(self, chair):
        import trimesh

        bent = chair.bent("leg_0", 60, axis="x")
        self.assert_only_changed(chair, bent, ["leg_0"])
        part, before = bent.parts["leg_0"], chair.parts["leg_0"]
        mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
        straight = trimesh.Trimesh(before.vertices, before.faces, process=False)
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx(straight.volume, rel=0.05)
        assert part.bounds()[0, 1] == pytest.approx(before.bounds()[0, 1], abs=1e-9)
        assert np.ptp(part.vertices[:, 2]) > np.ptp(before.vertices[:, 2]) + 0.05

    def test_refined_is_the_same_surface(self, chair):
        import trimesh

        fine = chair.refined("seat", longest=0.05)
        before, after = (
            trimesh.Trimesh(shape.parts["seat"].vertices, shape.parts["seat"].faces, process=False)
            for shape in (chair, fine)
        )
        assert after.edges_unique_length.max() <= 0.05 < before.edges_unique_length.max()
        assert after.is_watertight
        assert after.area == pytest.approx(before.area)
        assert after.volume == pytest.approx(before.volume)

    def test_parts_cannot_be_changed_in_place(self, chair):
        with pytest.raises(ValueError, match="read-only"):
            chair.parts["seat"].vertices[0] = 0

    def test_to_meshes(self, chair):
        torch = pytest.importorskip("torch")
        meshes = chair.to_meshes()
        vertices, faces, _ = chair.to_mesh()
        assert len(meshes) == 1
        assert meshes.vertices.dtype == torch.float32
        assert meshes.vertices.shape == vertices.shape
        assert np.array_equal(meshes.faces.numpy(), faces)

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda shape: shape.without("wing*"), r"no part of this chair matches 'wing\*'.*'seat'"),
            (lambda shape: shape.moved("wing", (0, 0, 0)), "no part of this chair matches 'wing'"),
            (lambda shape: shape.part_names("seat", "wing"), "no part of this chair matches 'wing'"),
            (lambda shape: shape.without("*"), "nothing would be left"),
            (lambda shape: shape.scaled("seat", (1, -1, 1)), "factors must be positive"),
            (lambda shape: shape.transformed("seat", lambda v: v[:-1]), "function must return"),
        ],
    )
    def test_errors(self, chair, edit, message):
        with pytest.raises(ValueError, match=message):
            edit(chair)

    def test_errors_of_closed_choices(self):
        # The public annotations are Literal, which the tests' type checker refuses before the function runs.
        with pytest.raises(ValueError, match=r"about must be a point or one of .*'center'.*got 'middle'"):
            _anchor(np.zeros((1, 3)), "middle")
        with pytest.raises(ValueError, match="axis must be 'x', 'y' or 'z', got 'w'"):
            _check_axis("w")
