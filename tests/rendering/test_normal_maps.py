"""Normal maps against geometry, and the kernel against the dense reference where shades are negative."""

from __future__ import annotations

import torch

from dr_kfs import SoftRenderer, hemisphere_rig, icosphere
from dr_kfs.geometry import Meshes
from dr_kfs.rendering import render_normals


class TestRenderNormals:
    def test_of_a_square_is_its_normal_turned_to_the_camera(self) -> None:
        normal = torch.nn.functional.normalize(torch.tensor([0.2, 0.9, -0.3]), dim=0)
        across = torch.nn.functional.normalize(torch.linalg.cross(normal, torch.tensor([1.0, 0, 0])), dim=0)
        along = torch.linalg.cross(across, normal)
        corners = torch.stack([along + across, across - along, -along - across, along - across])
        top = SoftRenderer(cameras=hemisphere_rig()[24], image_size=16)
        for faces in ([[0, 1, 2], [0, 2, 3]], [[2, 1, 0], [3, 2, 0]]):
            maps = render_normals(top, Meshes.from_list([corners], [torch.tensor(faces)]))
            assert maps.shape == (1, 1, 3, 16, 16)
            expected = normal.view(1, 1, 3, 1, 1).expand_as(maps)
            torch.testing.assert_close(maps, expected, atol=1e-5, rtol=0)

    def test_background_is_0_and_the_rig_can_be_cut(self) -> None:
        renderer = SoftRenderer(cameras=hemisphere_rig()[[0, 24]], image_size=32)
        sphere = icosphere(1)
        sphere = sphere.with_vertices(0.5 * sphere.vertices)
        maps = render_normals(renderer, sphere)
        assert torch.equal(maps[:, 1:], render_normals(renderer, sphere, renderer.cameras[[1]]))
        alpha = renderer(sphere).alpha
        length = maps.norm(dim=2)
        assert (length <= alpha + 1e-5).all()
        assert (length[alpha == 0] == 0).all()
        assert (length[0, 0, 14:18, 14:18] > 0.9).all()

    def test_kernel_equals_reference_forward_and_backward(self) -> None:
        sphere = icosphere(0).to(dtype=torch.float64)
        seen = []
        for backend in ("warp", "reference"):
            renderer = SoftRenderer(cameras=hemisphere_rig()[9], image_size=24, sigma=1e-3, backend=backend)
            leaf = (0.7 * sphere.vertices).requires_grad_()
            maps = render_normals(renderer, sphere.with_vertices(leaf))
            assert maps.min() < -0.1
            weights = torch.rand(maps.shape, generator=torch.Generator().manual_seed(0), dtype=maps.dtype)
            (gradient,) = torch.autograd.grad((weights * maps).sum(), leaf)
            seen.append((maps.detach(), gradient))
        torch.testing.assert_close(seen[0], seen[1], rtol=1e-7, atol=1e-9)
