"""How a step is cut up: how many shapes and views are in memory at once, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

PIXEL_BYTES = 300
"""Per rendered and detected pixel with its gradient: the rasterizer keeps 14 values, the detector's FFT the rest."""
FACE_BYTES = 400
"""Per face and view: corners, shades and their gradients."""
LISTED_FACE_BYTES = 120
"""The same where the renderer lists fragments: what else a face takes is with them."""
FRAGMENT_BYTES = 56
"""Per fragment (face, pixel) of a translucent surface: five values, four of the composite, four gradients, of 4 bytes,
and what passes. Measured in `tests/test_step_plan.py`."""
PATCH_BYTES = 900e3
"""Per described patch with its gradient: the outputs of HardNet's convolutions are 459 kB in float32."""
GPU_SHARE = 0.25
"""What a step may add on a GPU by default, of its memory: what is seen and described together is launched once."""
FREE_SHARE = 0.8
"""And at most this share of what is free."""


@dataclass(frozen=True)
class StepPlan:
    """What is processed together, from rendering to gradient."""

    shapes: int
    """Shapes in memory at once."""
    views: int
    """Views of them that are rendered together."""
    described: int
    """Views of those whose patches are described together."""
    memory: float
    """Estimate of the memory that this adds, whatever the number of views and shapes [bytes]."""


def plan_step(
    *,
    batch: int,
    view_count: int,
    image_size: int,
    patches: int,
    faces: int,
    device: torch.device,
    fragments: float = 0.0,
    view_chunk: int | None = None,
    max_memory: float | None = None,
) -> StepPlan:
    """The largest chunks that fit; on a CPU small ones, which stay in its cache and are faster.

    Args:
        batch: shapes of the step.
        view_count: views of each.
        image_size: side of the views [px].
        patches: per view.
        faces: of the largest shape.
        device: where the step runs.
        fragments: that a view of the largest shape keeps, see `SoftRenderer.expected_fragments`.
        view_chunk: render and describe so many views together, of one shape at a time; None chooses.
        max_memory: what the step may add [bytes]; None is a quarter of a GPU's memory, or four fifths of what is free
            if that is less, and no limit on a CPU.

    Raises:
        ValueError: `max_memory` is not positive, or not even one view of one shape fits into it, or not `view_chunk`
            views.
    """
    if max_memory is not None and not max_memory > 0:
        raise ValueError(f"max_memory must be positive [bytes], or None, got {max_memory}.")
    listed = faces * LISTED_FACE_BYTES + fragments * FRAGMENT_BYTES
    render = image_size**2 * PIXEL_BYTES + (listed if fragments else faces * FACE_BYTES)
    describe = patches * PATCH_BYTES

    def memory(shapes: int, views: int, described: int) -> float:
        return shapes * (views * render + described * describe)

    if view_chunk is not None:
        views = min(view_chunk, view_count)
        if max_memory is not None and memory(1, views, views) > max_memory:
            raise ValueError(
                f"view_chunk={view_chunk} takes about {memory(1, views, views) / 1e6:.0f} MB, more than max_memory = "
                f"{max_memory / 1e6:.0f} MB. Allow more, or leave view_chunk out: it is then chosen to fit."
            )
        return StepPlan(1, views, views, memory(1, views, views))
    budget = _budget(device) if max_memory is None else max_memory
    if memory(1, 1, 1) > budget:
        raise ValueError(
            f"One view of one shape of {faces} faces takes about {memory(1, 1, 1) / 1e6:.0f} MB, more than "
            f"max_memory = {budget / 1e6:.0f} MB. Allow more, or render smaller images."
        )
    if device.type == "cuda":
        described = min(view_count, int(budget / (render + describe)))
        shapes = min(batch, int(budget / memory(1, view_count, view_count))) if described == view_count else 1
        return StepPlan(max(1, shapes), described, described, memory(max(1, shapes), described, described))
    # The rasterizer gives each thread a view. Patches are described in the amount that stays in the cache.
    described = min(view_count, max(1, 225 // patches))
    views = min(view_count, max(described, 2 * torch.get_num_threads()))
    while memory(1, views, described) > budget and views > 1:
        views -= 1
        described = min(described, views)
    return StepPlan(1, views, described, memory(1, views, described))


def _budget(device: torch.device) -> float:
    """What a step may add where nothing else is said [bytes]."""
    if device.type != "cuda":
        return float("inf")
    free, total = torch.cuda.mem_get_info(device)
    # What torch holds and reuses. `memory_reserved` and `memory_allocated` gather some 200 numbers each, every step.
    held = torch.cuda.memory_stats_as_nested_dict(device)
    unused = held["reserved_bytes"]["all"]["current"] - held["allocated_bytes"]["all"]["current"]
    return min(GPU_SHARE * total, FREE_SHARE * (free + unused))
