"""What is mounted on a bicycle's frame: handlebar, saddle, pedals, carriers, lamp, stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.bicycle_wheels import build_wheels
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.outlines import circle, rounded_path, rounded_rectangle, spline, vector
from dr_kfs.datasets.primitives import Solid, box, cushion, cylinder, join, lathe, loft, slab, sweep, tube

if TYPE_CHECKING:
    from dr_kfs.datasets.families.bicycle import Bike

__all__ = ["build_parts"]


def build_parts(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """All parts but the frame."""
    parts = build_wheels(choices, bike) | {"handlebar": _handlebar(choices, bike)} | _saddle(choices, bike)
    parts |= _drive(choices, bike) | _carrier(choices, bike)
    if choices.style["lamp"] == "front":
        place = 0.5 * (bike.head_low + bike.head_high) + vector(0, 0, 1.2 * bike.thick)
        bowl = np.array([[0.0, 0.0], [0.012, 0.004], [0.024, 0.02], [0.027, 0.036], [0.02, 0.04]])
        parts["lamp"] = lathe(bowl, segments=16).rotated("x", 90).translated(*place)
    if choices.style["stand"] == "side":
        foot = (0.11, 0.0, bike.crank[2] - 0.02)
        parts["kickstand"] = cylinder(0.006, bike.crank + vector(0.012, 0, -0.03), foot, sides=8)
    return parts


def _handlebar(choices: Choices, bike: Bike) -> Solid:
    """Bar and grips, from its middle at the stem."""
    kind = choices.style["bars"]
    half = choices.size("bar_width", 0.15, 0.22)
    rise, back = choices.size("bar_rise", 0.04, 0.09), choices.size("bar_sweep", 0.02, 0.06)
    side = {
        "flat": [(half, 0.0, -0.4 * back)],
        "riser": [(0.3 * half, 0, 0), (0.45 * half, rise, -0.3 * back), (half, 1.1 * rise, -back)],
        "swept": [
            (0.3 * half, 0.3 * rise, 0.03),
            (0.85 * half, 0.5 * rise, 0.0),
            (half, 0.4 * rise, -0.8 * back - 0.1),
        ],
        "high": [
            (0.35 * half, 0, 0),
            (0.6 * half, 3 * rise, 0.0),
            (0.95 * half, 3.2 * rise, -0.02),
            (half, 3.0 * rise, -back - 0.05),
        ],
        "drop": [
            (0.75 * half, 0, 0),
            (0.8 * half, 0, 0.09),
            (0.82 * half, -0.06, 0.105),
            (0.82 * half, -0.115, 0.06),
            (0.83 * half, -0.12, -0.01),
        ],
    }[kind]
    radius = 0.6 * bike.thick
    line = np.array([*[(-x, y, z) for x, y, z in side[::-1]], (0, 0, 0), *side])
    path = rounded_path(line, 0.045, steps=4)
    grips = []
    for s in (1, -1):
        end, before = np.array(side[-1]), np.array(side[-2] if len(side) > 1 else (0, 0, 0))
        start = end + (before - end) * min(0.07 / np.linalg.norm(before - end), 0.8)
        grips.append(cylinder(1.5 * radius, start * (s, 1, 1), end * (s, 1, 1), sides=10, bevel=0.3 * radius))
    return join(tube(path, radius, sides=8), *grips).translated(*bike.bar)


def _saddle(choices: Choices, bike: Bike) -> dict[str, Solid]:
    kind = choices.style["saddle"]
    if kind == "none":
        return {}
    length = choices.size("saddle_length", 0.12, 0.16)
    wide = {"narrow": 0.032, "wide": 0.06, "long": 0.045}[kind] * choices.size("saddle_width", 0.85, 1.2)
    thick = choices.size("saddle_thickness", 0.014, 0.03)
    if kind == "long":
        long = 0.17 if choices.style["frame"] == "motor" else 0.13
        pad = cushion((2.2 * wide, 2 * thick, 2 * long), power=4, sides=28)
        back = cushion((2 * wide, 2 * thick, 0.05), (0, 1.3 * thick, -0.9 * long), power=3, sides=20)
        return {"saddle": join(pad, back).translated(*bike.saddle + vector(0, thick, -0.05))}
    # Half widths, heights and places of the cross sections from the back to the nose.
    rows = np.array(
        [
            (0.5, 0.6, -0.55),
            (0.95, 1.1, -0.45),
            (1.0, 1.0, -0.25),
            (0.6, 0.75, 0.0),
            (0.3, 0.7, 0.3),
            (0.24, 0.6, 0.5),
            (0.12, 0.4, 0.56),
        ]
    )
    section = circle(1.0, sides=16)
    rings = [
        np.stack(
            [w * wide * section[:, 0], h * thick * np.maximum(section[:, 1], -0.5), np.full(16, z * length)], axis=1
        )
        for w, h, z in rows
    ]
    return {"saddle": loft(np.stack(rings)).translated(*bike.saddle + vector(0, 0.5 * thick, 0))}


def _drive(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Cranks, pedals, chain ring and chain."""
    kind = choices.style["frame"]
    if kind in ("scooter", "motor"):
        return {}
    arm, out = choices.size("crank_length", 0.075, 0.095), max(3 * bike.thick, 0.035)
    turn = np.radians(choices.size("crank_turn", 0, 180))
    parts: dict[str, Solid] = {}
    for name, side in (("left", 1), ("right", -1)):
        foot = bike.crank + np.array([side * out, side * arm * np.sin(turn), side * arm * np.cos(turn)])
        hub = bike.crank + np.array([side * out, 0.0, 0.0])
        parts[f"crank_{name}"] = join(cylinder(0.007, hub, foot, sides=8), cylinder(0.009, bike.crank, hub, sides=10))
        pad = box((0.05, 0.012, 0.05), bevel=0.004).translated(*foot + vector(side * 0.03, 0, 0))
        parts[f"pedal_{name}"] = pad
    if kind == "penny":
        return parts
    ring = choices.size("ring_radius", 0.035, 0.05)
    x = -0.6 * out
    teeth = lathe(
        np.array([[ring - 0.008, -0.003], [ring, -0.003], [ring, 0.003], [ring - 0.008, 0.003]]),
        segments=28,
        closed=True,
    )
    arms = [box((0.004, 2 * ring - 0.008, 0.008)).rotated("x", a) for a in (20, 80, 140)]
    parts["chainring"] = join(teeth.rotated("z", 90), *arms).translated(*bike.crank + vector(x, 0, 0))
    cog = 0.018
    upper = [bike.crank + vector(x, ring, 0), bike.back + vector(x, cog, 0)]
    lower = [bike.back + vector(x, -cog, 0), bike.crank + vector(x, -ring, 0)]
    strand = rounded_rectangle(0.007, 0.004, 0.001)
    parts["chain"] = join(
        *[sweep(np.stack(ends), strand) for ends in (upper, lower)],
        cylinder(cog, bike.back + vector(x - 0.004, 0, 0), bike.back + vector(x + 0.004, 0, 0), sides=14),
    )
    return parts


def _carrier(choices: Choices, bike: Bike) -> dict[str, Solid]:
    kind = choices.style["carrier"]
    if kind == "none":
        return {}
    top = bike.back[1] + bike.radius_back + 0.03
    z = bike.back[2] - 0.02
    if kind == "basket":
        size = (
            choices.size("basket_width", 0.1, 0.15),
            choices.size("basket_height", 0.08, 0.13),
            choices.size("basket_depth", 0.08, 0.12),
        )
        place = 0.3 * bike.head_low + 0.7 * bike.head_high + vector(0, 0.02, 0.05 + size[2])
        if bike.track:
            return {
                "basket": _basket(choices, (0.8 * bike.track, 0.14, 0.12)).translated(0, top - 0.06, z),
                "rack": cylinder(0.008, bike.back, (0, top - 0.05, z), sides=8),
            }
        stay = cylinder(0.005, 0.5 * (bike.head_low + bike.head_high), place - vector(0, 0, 0.2 * size[2]), sides=8)
        return {"basket": _basket(choices, size).translated(*place), "basket_stay": stay}
    if kind == "box" and (bike.track or choices.style["frame"] == "motor"):
        size = (1.5 * bike.track or 0.16, choices.size("box_height", 0.12, 0.2), choices.size("box_depth", 0.16, 0.24))
        level = top - 0.04 if bike.track else bike.saddle[1] + 0.02
        solid = box(size, (0, level + size[1] / 2, z if bike.track else bike.back[2]), bevel=0.012, steps=2)
        foot = bike.back if bike.track else bike.seat + vector(0, 0, -0.1)
        return {
            "box": solid,
            "rack": cylinder(0.01, foot, (0, level + 0.01, z if bike.track else bike.back[2]), sides=8),
        }
    half = 0.045
    rails = [cylinder(0.004, (x, top, z + 0.13), (x, top, z - 0.12), sides=6) for x in (half, 0, -half)]
    rails += [cylinder(0.004, (-half, top, z + d), (half, top, z + d), sides=6) for d in (0.12, 0.0, -0.115)]
    left = cylinder(0.004, bike.back + vector(bike.tyre + 0.018, 0, 0), (half, top, z - 0.02), sides=6)
    front = cylinder(0.004, (0, top, z + 0.12), bike.seat - vector(0, 0.03, 0.0), sides=6)
    parts = {"rack": join(*rails, left, left.mirrored(), front)}
    if kind == "panniers":
        bag = box(
            (0.05, choices.size("bag_height", 0.11, 0.16), choices.size("bag_length", 0.14, 0.2)), bevel=0.012, steps=2
        )
        parts |= both_sides({"pannier": bag.translated(half + 0.022, top - 0.06, z)})
    if kind == "box":
        size = (0.14, choices.size("box_height", 0.12, 0.2) * 0.7, choices.size("box_depth", 0.16, 0.24))
        parts["box"] = box(size, (0, top + size[1] / 2, z), bevel=0.008)
    return parts


def _basket(choices: Choices, size: tuple[float, float, float]) -> Solid:
    """Open basket of wires around the origin, or of solid walls."""
    wide, tall, deep = size
    floor = slab(rounded_rectangle(1.6 * wide, 1.6 * deep, 0.02), -tall / 2, 0.006 - tall / 2)
    if choices.count("wicker", 0, 1):
        walls = [
            box((2 * wide, tall, 0.006), (0, 0, s * deep)).rotated("x", s * 8, about=(0, -tall / 2, s * deep))
            for s in (1, -1)
        ]
        walls += [
            box((0.006, tall, 2 * deep), (s * wide, 0, 0)).rotated("z", -s * 8, about=(s * wide, -tall / 2, 0))
            for s in (1, -1)
        ]
        return join(floor.scaled(1.25, 1, 1.25), *walls)
    rings = []
    for share in np.linspace(0, 1, 4):
        grow = 0.8 + 0.2 * share
        line = rounded_rectangle(2 * grow * wide, 2 * grow * deep, 0.025, steps=2)
        path = np.stack([line[:, 0], np.full(len(line), (share - 0.5) * tall), line[:, 1]], axis=1)
        rings.append(sweep(path, circle(0.0035, sides=6), closed=True))
    low, high = (rounded_rectangle(2 * g * wide, 2 * g * deep, 0.025, steps=1) for g in (0.8, 1.0))
    low, high = (spline(line, steps=2, closed=True) for line in (low, high))
    wires = [
        cylinder(0.0025, (a[0], -tall / 2, a[1]), (b[0], tall / 2, b[1]), sides=5)
        for a, b in zip(low, high, strict=True)
    ]
    return join(floor, *rings, *wires)
