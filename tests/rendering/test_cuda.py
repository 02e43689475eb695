"""The kernels on CUDA: compiled to PTX on every machine, run where there is a device."""

import pytest
import torch

from dr_kfs.rendering import soft_rasterize
from dr_kfs.rendering._softras_warp import softras_kernels
from dr_kfs.rendering._warp_runtime import quiet_warp


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_kernels_compile_to_ptx(tmp_path, arch, name):
    with quiet_warp() as warp:
        kernel = getattr(softras_kernels(warp.float32), name)
        try:
            warp.compile_aot_module(kernel.module, arch=arch, module_dir=tmp_path, use_ptx=True)
        except RuntimeError as error:
            if "CUDA" in str(error) and "not built" in str(error):
                pytest.skip(f"this Warp has no CUDA compiler: {error}")
            raise
    assert any(b".entry" in path.read_bytes() for path in tmp_path.rglob("*.ptx"))


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
