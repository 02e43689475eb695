from __future__ import annotations

import numpy as np
import pytest

from dr_kfs.datasets import LabelledShape, generate
from dr_kfs.datasets.procedural import _anchor, _check_axis


def same_part(first: LabelledShape, second: LabelledShape, name: str) -> bool:
    a, b = first.parts[name], second.parts[name]
    return np.array_equal(a.vertices, b.vertices) and np.array_equal(a.faces, b.faces)


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
