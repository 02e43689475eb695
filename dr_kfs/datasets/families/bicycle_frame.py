"""Frames and forks of bicycles: tubes between the places of a `Bike`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import circle, rounded_path, rounded_rectangle, spline, vector
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, slab, sweep, tube

if TYPE_CHECKING:
    from dr_kfs.datasets.families.bicycle import Bike

__all__ = ["build_frame"]


def build_frame(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Parts "tube_0".., "head", "fork", "stay_left_0", "saddle_post", and what belongs to the kind of frame."""
    kind = choices.style["frame"]
    parts = {"head": _tube(bike.head_low, bike.head_high, 1.35 * bike.thick, sides=14)} | _fork(choices, bike)
    if kind == "penny":
        knots = [
            bike.head_high,
            bike.head_high + vector(0, -0.02, -0.1),
            bike.back + vector(0, bike.radius_front, -0.02),
            bike.back + vector(0, 0.02, 0),
        ]
        spine = limb(knots, [bike.thick, bike.thick, 0.9 * bike.thick, 0.6 * bike.thick], sides=10, steps=6)
        return parts | {
            "tube_0": spine,
            "saddle_post": _tube(bike.saddle - vector(0, 0.04, 0), bike.saddle, 0.6 * bike.thick),
        }
    if kind == "scooter":
        return parts | _scooter(choices, bike)
    paths = _main_tubes(choices, bike)
    section = circle(bike.thick, sides=12)
    for i, (path, size) in enumerate(paths):
        parts[f"tube_{i}"] = sweep(np.asarray(path, dtype=np.float64), section * size)
    parts |= _stays(choices, bike)
    parts["saddle_post"] = _tube(bike.seat - vector(0, 0.02, -0.005), bike.saddle, 0.75 * bike.thick)
    return parts | (_engine(choices, bike) if kind == "motor" else {})


def _tube(start: np.ndarray, stop: np.ndarray, radius: float, *, sides: int = 10) -> Solid:
    return cylinder(radius, start, stop, sides=sides)


def _main_tubes(choices: Choices, bike: Bike) -> list[tuple[np.ndarray, float]]:
    """Middle lines of the tubes in the plane, and their thickness over the frame's."""
    kind = choices.style["frame"]
    low = 0.8 * bike.head_low + 0.2 * bike.head_high
    high = 0.2 * bike.head_low + 0.8 * bike.head_high
    seat_tube = np.stack([bike.crank, bike.seat])
    near = 0.93 * bike.seat + 0.07 * bike.crank
    if kind == "step_through":
        foot = bike.crank + choices.size("step_level", 0.2, 0.5) * (bike.seat - bike.crank)
        dip = np.array([0, -choices.size("step_dip", 0.0, 0.1), 0.0])
        line = spline([high, (high + foot) / 2 + dip, foot], steps=6)
        return [
            (seat_tube, 1.0),
            (line, 1.0),
            (
                np.stack([low, bike.crank])
                if dip[1] > -0.04
                else spline([low, (low + bike.crank) / 2 + dip, bike.crank], steps=6),
                1.1,
            ),
        ]
    if kind == "cruiser":
        bow = choices.size("cruiser_bow", 0.03, 0.09)
        top = spline([high, (high + near) / 2 + vector(0, bow, 0), near], steps=6)
        lower = spline([low, (low + near) / 2 + vector(0, -0.2 * bow, 0.0), 0.6 * near + 0.4 * bike.crank], steps=6)
        down = spline([low, (low + bike.crank) / 2 + vector(0, -bow, 0.5 * bow), bike.crank], steps=6)
        extra = [(lower, 0.8)] if choices.count("twin_top", 0, 1) else []
        return [(seat_tube, 1.0), (top, 1.0), (down, 1.1), *extra]
    if kind == "folding":
        beam = np.stack(
            [(low + high) / 2, bike.crank + vector(0, 0.05, 0), 0.6 * bike.back + 0.4 * bike.crank + vector(0, 0.03, 0)]
        )
        return [(seat_tube, 1.0), (rounded_path(beam, 0.1), 1.4)]
    if kind == "mountain" and choices.count("shock", 0, 1):
        mid = 0.55 * high + 0.45 * bike.crank
        return [
            (seat_tube, 1.0),
            (np.stack([high, near]), 1.0),
            (np.stack([low, bike.crank]), 1.4),
            (np.stack([mid, near]), 0.7),
        ]
    if kind == "motor":
        cradle = spline(
            [
                low,
                bike.crank + vector(0, -0.04, 0.16),
                bike.crank + vector(0, -0.05, 0),
                bike.crank + vector(0, 0.0, -0.04),
            ],
            steps=5,
        )
        return [
            (np.stack([bike.crank, near]), 1.0),
            (np.stack([high, bike.seat + vector(0, 0.01, 0), bike.seat + vector(0, 0.02, -0.14)]), 1.1),
            (cradle, 0.9),
        ]
    tubes = [(seat_tube, 1.0), (np.stack([high, near]), 0.95), (np.stack([low, bike.crank]), 1.15)]
    if choices.count("double_bar", 0, 5) == 0:
        tubes.append((np.stack([0.5 * (low + high), 0.6 * near + 0.4 * bike.crank]), 0.7))
    return tubes


def _stays(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Chain stays and seat stays on both sides of the rear wheel; a tricycle has an axle instead."""
    thin, parts = 0.55 * bike.thick, {}
    if bike.track:
        half = np.array([bike.track - 0.02, 0.0, 0.0])
        parts["axle"] = _tube(bike.back - half, bike.back + half, 0.8 * bike.thick)
        parts["stay_0"] = _tube(bike.crank, bike.back, 0.9 * bike.thick)
        parts["stay_1"] = _tube(0.9 * bike.seat + 0.1 * bike.crank, bike.back, 0.7 * bike.thick)
        return parts
    out = np.array([bike.tyre + 0.012, 0.0, 0.0])
    top = {"folding": bike.crank + 0.6 * (bike.seat - bike.crank)}.get(
        choices.style["frame"], 0.95 * bike.seat + 0.05 * bike.crank
    )
    for name, side in (("left", 1), ("right", -1)):
        for i, start in enumerate((bike.crank, top)):
            ends = [start + 0.3 * side * out, start + (bike.back - start) * 0.35 + side * out, bike.back + side * out]
            parts[f"stay_{name}_{i}"] = tube(rounded_path(ends, 0.04), thin, sides=8)
    return parts


def _fork(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Crown, two blades to the front axle, and the stem up to the handlebar."""
    kind = choices.style["fork"]
    up = bike.head_high - bike.head_low
    up = up / np.linalg.norm(up)
    out = np.array([bike.tyre + 0.014, 0.0, 0.0])
    crown = bike.head_low - 0.012 * up
    blades = []
    for side in (1, -1):
        top, end = crown + side * out, bike.front + side * out
        bend = top + 0.62 * np.dot(end - top, -up) * -up
        if kind == "suspension":
            middle = 0.45 * top + 0.55 * end
            blades += [
                _tube(top, middle, 0.75 * bike.thick),
                cylinder(1.15 * bike.thick, middle, end, sides=12, bevel=0.3 * bike.thick),
            ]
        else:
            path = spline([top, bend, end], steps=6) if kind == "curved" else np.stack([top, end])
            thin = np.linspace(0.75, 0.45, len(path)) * bike.thick
            blades.append(sweep(path, circle(1.0, sides=10), scales=thin))
    bridge = cylinder(0.9 * bike.thick, crown - out, crown + out, sides=10, bevel=0.2 * bike.thick)
    parts = {"fork": join(bridge, *blades), "stem": _tube(bike.head_high - 0.01 * up, bike.bar, 0.75 * bike.thick)}
    return parts


def _scooter(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """A low board between the wheels, and a bent neck up to the head."""
    deck, wide = bike.radius_front * 0.75, choices.size("deck_width", 0.045, 0.07)
    back, front = bike.back[2] + 0.6 * bike.radius_back, bike.front[2] - 1.6 * bike.radius_front
    board = slab(rounded_rectangle(2 * wide, front - back, 0.03, steps=3), deck, deck + 0.018, bevel=0.004)
    neck = [(0, deck + 0.01, front - 0.06), (0, deck + 0.01, front + 0.02), bike.head_low + vector(0, 0.01, 0)]
    fork = [
        box(
            (0.012, 0.02, back - bike.back[2] + 0.04), (s * (bike.tyre + 0.012), deck, (back + bike.back[2]) / 2 + 0.02)
        )
        for s in (1, -1)
    ]
    return {
        "deck": board.translated(z=(front + back) / 2),
        "tube_0": tube(rounded_path(neck, 0.06), 1.2 * bike.thick, sides=12),
        "stay_0": join(*fork),
    }


def _engine(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Engine with cooling fins, tank, exhaust."""
    size = choices.size("engine_size", 0.055, 0.075)
    middle = bike.crank + vector(0, 0.01, 0.08)
    case = cylinder(size, middle - vector(0.05, 0, 0), middle + vector(0.05, 0, 0), sides=18, bevel=0.01)
    lean = choices.size("cylinder_lean", -5, 25)
    fins = [
        box((0.085, 0.006, 0.085), (0, size + 0.016 * k, 0), bevel=0.002) for k in range(choices.count("fins", 4, 7))
    ]
    barrel = cylinder(0.03, (0, 0.5 * size, 0), (0, size + 0.016 * len(fins) + 0.01, 0), sides=12)
    pots = [join(barrel, *fins).rotated("x", lean).translated(*middle)]
    if choices.count("cylinders", 1, 2) == 2:
        pots.append(pots[0].rotated("x", -55, about=middle))
    tank_size = (
        choices.size("tank_width", 0.06, 0.085),
        choices.size("tank_height", 0.05, 0.07),
        choices.size("tank_length", 0.13, 0.18),
    )
    place = 0.45 * bike.seat + 0.55 * bike.head_high + vector(0, 0.03, 0)
    side, low = 0.075, bike.crank[1] - 0.03
    pipe = [
        middle + vector(0.02, 0.6 * size, 0.06),
        (side, low + 0.03, middle[2] + 0.09),
        (side, low, middle[2] - 0.02),
        (side, low + 0.02, bike.back[2] - 0.02),
    ]
    muffler = limb(
        [(side, low + 0.008, bike.crank[2] - 0.1), (side, low + 0.03, bike.back[2] - 0.08)],
        [0.018, 0.028],
        sides=12,
        smooth=False,
    )
    return {
        "engine": join(case, *pots),
        "tank": ellipsoid((tank_size[0], tank_size[1], 0.75 * tank_size[2]), place, segments=22),
        "exhaust": join(tube(rounded_path(pipe, 0.06), 0.012, sides=10), muffler),
    }
