"""The detector's kernels against its formula in PyTorch: values, gradients, registration."""

import pytest
import torch

from dr_kfs.keypoints import GHHDetector
from dr_kfs.keypoints._hinges_warp import hinge_kernels
from dr_kfs.keypoints.hinges import poi_of_correlations


def images(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Shapes on black: two squares, a bright spot, nothing."""
    seen = torch.zeros(3, 40, 48, dtype=dtype)
    seen[0, 3:15, 5:30] = 0.7
    seen[0, 10:20, 20:40] = 0.4
    seen[1, 20, 40] = 1.0
    return seen


def correlations(members: int = 3, groups: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(2, groups * members, 9, 11, dtype=torch.float64, generator=generator)
    biases = torch.randn(groups, members, dtype=torch.float64, generator=generator)
    lit = torch.rand(2, 5, 6, generator=generator) > 0.2
    return [values, biases, torch.tensor([0.8, -0.3, 0.2], dtype=torch.float64), lit]


@pytest.mark.parametrize("weights", ["ghh-shapes", "ghh-repeatable"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_equals_the_formula_in_pytorch(weights, dtype, tolerance):
    detector, seen = GHHDetector(weights), images(dtype)
    found = []
    for detect in (detector, detector._poi_in_pytorch):
        leaf = seen.clone().requires_grad_()
        poi = detect(leaf)
        (gradient,) = torch.autograd.grad((poi * torch.linspace(0, 1, 48, dtype=dtype)).sum(), leaf)
        found.append((poi, gradient))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=tolerance)
    assert found[0][0].max() > 0.5
    assert (found[0][1] - found[1][1]).norm() < 10 * tolerance * found[1][1].norm()


def test_black_is_0_without_a_gradient():
    poi = GHHDetector()(images(torch.float32))
    assert not poi[2].any()
    values, biases, calibration, lit = correlations()
    values.requires_grad_()
    poi = poi_of_correlations(values, biases, calibration, torch.zeros_like(lit), margin=2)
    assert not poi.any()
    assert not torch.autograd.grad(poi.sum(), values)[0].any()


def test_of_equal_members_the_first_wins():
    values = torch.ones(1, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    calibration = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    lit = torch.ones(1, 3, 3, dtype=torch.bool)
    poi = poi_of_correlations(values, torch.zeros(1, 4, dtype=torch.float64), calibration, lit, margin=0)
    (gradient,) = torch.autograd.grad(poi.sum(), values)
    assert (gradient[0, 0] > 0).all()
    assert not gradient[0, 1:].any()


def test_large_scores_saturate():
    values = torch.tensor([1e4, -1e4], dtype=torch.float64).view(2, 1, 1, 1).requires_grad_()
    calibration = torch.tensor([1.0, 0.0, 0.1], dtype=torch.float64)
    lit = torch.ones(2, 1, 1, dtype=torch.bool)
    poi = poi_of_correlations(values, torch.zeros(1, 1, dtype=torch.float64), calibration, lit, margin=0)
    assert poi.flatten().tolist() == [1.0, 0.0]
    assert not torch.autograd.grad(poi.sum(), values)[0].any()


def test_gradcheck():
    values, *rest = correlations()
    inputs = values.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: poi_of_correlations(x, *rest, margin=2), (inputs,))


def test_registration(opcheck):
    values, *rest = correlations()
    opcheck(torch.ops.dr_kfs.poi_of_correlations.default, (values.requires_grad_(), *rest, 2))


def test_weights_that_learn_have_a_gradient():
    detector = GHHDetector()
    detector.scale.requires_grad_()
    detector.biases.requires_grad_()
    gradients = torch.autograd.grad(detector(images()).sum(), (detector.scale, detector.biases))
    assert all(gradient.norm() > 0 for gradient in gradients)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_number_stays_so(dtype):
    seen = images(dtype)
    seen[1, 20, 40] = torch.nan
    poi = GHHDetector()(seen)
    assert poi[1].isnan().any()
    assert poi[0].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: [t[0].float(), *t[1:]], "one dtype"),
        (lambda t: [x.half() if x.is_floating_point() else x for x in t], "float32 or float64"),
        (lambda t: [t[0][:, :, :-3], *t[1:]], "at least 7 x 8, got"),
        (lambda t: [t[0][:, :5], *t[1:]], "with 6 filters"),
        (lambda t: [t[0].new_zeros(2, 300, 9, 11), t[1].new_zeros(1, 300), *t[2:]], "at most 256 members"),
    ],
)
def test_what_does_not_fit_is_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        poi_of_correlations(*change(correlations()), margin=2)


def test_half_precision_is_computed_in_float32():
    detector, seen = GHHDetector(), images(torch.bfloat16)
    assert torch.equal(detector(seen), detector(seen.float()))


@pytest.mark.parametrize("width", [5, 8, 9, 16, 23])
def test_rows_of_any_width_in_float32(width):
    generator = torch.Generator().manual_seed(width)
    values = torch.randn(2, 6, 9, width + 4, generator=generator)
    biases, calibration = torch.randn(2, 3, generator=generator), torch.tensor([0.8, -0.3, 0.2])
    lit = torch.rand(2, 5, width, generator=generator) > 0.5
    found = []
    for dtype in (torch.float32, torch.float64):
        leaf = values.to(dtype).requires_grad_()
        poi = poi_of_correlations(leaf, biases.to(dtype), calibration.to(dtype), lit, margin=2)
        weights = torch.linspace(1, 2, width, dtype=dtype)
        found.append((poi.double(), torch.autograd.grad((poi * weights).sum(), leaf)[0].double()))
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_double_backward_is_an_error():
    leaf = images().requires_grad_()
    (gradient,) = torch.autograd.grad(GHHDetector()(leaf).sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="GHHDetector is differentiable once"):
        gradient.sum().backward()


@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_kernels_compile_to_ptx(assert_compiles_to_ptx, arch, name):
    assert_compiles_to_ptx(hinge_kernels, name, arch)


@pytest.mark.cuda
def test_cuda_equals_cpu():
    found = []
    for device in ("cpu", "cuda"):
        leaf = images(torch.float32).to(device).requires_grad_()
        poi = GHHDetector().to(device)(leaf)
        found.append([x.cpu() for x in (poi, *torch.autograd.grad(poi.square().sum(), leaf))])
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-4)
    assert (found[0][1] - found[1][1]).norm() < 1e-3 * found[0][1].norm()
