"""Closed 2D outlines and open 3D paths: what `primitives` lofts, sweeps and extrudes.

An outline is a float64 array (K, 2) of corners, counter-clockwise, without a repeated last corner; a path is
an array (R, 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = [
    "Number",
    "Point",
    "airfoil",
    "arc",
    "bow",
    "circle",
    "ear_clip",
    "ellipse",
    "rectangle",
    "rounded_path",
    "rounded_rectangle",
    "smooth",
    "spline",
    "vector",
]


Number = float | int
"""Sizes may be whole numbers. (PEP 484 says so of `float`; run-time type checkers do not.)"""

Point = Sequence[Number] | np.ndarray
"""Three coordinates x, y, z."""


def vector(x: Number, y: Number, z: Number) -> np.ndarray:
    """Three coordinates as an array, to add to others."""
    return np.array([x, y, z], dtype=np.float64)


def circle(radius: Number, *, sides: int = 16) -> np.ndarray:
    """Regular polygon with `sides` corners on a circle; where sides % 4 == 0, a side meets each axis."""
    return ellipse(2 * radius, 2 * radius, sides=sides)


def ellipse(width: Number, height: Number, *, sides: int = 32, power: Number = 2.0) -> np.ndarray:
    """Superellipse |2x/width|^power + |2y/height|^power = 1: power 2 is an ellipse, 4 a rounded box."""
    angles = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    cosine, sine = np.cos(angles), np.sin(angles)
    x = np.sign(cosine) * np.abs(cosine) ** (2 / power)
    y = np.sign(sine) * np.abs(sine) ** (2 / power)
    return np.stack([x * width / 2, y * height / 2], axis=1)


def rectangle(width: Number, height: Number) -> np.ndarray:
    """Axis-aligned rectangle around the origin."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([width / 2, height / 2])


def rounded_rectangle(width: Number, height: Number, radius: Number, *, steps: int = 1) -> np.ndarray:
    """Rectangle whose corners are arcs of `steps` chords (steps = 1: a chamfer); radius is clipped to fit."""
    radius = min(radius, 0.49 * width, 0.49 * height)
    if radius <= 0:
        return rectangle(width, height)
    corners = []
    for quadrant, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        centre = (sx * (width / 2 - radius), sy * (height / 2 - radius))
        corners.append(arc(centre, radius, 90 * quadrant, 90 * quadrant + 90, steps=steps))
    return np.concatenate(corners)


def arc(centre: tuple[Number, Number], radius: Number, start: Number, stop: Number, *, steps: int = 8) -> np.ndarray:
    """Open arc of steps + 1 points from `start` to `stop` [degrees], both ends included."""
    angles = np.radians(np.linspace(start, stop, steps + 1))
    return np.array(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def airfoil(chord: Number, thickness: Number, *, points: int = 7) -> np.ndarray:
    """Symmetric NACA 4-digit section with closed, slightly blunt trailing edge.

    x runs from the trailing edge at -chord/2 to the leading edge at +chord/2; `thickness` is a fraction of
    the chord.

    References:
        Jacobs, Ward, Pinkerton, NACA Report 460 (1933): the thickness polynomial.
    """
    s = (1 - np.cos(np.linspace(0, np.pi, points))) / 2  # from leading (0) to trailing edge (1)
    half = 5 * thickness * (0.2969 * np.sqrt(s) - 0.126 * s - 0.3516 * s**2 + 0.2843 * s**3 - 0.1015 * s**4)
    half = np.maximum(half, 0.04 * thickness)
    half[0] = 0.0
    upper = np.stack([0.5 - s, half], axis=1)
    lower = np.stack([0.5 - s, -half], axis=1)
    return np.concatenate([upper, lower[:0:-1]]) * chord


def smooth(outline: np.ndarray, *, rounds: int = 1, ratio: Number = 0.2) -> np.ndarray:
    """Cut every corner of a closed outline `rounds` times (Chaikin): rounder, never outside the hull."""
    for _ in range(rounds):
        following = np.roll(outline, -1, axis=0)
        cut = np.stack([outline * (1 - ratio) + following * ratio, outline * ratio + following * (1 - ratio)], 1)
        outline = cut.reshape(-1, 2)
    return outline


def bow(start: Point, stop: Point, rise: Point, *, steps: int = 8) -> np.ndarray:
    """Parabola of steps + 1 points from `start` to `stop` that leaves the line by `rise` half way."""
    share = np.linspace(0, 1, steps + 1)[:, None]
    line = np.asarray(start) * (1 - share) + np.asarray(stop) * share
    return line + 4 * share * (1 - share) * np.asarray(rise)


def rounded_path(points: Sequence[Point] | np.ndarray, radius: Number, *, steps: int = 5) -> np.ndarray:
    """Polyline through `points` whose inner corners are rounded by quadratic arcs reaching `radius` back."""
    corners = np.asarray(points, dtype=np.float64)
    path = [corners[:1]]
    for before, corner, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        back, ahead = before - corner, after - corner
        reach_back = min(radius, 0.48 * np.linalg.norm(back)) / np.linalg.norm(back)
        reach_ahead = min(radius, 0.48 * np.linalg.norm(ahead)) / np.linalg.norm(ahead)
        share = np.linspace(0, 1, steps + 1)[:, None]
        path.append(corner + (1 - share) ** 2 * reach_back * back + share**2 * reach_ahead * ahead)
    return np.concatenate([*path, corners[-1:]])


def spline(points: Sequence[Point] | np.ndarray, *, steps: int = 4, closed: bool = False) -> np.ndarray:
    """Smooth curve through `points` (K, D): a Catmull-Rom spline in `steps` chords from point to point.

    An open curve has (K - 1) * steps + 1 points, a closed one K * steps, without a repeated last one.
    """
    knots = np.asarray(points, dtype=np.float64)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (knots[i : len(knots) - 3 + i, None] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    curve = curve.reshape(-1, knots.shape[1])
    return curve if closed else np.concatenate([curve, knots[-2:-1]])


def ear_clip(outline: np.ndarray) -> np.ndarray:
    """Triangulate a simple outline, convex or not, by cutting ears.

    Args:
        outline: (K, 2) corners of a polygon that does not cross itself, either orientation.

    Returns:
        (K - 2, 3) corner indices, each triangle in the outline's own orientation.
    """
    x, y = outline[:, 0], outline[:, 1]
    area = np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)
    sign = 1.0 if area > 0 else -1.0
    points = [(float(a), float(b)) for a, b in outline]
    remaining = list(range(len(points)))
    triangles: list[tuple[int, int, int]] = []
    while len(remaining) > 3:
        ear = _best_ear(points, remaining, sign)
        triangles.append((remaining[ear - 1], remaining[ear], remaining[(ear + 1) % len(remaining)]))
        del remaining[ear]
    triangles.append((remaining[0], remaining[1], remaining[2]))
    return np.array(triangles, dtype=np.int64)


def _best_ear(points: list[tuple[float, float]], remaining: list[int], sign: float) -> int:
    """First convex corner with no other corner in its triangle, or the most convex one if there is none."""
    best, best_turn = 0, -np.inf
    for i in range(len(remaining)):
        a, b, c = (points[remaining[j % len(remaining)]] for j in (i - 1, i, i + 1))
        turn = sign * _cross(a, b, c)
        if turn > best_turn:
            best, best_turn = i, turn
        if turn <= 1e-14:
            continue
        others = (points[j] for j in remaining if points[j] not in (a, b, c))
        if not any(_inside(p, a, b, c, sign) for p in others):
            return i
    return best


def _cross(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _inside(
    p: tuple[float, float],
    a: tuple[float, float],
    b: tuple[float, float],
    c: tuple[float, float],
    sign: float,
) -> bool:
    return sign * _cross(a, b, p) >= 0 and sign * _cross(b, c, p) >= 0 and sign * _cross(c, a, p) >= 0
