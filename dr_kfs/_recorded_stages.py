"""The stages behind the renderer as CUDA graphs: some 300 launches that the host starts as two.

A graph repeats launches on fixed memory, so it is of fixed sizes; but how many patches are lit differs from step to
step. So one graph detects and counts, the host reads the count, and another one, of those for up to 128, 256, ...
patches, describes that many, lit ones first, matches them and goes back to the images.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._constants import TensorVersions, noting_what_is_kept
from dr_kfs._image_stages import DescribedViews, ImageStages, no_autocast
from dr_kfs.descriptors import HardNetDescriptor
from dr_kfs.descriptors.lit_patches import describe_patches_at, lit_first
from dr_kfs.keypoints import GHHDetector
from dr_kfs.matching import LocalizedMatcher

KEPT = 4
"""Recordings of different sizes that a loss keeps; each holds the memory of a step."""
LEAST_STEP = 128
"""Patches by which the graphs differ, at least."""
MOST_GRAPHS = 16
"""Of one recording."""

Record: TypeAlias = Callable[[Callable[[], Any]], Callable[[], Any]]
"""Takes work on fixed tensors; returns what does it again, on what these hold then, and gives the results."""


class RecordedStages:
    """Distances of images to a described side, with their gradient; recorded at the first call of each size."""

    def __init__(self, record: Callable[[torch.device], Record] | None = None) -> None:
        self._record = cuda_graphs if record is None else record
        self._recordings: OrderedDict[tuple[object, ...], _Recording] = OrderedDict()

    def values_and_gradient(
        self, stages: ImageStages, images: Float[Tensor, "B V H W"], reference: DescribedViews
    ) -> tuple[Float[Tensor, " B"], Float[Tensor, "B V H W"]]:
        """The distances, and the gradient of their sum at the images, which the next call overwrites.

        Args:
            stages: frozen ones that can be recorded, see `why_not_recordable`.
            images: of the side that learns.
            reference: the other one, B of them or one for all.
        """
        key = (*_sizes(images, reference), *_switches(images.device))
        recording = self._recordings.pop(key, None)
        if recording is None or not recording.holds(stages):
            if reason := why_not_recordable(stages.detector, stages.descriptor, stages.matcher):
                raise ValueError(f"cuda_graphs=True cannot record this loss: {reason}.")
            recording = None  # its memory is free before the next one takes some
            recording = _Recording(stages, images, reference, self._record(images.device))
        self._recordings[key] = recording
        while len(self._recordings) > KEPT:
            self._recordings.popitem(last=False)
        return recording.replay(images, reference)

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {"_record": self._record, "_recordings": OrderedDict()}


class _Recording:
    """The stages for images of one size."""

    def __init__(self, stages: ImageStages, images: Tensor, reference: DescribedViews, record: Record) -> None:
        self._stages, self._settings, self._versions = stages, _numbers(stages), TensorVersions(_buffers(stages))
        self._record = record
        self._images = images.clone().requires_grad_()
        self._reference = DescribedViews(reference.descriptors.clone(), reference.weights.clone())
        self._constants: list[object] = []  # what the graphs read must not be freed before them
        patches = images.shape[0] * images.shape[1] * sum(stages.scales.counts)
        self._patches, self._step = patches, max(LEAST_STEP, -(-patches // MOST_GRAPHS))
        self._find = self._recorded(self._find_patches)
        self._judge: dict[int, Callable[[], Any]] = {}

    def holds(self, stages: ImageStages) -> bool:
        """Whether it is of these stages, as they are now."""
        same = stages == self._stages and _numbers(stages) == self._settings
        return same and self._versions.hold(_buffers(stages))

    def replay(self, images: Tensor, reference: DescribedViews) -> tuple[Tensor, Tensor]:
        """The stages on these images."""
        # Past autograd's check of changes in place: what goes back to the images is to be recorded again and again.
        self._images.data.copy_(images)
        self._reference.descriptors.copy_(reference.descriptors)
        self._reference.weights.copy_(reference.weights)
        self._found = self._find()
        many = min(self._patches, max(1, -(-int(self._found[-1]) // self._step)) * self._step)
        if many not in self._judge:
            self._judge[many] = self._recorded(functools.partial(self._values_and_gradient, many))
        values, gradient = self._judge[many]()
        return values.clone(), gradient

    def _recorded(self, work: Callable[[], Any]) -> Callable[[], Any]:
        with noting_what_is_kept() as kept, torch.enable_grad(), no_autocast(self._images):
            replay = self._record(work)
        self._constants += kept
        return replay

    def _find_patches(self) -> tuple[Tensor, Tensor, Int[Tensor, " P"], Int[Tensor, ""]]:
        """Patches, their weights, which of them to describe first, and how many are lit."""
        patches, weights = self._stages.patches(self._stages.detect(self._images))
        return patches, weights, *lit_first(patches.flatten(0, 2))

    def _values_and_gradient(self, many: int) -> tuple[Tensor, Tensor]:
        """The distances with so many patches described, and the gradient of the images."""
        stages, (patches, weights, order, _) = self._stages, self._found
        blank = stages.blank.described(stages.descriptor, patches)
        descriptors = describe_patches_at(stages.descriptor, patches.flatten(0, 2), blank, order[:many])
        ours = DescribedViews(descriptors.view(*weights.shape, -1), weights)
        values = stages.distance(ours, self._reference)
        (gradient,) = torch.autograd.grad(values.sum(), self._images, retain_graph=True)  # for other numbers of patches
        return values.detach(), gradient


def why_not_recordable(detector: object, descriptor: object, matcher: object) -> str | None:
    """What keeps these stages from being recorded: work that is not known here may wait for the host."""
    stages = {"detector": (detector, GHHDetector), "descriptor": (descriptor, HardNetDescriptor)}
    stages["matcher"] = (matcher, LocalizedMatcher)
    for name, (stage, known) in stages.items():
        if type(stage) is not known:
            return f"its {name} is of type {type(stage).__name__}, not a {known.__name__}"
    return None


def cuda_graphs(device: torch.device) -> Record:
    """Records on a stream of its own, into memory that all its graphs share.

    Raises:
        ValueError: a device without graphs.
    """
    if device.type != "cuda":
        raise ValueError(f"cuda_graphs=True needs a GPU, the shapes are on {device}: leave it out there.")
    stream, pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()

    def record(work: Callable[[], Any]) -> Callable[[], Any]:
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            work()  # once as it is: constants are made, kernels compiled and algorithms chosen
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as loaders of data, may go on allocating memory.
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            results = work()

        def replay() -> Any:
            graph.replay()
            return results

        return replay

    return record


def _sizes(images: Tensor, reference: DescribedViews) -> tuple[object, ...]:
    """What a recording is of."""
    return (
        images.shape,
        images.dtype,
        images.device,
        reference.descriptors.shape,
        reference.descriptors.dtype,
        reference.weights.dtype,
    )


def _switches(device: torch.device) -> tuple[object, ...]:
    """Of torch, which decide on the kernels; and the stream, on which recordings must not run into each other."""
    return (
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.cuda.current_stream(device) if device.type == "cuda" else None,
    )


def _buffers(stages: ImageStages) -> list[Tensor]:
    return [*stages.detector.buffers(), *stages.descriptor.buffers()]


def _numbers(stages: ImageStages) -> tuple[object, ...]:
    """Settings that may be changed in place."""
    descriptor, matcher = stages.descriptor, stages.matcher
    return descriptor.floor, descriptor.kornia_compat, matcher.radius, matcher.temperature
