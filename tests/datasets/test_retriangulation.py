from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dr_kfs.datasets import FAMILIES, generate, retriangulated
from dr_kfs.datasets.mesh_adjacency import unique_edges
from dr_kfs.datasets.primitives import box
from dr_kfs.datasets.procedural import LabelledShape, Part


def as_trimesh(part: Part) -> trimesh.Trimesh:
    return trimesh.Trimesh(part.vertices, part.faces, process=False)


class TestRetriangulated:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_same_surface_in_other_triangles(self, family):
        shape = generate(family, 4)
        other = retriangulated(shape, 4)
        assert list(other.parts) == list(shape.parts)
        for name, part in list(shape.parts.items())[:6]:
            before, after = as_trimesh(part), as_trimesh(other.parts[name])
            assert len(after.faces) > len(before.faces)
            assert after.is_watertight == before.is_watertight
            assert after.is_winding_consistent
            assert after.area == pytest.approx(before.area, rel=1e-6)
            assert after.volume == pytest.approx(before.volume, rel=1e-6)
            assert after.area_faces.min() > 0
            assert np.array_equal(after.vertices[: len(before.vertices)], before.vertices)

    def test_new_vertices_lie_on_the_surface(self):
        shape = LabelledShape("box", {"seed": 0}, {"box": Part("box", *_arrays(box((1, 2, 3))))})
        vertices = np.abs(retriangulated(shape, 0, insertions=0.5, rounds=3).parts["box"].vertices)
        on_side = np.abs(vertices - (0.5, 1, 1.5)) < 1e-9
        assert on_side.any(axis=1).all()
        assert len(vertices) > 60

    def test_only_flips(self):
        solid = box((1, 2, 3))
        shape = LabelledShape("box", {"seed": 0}, {"box": Part("box", *_arrays(solid))})
        flipped = retriangulated(shape, 1, insertions=0, flips=1, rounds=0).parts["box"]
        assert np.array_equal(flipped.vertices, solid.vertices)
        assert len(flipped.faces) == 12
        edges, turned = ({(a, b) for a, b in unique_edges(faces)[0].tolist()} for faces in (solid.faces, flipped.faces))
        # The twelve edges of the box stay, each of its six diagonals has turned.
        assert len(edges) == len(turned) == 18
        assert len(edges & turned) == 12
        assert as_trimesh(flipped).volume == pytest.approx(6)

    def test_deterministic_and_by_part(self):
        chair = generate("chair", 2, style={"legs": "four"})
        first, second = retriangulated(chair, 7), retriangulated(chair, 7)
        legs = retriangulated(chair.only("leg_*"), 7)
        for name, part in first.parts.items():
            assert np.array_equal(part.vertices, second.parts[name].vertices)
            assert np.array_equal(part.faces, second.parts[name].faces)
        assert all(np.array_equal(part.faces, first.parts[name].faces) for name, part in legs.parts.items())
        assert not np.array_equal(retriangulated(chair, 8).parts["seat"].vertices, first.parts["seat"].vertices)
        assert first.parameters["edits"] == [["retriangulated", 7, 0.15, 0.6, 2]]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"insertions must be a share in \[0, 1\], got 3"):
            retriangulated(generate("chair", 0), 0, insertions=3)


def _arrays(solid) -> tuple[np.ndarray, np.ndarray]:
    return solid.vertices, solid.faces
