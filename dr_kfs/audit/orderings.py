"""Which of two edits people would call the smaller one: the labels that a distance's order is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from dr_kfs.audit.edits import ANOTHER_SHAPE, Edit
from dr_kfs.audit.targets import Variant

__all__ = ["FORGIVABLE", "Ordering", "OrderingGroup", "labelled_orderings"]

OrderingGroup = Literal["graded", "bars", "limbs", "structure", "another"]
"""What a label rests on:

"graded": the same edit, weaker and stronger;
"bars": bars shifted by 5 px and all bars removed (the paper's Table 5);
"limbs": limbs changed to the Chamfer distance of a removed one, and that (the paper's Figure 2);
"structure": the mildest of a change that alters no part (ours: `FORGIVABLE`), and a part removed;
"another": any of the above, and another shape of the family (ours).
"""

FORGIVABLE: dict[str, tuple[float, ...]] = {
    "noise": (0.0005,),
    "smoothing": (1.0,),
    "decimation": (0.5,),
    "voxels": (1 / 128,),
    "translation": (1.0,),
    "rotation": (1.0,),
    "retriangulation": (1.0, 2.0, 3.0),
    "winding": (0.5, 1.0),
}
"""Strengths that one has to look for, where a missing part is seen at once."""

Change = tuple[str, float]
"""Name of an edit and strength."""


@dataclass(frozen=True)
class Ordering:
    """`smaller` should have a smaller distance than `larger`, both to the same target."""

    smaller: Change
    larger: Change
    variant: Variant
    group: OrderingGroup


def labelled_orderings(edits: Sequence[Edit]) -> list[Ordering]:
    """All labels that the edits give rise to.

    Strengths of one graded edit are ordered among themselves. Between edits a label stands only where we are sure of
    it; most pairs of edits have none.
    """
    known = {edit.name: edit for edit in edits}
    found = [
        Ordering((edit.name, weak), (edit.name, strong), edit.variant, "graded")
        for edit in edits
        if edit.graded
        for weak, strong in combinations(edit.strengths, 2)
    ]

    def has(change: Change) -> bool:
        return change[0] in known and change[1] in known[change[0]].strengths

    def add(smaller: Change, larger: Change, group: OrderingGroup) -> None:
        if has(smaller) and has(larger):
            found.append(Ordering(smaller, larger, known[larger[0]].variant, group))

    for name in ("bars-up", "bars-down"):
        add((name, 5.0), ("bars-removed", 1.0), "bars")
    for name in known:
        if name.startswith("limbs-") and name != "limbs-removed":
            add((name, 1.0), ("limbs-removed", 1.0), "limbs")
    for name, strengths in FORGIVABLE.items():
        for strength in strengths:
            add((name, strength), ("part-removed", 1.0), "structure")
    mild = [(name, strength) for name, strengths in FORGIVABLE.items() for strength in strengths]
    parts = [("bars-up", 5.0), ("bars-down", 5.0), ("bars-removed", 1.0), ("limbs-removed", 1.0), ("part-removed", 1.0)]
    for name, strength in mild + parts:
        if has((name, strength)):
            found.append(Ordering((name, strength), (ANOTHER_SHAPE, 1.0), known[name].variant, "another"))
    return found
