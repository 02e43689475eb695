"""The kernels on CUDA: compiled to PTX on every machine, run where there is a device."""

import pytest
import torch

from dr_kfs.rendering import soft_rasterize
from dr_kfs.rendering._softras_warp import softras_kernels


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_kernels_compile_to_ptx(assert_compiles_to_ptx, arch, name):
    assert_compiles_to_ptx(softras_kernels, name, arch)


@pytest.mark.cuda
def test_cuda_equals_cpu():
    corners = torch.rand(200, 3, 3) * 2 - 1
    corners[..., 2] = 2.7 + 0.1 * corners[..., 2]
    results = []
    for device in ("cpu", "cuda"):
        ndc = corners.to(device).requires_grad_()
        shade = torch.ones(200, 3, device=device).requires_grad_()
        views = soft_rasterize(ndc, shade, [100, 100], image_size=64, sigma=1e-4)
        gradient = torch.autograd.grad(views.image.square().sum() + views.depth.sum(), [ndc, shade])
        results.append([tensor.cpu() for tensor in (views.image, views.alpha, views.depth, *gradient)])
    for cpu, cuda in zip(*results, strict=True):
        assert (cpu - cuda).norm() < 1e-3 * cpu.norm()
