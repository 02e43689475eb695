"""Bodies of string instruments: outlines, and how they are given their depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.outlines import circle, ear_clip, rounded_rectangle, smooth, spline
from dr_kfs.datasets.primitives import Solid, extrude, loft

__all__ = ["SOLID", "Instrument", "build_body"]

SOLID = ("double", "single", "vee", "angular")
"""Bodies without a hollow."""

# Right halves (x, y) of symmetric outlines from the lowest to the highest point, over half width and length.
_HALVES = {
    "acoustic": [(0, 0), (0.6, 0.02), (1.0, 0.25), (0.72, 0.57), (0.74, 0.8), (0.42, 0.98), (0, 1)],
    "archtop": [(0, 0), (0.6, 0.02), (1.0, 0.24), (0.66, 0.56), (0.7, 0.8), (0.4, 0.98), (0, 1)],
    "violin": [
        (0, 0), (0.6, 0.03), (0.98, 0.2), (0.9, 0.36), (1.0, 0.39), (0.98, 0.41), (0.7, 0.47), (0.66, 0.55),
        (0.86, 0.65), (0.88, 0.67), (0.8, 0.72), (0.8, 0.86), (0.45, 0.98), (0, 1),
    ],
    "teardrop": [(0, 0), (0.7, 0.05), (1.0, 0.3), (0.78, 0.62), (0.4, 0.85), (0.14, 0.97), (0.1, 1)],
}  # fmt: skip
# Whole outlines of lopsided bodies.
_WHOLE = {
    "double": [
        (0, 0), (0.55, 0.03), (0.93, 0.2), (0.92, 0.36), (0.7, 0.54), (0.74, 0.7), (0.84, 0.86), (0.74, 0.92),
        (0.52, 0.84), (0.3, 0.75), (0.14, 0.79), (-0.14, 0.8), (-0.3, 0.79), (-0.46, 0.88), (-0.66, 1.0),
        (-0.84, 0.98), (-0.82, 0.8), (-0.72, 0.6), (-0.92, 0.4), (-1.0, 0.22), (-0.62, 0.03),
    ],
    "single": [
        (0, 0), (0.6, 0.03), (0.98, 0.24), (0.82, 0.46), (0.68, 0.6), (0.74, 0.76), (0.72, 0.87), (0.58, 0.88),
        (0.36, 0.77), (0.18, 0.82), (0.1, 0.92), (-0.14, 0.95), (-0.5, 0.97), (-0.74, 0.84), (-0.72, 0.64),
        (-0.9, 0.44), (-1.0, 0.24), (-0.6, 0.03),
    ],
}  # fmt: skip
_SHARP = {
    "vee": [
        (0, 0.36), (0.6, 0.0), (1.0, 0.06), (0.2, 0.92), (0.12, 1.0), (-0.12, 1.0), (-0.2, 0.92), (-1.0, 0.06),
        (-0.6, 0.0),
    ],
    "angular": [
        (-0.2, 0.28), (0.75, 0.0), (1.0, 0.16), (0.6, 0.5), (0.95, 0.92), (0.75, 1.0), (0.14, 0.86), (-0.14, 0.86),
        (-0.72, 0.78), (-0.8, 0.66), (-1.0, 0.12), (-0.8, 0.06),
    ],
}  # fmt: skip


_ARCH = ((0.0, 0.0), (0.03, 0.0), (0.12, 0.08), (0.45, 0.8), (0.75, 1.0))
"""Arched fronts: shares of the way from the outline to its centre, and of the rise."""


@dataclass(frozen=True)
class Instrument:
    """Where things go: y along the strings, z towards the player's audience."""

    outline: np.ndarray
    """(K, 2) of the body."""
    front: float
    back: float
    joint: float
    """y where the neck leaves the body."""
    nut: float
    bridge: float
    board_end: float
    """y of the fingerboard's lower end."""
    neck_width: float
    hole: float
    """y of the middle of the sound hole."""
    hole_radius: float
    rise: float
    """How far the middle of an arched front stands before `front`."""

    @property
    def middle(self) -> float:
        """Depth z halfway through the body."""
        return (self.front + self.back) / 2

    @property
    def half_body(self) -> float:
        """Half width of the body."""
        return float(self.outline[:, 0].max())

    def front_at(self, points: np.ndarray) -> np.ndarray:
        """(n,) heights z of the front at points (n, 2)."""
        centre = np.array([0.0, 0.5 * self.outline[:, 1].max()])
        polar = [np.arctan2(p[:, 1], p[:, 0]) for p in (self.outline - centre, points - centre)]
        reach = np.hypot(*(self.outline - centre).T)
        inset = 1 - np.hypot(*(points - centre).T) / np.interp(polar[1], polar[0], reach, period=2 * np.pi)
        return self.front + self.rise * np.interp(inset, [a for a, _ in _ARCH], [b for _, b in _ARCH])

    def half_width(self, y: float) -> float:
        """Half width of the neck, widest at the fingerboard's end."""
        share = (y - self.bridge) / (self.nut - self.bridge)
        return self.neck_width / 2 * (1.35 - 0.35 * share)


# Body length, half width and depth; neck from body to nut; y of the bridge over the body's length.
_MEASURES = {
    "acoustic": ((0.42, 0.5), (0.155, 0.2), (0.075, 0.12), (0.34, 0.44), 0.3),
    "archtop": ((0.42, 0.48), (0.165, 0.2), (0.055, 0.085), (0.38, 0.44), 0.32),
    "violin": ((0.46, 0.62), (0.15, 0.21), (0.05, 0.12), (0.22, 0.3), 0.42),
    "teardrop": ((0.4, 0.52), (0.13, 0.2), (0.06, 0.14), (0.28, 0.4), 0.28),
    "round": ((0.34, 0.42), (0.17, 0.21), (0.05, 0.09), (0.42, 0.56), 0.3),
    "box": ((0.32, 0.42), (0.11, 0.16), (0.05, 0.09), (0.38, 0.46), 0.22),
    "double": ((0.4, 0.48), (0.14, 0.17), (0.032, 0.05), (0.42, 0.54), 0.22),
    "single": ((0.38, 0.44), (0.145, 0.175), (0.035, 0.055), (0.4, 0.5), 0.25),
    "vee": ((0.42, 0.5), (0.17, 0.22), (0.03, 0.045), (0.4, 0.48), 0.42),
    "angular": ((0.38, 0.46), (0.18, 0.23), (0.03, 0.045), (0.4, 0.48), 0.36),
}


def build_body(choices: Choices) -> tuple[Solid, Instrument]:
    """The body, its lowest point at y = 0, and the places on it."""
    kind = choices.style["body"]
    lengths, widths, depths, necks, bridge = _MEASURES[kind]
    length, half = choices.size("body_length", *lengths), choices.size("body_half_width", *widths)
    depth, neck = choices.size("body_depth", *depths), choices.size("neck_length", *necks)
    if kind == "round":
        half = length / 2
    outline = _outline(choices, kind) * (half, length)
    dense = spline(outline, steps=6, closed=True)
    at_neck = dense[np.abs(dense[:, 0]) < 0.2 * half, 1].max()
    radius = choices.size("hole_radius", 0.24, 0.34) * half
    place = choices.size("hole_level", 0.6, 0.68) * length
    rise = choices.size("arch", 0.15, 0.4) * depth if kind in ("violin", "archtop") else 0.0
    if kind == "teardrop":
        place = 0.5 * length
    what = Instrument(
        outline=outline,
        front=depth / 2,
        back=-depth / 2,
        joint=float(at_neck),
        nut=float(at_neck) + neck,
        bridge=bridge * length,
        board_end=place + 1.15 * radius if kind not in (*SOLID, "violin", "round") else at_neck - 0.16 * length,
        neck_width=choices.size("neck_width", 0.034, 0.05),
        hole=place,
        hole_radius=radius,
        rise=rise,
    )
    return _solid(choices, kind, what, depth), what


def _outline(choices: Choices, kind: str) -> np.ndarray:
    """Counter-clockwise, half width and length 1."""
    middle = np.array([0.0, 0.5])
    if kind == "round":
        return circle(1.0, sides=48) * (1, 0.5) + middle
    if kind == "box":
        return rounded_rectangle(2.0, 1.0, choices.size("box_corner", 0.02, 0.3), steps=4) + middle
    if kind in _SHARP:
        corners = np.array(_SHARP[kind], dtype=np.float64)
        return smooth(smooth(corners, ratio=choices.size("corner_cut", 0.06, 0.2)), ratio=0.25)
    if kind in _WHOLE:
        corners = np.array(_WHOLE[kind])
        horns = (np.abs(corners[:, 0]) > 0.35) & (corners[:, 1] > 0.8)
        corners[:, 1] += choices.size("horn", -0.05, 0.06) * horns
        whole = spline(corners, steps=4, closed=True)
        return whole[::-1] * (-1, 1) if choices.count("left_handed", 0, 1) else whole
    half = np.array(_HALVES[kind])
    waist = choices.size("waist", -0.04, 0.06) if kind == "teardrop" else choices.size("waist", -0.1, 0.06)
    half[1:-1, 0] += waist * np.exp(-(((half[1:-1, 1] - 0.56) / 0.1) ** 2))
    half[1:-1, 0] *= 1 + choices.size("upper_bout", -0.08, 0.08) * half[1:-1, 1]
    last = -1 if half[-1, 0] > 0 else -2  # a point on the middle line has no twin
    whole = np.concatenate([half, half[last:0:-1] * (-1, 1)])
    return spline(whole, steps=3 if kind == "violin" else 4, closed=True)


def _solid(choices: Choices, kind: str, what: Instrument, depth: float) -> Solid:
    outline = what.outline
    if kind in SOLID or kind == "round":
        return extrude(outline, depth, bevel=choices.size("rim", 0.004, 0.014))
    centre = np.array([0.0, 0.5 * outline[:, 1].max()])

    def ring(inset: float, z: float) -> np.ndarray:
        flat = centre + (outline - centre) * (1 - inset)
        return np.concatenate([flat, np.full((len(flat), 1), z)], axis=1)

    caps = ear_clip(outline)
    front, back = what.front, what.back
    if kind in ("violin", "archtop"):
        levels = [(inset, front + what.rise * share) for inset, share in _ARCH[1:]]
        levels = [*((inset, -z) for inset, z in levels[::-1]), (0.0, 0.97 * back), (0.0, 0.97 * front), *levels]
        return loft(np.stack([ring(*level) for level in levels]), caps=caps)
    bowl = kind == "teardrop" and choices.count("bowl_back", 0, 2) > 0
    tail = [ring(0.03, back), ring(0.0, back + 0.05 * depth)]
    if bowl:
        angles = np.linspace(0.12, 1, 6) * np.pi / 2
        tail = [ring(1 - np.sin(a), front - 0.012 - (depth - 0.012) * np.cos(a)) for a in angles]
    tail.append(ring(0.0, front - 0.004))
    if choices.style["sound"] != "hole":
        return loft(np.stack([*tail, ring(0.015, front)]), caps=caps)
    # The front is a ring between the outline and the hole, and the hole is a pit: its floor closes the body.
    hole = np.array([0.0, what.hole])
    away = outline - hole
    rim = hole + what.hole_radius * away / np.linalg.norm(away, axis=1, keepdims=True)
    pit = [np.concatenate([rim, np.full((len(rim), 1), z)], axis=1) for z in (front, front - 0.6 * depth)]
    return loft(np.stack([*tail, ring(0.015, front), *pit]), caps=caps)
