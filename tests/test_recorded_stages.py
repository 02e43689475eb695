"""Recorded steps, with a tape in place of CUDA graphs, which `test_on_cuda.py` has."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from tape import TapeRecorder
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from dr_kfs import DRKFSLoss, GHHDetector, Meshes, SoftRenderer, _recorded_stages, icosphere
from dr_kfs._recorded_stages import KEPT, RecordedStages
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.rendering import hemisphere_rig


@pytest.fixture(scope="module")
def shapes() -> Meshes:
    """Two ellipsoids."""
    ball = icosphere(2)
    return Meshes.cat(
        [ball.with_vertices(ball.vertices * torch.tensor(axes)) for axes in ([1.0, 0.6, 0.8], [0.5, 1.0, 0.7])]
    )


def loss_of(recorder: TapeRecorder | None = None, *, views: int = 3, size: int = 64, **settings: Any) -> DRKFSLoss:
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
    plain, recorder = loss_of(**settings), TapeRecorder()
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
    recorder = TapeRecorder()
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
    recorder, plain = TapeRecorder(), loss_of(size=128, normalize="none")
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
    loss_fn = loss_of(TapeRecorder(), views=6)
    code = loss_fn.encode(icosphere(2))
    for count in range(1, 7):
        vertices = shapes[0].vertices.clone().requires_grad_()
        loss_fn(shapes[0].with_vertices(vertices), code, views=list(range(count)))
    assert len(loss_fn._recorded._recordings) == KEPT


def test_room_is_made_before_another_size_is_recorded(shapes: Meshes, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, alive = TapeRecorder(), []
    loss_fn = loss_of(recorder, views=4)
    record = recorder._record
    monkeypatch.setattr(
        recorder, "_record", lambda work: alive.append(len(loss_fn._recorded._recordings)) or record(work)
    )
    code = loss_fn.encode(icosphere(2))
    for count in (1, 2, 3, 4):
        loss_fn(shapes[0].with_vertices(shapes[0].vertices.clone().requires_grad_()), code, views=list(range(count)))
    assert max(alive) == KEPT - 1  # beside the one that is being recorded


def test_what_is_let_go_of_is_freed(shapes: Meshes) -> None:
    """No operation keeps its own result, through which it would hold itself, and all before it, for good."""
    loss_fn = loss_of(TapeRecorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    (recording,) = loss_fn._recorded._recordings.values()
    images, replays = weakref.ref(recording._images), weakref.ref(recording._detection)
    del recording
    loss_fn._recorded.clear()
    gc.collect()
    assert images() is None
    assert replays() is None


def test_the_size_that_was_used_last_is_kept(shapes: Meshes) -> None:
    recorder = TapeRecorder()
    loss_fn = loss_of(recorder, views=4)
    code = loss_fn.encode(icosphere(2))
    for count in (1, 2, 1, 3, 1):
        loss_fn(shapes[0].with_vertices(shapes[0].vertices.clone().requires_grad_()), code, views=list(range(count)))
    assert recorder.recorded == 2 * 3


def _another_detector(loss_fn: DRKFSLoss) -> None:
    loss_fn.detector = GHHDetector("ghh-repeatable")


def _other_weights(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.kernel_0.mul_(1.5)


def _other_weights_in_their_place(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.kernel_0.data = 1.5 * loss_fn.descriptor.kernel_0


def _another_calibration(loss_fn: DRKFSLoss) -> None:
    loss_fn.detector.offset.sub_(2.0)


def _another_floor(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.floor = 0.1


def _the_normalisation_of_kornia(loss_fn: DRKFSLoss) -> None:
    loss_fn.descriptor.kornia_compat = True


def _another_radius(loss_fn: DRKFSLoss) -> None:
    loss_fn.matcher.radius = 0


def _a_temperature(loss_fn: DRKFSLoss) -> None:
    loss_fn.matcher.temperature = 0.01


def _weights_with_gradient(loss_fn: DRKFSLoss) -> None:
    loss_fn.detach_weights = False


CHANGES = [
    _another_detector,
    _other_weights,
    _other_weights_in_their_place,
    _another_calibration,
    _another_floor,
    _the_normalisation_of_kornia,
    _another_radius,
    _a_temperature,
    _weights_with_gradient,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_recorded_anew(shapes: Meshes, change: Callable[[DRKFSLoss], None]) -> None:
    recorder, plain = TapeRecorder(), loss_of()
    loss_fn = loss_of(recorder)
    code, shape = plain.encode(shapes[1]), shapes[0]
    before = value_and_gradient(loss_fn, shape, code)
    for each in (plain, loss_fn):
        change(each)
    code = dataclasses.replace(code, settings=plain.code_settings())
    value, gradient = value_and_gradient(loss_fn, shape, code)
    expected, its_gradient = value_and_gradient(plain, shape, code)
    assert recorder.recorded > 2
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
    assert (gradient - its_gradient).norm() < 1e-4 * its_gradient.norm()
    assert (gradient - before[1]).norm() > 1e-3 * its_gradient.norm()


def test_a_schedule_of_weights_records_nothing_anew(shapes: Meshes) -> None:
    recorder, plain = TapeRecorder(), loss_of()
    loss_fn = loss_of(recorder)
    code = plain.encode(icosphere(2))
    for weight in (1.0, 2.0, 0.25):
        for each in (plain, loss_fn):
            each.recall_weight, each.precision_weight = weight, 1.0 / weight
        value, gradient = value_and_gradient(loss_fn, shapes, code)
        expected, its_gradient = value_and_gradient(plain, shapes, code)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-7)
        assert (gradient - its_gradient).norm() < 1e-4 * its_gradient.norm()
    assert recorder.recorded == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_switches_of_torch_and_dtypes_have_their_own(shapes: Meshes, dtype: torch.dtype) -> None:
    recorder = TapeRecorder()
    loss_fn = loss_of(recorder)
    code = loss_fn.encode(icosphere(2))
    value_and_gradient(loss_fn, shapes, code)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        value, _ = value_and_gradient(loss_fn, shapes.to(dtype=dtype), code)
    assert recorder.recorded == 4
    assert value.dtype == dtype


def test_results_stay_as_they_are(shapes: Meshes) -> None:
    """Two forwards before their backwards, and a value that is looked at later."""
    plain, loss_fn = loss_of(), loss_of(TapeRecorder())
    code = plain.encode(icosphere(2))
    results = []
    for each in (plain, loss_fn):
        leaves = [shapes[item].vertices.clone().requires_grad_() for item in (0, 1)]
        values = [each(shapes[item].with_vertices(leaf), code) for item, leaf in enumerate(leaves)]
        (values[0] * values[1]).backward()
        results.append([*(value.detach() for value in values), *(leaf.grad for leaf in leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_threads_share_a_loss(shapes: Meshes) -> None:
    plain, loss_fn = loss_of(), loss_of(TapeRecorder())
    code = plain.encode(icosphere(2))
    stretched = [shapes[0].with_vertices(shapes[0].vertices * (1.0 + 0.2 * item)) for item in range(6)]
    expected = [value_and_gradient(plain, shape, code) for shape in stretched]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda shape: value_and_gradient(loss_fn, shape, code), stretched))
    for (value, gradient), (its_value, its_gradient) in zip(expected, found, strict=True):
        torch.testing.assert_close(its_value, value, rtol=1e-5, atol=1e-7)
        assert (its_gradient - gradient).norm() < 1e-4 * gradient.norm()


def test_modes_of_the_user_are_not_recorded(shapes: Meshes) -> None:
    """A checkpoint around the loss, autocast, a search for anomalies: at the first step, and not at the next."""
    plain, recorder = loss_of(), TapeRecorder()
    loss_fn = loss_of(recorder)
    code = plain.encode(icosphere(2))

    def checkpointed() -> torch.Tensor:
        vertices = shapes[0].vertices.clone().requires_grad_()
        value = checkpoint(lambda x: loss_fn(shapes[0].with_vertices(x), code), vertices, use_reentrant=False)
        return torch.autograd.grad(value, vertices)[0]

    with torch.autocast("cpu"), torch.autograd.set_detect_anomaly(True):
        gradients = [checkpointed()]
    gradients += [checkpointed(), value_and_gradient(loss_fn, shapes[0], code)[1]]
    _, expected = value_and_gradient(plain, shapes[0], code)
    for gradient in gradients:
        assert (gradient - expected).norm() < 1e-4 * expected.norm()


@pytest.mark.parametrize("lock", ["of this loss", "of all"])
def test_a_backward_waits_for_nobody(shapes: Meshes, lock: str) -> None:
    """Who holds the lock may wait for the thread that a checkpoint runs the loss in: it goes on without recordings."""
    plain, recorder = loss_of(), TapeRecorder()
    loss_fn = loss_of(recorder)
    code, vertices = plain.encode(icosphere(2)), shapes[0].vertices.clone().requires_grad_()
    value = checkpoint(lambda x: loss_fn(shapes[0].with_vertices(x), code), vertices, use_reentrant=False)
    if lock == "of all":
        loss_fn._recorded.clear()  # it would have to record again
    with loss_fn._recorded._lock if lock == "of this loss" else _recorded_stages._one_recording:
        (gradient,) = torch.autograd.grad(value, vertices)
    _, expected = value_and_gradient(plain, shapes[0], code)
    assert (gradient - expected).norm() < 1e-4 * expected.norm()
    assert recorder.recorded == 2


def test_nothing_is_recorded_under_a_mode_that_sees_all_operations(shapes: Meshes) -> None:
    plain, recorder = loss_of(), TapeRecorder()
    loss_fn = loss_of(recorder)
    code = plain.encode(icosphere(2))
    with FlopCounterMode(display=False):
        value, _ = value_and_gradient(loss_fn, shapes[0], code)
    assert recorder.recorded == 0
    assert torch.equal(value, value_and_gradient(plain, shapes[0], code)[0])


def test_a_failed_step_leaves_nothing_behind(shapes: Meshes) -> None:
    recorder, plain = TapeRecorder(), loss_of(normalize="each")
    loss_fn = loss_of(recorder, normalize="each")
    code = plain.encode(icosphere(2))
    with pytest.raises((RuntimeError, ValueError)):
        value_and_gradient(loss_fn, shapes[0], code.to("meta"))
    assert len(loss_fn._recorded._recordings) == 0
    value, _ = value_and_gradient(loss_fn, shapes[0], code)
    torch.testing.assert_close(value, value_and_gradient(plain, shapes[0], code)[0])


def test_a_code_with_a_history_is_a_constant(shapes: Meshes) -> None:
    loss_fn = loss_of(TapeRecorder())
    code = loss_fn.encode(icosphere(2))
    value_and_gradient(loss_fn, shapes[0], code)
    (recording,) = loss_fn._recorded._recordings.values()
    assert recording._reference.descriptors.grad_fn is None
    assert not recording._reference.descriptors.requires_grad


def test_steps_that_cannot_be_recorded_run_as_without(shapes: Meshes) -> None:
    """A target with a gradient, and a value without one."""
    recorder, plain = TapeRecorder(), loss_of()
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
    loss_fn = loss_of(TapeRecorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    (recording,) = loss_fn._recorded._recordings.values()
    (prepared,) = loss_fn.detector._kept.values()
    assert any(held is prepared for held in recording._constants)
    blank = loss_fn._blank.described(loss_fn.descriptor, torch.zeros(1, 32, 32))
    assert any(held is blank for held in recording._constants)


def test_nothing_visible(shapes: Meshes) -> None:
    loss_fn = loss_of(TapeRecorder(), normalize="none")
    far = shapes[0].with_vertices(shapes[0].vertices + 100.0)
    value, gradient = value_and_gradient(loss_fn, far, icosphere(2))
    torch.testing.assert_close(value, value_and_gradient(loss_of(normalize="none"), far, icosphere(2))[0])
    assert gradient.abs().max() == 0


def test_moving_the_loss_drops_recordings(shapes: Meshes) -> None:
    loss_fn = loss_of(TapeRecorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    assert len(loss_fn._recorded._recordings) == 1
    assert len(loss_fn.to("cpu")._recorded._recordings) == 0


def test_copies_record_for_themselves(shapes: Meshes) -> None:
    loss_fn = loss_of(TapeRecorder())
    value_and_gradient(loss_fn, shapes[0], icosphere(2))
    copied = copy.deepcopy(loss_fn)
    assert len(loss_fn._recorded._recordings) == 1
    assert len(copied._recorded._recordings) == 0


def test_stages_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="its detector is of type Identity, not a GHHDetector"):
        DRKFSLoss(detector=torch.nn.Identity(), cuda_graphs=True)
    with pytest.raises(ValueError, match="fused"):
        DRKFSLoss(fused=False, cuda_graphs=True)
    loss_fn = loss_of(TapeRecorder())
    loss_fn.descriptor = torch.nn.Sequential(HardNetDescriptor())
    vertices = icosphere(1).vertices.requires_grad_()
    with pytest.raises(ValueError, match="its descriptor is of type Sequential, not a HardNetDescriptor"):
        loss_fn(icosphere(1).with_vertices(vertices), icosphere(2))
    loss_fn.descriptor = loss_fn.descriptor[0]
    loss_fn.recall_weight = torch.tensor(2.0)
    with pytest.raises(ValueError, match="its recall_weight is a tensor"):
        loss_fn(icosphere(1).with_vertices(vertices), icosphere(2))


@pytest.mark.parametrize("stage", ["detector", "descriptor", "matcher"])
def test_hooks_are_refused(shapes: Meshes, stage: str) -> None:
    """They could be added and removed between a recording and its replay."""
    loss_fn = loss_of(TapeRecorder())
    code = loss_fn.encode(icosphere(2))
    value_and_gradient(loss_fn, shapes[0], code)
    handle = getattr(loss_fn, stage).register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=f"its {stage} has hooks"):
        value_and_gradient(loss_fn, shapes[0], code)
    handle.remove()
    value_and_gradient(loss_fn, shapes[0], code)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within torch
def test_a_compiled_stage_is_refused(shapes: Meshes) -> None:
    loss_fn = loss_of(TapeRecorder())
    code = loss_fn.encode(icosphere(2))
    loss_fn.matcher.compile()
    with pytest.raises(ValueError, match="its matcher is compiled"):
        value_and_gradient(loss_fn, shapes[0], code)


def test_needs_a_gpu(shapes: Meshes) -> None:
    loss_fn = DRKFSLoss(cuda_graphs=True, renderer=SoftRenderer(image_size=64))
    with pytest.raises(ValueError, match="needs a GPU, the shapes are on cpu"):
        value_and_gradient(loss_fn, shapes[0], icosphere(2))
    with pytest.raises(ValueError, match="needs a GPU, the shapes are on cpu"):
        loss_fn(shapes, icosphere(2))
