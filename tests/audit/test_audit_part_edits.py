from __future__ import annotations

import numpy as np
import pytest
import torch

from dr_kfs.audit.part_edits import (
    PIXEL,
    another_shape,
    bars_moved,
    bars_removed,
    box_added,
    fragments_added,
    part_added,
    part_removed,
    striking_part,
)
from dr_kfs.audit.surface import SurfaceIndex, triangles_of
from dr_kfs.audit.targets import NotApplicableError, bounds, diagonal
from dr_kfs.datasets import LabelledShape, generate
from dr_kfs.geometry import bounding_frame
from dr_kfs.rendering import hemisphere_rig


def added(meshes, shape: LabelledShape) -> np.ndarray:
    """Vertices behind those of the shape, which must be there unchanged."""
    before = shape.to_meshes().vertices
    torch.testing.assert_close(meshes.vertices[: len(before)], before)
    return meshes.vertices[len(before) :].double().numpy()


class TestPixel:
    def test_is_one_pixel_of_the_default_rig(self):
        front = hemisphere_rig()[0]
        points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 5 * PIXEL, 0.0]])
        y = front.project(points)[0, :, 1] * 128  # NDC spans 256 px with [-1, 1]
        assert float(y[1] - y[0]) == pytest.approx(5, rel=1e-5)


class TestBars:
    @pytest.mark.parametrize("pixels", [5.0, -5.0, 1.0])
    def test_move_by_that_many_pixels_and_nothing_else_does(self, barred, pixels):
        meshes = bars_moved(barred, pixels)
        steps = (meshes.vertices - barred.to_meshes().vertices).double().numpy()
        names = np.repeat(list(barred.parts), [len(part.vertices) for part in barred.parts.values()])
        bars = np.char.startswith(names, "bar_")
        expected = pixels * 2 * 2.732 * np.tan(np.radians(12.5)) / 256 * diagonal(barred)
        np.testing.assert_allclose(steps[bars, 1], expected, atol=1e-6)
        np.testing.assert_allclose(steps[bars][:, [0, 2]], 0)
        np.testing.assert_allclose(steps[~bars], 0)

    @pytest.mark.parametrize(("share", "left"), [(0.25, 3), (0.5, 2), (0.51, 1), (1.0, 0)])
    def test_a_share_is_removed(self, share, left):
        shape = generate("chair", 10_000, style={"legs": "four", "bars": "box"})
        bars = shape.part_names("bar_*")
        assert len(bars) == 4
        meshes = bars_removed(shape, share)
        gone = sum(len(shape.parts[name].faces) for name in bars[: 4 - left])
        assert len(meshes.faces) == len(shape.to_meshes().faces) - gone

    def test_a_shape_without_bars(self, cube):
        with pytest.raises(ValueError, match="no part"):
            bars_moved(cube, 5.0)


class TestPartRemoved:
    def test_takes_what_sticks_out(self, limbed):
        assert striking_part(limbed, limbed).startswith("leg_")
        sizes = [len(part_removed(limbed, count).faces) for count in (1.0, 2.0)]
        whole, leg = len(limbed.to_meshes().faces), len(limbed.parts["leg_0"].faces)
        assert sizes == [whole - leg, whole - 2 * leg]

    def test_one_part_has_none(self, cube):
        with pytest.raises(NotApplicableError):
            part_removed(cube, 1.0)


class TestPartAdded:
    def test_adds_to_the_shape(self, chair):
        one, two = part_added(chair, 1.0), part_added(chair, 2.0)
        assert 0 < len(added(one, chair)) < len(added(two, chair))

    @pytest.mark.parametrize("family", ["lamp", "airplane", "chair"])
    def test_stays_near(self, family):
        """Shapes of a family have different sizes: the part must not land outside the picture."""
        shape = generate(family, 10_004)
        low, high = bounds(shape)
        points = added(part_added(shape, 2.0), shape)
        assert np.linalg.norm(points - (low + high) / 2, axis=1).max() < 1.1 * diagonal(shape)
        assert points[:, 1].min() > low[1] - 1e-6

    def test_sticks_out(self, chair):
        points = added(part_added(chair, 1.0), chair)
        surface = SurfaceIndex(triangles_of(chair.to_meshes()), 0.05)
        assert surface.distances(points).mean() > 0.005 * diagonal(chair)


class TestBoxAdded:
    def test_is_a_cube_of_that_size_in_an_empty_place(self, chair):
        surface = SurfaceIndex(triangles_of(chair.to_meshes()), 0.05)
        centres = []
        for side in (0.04, 0.08):
            points = added(box_added(chair, side), chair)
            np.testing.assert_allclose(np.ptp(points, axis=0), side * diagonal(chair), rtol=1e-5)
            centres.append(points.mean(0))
        np.testing.assert_allclose(*centres, atol=1e-6)
        assert surface.distances(centres[0][None])[0] > 0.08 * diagonal(chair)


class TestFragments:
    def test_float_inside_the_box_and_come_one_after_the_other(self, chair):
        few, many = (added(fragments_added(chair, count), chair).reshape(-1, 4, 3) for count in (4.0, 16.0))
        assert (len(few), len(many)) == (4, 16)
        np.testing.assert_allclose(many[:4], few)
        surface = SurfaceIndex(triangles_of(chair.to_meshes()), 0.05)
        size = 0.015 * diagonal(chair)
        np.testing.assert_allclose(np.ptp(many, axis=1), size, rtol=1e-4)
        assert surface.distances(many.reshape(-1, 3)).min() > 0.5 * size
        low, high = bounds(chair)
        assert ((many.mean(1) >= low) & (many.mean(1) <= high)).all()


class TestAnotherShape:
    def test_has_the_same_box_diagonal_and_centre(self, barred):
        ours, first, second = (
            bounding_frame(meshes)
            for meshes in (
                barred.to_meshes(),
                another_shape(barred, variant="barred", step=1.0),
                another_shape(barred, variant="barred", step=2.0),
            )
        )
        assert ours.allclose(first)
        assert ours.allclose(second)

    def test_is_of_the_variant(self, limbed):
        other = another_shape(limbed, variant="limbed", step=1.0)
        assert other.vertices.shape != limbed.to_meshes().vertices.shape
        again = another_shape(limbed, variant="limbed", step=1.0)
        torch.testing.assert_close(other.vertices, again.vertices, rtol=0, atol=0)
