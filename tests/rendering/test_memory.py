"""No picture and no gradient depends on what lay in memory before."""

import contextlib

import pytest
import torch
from test_softras import soup

from dr_kfs.rendering import soft_rasterize
from dr_kfs.rendering._softras_reference import reach
from dr_kfs.rendering.compositing import composite_softras, composite_translucent, softras_reach
from dr_kfs.rendering.fragments import soft_fragments

SIZE, SIGMA, GAMMA, NEAR, FAR = 24, 2e-3, 1e-2, 2.1, 3.3


def opaque(ndc, shade):
    return soft_rasterize(ndc, shade, [len(ndc)], image_size=SIZE, sigma=SIGMA, gamma=GAMMA, far=FAR, clip=0.2)


def translucent(ndc, shade):
    fragments = soft_fragments(ndc, shade, [len(ndc)], image_size=SIZE, reach=reach(SIGMA), clip=0.2)
    opacity = torch.linspace(0.0, 1.0, len(ndc)).to(ndc)
    return composite_translucent(fragments, opacity, sigma=SIGMA, gamma=GAMMA, far=FAR)


def softras(ndc, shade):
    fragments = soft_fragments(ndc, shade, [len(ndc)], image_size=SIZE, reach=softras_reach(SIGMA), clip=0.2)
    return composite_softras(fragments, sigma=SIGMA, gamma=GAMMA, near=NEAR, far=FAR)


def stack():
    """Two sheets far in front of eight that lie close together: every pixel has ten fragments, in three blocks."""
    depths = torch.cat([torch.tensor([1.5, 2.0]), 2.5 + 0.01 * torch.arange(8)]).double()
    corners = torch.tensor([[-3.0, -3.0], [9.0, -3.0], [-3.0, 9.0]]).double().expand(10, 3, 2)
    return torch.cat([corners, depths.view(10, 1, 1).expand(10, 3, 1)], -1), torch.rand(10, 3).double()


@contextlib.contextmanager
def poisoned_memory():
    """New tensors hold NaN, and new integers their largest value, until they are written."""
    filled, strict = torch.utils.deterministic.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.utils.deterministic.fill_uninitialized_memory = filled


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scene", [lambda: soup(60), lambda: soup(1), stack], ids=["soup", "triangle", "stack"])
@pytest.mark.parametrize("render", [opaque, translucent, softras])
def test_nothing_unwritten_is_read(render, scene, dtype):
    triangles = scene()

    def images_and_gradients():
        ndc, shade = (values.to(dtype).requires_grad_() for values in triangles)
        views = render(ndc, shade)
        images = (views.image, views.alpha, views.depth)
        return *images, *torch.autograd.grad(sum(image.square().sum() for image in images), (ndc, shade))

    expected = images_and_gradients()
    with poisoned_memory():
        actual = images_and_gradients()
    torch.testing.assert_close(actual, expected, atol=0, rtol=0)
