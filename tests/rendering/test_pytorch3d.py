"""PyTorch3D as a backend: its rasterizer under our compositing gives our images."""

import importlib.util
import sys

import pytest
import torch

from dr_kfs import Meshes, SoftRenderer, hemisphere_rig, icosphere, normalize
from dr_kfs.datasets import generate

needs_pytorch3d = pytest.mark.skipif(
    importlib.util.find_spec("pytorch3d") is None, reason="PyTorch3D is not installed: it has no wheel"
)


def renderers(**settings):
    kwargs = {"cameras": hemisphere_rig()[[1, 10]], "image_size": 64, **settings}
    return SoftRenderer(**kwargs), SoftRenderer(**kwargs, backend="pytorch3d", faces_per_pixel=200)


@needs_pytorch3d
@pytest.mark.filterwarnings("ignore")
class TestParity:
    @pytest.mark.parametrize("sigma", [1e-5, 1e-4])
    @pytest.mark.parametrize("shape", ["sphere", "chair"])
    def test_values(self, shape, sigma):
        mesh = normalize(icosphere(3) if shape == "sphere" else generate("chair", 4).to_meshes())
        ours, theirs = (renderer(mesh) for renderer in renderers(sigma=sigma))
        torch.testing.assert_close(theirs.alpha, ours.alpha, atol=1e-4, rtol=0)
        assert (theirs.images - ours.images).abs().mean() < 1e-4 * ours.images.mean()

    @pytest.mark.parametrize("output", ["alpha", "images"])
    def test_gradient(self, output):
        """Vertex by vertex, the median: PyTorch3D's gradient of the barycentrics explodes at edge-on faces."""
        mesh = normalize(icosphere(2))
        gradients = []
        for renderer in renderers(sigma=1e-4):
            vertices = mesh.vertices.clone().requires_grad_()
            values = getattr(renderer(mesh.with_vertices(vertices)), output)
            weights = torch.rand(values.shape, generator=torch.Generator().manual_seed(0))
            gradients.append(torch.autograd.grad((values * weights).sum(), vertices)[0])
        reached = gradients[0].norm(dim=1) > 1e-3 * gradients[0].norm(dim=1).max()
        error = (gradients[1] - gradients[0]).norm(dim=1) / gradients[0].norm(dim=1)
        assert error[reached].median() < 0.02

    def test_too_few_faces_per_pixel_are_an_error(self):
        mesh = normalize(icosphere(3))
        with pytest.raises(ValueError, match="raise faces_per_pixel"):
            SoftRenderer(image_size=32, backend="pytorch3d", faces_per_pixel=2)(mesh)

    def test_an_empty_mesh_is_background(self):
        empty = Meshes.from_list([torch.zeros(0, 3)], [torch.zeros(0, 3, dtype=torch.long)], allow_empty=True)
        assert renderers()[1](empty).alpha.sum() == 0


def test_missing_is_a_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch3d", None)
    monkeypatch.setitem(sys.modules, "pytorch3d.structures", None)
    monkeypatch.setitem(sys.modules, "pytorch3d.renderer.mesh.rasterize_meshes", None)
    with pytest.raises(ImportError, match=r'needs PyTorch3D, which has no wheel.*or use backend="warp"'):
        renderers()[1](normalize(icosphere(1)))
