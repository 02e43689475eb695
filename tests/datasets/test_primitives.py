from __future__ import annotations

import numpy as np
import pytest
import trimesh

from dr_kfs.datasets import outlines, primitives
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.primitives import Solid
from dr_kfs.datasets.refinement import refine

CIRCLE = outlines.circle(0.1, sides=64)
BEND = outlines.bow((0, 0, 0), (0, 1, 0), (0, 0, 0.3))
ARROW = np.array([[0, 0], [2, -1], [1, 0], [2, 1.0]])
SOLIDS = {
    "box": (primitives.box((1, 2, 3)), 6.0),
    "bevelled box": (primitives.box((1, 2, 3), bevel=0.1, steps=3, taper=(0.5, 0.8)), None),
    "ellipsoid": (primitives.ellipsoid((1, 2, 3), segments=96, rings=65), 8 * np.pi),
    "cushion": (primitives.cushion((1, 0.2, 1)), None),
    "cone": (primitives.frustum(1, 0, 0, 3, segments=256), np.pi),
    "cylinder": (primitives.cylinder(0.5, (0, 0, 0), (1, 1, 1), sides=256), 0.25 * np.pi * np.sqrt(3)),
    "torus": (primitives.torus(1, 0.2, segments=128, sides=64), 2 * np.pi**2 * 0.04),
    "shade": (primitives.shell_of_revolution(np.array([[0.5, 1.0], [1.0, 0.0]]), 0.01), None),
    "bowl": (primitives.shell_of_revolution(np.array([[0.0, 1.0], [0.5, 0.9], [1.0, 0.0]]), 0.01), None),
    "extruded arrow": (primitives.extrude(ARROW, 0.5), 0.5),
    "slab": (primitives.slab(outlines.rounded_rectangle(2, 1, 0.2), 0, 0.1, bevel=0.02), None),
    "tube": (primitives.tube(BEND, 0.05), None),
    "ring": (primitives.sweep(np.roll(CIRCLE, 1, axis=0) @ np.eye(2, 3), 0.1 * CIRCLE, closed=True), None),
    "post": (primitives.post(BEND, CIRCLE, scales=np.linspace(1, 0.5, len(BEND))), None),
    "sheet": (primitives.sheet(np.array([[0, -1, 1], [1, -1, 1], [2, -0.5, 0.5]]), 0.1), None),
    "wing": (primitives.wing((((0, 0, 0), 1.0), ((2, 0.2, -0.5), 0.4))), None),
    "limb": (limb([(0, 0, 0), (0, 0.5, 0.2), (0, 1, 0)], [0.1, 0.2, 0.05]), None),
    "straight limb": (limb([(0, 0, 0), (0, 9, 0)], [1.0, 1.0], sides=256, smooth=False), None),
    "fin": (primitives.wing((((0, 0, 0), 1.0), ((0, 1, -0.5), 0.4)), upright=True), None),
}


def as_trimesh(solid: Solid) -> trimesh.Trimesh:
    return trimesh.Trimesh(solid.vertices, solid.faces, process=False)


class TestSolids:
    @pytest.mark.parametrize("name", SOLIDS)
    def test_closed_outward_and_of_the_right_volume(self, name):
        solid, volume = SOLIDS[name]
        mesh = as_trimesh(solid)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume > 0
        assert solid.volume() == pytest.approx(mesh.volume)
        assert mesh.area_faces.min() > 0
        if volume is not None:
            assert mesh.volume == pytest.approx(volume, rel=5e-3)  # chords of round sections

    def test_placement(self):
        box = primitives.box((1, 2, 3), (1, 0, 0))
        assert np.allclose(box.rotated("z", 90).vertices.mean(axis=0), (0, 1, 0))
        assert np.allclose(box.rotated("y", 90).vertices.mean(axis=0), (0, 0, -1))
        assert np.allclose(box.mirrored().vertices.mean(axis=0), (-1, 0, 0))
        for placed in (box.mirrored(), box.scaled(-1, -2, 3), box.rotated("x", 33), box.translated(y=2.0)):
            assert placed.volume() > 0

    def test_join_keeps_the_pieces_apart(self):
        both = primitives.join(SOLIDS["box"][0], SOLIDS["cone"][0])
        assert len(as_trimesh(both).split()) == 2
        assert both.volume() == pytest.approx(6 + SOLIDS["cone"][0].volume())


class TestRefine:
    @pytest.mark.parametrize("name", ["box", "extruded arrow", "wing"])
    def test_same_surface_in_shorter_edges(self, name):
        solid, _ = SOLIDS[name]
        fine = as_trimesh(refine(solid, 0.3))
        assert fine.is_watertight
        assert fine.is_winding_consistent
        assert fine.edges_unique_length.max() <= 0.3
        assert fine.volume == pytest.approx(solid.volume())
        assert fine.area == pytest.approx(as_trimesh(solid).area)

    def test_short_edges_stay(self):
        solid, _ = SOLIDS["box"]
        assert np.array_equal(refine(solid, 100).faces, solid.faces)


class TestLimb:
    def test_reaches_beyond_its_ends_by_a_rounded_cap(self):
        solid = limb([(0, 0, 0), (0, 9, 0)], [1.0, 1.0], smooth=False)
        low, high = solid.vertices[:, 1].min(), solid.vertices[:, 1].max()
        assert -1 < low < -0.9
        assert 9.9 < high < 10

    def test_two_radii(self):
        solid = limb([(0, 0, 0), (0, 0, 1), (0, 0, 2)], [(0.1, 0.3)] * 3, sides=16)
        assert np.ptp(solid.vertices[:, 0]) == pytest.approx(0.2, rel=0.03)
        assert np.ptp(solid.vertices[:, 1]) == pytest.approx(0.6, rel=0.03)


class TestSpline:
    @pytest.mark.parametrize("closed", [False, True])
    def test_passes_through_its_points(self, closed):
        curve = outlines.spline(ARROW, steps=5, closed=closed)
        assert len(curve) == (20 if closed else 16)
        assert np.allclose(curve[::5], ARROW)

    def test_a_line_stays_a_line(self):
        curve = outlines.spline([(0, 0, 0), (1, 2, 3), (2, 4, 6)])
        assert np.allclose(curve, np.linspace(0, 1, 9)[:, None] * (2, 4, 6))


class TestEarClip:
    @pytest.mark.parametrize("turn", [1, -1])
    def test_covers_a_concave_outline_in_its_orientation(self, turn):
        outline = ARROW[::turn]
        triangles = outline[outlines.ear_clip(outline)]
        first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
        areas = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
        assert (np.sign(areas) == turn).all()
        assert np.abs(areas).sum() == pytest.approx(1.0)
