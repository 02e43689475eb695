"""Cameras and the 25-view rig."""

import math

import pytest
import torch

from dr_kfs.rendering import Cameras, hemisphere_rig


def test_a_mask_is_no_list_of_views():
    two = hemisphere_rig()[[0, 9]]
    assert torch.equal(two[[False, True]].rotation, two.rotation[1:])
    assert two[[0, 1]] is two


class TestHemisphereRig:
    def test_has_25_views_on_a_hemisphere(self):
        eye = hemisphere_rig().eye
        assert eye.shape == (25, 3)
        torch.testing.assert_close(eye.norm(dim=1), torch.full((25,), 2.732))
        assert (eye[:, 1] > -1e-6).all()

    def test_rotations_are_proper_and_right_handed(self):
        rotation = hemisphere_rig().rotation
        identity = torch.eye(3).expand(25, 3, 3)
        torch.testing.assert_close(rotation @ rotation.transpose(1, 2), identity, atol=1e-6, rtol=0)
        # right, up, forward: x right and y up with z INTO the scene is a left-handed camera frame.
        torch.testing.assert_close(torch.linalg.det(rotation), -torch.ones(25), atol=1e-5, rtol=0)

    def test_first_view_is_the_front_and_sees_x_to_the_right_and_y_up(self):
        projected = hemisphere_rig()[0].project(torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]]))[0]
        assert projected[0, 0] > 0
        assert projected[0, 1].abs() < 1e-6
        assert projected[1, 1] > 0
        assert projected[2, 2] == pytest.approx(2.632, abs=1e-5)  # +z is nearer to the front camera

    def test_top_view_looks_down_with_minus_z_up(self):
        projected = hemisphere_rig()[24].project(torch.tensor([[0.0, 0.3, 0.0], [0.0, 0.0, -0.3]]))[0]
        assert projected[0, 2] == pytest.approx(2.432, abs=1e-5)
        assert projected[1, 1] > 0

    def test_unit_diagonal_spans_83_percent_of_the_frame(self):
        half = 0.5 / (2.732 * math.tan(math.radians(12.5)))
        points = torch.tensor([[0.5, 0.0, 0.0]])
        assert hemisphere_rig()[0].project(points)[0, 0, 0] == pytest.approx(half, abs=1e-5)
        assert 0.82 < half < 0.84

    def test_every_unit_diagonal_shape_is_inside_near_and_far(self):
        rig = hemisphere_rig()
        points = torch.nn.functional.normalize(torch.randn(500, 3), dim=1) * 0.5
        depth = rig.project(points)[..., 2]
        assert depth.min() > rig.near
        assert depth.max() < rig.far


class TestCameras:
    def test_points_behind_the_eye_project_to_finite_numbers_with_finite_gradient(self):
        points = torch.tensor([[0.0, 0.0, 5.0], [0.3, 0.2, 2.732]], requires_grad=True)
        projected = hemisphere_rig()[0].project(points)
        projected.sum().backward()
        assert projected.isfinite().all()
        assert points.grad is not None
        assert points.grad.isfinite().all()

    @pytest.mark.parametrize("index", [3, slice(2, 5), [0, 24]])
    def test_indexing_keeps_the_views(self, index):
        rig = hemisphere_rig()
        part = rig[index]
        expected = rig.eye[[index] if isinstance(index, int) else index]
        torch.testing.assert_close(part.eye, expected)

    @pytest.mark.parametrize(("near", "far", "fov"), [(2.0, 1.0, 25.0), (0.0, 1.0, 25.0), (1.0, 2.0, 0.0)])
    def test_impossible_cameras_are_refused(self, near, far, fov):
        with pytest.raises(ValueError, match="Cameras needs"):
            Cameras(rotation=torch.eye(3)[None], translation=torch.zeros(1, 3), near=near, far=far, fov=fov)


class TestLookAt:
    def test_the_length_of_up_does_not_matter(self):
        eye = torch.tensor([[1.0, 1.0, 2.0]])
        one, ten = (Cameras.look_at(eye, up=(0.0, length, 0.0)) for length in (1.0, 10.0))
        torch.testing.assert_close(one.rotation, ten.rotation)

    @pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, 0.0, -2.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
    def test_every_view_has_a_rotation(self, up):
        eye = torch.cat([torch.eye(3), -torch.eye(3)])
        rotation = Cameras.look_at(eye, up=up).rotation
        torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(6, 3, 3))
        torch.testing.assert_close(torch.linalg.det(rotation).abs(), torch.ones(6))

    def test_an_eye_at_the_target_and_no_up_are_errors(self):
        with pytest.raises(ValueError, match="away from what it looks at"):
            Cameras.look_at(torch.zeros(1, 3))
        with pytest.raises(ValueError, match="up must be a direction"):
            Cameras.look_at(torch.ones(1, 3), up=(0.0, 0.0, 0.0))


class TestProject:
    def test_the_same_bits_for_any_number_of_threads_and_under_autocast(self):
        points, cameras = torch.randn(5000, 3), hemisphere_rig()
        threads = torch.get_num_threads()
        try:
            found = []
            for count in (1, 2):
                torch.set_num_threads(count)
                found.append(cameras.project(points))
        finally:
            torch.set_num_threads(threads)
        assert torch.equal(*found)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(cameras.project(points), found[0])
            assert cameras.settings() == hemisphere_rig().settings()
