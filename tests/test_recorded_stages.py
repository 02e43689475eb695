"""Recorded steps: their bookkeeping, with work that is done anew in place of a graph's replay; graphs need a GPU."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dr_kfs import DRKFSLoss, GHHDetector, Meshes, SoftRenderer, _recorded_stages, icosphere
from dr_kfs._recorded_stages import KEPT, RecordedStages
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.rendering import hemisphere_rig


class Recorder:
    """Counts what is recorded."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, _: torch.device) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        def record(work: Callable[[], Any]) -> Callable[[], Any]:
            self.recorded += 1
            work()  # once as it is, as before a graph is recorded
            return work

        return record


@pytest.fixture(scope="module")
def shapes() -> Meshes:
    """Two ellipsoids."""
    ball = icosphere(2)
    return Meshes.cat(
        [ball.with_vertices(ball.vertices * torch.tensor(axes)) for axes in ([1.0, 0.6, 0.8], [0.5, 1.0, 0.7])]
    )


def loss_of(recorder: Recorder | None = None, *, views: int = 3, size: int = 64, **settings: Any) -> DRKFSLoss:
    """A small loss, recorded or not."""
    renderer = SoftRenderer(image_size=size, cameras=hemisphere_rig()[list(range(0, 4 * views, 4))])
    loss_fn = DRKFSLoss(renderer=renderer, view_chunk=views, cuda_graphs=recorder is not None, **settings)
    if recorder is not None:
        loss_fn._recorded = RecordedStages(recorder)
    return loss_fn


def value_and_gradient(loss_fn: DRKFSLoss, shape: Meshes, target: Any) -> tuple[torch.Tensor, torch.Tensor]:
    vertices = shape.vertices.clone().requires_grad_()
    values = loss_fn(shape.with_vertices(vertices), target, reduction="none")
    (gradient,) = torch.autograd.grad((values * torch.arange(1.0, 1.0 + len(values))).sum(), vertices)
    return values.detach(), gradient


@pytest.mark.parametrize("settings", [{}, {"detach_weights": False}, {"recall_weight": 3.0, "precision_weight": 0.5}])
def test_equals_the_step_without(shapes: Meshes, settings: dict[str, Any]) -> None:
    """Another shape too, on what the first one recorded; a mesh as the target, and a code for all."""
    plain, recorder = loss_of(**settings), Recorder()
    loss_fn = loss_of(recorder, **settings)
    code, ball = plain.encode(icosphere(2)), icosphere(2)
    for target in (code, ball, plain.encode(shapes[[1, 0]])):
        for stretch in (1.0, 0.7):
            shape = shapes.with_vertices(shapes.vertices * torch.tensor([1.0, stretch, 1.0]))
            expected, its_gradient = value_and_gradient(plain, shape, target)
            value, gradient = value_and_gradient(loss_fn, shape, target)
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
            assert (gradient - its_gradient).norm() < 1e-4 * its_gradient.norm()
    assert recorder.recorded > 0


def test_records_once_per_size(shapes: Meshes) -> None:
    recorder = Recorder()
    loss_fn = loss_of(recorder)
    code = loss_fn.encode(icosphere(2))
    for _ in range(3):
        value_and_gradient(loss_fn, shapes, code)
    assert recorder.recorded == 2  # one that counts, one that judges; view_chunk takes shapes one by one
    for views in ([1, 2], [2, 0]):
        loss_fn(shapes.with_vertices(shapes.vertices.clone().requires_grad_()), code, views=views)
    assert recorder.recorded == 4


def test_another_number_of_lit_patches_is_judged_by_another_recording(
    shapes: Meshes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recorded_stages, "LEAST_STEP", 2)
    recorder, plain = Recorder(), loss_of(size=128, normalize="none")
    loss_fn = loss_of(recorder, size=128, normalize="none")
    code = plain.encode(shapes[0].with_vertices(0.4 * shapes[0].vertices))
    for size in (0.4, 0.05, 0.4):
        shape = shapes[1].with_vertices(size * shapes[1].vertices)
        expected, its_gradient = value_and_gradient(plain, shape, code)
        value, gradient = value_and_gradient(loss_fn, shape, code)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
        assert (gradient - its_gradient).norm() < 1e-4 * its_gradient.norm()
    assert recorder.recorded == 3  # counted by one, judged by two


def test_few_sizes_are_kept(shapes: Meshes) -> None:
    loss_fn = loss_of(Recorder(), views=6)
    code = loss_fn.encode(icosphere(2))
    for count in range(1, 7):
        vertices = shapes[0].vertices.clone().requires_grad_()
        loss_fn(shapes[0].with_vertices(vertices), code, views=list(range(count)))
    assert loss_fn._recorded is not None
    assert len(loss_fn._recorded._recordings) == KEPT


def _another_detector(loss_fn: DRKFSLoss) -> None:
    loss_fn.detector = GHHDetector("ghh-repeatable")


def _other_weights(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.kernel_0.mul_(1.5)


def _another_floor(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.floor = 0.1


def _another_radius(loss_fn: DRKFSLoss) -> None:
    loss_fn.matcher.radius = 0


def _another_say(loss_fn: DRKFSLoss) -> None:
    loss_fn.recall_weight = 4.0


@pytest.mark.parametrize(
    "change",
    [_another_detector, _other_weights, _another_floor, _another_radius, _another_say],
    ids=lambda f: f.__name__,
)
def test_what_changed_is_recorded_anew(shapes: Meshes, change: Callable[[DRKFSLoss], None]) -> None:
    recorder, plain = Recorder(), loss_of()
    loss_fn = loss_of(recorder)
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    before = recorder.recorded
    change(loss_fn)
    change(plain)
    value, _ = value_and_gradient(loss_fn, shapes[0], icosphere(2))
    expected, _ = value_and_gradient(plain, shapes[0], icosphere(2))
    assert recorder.recorded > before
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)


def test_steps_that_cannot_be_recorded_run_as_without(shapes: Meshes) -> None:
    """A target with a gradient, and a value without one."""
    recorder, plain = Recorder(), loss_of()
    loss_fn = loss_of(recorder)
    target = icosphere(2)
    gradients = []
    for each in (loss_fn, plain):
        vertices = target.vertices.clone().requires_grad_()
        value = each(shapes[0], target.with_vertices(vertices))
        gradients.append(torch.autograd.grad(value, vertices)[0])
    assert torch.equal(*gradients)
    assert torch.equal(loss_fn(shapes, target), plain(shapes, target))
    assert recorder.recorded == 0


def test_memory_that_is_read_is_held(shapes: Meshes) -> None:
    """A recording keeps what the caches of the stages have handed out: they may let go of it."""
    loss_fn = loss_of(Recorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    assert loss_fn._recorded is not None
    (recording,) = loss_fn._recorded._recordings.values()
    (prepared,) = loss_fn.detector._kept.values()
    assert any(held is prepared for held in recording._constants)
    blank = loss_fn._blank.described(loss_fn.descriptor, torch.zeros(1, 32, 32))
    assert any(held is blank for held in recording._constants)


def test_nothing_visible(shapes: Meshes) -> None:
    loss_fn = loss_of(Recorder(), normalize="none")
    far = shapes[0].with_vertices(shapes[0].vertices + 100.0)
    value, gradient = value_and_gradient(loss_fn, far, icosphere(2))
    torch.testing.assert_close(value, value_and_gradient(loss_of(normalize="none"), far, icosphere(2))[0])
    assert gradient.abs().max() == 0


def test_copies_record_for_themselves(shapes: Meshes) -> None:
    loss_fn = loss_of(Recorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    copied = copy.deepcopy(loss_fn)
    assert copied._recorded is not None
    assert loss_fn._recorded is not None
    assert len(loss_fn._recorded._recordings) == 1
    assert len(copied._recorded._recordings) == 0


def test_stages_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="its detector is of type Identity, not a GHHDetector"):
        DRKFSLoss(detector=torch.nn.Identity(), cuda_graphs=True)
    with pytest.raises(ValueError, match="fused"):
        DRKFSLoss(fused=False, cuda_graphs=True)
    loss_fn = loss_of(Recorder())
    loss_fn.descriptor = torch.nn.Sequential(HardNetDescriptor())
    vertices = icosphere(1).vertices.requires_grad_()
    with pytest.raises(ValueError, match="its descriptor is of type Sequential, not a HardNetDescriptor"):
        loss_fn(icosphere(1).with_vertices(vertices), icosphere(2))


def test_needs_a_gpu(shapes: Meshes) -> None:
    loss_fn = DRKFSLoss(cuda_graphs=True, view_chunk=25, renderer=SoftRenderer(image_size=64))
    with pytest.raises(ValueError, match="needs a GPU, the shapes are on cpu"):
        value_and_gradient(loss_fn, shapes[0], icosphere(2))
