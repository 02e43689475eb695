"""The graded edits by name: what is done to a shape, how strongly, and in which unit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dr_kfs.audit import limb_edits, part_edits, surface_edits
from dr_kfs.audit.targets import Variant
from dr_kfs.datasets import LabelledShape
from dr_kfs.geometry import Meshes

__all__ = ["ANOTHER_SHAPE", "EDITS", "Edit", "select_edits"]

ANOTHER_SHAPE = "another-shape"
"""Not an edit but the yardstick: other shapes of the family. Always part of an audit."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One kind of change, at several strengths. An `Edit` of your own works everywhere that these do."""

    name: str
    apply: Callable[[LabelledShape, float], Meshes]
    """(shape, strength) to one mesh, in the shape's own place and units; the same for the same input. Raises
    `NotApplicableError` where a shape has no such edit, which is recorded and skipped."""
    strengths: tuple[float, ...]
    """Ascending."""
    unit: str
    """Of the strengths."""
    about: str
    """One line."""
    variant: Variant = "free"
    """Which shape of the seed is edited; see `target_shape`."""
    graded: bool = True
    """Whether people would call every strength worse than those before it."""

    def __post_init__(self) -> None:
        if not self.strengths or list(self.strengths) != sorted(set(self.strengths)):
            raise ValueError(f'The edit "{self.name}" needs strengths in ascending order, got {self.strengths}.')

    def label(self, strength: float) -> str:
        """A strength as people write it: `1/128` of a side, else a short number."""
        return f"1/{round(1 / strength)}" if self.unit == "sides" else f"{strength:g}"


def _bars_down(shape: LabelledShape, pixels: float) -> Meshes:
    return part_edits.bars_moved(shape, -pixels)


def _limb_edits() -> list[Edit]:
    about = "all legs (or wings) {} until Chamfer is this share of that of removing one (Figure 2)"
    return [
        Edit(
            name=f"limbs-{change}",
            apply=functools.partial(_matched, change),
            strengths=(0.25, 0.5, 1.0),
            unit="Chamfer of a removal",
            about=about.format(change),
            variant="limbed",
        )
        for change in limb_edits.LIMB_CHANGES
    ]


def _matched(change: limb_edits.LimbChange, shape: LabelledShape, strength: float) -> Meshes:
    return limb_edits.matched_limbs(shape, change, strength)


_ALL = (
    Edit(
        name="bars-up",
        apply=part_edits.bars_moved,
        strengths=(1.0, 2.5, 5.0),
        unit="px",
        about="stretcher bars between the legs moved up (Table 5)",
        variant="barred",
    ),
    Edit(
        name="bars-down",
        apply=_bars_down,
        strengths=(1.0, 2.5, 5.0),
        unit="px",
        about="stretcher bars between the legs moved down (Table 5)",
        variant="barred",
    ),
    Edit(
        name="bars-removed",
        apply=part_edits.bars_removed,
        strengths=(0.5, 1.0),
        unit="share",
        about="stretcher bars taken away (Table 5)",
        variant="barred",
    ),
    *_limb_edits(),
    Edit(
        name="limbs-removed",
        apply=limb_edits.limb_removed,
        strengths=(1.0, 2.0),
        unit="limbs",
        about="legs (or wings) taken away (Figure 2)",
        variant="limbed",
    ),
    Edit(
        name="part-removed",
        apply=part_edits.part_removed,
        strengths=(1.0, 2.0),
        unit="parts",
        about="the parts that stick out most taken away",
    ),
    Edit(
        name="part-added",
        apply=part_edits.part_added,
        strengths=(1.0, 2.0),
        unit="parts",
        about="parts of another shape of the family added",
    ),
    Edit(
        name="box-added",
        apply=part_edits.box_added,
        strengths=(0.04, 0.08, 0.16),
        unit="diagonals",
        about="a floating cube",
    ),
    Edit(
        name="fragments",
        apply=part_edits.fragments_added,
        strengths=(1.0, 4.0, 16.0, 64.0),
        unit="fragments",
        about="floating tetrahedra, 3 px large",
    ),
    Edit(
        name="hole",
        apply=surface_edits.holed,
        strengths=(0.05, 0.1, 0.2, 0.4),
        unit="share",
        about="a connected patch of the largest part missing",
    ),
    Edit(
        name="noise",
        apply=surface_edits.noisy,
        strengths=(0.0005, 0.002, 0.005, 0.01),
        unit="diagonals",
        about="vertices of a finer mesh moved at random",
    ),
    Edit(
        name="smoothing",
        apply=surface_edits.smoothed,
        strengths=(1.0, 4.0, 16.0),
        unit="rounds",
        about="Laplacian smoothing of a finer mesh",
    ),
    Edit(
        name="decimation",
        apply=surface_edits.decimated,
        strengths=(0.5, 0.75, 0.9),
        unit="share",
        about="faces collapsed by quadric error",
    ),
    Edit(
        name="voxels",
        apply=surface_edits.voxelized,
        strengths=(1 / 128, 1 / 64, 1 / 32, 1 / 16),
        unit="sides",
        about="solid voxels, 128 to 16 along the longest side, as marching cubes",
    ),
    Edit(
        name="translation",
        apply=surface_edits.translated,
        strengths=(1.0, 2.5, 5.0),
        unit="px",
        about="moved in a random direction",
    ),
    Edit(
        name="rotation",
        apply=surface_edits.rotated,
        strengths=(1.0, 3.0, 10.0),
        unit="degrees",
        about="turned around the upright axis",
    ),
    Edit(
        name="retriangulation",
        apply=surface_edits.retriangulated,
        strengths=(1.0, 2.0, 3.0),
        unit="way",
        about="other triangles of the same surface: must cost nothing",
        graded=False,
    ),
    Edit(
        name="winding",
        apply=surface_edits.flipped,
        strengths=(0.5, 1.0),
        unit="share",
        about="faces wound the other way round: must cost nothing",
        graded=False,
    ),
)
EDITS: dict[str, Edit] = {edit.name: edit for edit in _ALL}
"""Every built-in edit by name."""


def select_edits(names: Sequence[str] | None) -> list[Edit]:
    """Edits by name, in the registry's order; all without names.

    Raises:
        ValueError: an unknown name, or none.
    """
    if names is None:
        return list(EDITS.values())
    unknown = [name for name in names if name not in EDITS]
    if unknown or not names:
        raise ValueError(f"Unknown edits {unknown}: choose from {', '.join(EDITS)}.")
    return [edit for edit in EDITS.values() if edit.name in names]
