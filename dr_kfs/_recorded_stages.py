"""The stages behind the renderer as CUDA graphs: some 300 launches that the host starts as two.

A graph repeats launches on fixed memory, so it is of fixed sizes; but how many patches are lit differs from step to
step. So one graph detects and counts, the host reads the count, and another one, of those for up to 128, 256, ...
patches, describes that many, lit ones first, matches them and goes back to the images.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dr_kfs._constants import TensorVersions, noting_what_is_kept
from dr_kfs._image_stages import DescribedViews, ImageStages, no_autocast
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.lit_patches import describe_patches_at, lit_first
from dr_kfs.keypoints import GHHDetector
from dr_kfs.matching import LocalizedMatcher

KEPT = 2
"""Recordings that a loss keeps, of the sizes that it has seen last; each holds the memory of a step."""
LEAST_STEP = 128
"""Patches by which the graphs differ, at least."""
MOST_GRAPHS = 16
"""Of one recording."""
KNOWN = {"detector": GHHDetector, "descriptor": HardNetDescriptor, "matcher": LocalizedMatcher}
"""The stages that are known to never wait for the host."""

Replay: TypeAlias = Callable[[], Any]
Recorder: TypeAlias = Callable[[Replay], Replay]
"""Takes work on fixed tensors; returns what does it again, on what these hold then, and gives the results."""

_one_recording = threading.Lock()  # torch records one graph of a process at a time; so it is with its anomaly mode


class BusyError(Exception):
    """Another thread is at it, and may be waiting for this one."""


@contextlib.contextmanager
def _held(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock.

    In a backward (a checkpoint, which runs the loss again there) it is not waited for: autograd has one thread for a
    GPU, and who holds the lock may wait for that.

    Raises:
        BusyError: somebody else holds it, and this is a backward.
    """
    if not lock.acquire(blocking=torch._C._current_graph_task_id() == -1):
        raise BusyError
    try:
        yield
    finally:
        lock.release()


def saved_as_it_is() -> contextlib.AbstractContextManager[Any]:
    """Hide from the user's hooks, such as a checkpoint's, what operations save for a backward in here."""
    # Detached: an operation whose result was handed back to it would hold itself, and never be freed.
    return torch.autograd.graph.saved_tensors_hooks(torch.Tensor.detach, lambda saved: saved)


class RecordedStages:
    """Distances of images to a described side, with their gradient; recorded at the first call of each size.

    Args:
        recorder: of a device; tests have another one.
    """

    def __init__(self, recorder: Callable[[torch.device], Recorder] | None = None) -> None:
        self._recorder = recorder
        self.clear()

    def clear(self) -> None:
        """Let go of all recordings and of their memory."""
        self._lock = threading.Lock()  # of the tensors that the recordings share with every call
        self._recordings: OrderedDict[tuple[object, ...], _Recording] = OrderedDict()

    def check_device(self, device: torch.device) -> None:
        """Raise a `ValueError` on a device without graphs."""
        if self._recorder is None and device.type != "cuda":
            raise ValueError(f"cuda_graphs=True needs a GPU, the shapes are on {device}: leave it out there.")

    def values_and_gradient(
        self, stages: ImageStages, images: Float[Tensor, "B V H W"], reference: DescribedViews
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B V H W"]]:
        """The distances, and the gradient of their sum at the images.

        Args:
            stages: frozen ones.
            images: of the side that learns.
            reference: the other one, B of them or one for all.

        Raises:
            ValueError: stages that cannot be recorded.
            BusyError: another thread uses the recordings, and this one is in a backward: do without them.
        """
        check_recordable(stages)
        key = (*_which(stages), *_sizes(images, reference), *_switches(images.device))
        with _held(self._lock), torch.no_grad():
            recording = self._recordings.pop(key, None)
            if recording is None or not recording.is_current():
                recording = None  # memory is free before the next one takes some
                while len(self._recordings) >= KEPT:
                    self._recordings.popitem(last=False)
                recorder = (graph_recorder if self._recorder is None else self._recorder)(images.device)
                recording = _Recording(stages, images, reference, recorder)
            found = recording.replay(stages, images, reference)
            self._recordings[key] = recording  # now that it has run
        return found

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {"_recorder": self._recorder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_recorder"])


class _Recording:
    """The stages for images of one size."""

    def __init__(self, stages: ImageStages, images: Tensor, reference: DescribedViews, recorder: Recorder) -> None:
        self._recorder = recorder
        self._images = images.clone().requires_grad_()
        self._reference = DescribedViews(reference.descriptors.clone(), reference.weights.clone())
        self._say: tuple[Any, Any] | None = None
        self._says = images.new_empty(2)  # of the two directions, which a schedule may change at every step
        self._stages = dataclasses.replace(stages, precision_weight=self._says[0], recall_weight=self._says[1])
        self._settings, self._buffers = _settings(stages), _buffers(stages)
        self._versions, self._places = TensorVersions(self._buffers), _places(self._buffers)
        self._constants: list[object] = []  # what the graphs read must not be freed before them
        patches = images.shape[0] * images.shape[1] * sum(stages.scales.counts)
        least = -(-patches // MOST_GRAPHS)
        self._patches, self._step = patches, -(-least // LEAST_STEP) * LEAST_STEP
        self._detection = self._recorded(self._detect)
        self._judgements: dict[int, Replay] = {}

    def is_current(self) -> bool:
        """Whether the stages are what they were."""
        buffers = _buffers(self._stages)
        same = _settings(self._stages) == self._settings and self._versions.hold(buffers)
        return same and _places(buffers) == self._places

    def replay(self, stages: ImageStages, images: Tensor, reference: DescribedViews) -> tuple[Tensor, Tensor]:
        """The stages on these images."""
        # Past autograd's check of changes in place: what goes back to the images is to be recorded again and again.
        self._images.data.copy_(images)
        self._reference.descriptors.copy_(reference.descriptors)
        self._reference.weights.copy_(reference.weights)
        say = stages.precision_weight, stages.recall_weight
        if say != self._say:
            for place, number in zip(self._says, say, strict=True):
                place.fill_(number)  # goes with the launch: a copy from the host would wait
            self._say = say
        self._found = self._detection()
        many = min(self._patches, max(1, -(-int(self._found[-1]) // self._step)) * self._step)
        if many not in self._judgements:
            self._judgements[many] = self._recorded(functools.partial(self._judge, many))
        values, gradient = self._judgements[many]()
        return values.clone(), gradient.clone()  # the next call writes to both

    def _recorded(self, work: Replay) -> Replay:
        """Record work as it is by itself, whatever the user's modes around this step are."""
        with contextlib.ExitStack() as modes:
            modes.enter_context(_held(_one_recording))
            kept = modes.enter_context(noting_what_is_kept())
            modes.enter_context(torch.enable_grad())
            modes.enter_context(no_autocast(self._images))
            modes.enter_context(saved_as_it_is())
            modes.enter_context(torch.autograd.set_detect_anomaly(False))  # which would read values
            replay = self._recorder(work)
        self._constants += kept
        return replay

    def _detect(self) -> tuple[Tensor, Tensor, Int[Tensor, " P"], Int[Tensor, ""]]:
        """Patches, their weights, which of them to describe first, and how many are lit."""
        patches, weights = self._stages.patches(self._stages.detect(self._images))
        return patches, weights, *lit_first(patches.flatten(0, 2))

    def _judge(self, many: int) -> tuple[Tensor, Tensor]:
        """The distances with so many patches described, and the gradient of the images."""
        stages, (patches, weights, order, _) = self._stages, self._found
        blank = stages.blank.described(stages.descriptor, patches)
        descriptors = describe_patches_at(stages.descriptor, patches.flatten(0, 2), blank, order[:many])
        ours = DescribedViews(descriptors.view(*weights.shape, -1), weights)
        values = stages.distance(ours, self._reference)
        (gradient,) = torch.autograd.grad(values.sum(), self._images, retain_graph=True)  # for other numbers of patches
        return values.detach(), gradient


def check_recordable(stages: ImageStages) -> None:
    """Raise a `ValueError` on stages that cannot be recorded."""
    if reason := _why_not_recordable(stages):
        raise ValueError(f"cuda_graphs=True cannot record this loss: {reason}.")


def _why_not_recordable(stages: ImageStages) -> str | None:
    """What keeps these stages from being recorded: work that is not known here may wait for the host, or change."""
    for name, known in KNOWN.items():
        stage = getattr(stages, name)
        if type(stage) is not known:
            return f"its {name} is of type {type(stage).__name__}, not a {known.__name__}"
        if "forward" in vars(stage) or any(getattr(stage, hooks) for hooks in _HOOKS):
            return f"its {name} has hooks"
        if stage._compiled_call_impl is not None:
            return f"its {name} is compiled"
    for name in ("precision_weight", "recall_weight"):
        if isinstance(getattr(stages, name), Tensor):
            return f"its {name} is a tensor, not a number"
    return None


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def graph_recorder(device: torch.device) -> Recorder:
    """Records on a stream of its own, into memory that all its graphs share."""
    stream, pool = _recording_stream(device), torch.cuda.graph_pool_handle()

    def record(work: Replay) -> Replay:
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):  # outermost, to be left even if a recording fails
            work()  # once as it is: constants are made, kernels compiled and algorithms chosen
            graph = torch.cuda.CUDAGraph()
            # Other threads, such as loaders of data, may go on allocating memory.
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                results = work()
        torch.cuda.current_stream(device).wait_stream(stream)

        def replay() -> Any:
            graph.replay()
            return results

        return replay

    return record


@functools.cache
def _recording_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all recordings: torch hands out 32 in turn, and one that another thread has would record its work too."""
    return torch.cuda.Stream(device)


def _which(stages: ImageStages) -> tuple[object, ...]:
    """Stages that a recording is of."""
    return stages.detector, stages.descriptor, stages.matcher, stages.scales, stages.blank, stages.detach_weights


def _sizes(images: Tensor, reference: DescribedViews) -> tuple[object, ...]:
    """What a recording is of."""
    tensors = (images, reference.descriptors, reference.weights)
    return tuple((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)


def _switches(device: torch.device) -> tuple[object, ...]:
    """Of torch, which decide on the kernels; and the stream, on which recordings must not run into each other."""
    cudnn = torch.backends.cudnn
    newer: Any = getattr(cudnn, "conv", None)  # from torch 2.9 on; the older one raises where the newer has been set
    return (
        getattr(newer, "fp32_precision", None) or cudnn.allow_tf32,
        cudnn.enabled,
        cudnn.benchmark,
        cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.cuda.current_stream(device) if device.type == "cuda" else None,
    )


def _settings(stages: ImageStages) -> list[object]:
    """That may be changed in place."""
    return [stage.settings() for stage in (stages.detector, stages.descriptor, stages.matcher)]


def _buffers(stages: ImageStages) -> list[Tensor]:
    both: tuple[nn.Module, ...] = stages.detector, stages.descriptor
    return [buffer for stage in both for buffer in stage.buffers()]


def _places(buffers: list[Tensor]) -> list[int]:
    """In memory; `buffer.data = ...` counts as no change to autograd."""
    return [buffer.data_ptr() for buffer in buffers]
