"""Figure 2: legs thickened, lengthened, shortened and bent as far as the Chamfer distance counts a removed one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dr_kfs.audit.chamfer import SAMPLES, ChamferTarget, chamfer, chamfer_target
from dr_kfs.audit.targets import NotApplicableError, bounds, diagonal, limbs
from dr_kfs.datasets import LabelledShape
from dr_kfs.geometry import Meshes

__all__ = ["LIMB_CHANGES", "LimbChange", "changed_limbs", "limb_removed", "matched_amount", "matched_limbs"]

LimbChange = Literal["thickened", "lengthened", "shortened", "bent"]
LIMB_CHANGES: dict[LimbChange, float] = {"thickened": 0.1, "lengthened": 2.0, "shortened": 0.95, "bent": 0.4}
"""The largest amount of each change: beyond it the limb is no longer one."""

TOLERANCE = 0.01
"""Of a matched Chamfer distance, relative."""
MATCHING_SAMPLES = SAMPLES
"""As many as the audited Chamfer distance has, so that it cannot tell matched changes apart."""


def limb_removed(shape: LabelledShape, count: float) -> Meshes:
    """The first `count` of the legs (or wings) taken away."""
    names = limbs(shape)
    if round(count) > len(names) or len(names) == len(shape.parts):
        raise NotApplicableError(f"this {shape.family} has {len(names)} limbs, not {count:g} that can go")
    return shape.without(*names[: round(count)]).to_meshes()


def changed_limbs(shape: LabelledShape, change: LimbChange, amount: float) -> Meshes:
    """All legs (or wings) changed alike. Their ends at the body stay in place.

    Args:
        shape: with two or more limbs.
        change: what `amount` means:
            "thickened": every surface point moves outwards by `amount` diagonals.
            "lengthened": longer by `amount` times the length, along the limb's own axis.
            "shortened": shorter by `amount` times the length.
            "bent": bowed outwards, its middle by `amount` diagonals; both ends stay.
        amount: 0 changes nothing.
    """
    edited = shape
    for name in limbs(shape):
        if change == "bent":
            part = edited.parts[name]
            edited = edited.refined(name, longest=float(np.ptp(part.vertices, axis=0).max()) / 12)
        faces = edited.parts[name].faces
        edited = edited.transformed(name, functools.partial(_CHANGES[change], _limb(shape, name), faces, amount))
    return edited.to_meshes()


def matched_limbs(
    shape: LabelledShape,
    change: LimbChange,
    strength: float,
    *,
    samples: int | None = None,
    tolerance: float = TOLERANCE,
) -> Meshes:
    """All limbs changed until the Chamfer distance is `strength` times that of removing one; 1 is Figure 2.

    Args:
        shape: with two or more limbs.
        change: what is done to them.
        strength: Chamfer distance, in units of one removed limb's.
        samples: of the Chamfer distance, per surface; `MATCHING_SAMPLES` by default.
        tolerance: of the match, relative.

    Raises:
        NotApplicableError: even the largest amount has a smaller Chamfer distance.
    """
    return changed_limbs(shape, change, matched_amount(shape, change, strength, samples=samples, tolerance=tolerance))


def matched_amount(
    shape: LabelledShape,
    change: LimbChange,
    strength: float,
    *,
    samples: int | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """The `amount` of `matched_limbs`, found between two that are too small and too large."""
    samples = MATCHING_SAMPLES if samples is None else samples
    target, removal = _removal(shape, samples)
    wanted = strength * removal
    known = _known_amounts(shape, change, samples)
    high = LIMB_CHANGES[change]
    if high not in known:
        known[high] = chamfer(changed_limbs(shape, change, high), target)
    if known[high] < wanted:
        raise NotApplicableError(
            f"limbs {change} by {high:g} reach a Chamfer distance of {known[high]:.4f}, less than {wanted:.4f}"
        )
    for attempt in range(40):
        nearest = min(known, key=lambda amount: abs(known[amount] - wanted))
        if abs(known[nearest] - wanted) <= tolerance * wanted:
            return nearest
        low = max(amount for amount in known if known[amount] < wanted and amount < high)
        high = min(amount for amount in known if known[amount] > wanted and amount > low)
        amount = (low + high) / 2
        if low > 0.0 and attempt % 2 == 0:  # between powers, where the response is almost straight; else halved
            share = np.log(wanted / known[low]) / np.log(known[high] / known[low])
            amount = float(low * (high / low) ** share)
        known[amount] = chamfer(changed_limbs(shape, change, amount), target)
    raise NotApplicableError(f"limbs {change}: the Chamfer distance jumps past {wanted:.4f}")


@functools.lru_cache(maxsize=16)
def _known_amounts(shape: LabelledShape, change: LimbChange, samples: int) -> dict[float, float]:
    """Chamfer distances that were computed for a shape, by amount: what one strength tried, the next need not."""
    return {0.0: 0.0}


@functools.lru_cache(maxsize=4)
def _removal(shape: LabelledShape, samples: int) -> tuple[ChamferTarget, float]:
    target = chamfer_target(shape.to_meshes(), samples=samples)
    return target, chamfer(limb_removed(shape, 1.0), target)


@dataclass(frozen=True, eq=False)
class _Limb:
    """Where a limb is: a straight axis from its end at the body."""

    start: np.ndarray
    axis: np.ndarray
    """Unit vector away from the body."""
    length: float
    outwards: np.ndarray
    """Unit vector across the axis, away from the middle of the shape."""
    diagonal: float
    """Of the shape."""

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """Where each vertex is along the limb, 0 at the body to 1."""
        return (vertices - self.start) @ self.axis / self.length


def _limb(shape: LabelledShape, name: str) -> _Limb:
    vertices = shape.parts[name].vertices
    middle = vertices.mean(axis=0)
    axis = np.linalg.svd(vertices - middle, full_matrices=False)[2][0]
    along = (vertices - middle) @ axis
    low, high = bounds(shape)
    body = (low + high) / 2
    ends = [middle + reach * axis for reach in (along.min(), along.max())]
    if np.linalg.norm(ends[1] - body) < np.linalg.norm(ends[0] - body):
        axis, ends = -axis, ends[::-1]
    outwards = middle - body
    outwards = outwards - (outwards @ axis) * axis
    if np.linalg.norm(outwards) < 1e-6 * diagonal(shape):  # in the middle: any side will do
        outwards = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    outwards = outwards / np.linalg.norm(outwards)
    return _Limb(ends[0], axis, float(np.ptp(along)), outwards, diagonal(shape))


def _thickened(limb: _Limb, faces: np.ndarray, amount: float, vertices: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    weighted = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], weighted)
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    return vertices + amount * limb.diagonal * normals / np.where(size > 0, size, 1.0)


def _lengthened(limb: _Limb, faces: np.ndarray, amount: float, vertices: np.ndarray) -> np.ndarray:
    return vertices + (amount * limb.length * limb.place(vertices))[:, None] * limb.axis


def _shortened(limb: _Limb, faces: np.ndarray, amount: float, vertices: np.ndarray) -> np.ndarray:
    return _lengthened(limb, faces, -amount, vertices)


def _bent(limb: _Limb, faces: np.ndarray, amount: float, vertices: np.ndarray) -> np.ndarray:
    place = limb.place(vertices)
    return vertices + (amount * limb.diagonal * 4 * place * (1 - place))[:, None] * limb.outwards


_CHANGES: dict[LimbChange, Callable[[_Limb, np.ndarray, float, np.ndarray], np.ndarray]] = {
    "thickened": _thickened,
    "lengthened": _lengthened,
    "shortened": _shortened,
    "bent": _bent,
}
