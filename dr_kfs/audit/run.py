"""The audit: every distance on every edit of every shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dr_kfs import __version__
from dr_kfs.audit.distances import Distance, NoNumberError, as_number
from dr_kfs.audit.edits import ANOTHER_SHAPE, Edit, select_edits
from dr_kfs.audit.part_edits import another_shape
from dr_kfs.audit.rows import Row, row_file
from dr_kfs.audit.scores import DistanceScores, score
from dr_kfs.audit.splits import Split, split_seeds
from dr_kfs.audit.targets import NotApplicableError, Variant, target_shape
from dr_kfs.datasets import FAMILIES, LabelledShape
from dr_kfs.geometry import Meshes

__all__ = ["AuditReport", "Progress", "audit"]

OTHERS = (1.0, 2.0)
"""Steps to other shapes of the family, see `another_shape`: the yardstick is the mean of their distances."""

Progress = Callable[[int, int, str], None]
"""Called with the number of finished edits, how many there are, and what comes next."""


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """All values and what they say."""

    settings: dict[str, Any]
    """Everything that the values depend on, JSON-able."""
    rows: tuple[Row, ...]
    scores: dict[str, DistanceScores]
    """By distance."""
    edits: tuple[Edit, ...]

    @property
    def skipped(self) -> tuple[Row, ...]:
        """Edits that a shape does not have, with the reason."""
        return tuple(row for row in self.rows if row.skipped)


@dataclass(frozen=True)
class _Task:
    """One edited shape."""

    family: str
    seed: int
    variant: Variant
    edit: str
    strength: float
    make: Callable[[LabelledShape], Meshes]

    def row(self, distance: str, value: float | None, skipped: str = "") -> Row:
        return Row(
            family=self.family,
            seed=self.seed,
            variant=self.variant,
            edit=self.edit,
            strength=self.strength,
            distance=distance,
            value=value,
            skipped=skipped,
        )

    def __str__(self) -> str:
        return f"{self.edit} {self.strength:g} of {self.family} {self.seed}"


def audit(
    distances: Sequence[Distance],
    *,
    families: Sequence[str],
    shapes_per_family: int,
    seed: int = 0,
    split: Split = "validation",
    edits: Sequence[Edit] | None = None,
    rows: Path | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Run graded edits on labelled shapes, and see how distances order them.

        >>> report = audit([DRKFSDistance()], families=["chair"], shapes_per_family=10)
        >>> report.scores["drkfs"].bars_ratio

    Every edited shape is compared with the shape it came from, and so are two other shapes of the family: the
    yardstick. Equal arguments give equal rows.

    Args:
        distances: with different names.
        families: of `dr_kfs.datasets.FAMILIES`.
        shapes_per_family: the first n of a split do not depend on n: a larger audit contains the smaller one.
        seed: which shapes of the split, and of the bootstrap.
        split: "validation" to choose by, "test" for the last run.
        edits: `Edit`s; all of `EDITS`.
        rows: a JSON-lines file that keeps every finished value. An audit that finds values there does not compute
            them again; families and shapes may be added, other settings are an error.
        progress: is told how far it is.

    Raises:
        ValueError: no or twice the same distance, an unknown family, a file of other settings, or a distance that
            returns no finite number (the message names the edit and the shape).
    """
    chosen = select_edits(None) if edits is None else list(edits)
    for what, names in (("distances", [d.name for d in distances]), ("edits", [edit.name for edit in chosen])):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"An audit needs {what} of different names, got {names}.")
    if not families or len(set(families)) != len(families) or not set(families) <= set(FAMILIES):
        raise ValueError(f"An audit needs different families of {', '.join(FAMILIES)}, got {list(families)}.")
    seeds = split_seeds(split, shapes_per_family, seed=seed)
    settings = {
        "version": __version__,
        "split": split,
        "seed": seed,
        "edits": {edit.name: list(edit.strengths) for edit in chosen},
        "distances": {distance.name: distance.settings() for distance in distances},
    }
    file = row_file(rows, settings)
    done = {row.key: row for row in file.rows}
    variants: list[Variant] = list(dict.fromkeys(edit.variant for edit in chosen))
    groups = [list(_tasks(f, s, variant, chosen)) for f in families for s in seeds for variant in variants]
    total, count, planned = sum(map(len, groups)), 0, []
    for tasks in groups:
        target = _Target(target_shape(tasks[0].family, tasks[0].seed, tasks[0].variant), distances)
        for task in tasks:
            if progress is not None:
                progress(count, total, str(task))
            for row in _values(task, target, done):
                if row.key not in done:
                    file.append(row)
                planned.append(row)
            count += 1
    if progress is not None:
        progress(total, total, "done")
    if not any(row.distance and row.edit != ANOTHER_SHAPE for row in planned):
        raise ValueError(f"None of the edits {[edit.name for edit in chosen]} exists for {', '.join(families)}.")
    return AuditReport(
        settings={**settings, "families": list(families), "shapes_per_family": shapes_per_family},
        rows=tuple(planned),
        scores=score(planned, chosen, seed=seed),
        edits=tuple(chosen),
    )


def _tasks(family: str, seed: int, variant: Variant, edits: Sequence[Edit]) -> Iterator[_Task]:
    """The yardstick first, then the edits of a variant."""
    for step in OTHERS:
        make = functools.partial(another_shape, variant=variant, step=step)
        yield _Task(family, seed, variant, ANOTHER_SHAPE, step, make)
    for edit in edits:
        if edit.variant == variant:
            for strength in edit.strengths:
                make = functools.partial(_apply, edit, strength)
                yield _Task(family, seed, variant, edit.name, strength, make)


def _apply(edit: Edit, strength: float, shape: LabelledShape) -> Meshes:
    return edit.apply(shape, strength)


class _Target:
    """A shape, with what each distance has computed of it so far."""

    def __init__(self, shape: LabelledShape | None, distances: Sequence[Distance]) -> None:
        self.shape = shape
        self.distances = distances
        self._states: dict[str, Any] = {}

    def state(self, distance: Distance, shape: LabelledShape) -> Any:
        if distance.name not in self._states:
            self._states[distance.name] = distance.prepare(shape.to_meshes())
        return self._states[distance.name]


def _values(task: _Task, target: _Target, done: dict[Any, Row]) -> Iterator[Row]:
    """One row per distance, from `done` where it is there; or one that says why there is none."""
    if target.shape is None:
        return
    missing = task.row("", None, "-")
    if missing.key in done:
        yield done[missing.key]
        return
    known = [done.get(task.row(distance.name, 0.0).key) for distance in target.distances]
    edited: Meshes | None = None
    for distance, row in zip(target.distances, known, strict=True):
        if row is None and edited is None:
            try:
                edited = task.make(target.shape)
            except NotApplicableError as error:
                yield task.row("", None, str(error))
                return
        if row is None:
            assert edited is not None
            row = task.row(distance.name, _measure(distance, edited, target.state(distance, target.shape), task))
        yield row


def _measure(distance: Distance, edited: Meshes, state: Any, task: _Task) -> float:
    try:
        value = as_number(distance.distance(edited, state))
    except NoNumberError as error:
        raise NoNumberError(f'The distance "{distance.name}" failed on {task}: {error}.') from error
    if not math.isfinite(value):
        raise ValueError(f'The distance "{distance.name}" must return a finite number, got {value} on {task}.')
    return value
