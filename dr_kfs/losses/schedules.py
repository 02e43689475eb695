"""Schedules: numbers that change with the step, for weights of terms and for settings such as QAL's eps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Schedule", "cosine", "object_space_first", "ramp", "warm_up"]

Course = Literal["linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A number that goes from `start` to `end`, and stays there; `ramp`, `cosine` and `warm_up` make one.

        value(t) = start + (end - start) f(u),    u = (t - first) / steps, kept within [0, 1]

    with f(u) = u (linear) or (1 - cos(pi u)) / 2 (cosine), t = 0, 1, ... the steps. `steps=0` jumps at `first`.

    Raises:
        ValueError: a number that is not finite, a negative first step or number of steps, or an unknown course.
    """

    start: float
    """Value up to step `first`."""
    end: float
    """Value from step `first + steps` on."""
    steps: int
    """How many steps the change takes."""
    first: int = 0
    """The step at which it begins."""
    course: Course = "linear"
    """How it runs in between."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"A schedule needs finite values, got {self.start} to {self.end}.")
        if self.steps < 0 or self.first < 0:
            raise ValueError(f"A schedule needs first and steps of at least 0, got {self.first} and {self.steps}.")
        if self.course not in ("linear", "cosine"):
            raise ValueError(f'course must be "linear" or "cosine", got {self.course!r}.')

    def __call__(self, step: int) -> float:
        """The value at a step, counted from 0."""
        if step >= self.first + self.steps:
            return self.end  # exactly
        if step <= self.first:
            return self.start
        share = (step - self.first) / self.steps
        if self.course == "cosine":
            share = (1.0 - math.cos(math.pi * share)) / 2.0
        return self.start + (self.end - self.start) * share


def ramp(start: float, end: float, *, steps: int, first: int = 0) -> Schedule:
    """From `start` to `end` in a straight line, between steps `first` and `first + steps`."""
    return Schedule(start=start, end=end, steps=steps, first=first)


def cosine(start: float, end: float, *, steps: int, first: int = 0) -> Schedule:
    """From `start` to `end` along half a cosine, slow at both ends, between steps `first` and `first + steps`."""
    return Schedule(start=start, end=end, steps=steps, first=first, course="cosine")


def warm_up(value: float = 1.0, *, steps: int, first: int = 0) -> Schedule:
    """0 up to step `first`, then in a straight line to `value`. A term of weight 0 is not computed."""
    return Schedule(start=0.0, end=value, steps=steps, first=first)


def object_space_first(
    *, visual: Iterable[str], objects: Iterable[str] = (), switch: int, steps: int, keep: float = 1.0
) -> dict[str, Schedule]:
    """Weights with which object space places the parts, and the look of the shape then decides.

    The visual terms are 0 up to step `switch`, so that nothing is rendered, and rise to 1 within `steps`; the object
    space terms fall from 1 to `keep` meanwhile.

    >>> HybridLoss(terms, weights=object_space_first(visual=["drkfs"], objects=["qal"], switch=500, steps=500))

    Args:
        visual: names of the terms that come later.
        objects: names of the terms that come first.
        switch: the step at which the change begins.
        steps: how many it takes.
        keep: what the object space terms keep, at least 0.

    Raises:
        ValueError: a name on both sides.
    """
    visual, objects = list(visual), list(objects)
    if set(visual) & set(objects):
        raise ValueError(f"A term is visual or of object space, got {sorted(set(visual) & set(objects))} as both.")
    later = {name: cosine(0.0, 1.0, steps=steps, first=switch) for name in visual}
    return later | {name: cosine(1.0, keep, steps=steps, first=switch) for name in objects}
