"""The whole loss on a CUDA device: the values of a CPU, whatever the chunks, in memory that does not grow."""

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from dr_kfs import DRKFSLoss, HardNetDescriptor, Meshes, SoftRenderer, VoxelGrid, icosphere, soft_surface
from dr_kfs.datasets import generate
from dr_kfs.matching import match_localized
from dr_kfs.rendering import soft_rasterize

pytestmark = pytest.mark.cuda


@pytest.fixture(scope="module")
def pairs() -> tuple[Meshes, Meshes]:
    """Three chairs, and three others."""
    sides = ([generate("chair", seed).to_meshes() for seed in seeds] for seeds in (range(3), range(3, 6)))
    predicted, target = (Meshes.cat(side) for side in sides)
    return predicted, target


def value_and_gradient(loss_fn: DRKFSLoss, predicted: Meshes, target: object) -> tuple[torch.Tensor, torch.Tensor]:
    vertices = predicted.vertices.clone().requires_grad_()
    values = loss_fn(predicted.with_vertices(vertices), target, reduction="none")
    (gradient,) = torch.autograd.grad(values.sum(), vertices)
    return values.detach().cpu(), gradient.cpu()


def assert_same_step(found: tuple[torch.Tensor, torch.Tensor], expected: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A recorded step and one that is not."""
    (other, its_gradient), (value, gradient) = found, expected
    torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-7)
    assert (its_gradient - gradient).norm() <= 5e-3 * gradient.norm()


def test_equals_the_cpu(pairs: tuple[Meshes, Meshes]) -> None:
    value, gradient = value_and_gradient(DRKFSLoss(), *pairs)
    loss_fn = DRKFSLoss().cuda()
    there, its_gradient = value_and_gradient(loss_fn, pairs[0].to("cuda"), pairs[1].to("cuda"))
    torch.testing.assert_close(there, value, rtol=1e-3, atol=1e-6)
    assert (its_gradient - gradient).norm() < 2e-2 * gradient.norm()


def test_a_code_of_the_cpu_is_a_target_there(pairs: tuple[Meshes, Meshes]) -> None:
    code = DRKFSLoss().encode(pairs[1]).to("cuda")
    loss_fn = DRKFSLoss(reduction="none").cuda()
    predicted = pairs[0].to("cuda")
    torch.testing.assert_close(loss_fn(predicted, code), loss_fn(predicted, pairs[1].to("cuda")), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("settings", [{"fused": False}, {"view_chunk": 7}, {"max_memory": 6e8}])
def test_the_chunks_change_nothing(pairs: tuple[Meshes, Meshes], settings: dict[str, float]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    value, gradient = value_and_gradient(DRKFSLoss().cuda(), predicted, target)
    other, its_gradient = value_and_gradient(DRKFSLoss(**settings).cuda(), predicted, target)
    torch.testing.assert_close(other, value, rtol=1e-4, atol=1e-7)
    assert (its_gradient - gradient).norm() < 5e-3 * gradient.norm()


def test_bfloat16(pairs: tuple[Meshes, Meshes]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    half = DRKFSLoss(descriptor=HardNetDescriptor(precision="bfloat16")).cuda()
    value, gradient = value_and_gradient(half, predicted, target)
    exact, _ = value_and_gradient(DRKFSLoss().cuda(), predicted, target)
    torch.testing.assert_close(value, exact, rtol=1e-2, atol=0)
    assert gradient.isfinite().all()


def test_the_estimate_bounds_what_a_step_adds(pairs: tuple[Meshes, Meshes]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    loss_fn = DRKFSLoss(max_memory=6e8).cuda()
    code = loss_fn.encode(target)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    value_and_gradient(loss_fn, predicted, code)
    assert torch.cuda.max_memory_allocated() - before < 6e8


def test_soft_surfaces() -> None:
    grid = VoxelGrid.in_box(torch.rand(1, 12, 12, 12).sigmoid())
    results = []
    for device in ("cpu", "cuda"):
        values = grid.values.to(device).requires_grad_()
        surface = soft_surface(grid.to(device).with_values(values))
        renderer = SoftRenderer(image_size=64)
        image = renderer(surface, renderer.cameras[[0, 9]]).images
        (gradient,) = torch.autograd.grad(image.square().sum(), values)
        results.append((image.detach().cpu(), gradient.cpu()))
    for cpu, cuda in zip(*results, strict=True):
        assert (cpu - cuda).norm() < 1e-3 * cpu.norm()


def test_on_another_stream(pairs: tuple[Meshes, Meshes]) -> None:
    """Kernels run on torch's current stream: what is rendered there is there for what follows on it."""
    renderer, meshes = SoftRenderer(image_size=128), pairs[0].to("cuda")
    expected = renderer(meshes).images
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        delayed = meshes.with_vertices(meshes.vertices * 0.0)
        torch.cuda._sleep(50_000_000)
        moved = renderer(delayed.with_vertices(delayed.vertices + meshes.vertices)).images
    stream.synchronize()
    assert torch.equal(moved, expected)


def test_images_are_the_same_bits_again() -> None:
    meshes = icosphere(4).to("cuda")
    renderer = SoftRenderer()
    assert torch.equal(renderer(meshes).images, renderer(meshes).images)


def test_edges_through_pixel_centres_have_finite_gradients() -> None:
    """Where forward and backward could round differently, neither divides by nothing."""
    step = 2.0 / 64
    x, y = torch.meshgrid(*(torch.arange(-20, 20) * step + step / 2,) * 2, indexing="ij")
    corner = torch.stack([x, y], -1).flatten(0, 1)[:, None] + torch.tensor([[0.0, 0.0], [step, 0.0], [0.0, step]])
    depth = 2.7 + 0.1 * torch.rand(len(corner), 1, 1).expand(-1, 3, 1)
    ndc = torch.cat([corner, depth], -1).cuda().requires_grad_()
    shade = torch.rand(len(ndc), 3, device="cuda").requires_grad_()
    views = soft_rasterize(ndc, shade, [len(ndc)], image_size=64, sigma=1e-4)
    gradients = torch.autograd.grad((views.image + views.alpha + views.depth).sum(), [ndc, shade])
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.fixture(scope="module")
def recorded() -> DRKFSLoss:
    """With what follows the renderer in CUDA graphs."""
    return DRKFSLoss(cuda_graphs=True).cuda()


def test_recorded_steps_equal_others(pairs: tuple[Meshes, Meshes], recorded: DRKFSLoss) -> None:
    """At the first step of a size, which records, and at later ones with other shapes and targets, in any order."""
    predicted, target = (side.to("cuda") for side in pairs)
    plain = DRKFSLoss().cuda()
    code = plain.encode(target)
    for items in ([0, 1, 2], [2, 0, 1], [0], [1], [1, 1, 0], [2]):
        expected = value_and_gradient(plain, predicted[items], code[items])
        for _ in range(2):
            assert_same_step(value_and_gradient(recorded, predicted[items], code[items]), expected)


def test_recorded_steps_with_few_and_many_lit_patches(recorded: DRKFSLoss) -> None:
    """Each number of them has a graph of its own, which shares the first one's memory."""
    plain = DRKFSLoss(normalize="none").cuda()
    loss_fn = DRKFSLoss(normalize="none", cuda_graphs=True).cuda()
    ball = icosphere(3).to("cuda")
    code = plain.encode(ball.with_vertices(0.3 * ball.vertices))
    for size in (0.5, 0.1, 0.3, 0.02, 0.5, 0.1):
        shape = ball.with_vertices(size * ball.vertices)
        assert_same_step(value_and_gradient(loss_fn, shape, code), value_and_gradient(plain, shape, code))


def test_recorded_steps_outlive_the_caches_that_they_read(pairs: tuple[Meshes, Meshes], recorded: DRKFSLoss) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    before = value_and_gradient(recorded, predicted, target)
    for size in range(3, 35):  # few sizes of images and grids are kept, and one blank patch
        recorded.detector(torch.rand(1, 40 + size, 40 + size, device="cuda"))
        patches = torch.rand(1, 1, size**2, 8, device="cuda")
        match_localized(patches, patches)
    recorded._blank.described(recorded.descriptor, torch.zeros(1, 32, 32, dtype=torch.float64, device="cuda"))
    torch.cuda.empty_cache()
    fill = [torch.full((1 << 20,), 3.0, device="cuda") for _ in range(64)]
    after = value_and_gradient(recorded, predicted, target)
    del fill
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).norm() < 1e-3 * before[1].norm()


def test_recorded_steps_in_bfloat16_on_another_stream(pairs: tuple[Meshes, Meshes]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    descriptor = HardNetDescriptor(precision="bfloat16")
    plain = DRKFSLoss(descriptor=descriptor).cuda()
    loss_fn = DRKFSLoss(descriptor=descriptor, cuda_graphs=True).cuda()
    value, gradient = value_and_gradient(plain, predicted, target)
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(2):
            other, its_gradient = value_and_gradient(loss_fn, predicted, target)
            torch.testing.assert_close(other, value, rtol=1e-3, atol=1e-6)
            assert (its_gradient - gradient).norm() < 5e-2 * gradient.norm()


def test_recorded_steps_train(recorded: DRKFSLoss) -> None:
    """With an optimiser between them: a fit takes the same way."""
    ball, target = icosphere(3).to("cuda"), generate("chair", 1).to_meshes().to("cuda")
    losses = []
    for loss_fn in (DRKFSLoss().cuda(), recorded):
        vertices = (0.5 * ball.vertices).requires_grad_()
        optimizer = torch.optim.Adam([vertices], lr=1e-2)
        for _ in range(10):
            optimizer.zero_grad()
            loss = loss_fn(ball.with_vertices(vertices), target)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-2)


def test_recordings_give_their_memory_back(pairs: tuple[Meshes, Meshes]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    loss_fn = DRKFSLoss(cuda_graphs=True).cuda()
    code = loss_fn.encode(target)
    held = []
    for _ in range(3):
        for items in ([0], [0, 1], [1, 2, 0]):  # more sizes than are kept
            value_and_gradient(loss_fn, predicted[items], code[items])
        loss_fn._recorded.clear()
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        held.append(torch.cuda.memory_allocated())
    assert max(held[1:]) <= held[0] + 2**20


def test_recorded_steps_under_a_checkpoint_while_anomalies_are_looked_for(pairs: tuple[Meshes, Meshes]) -> None:
    """Neither is recorded at the first step; the recorder's own graph is no part of the user's."""
    predicted, target = (side.to("cuda") for side in pairs)
    plain, loss_fn = DRKFSLoss().cuda(), DRKFSLoss(cuda_graphs=True).cuda()
    _, gradient = value_and_gradient(plain, predicted, target)
    with torch.autograd.set_detect_anomaly(True):
        for _ in range(2):
            vertices = predicted.vertices.clone().requires_grad_()
            value = checkpoint(lambda x: loss_fn(predicted.with_vertices(x), target), vertices, use_reentrant=False)
            (its_gradient,) = torch.autograd.grad(value * len(predicted), vertices)
            assert (its_gradient.cpu() - gradient).norm() <= 5e-3 * gradient.norm()


def test_recorded_steps_with_a_schedule_of_weights(pairs: tuple[Meshes, Meshes]) -> None:
    predicted, target = (side.to("cuda") for side in pairs)
    plain, loss_fn = DRKFSLoss().cuda(), DRKFSLoss(cuda_graphs=True).cuda()
    for weight in (1.0, 3.0, 0.25):
        for each in (plain, loss_fn):
            each.recall_weight = weight
        expected = value_and_gradient(plain, predicted, target)
        assert_same_step(value_and_gradient(loss_fn, predicted, target), expected)


def test_recorded_steps_of_several_threads(pairs: tuple[Meshes, Meshes], recorded: DRKFSLoss) -> None:
    """One loss in two of them, and a third that records another one meanwhile."""
    predicted, target = (side.to("cuda") for side in pairs)
    plain, another = DRKFSLoss().cuda(), DRKFSLoss(cuda_graphs=True).cuda()
    ours, theirs = ([side[[item]] for item in range(3)] for side in (predicted, target))
    expected = list(map(value_and_gradient, [plain] * 3, ours, theirs))
    torch.cuda.synchronize()
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(value_and_gradient, [recorded, recorded, another], ours, theirs))
    for step, its_expected in zip(found, expected, strict=True):
        assert_same_step(step, its_expected)
