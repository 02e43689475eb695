"""The values of a step chunk by chunk, and their gradient without a graph over more than one chunk.

A chunk is some views of some shapes. It goes through the pipeline in two halves: it is *seen* (rendered, keypoints
detected), then *judged* (described, matched) in smaller parts, because descriptors take most of the memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dr_kfs._constants import may_be_kept
from dr_kfs._image_stages import DescribedViews, ImageStages, Look, SeenViews, tensors_with_gradient
from dr_kfs._recorded_stages import BusyError, RecordedStages, saved_as_it_is
from dr_kfs._sides import Side, side_items, side_tensors, with_side_tensors
from dr_kfs.shape_code import ShapeCode
from dr_kfs.step_plan import StepPlan


@dataclass(frozen=True, eq=False)
class ChunkedStep:
    """The distance of pairs of shapes, as a sum over chunks."""

    render: Callable[[Side, list[int]], Float[Tensor, "B V H W"] | DescribedViews]
    """Some views of a side; a code's are described already."""
    stages: ImageStages
    """What they go through then."""
    plan: StepPlan
    views: list[int]
    recorded: RecordedStages | None = None
    """Replays them, in steps that can be."""

    def values(self, ours: Side, theirs: Side, *, fused: bool) -> Float[Tensor, " B"]:
        """The distances; see `DRKFSLoss(fused=...)`."""
        tensors = [*side_tensors(ours), *side_tensors(theirs)]
        with_grad = [x for x in tensors if x.requires_grad and torch.is_grad_enabled()]
        # One target for all gathers gradient from every pair, which per-shape scaling cannot express.
        shared = len(theirs) < len(ours) and any(x is y for x in with_grad for y in side_tensors(theirs))
        if fused and with_grad and not shared:
            return _FusedStep.apply(self, ours, theirs, *tensors)  # type: ignore[no-any-return]
        chunks = []
        for items in self.shape_chunks(len(ours)):
            a, b = (_some(side, items, len(ours)) for side in (ours, theirs))
            parts = [self.stages.distance(*look) for seen in self.seen(a, b) for look in self.runs(seen)]
            chunks.append(torch.stack(parts).sum(0))
        total = torch.cat(chunks)
        if with_grad and not total.requires_grad:  # nothing was visible: a gradient of zero is still a gradient
            total = total + sum(0.0 * x.sum() for x in with_grad)
        return total

    def gradients(self, ours: Side, theirs: Side, wanted: list[bool]) -> tuple[Tensor, list[Tensor | None]]:
        """The distances, and the gradient of their sum at the wanted ones of the tensors of both sides."""
        values: list[Tensor] = []
        gradients: list[list[Tensor]] = [[] for _ in wanted]
        for items in self.shape_chunks(len(ours)):
            pair, leaves, places = [], [], iter(zip(wanted, gradients, strict=True))
            for side in (ours, theirs):
                chosen = _some(side, items, len(ours))
                constants = []
                # Not strict: each side takes from `places` what it has tensors for, and leaves the rest.
                for tensor, (needed, found) in zip(side_tensors(chosen), places, strict=False):
                    constants.append(tensor.detach().requires_grad_(needed))
                    if needed:
                        found.append(torch.zeros_like(tensor))
                        leaves.append((constants[-1], found[-1]))
                pair.append(with_side_tensors(chosen, constants))
            values.append(self._add_gradients(pair[0], pair[1], leaves))
        return torch.cat(values), [torch.cat(found) if found else None for found in gradients]

    def _add_gradients(self, ours: Side, theirs: Side, leaves: list[tuple[Tensor, Tensor]]) -> Float[Tensor, " B"]:
        """The values of some shapes; the gradient of each leaf is added to the tensor beside it."""
        if self.recorded is None:
            return self._add_part_by_part(ours, theirs, leaves)
        with saved_as_it_is():  # recorded or not, a checkpoint around this step finds the same when it runs it again
            if self._can_be_recorded(ours, theirs):
                with contextlib.suppress(BusyError):
                    return self._add_recorded(self.recorded, ours, theirs, leaves)
            return self._add_part_by_part(ours, theirs, leaves)

    def _add_part_by_part(self, ours: Side, theirs: Side, leaves: list[tuple[Tensor, Tensor]]) -> Float[Tensor, " B"]:
        values: list[Tensor] = []
        with torch.enable_grad():
            for seen in self.seen(ours, theirs):
                outputs = list(tensors_with_gradient(seen))
                incoming: list[list[Tensor]] = [[] for _ in outputs]
                for looks in self.runs(seen):
                    looks = [look.leaves() for look in looks]
                    part = self.stages.distance(*looks)
                    values.append(part.detach())
                    inputs = list(tensors_with_gradient(looks))
                    for run, gradient in zip(incoming, _gradients([part.sum()], inputs), strict=True):
                        run.append(gradient)
                _add(leaves, outputs, [torch.cat(run, 1) for run in incoming])
        return torch.stack(values).sum(0)

    def _can_be_recorded(self, ours: Side, theirs: Side) -> bool:
        """Whether one side is rendered with gradient, the other is a constant, and all views are one chunk.

        Under a mode that sees all operations nothing is kept, and what must be made anew cannot be recorded.
        """
        ends = not any(tensor.requires_grad for tensor in side_tensors(theirs))
        one_chunk = self.plan.described >= len(self.views)
        return ends and one_chunk and not isinstance(ours, ShapeCode) and may_be_kept()

    def _add_recorded(
        self, recorded: RecordedStages, ours: Side, theirs: Side, leaves: list[tuple[Tensor, Tensor]]
    ) -> Float[Tensor, " B"]:
        """The same with all that follows the renderer replayed."""
        with torch.no_grad():
            reference = self.stages.describe(self.see(theirs, self.views))
        with torch.enable_grad():
            images = self.render(ours, self.views)
            assert isinstance(images, Tensor)  # of a code there is nothing to replay
            values, incoming = recorded.values_and_gradient(self.stages, images.detach(), reference)
            _add(leaves, [images], [incoming])
        return values

    def see(self, side: Side, views: list[int]) -> Look:
        """Some views of a side, rendered, with their keypoints."""
        rendered = self.render(side, views)
        return rendered if isinstance(rendered, DescribedViews) else self.stages.detect(rendered)

    def shape_chunks(self, count: int) -> Iterator[slice]:
        """The shapes, as many as are in memory at a time."""
        for start in range(0, count, self.plan.shapes):
            yield slice(start, min(start + self.plan.shapes, count))

    def seen(self, *sides: Side) -> Iterator[list[Look]]:
        """The sides, as many views as are rendered together at a time."""
        for start in range(0, len(self.views), self.plan.views):
            yield [self.see(side, self.views[start : start + self.plan.views]) for side in sides]

    def runs(self, seen: list[Look]) -> Iterator[list[Look]]:
        """The same, as many views as are described together at a time."""
        first = seen[0]
        count = (first.images if isinstance(first, SeenViews) else first.weights).shape[1]
        for start in range(0, count, self.plan.described):
            yield [look.part(slice(start, start + self.plan.described)) for look in seen]


def _some(side: Side, items: slice, count: int) -> Side:
    """Those items of a side that has `count`; one that serves all has others, and a choice of all is none."""
    return side if len(side) != count or items == slice(0, count) else side[items]


def _gradients(outputs: list[Tensor], inputs: list[Tensor], incoming: list[Tensor] | None = None) -> list[Tensor]:
    """Gradients of the outputs; zeros where nothing was visible."""
    reached = [index for index, x in enumerate(outputs) if x.requires_grad]
    if not inputs or not reached:
        return [torch.zeros_like(x) for x in inputs]
    grad_outputs = None if incoming is None else [incoming[index] for index in reached]
    found = torch.autograd.grad([outputs[index] for index in reached], inputs, grad_outputs, allow_unused=True)
    return [torch.zeros_like(x) if gradient is None else gradient for x, gradient in zip(inputs, found, strict=True)]


def _add(leaves: list[tuple[Tensor, Tensor]], outputs: list[Tensor], incoming: list[Tensor]) -> None:
    """To the tensor beside each leaf, the gradient that reaches it from the outputs."""
    found = _gradients(outputs, [leaf for leaf, _ in leaves], incoming)
    for (_, place), gradient in zip(leaves, found, strict=True):
        place += gradient


def _beside(rows: Tensor, tensor: Tensor) -> Tensor:
    """One number per row of a tensor, shaped so that it multiplies the whole row."""
    return rows.view(-1, *[1] * (tensor.ndim - 1))


class _FusedStep(torch.autograd.Function):
    """Values and gradients of vertices and opacities chunk by chunk.

    A vertex or a face belongs to one shape, so the gradient of the *sum* over the batch holds every shape's own
    gradient; the backward scales it by the shape's incoming gradient.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **_: Any) -> Tensor:
        step, ours, theirs, *_tensors = args
        values, gradients = step.gradients(ours, theirs, list(ctx.needs_input_grad[3:]))
        ctx.items = [*side_items(ours), *side_items(theirs)]
        ctx.save_for_backward(*gradients)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - decorated
        (grad_values,) = grad_outputs
        gradients = [
            None if gradient is None else gradient * _beside(grad_values.to(gradient.dtype)[item], gradient)
            for gradient, item in zip(ctx.saved_tensors, ctx.items, strict=True)
        ]
        return None, None, None, *gradients
