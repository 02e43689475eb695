"""The Chamfer distance of two surfaces, from seeded samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dr_kfs.audit.surface import SurfaceIndex, seeded_samples, triangles_of
from dr_kfs.geometry import Frame, Meshes, bounding_frame, normalize

__all__ = ["ChamferTarget", "chamfer", "chamfer_target"]

SAMPLES = 10_000
SPACING = 0.02
"""Of the pieces that a nearest point is looked for on [diagonals]."""
LIMIT = 12
"""Pieces that are looked at."""


@dataclass(frozen=True, eq=False)
class ChamferTarget:
    """The target's side, computed once."""

    frame: Frame
    points: Float[np.ndarray, "M 3"]
    surface: SurfaceIndex
    seed: int


def chamfer_target(target: Meshes, *, samples: int = SAMPLES, seed: int = 0) -> ChamferTarget:
    """Sample a target.

    Args:
        target: one mesh.
        samples: points drawn from either surface, uniformly by area.
        seed: of the points.
    """
    frame = bounding_frame(target)
    target = normalize(target, frame)
    points = seeded_samples(target, samples, seed)
    return ChamferTarget(frame, points, SurfaceIndex(triangles_of(target), SPACING, limit=LIMIT), seed)


def chamfer(predicted: Meshes, target: ChamferTarget) -> float:
    """Bidirectional Chamfer distance [diagonals of the target's box].

        CD = mean_{p in P} d(p, T) + mean_{t in T} d(t, P)

    over 10,000 seeded points p of the predicted surface and t of the target's, uniform by area; d is the unsquared
    distance to the nearest point of the other *surface*. The nearest *sample* instead would add a constant of about
    0.01 that has nothing to do with the shapes and is as large as a missing leg. So identical shapes have 0, and so
    have re-triangulated ones: below 2e-5, see `limit` of `SurfaceIndex`. Both are normalised with the target's box.
    """
    predicted = normalize(predicted, target.frame.to(device=predicted.device))
    points = seeded_samples(predicted, len(target.points), target.seed)
    forth = target.surface.distances(points).mean()
    back = SurfaceIndex(triangles_of(predicted), SPACING, limit=LIMIT).distances(target.points).mean()
    return float(forth + back)
