"""How well a distance orders the edits: shares, correlations and ratios, with bootstrap intervals over shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

import numpy as np

from dr_kfs.audit.edits import ANOTHER_SHAPE, Edit
from dr_kfs.audit.orderings import Ordering, OrderingGroup, labelled_orderings
from dr_kfs.audit.rows import Row

__all__ = ["DistanceScores", "Estimate", "bootstrap_mean", "score", "spearman"]

RESAMPLES = 2000
LEVEL = 0.95

Shape = tuple[str, int]
Values = dict[tuple[str, str, float], float]
"""Of one shape and distance: value by variant, edit and strength."""


@dataclass(frozen=True)
class Estimate:
    """A mean over shapes, with the interval in which 95 % of the means of resampled shapes lie."""

    mean: float
    low: float
    high: float
    count: int
    """Shapes."""


@dataclass(frozen=True, kw_only=True)
class DistanceScores:
    """Everything that an audit says about one distance. None where no shape had what a score needs."""

    ordering: Estimate | None
    """Share of the labelled pairs in the right order, in [0, 1]; a tie counts half, so that chance is 0.5."""
    ordering_by_group: dict[str, Estimate]
    """The same by what the label rests on; see `OrderingGroup`."""
    bars_share: Estimate | None
    """Table 5: share of shapes where removing the bars exceeds both shifts by 5 px, in [0, 1]."""
    bars_ratio: Estimate | None
    """Table 5: removal / larger shift, at least 0 (the paper: 1.60; MSE of pixels 0.54, of PoI maps 0.93). Shapes of
    which neither shift was seen have none."""
    limbs_share: Estimate | None
    """Figure 2: share of shapes where one removed limb exceeds every other change of equal Chamfer distance. It says
    nothing about the Chamfer distance itself, for which all are equal to 1 %."""
    limbs_ratio: Estimate | None
    """Figure 2: removal / largest other change of equal Chamfer distance, at least 0."""
    monotonicity: dict[str, Estimate]
    """By graded edit: Spearman's correlation of the distance with the strength, in [-1, 1]; 0 where all are equal."""
    strictly_monotone: dict[str, Estimate]
    """By graded edit: share of shapes where every step in strength raises the distance, in [0, 1]."""
    invariance: dict[str, Estimate]
    """By edit that must cost nothing: its largest distance as a share of that to another shape of the family."""
    response: dict[str, dict[float, Estimate]]
    """By edit and strength: the distance as a share of that to another shape of the family."""


def score(rows: Iterable[Row], edits: Sequence[Edit], *, seed: int = 0) -> dict[str, DistanceScores]:
    """Scores by distance.

    Args:
        rows: of any distances; those without a value are left out.
        edits: that the rows are about.
        seed: of the bootstrap.
    """
    tables: dict[str, dict[Shape, Values]] = {}
    for row in rows:
        if row.value is not None:
            values = tables.setdefault(row.distance, {}).setdefault(row.shape, {})
            values[row.variant, row.edit, row.strength] = row.value
    return {name: _score_one(shapes, edits, seed) for name, shapes in tables.items()}


def _score_one(shapes: Mapping[Shape, Values], edits: Sequence[Edit], seed: int) -> DistanceScores:
    def estimate(per_shape: Iterable[float | None]) -> Estimate | None:
        known = [value for value in per_shape if value is not None]
        return bootstrap_mean(known, seed=seed) if known else None

    def by_name(per_name: Mapping[str, Iterable[float | None]]) -> dict[str, Estimate]:
        found = {name: estimate(values) for name, values in per_name.items()}
        return {name: value for name, value in found.items() if value is not None}

    labels = labelled_orderings(edits)
    groups = {group: [label for label in labels if label.group == group] for group in get_args(OrderingGroup)}
    graded = [edit for edit in edits if edit.graded and len(edit.strengths) > 1]
    tables = list(shapes.values())
    bars = [_bars(values) for values in tables]
    limbs = [_limbs(values, edits) for values in tables]
    return DistanceScores(
        ordering=estimate(_accuracy(values, labels) for values in tables),
        ordering_by_group=by_name({group: [_accuracy(v, of) for v in tables] for group, of in groups.items()}),
        bars_share=estimate(None if pair is None else float(pair[0] > pair[1]) for pair in bars),
        bars_ratio=estimate(None if pair is None or pair[1] <= 0 else pair[0] / pair[1] for pair in bars),
        limbs_share=estimate(None if pair is None else float(pair[0] > pair[1]) for pair in limbs),
        limbs_ratio=estimate(None if pair is None or pair[1] <= 0 else pair[0] / pair[1] for pair in limbs),
        monotonicity=by_name({edit.name: [_spearman(v, edit) for v in tables] for edit in graded}),
        strictly_monotone=by_name({edit.name: [_strict(v, edit) for v in tables] for edit in graded}),
        invariance=by_name({e.name: [_worst_share(v, e) for v in tables] for e in edits if not e.graded}),
        response={
            edit.name: {
                strength: value
                for strength in edit.strengths
                if (value := estimate(_share(values, edit, strength) for values in tables)) is not None
            }
            for edit in edits
        },
    )


def bootstrap_mean(values: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean, and the 2.5 % and 97.5 % quantiles of 2,000 means of as many values drawn with replacement.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("bootstrap_mean needs at least one value.")
    numbers = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(numbers), size=(RESAMPLES, len(numbers)))
    low, high = np.quantile(numbers[drawn].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(numbers.mean()), float(low), float(high), len(numbers))


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Correlation of the ranks, in [-1, 1]; ties share their mean rank; 0 where one side is constant."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(first), rankdata(second)])
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    size = np.linalg.norm(ranks, axis=1).prod()
    return float(ranks[0] @ ranks[1] / size) if size > 0 else 0.0


def _accuracy(values: Values, labels: Sequence[Ordering]) -> float | None:
    right = []
    for label in labels:
        pair = [values.get((label.variant, *change)) for change in (label.smaller, label.larger)]
        if pair[0] is not None and pair[1] is not None:
            right.append(float(np.sign(pair[1] - pair[0]) + 1) / 2)
    return float(np.mean(right)) if right else None


def _bars(values: Values) -> tuple[float, float] | None:
    """Removal of all bars, and the larger of both shifts by 5 px."""
    wanted = (("bars-removed", 1.0), ("bars-up", 5.0), ("bars-down", 5.0))
    found = [values[key] for name, strength in wanted if (key := ("barred", name, strength)) in values]
    return (found[0], max(found[1:])) if len(found) == 3 else None


def _limbs(values: Values, edits: Sequence[Edit]) -> tuple[float, float] | None:
    """Removal of a limb, and the largest other change at its Chamfer distance; at least two of those are needed."""
    removed = values.get(("limbed", "limbs-removed", 1.0))
    names = [edit.name for edit in edits if edit.name.startswith("limbs-") and edit.name != "limbs-removed"]
    matched = [values[key] for name in names if (key := ("limbed", name, 1.0)) in values]
    return None if removed is None or len(matched) < 2 else (removed, max(matched))


def _curve(values: Values, edit: Edit) -> list[tuple[float, float]]:
    keys = [(edit.variant, edit.name, strength) for strength in edit.strengths]
    return [(key[2], values[key]) for key in keys if key in values]


def _spearman(values: Values, edit: Edit) -> float | None:
    curve = _curve(values, edit)
    return spearman(*zip(*curve, strict=True)) if len(curve) > 1 else None


def _strict(values: Values, edit: Edit) -> float | None:
    curve = [value for _, value in _curve(values, edit)]
    return float(all(a < b for a, b in pairwise(curve))) if len(curve) > 1 else None


def _share(values: Values, edit: Edit, strength: float) -> float | None:
    value = values.get((edit.variant, edit.name, strength))
    others = [other for (variant, name, _), other in values.items() if (variant, name) == (edit.variant, ANOTHER_SHAPE)]
    return None if value is None or not others or np.mean(others) <= 0 else value / float(np.mean(others))


def _worst_share(values: Values, edit: Edit) -> float | None:
    shares = [_share(values, edit, strength) for strength in edit.strengths]
    known = [share for share in shares if share is not None]
    return max(known) if known else None
