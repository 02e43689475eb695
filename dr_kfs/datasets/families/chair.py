"""Chairs, office chairs, stools, rockers: "seat", "leg_0", "bar_0", "back", "slat_0", "arm_left", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.chair_back import Back, back_placement, build_back
from dr_kfs.datasets.families.legs import BARS, LEG_SHAPES, SECTIONS, bars_between, corner_legs, foot_ring
from dr_kfs.datasets.families.placement import both_sides, on_floor
from dr_kfs.datasets.outlines import bow, circle, ellipse, rounded_path, rounded_rectangle, smooth
from dr_kfs.datasets.primitives import (
    Solid,
    box,
    cushion,
    cylinder,
    frustum,
    join,
    lathe,
    slab,
    sweep,
    tube,
)

__all__ = ["OPTIONS", "Seat", "build"]

_CORNER_LEGS = ("four", "rocker")
_BACKED = ("solid", "slatted", "spindles", "rungs", "framed", "curved", "cross", "splat", "oval", "cushioned")
OPTIONS = StyleOptions(
    family="chair",
    code=101,
    options={
        "legs": {
            "four": 10,
            "three": 1,
            "pedestal": 1.2,
            "star": 2,
            "cantilever": 1.2,
            "sled": 1.2,
            "rocker": 1,
            "panel": 0.8,
            "crossed": 0.8,
        },
        "leg_shape": LEG_SHAPES,
        "section": SECTIONS,
        "bars": {**BARS, "ring": 0.6},
        "back": {
            "solid": 2,
            "slatted": 2,
            "spindles": 1.3,
            "rungs": 2,
            "framed": 1.2,
            "curved": 1.2,
            "cross": 1,
            "splat": 1,
            "oval": 0.8,
            "cushioned": 1.2,
            "none": 1.2,
        },
        "arms": {"none": 6, "posts": 2, "loop": 1, "solid": 1, "floating": 0.8},
        "seat": {"square": 2, "rounded": 2, "round": 1.2, "trapezoid": 1.2, "cushioned": 1.5, "dished": 0.8},
        "height": {"normal": 6, "bar": 1, "low": 1},
    },
    requirements=(
        Requirement("bars", ("h", "box", "front_back", "sides", "cross", "stacked"), "legs", _CORNER_LEGS),
        Requirement("bars", ("ring",), "legs", ("four", "three", "pedestal")),
        Requirement("leg_shape", ("tapered", "splayed", "curved", "turned"), "legs", (*_CORNER_LEGS, "three")),
        Requirement("leg_shape", ("curved",), "bars", ("none", "h", "box", "front_back", "sides")),
        Requirement("arms", ("posts", "loop", "solid", "floating"), "back", _BACKED),
        Requirement("height", ("bar",), "legs", ("four", "three", "pedestal", "sled")),
        Requirement("height", ("bar",), "arms", ("none", "floating")),
        Requirement("seat", ("round", "dished"), "arms", ("none", "floating")),
        Requirement("arms", ("solid",), "seat", ("square", "cushioned")),
        Requirement("arms", ("solid",), "back", ("solid", "curved", "cushioned", "framed", "splat")),
        Requirement("arms", ("solid",), "legs", ("four", "panel", "sled", "star", "pedestal", "rocker")),
        Requirement("arms", ("solid",), "bars", ("none",)),
        Requirement("legs", ("cantilever",), "back", _BACKED),
        Requirement("legs", ("sled",), "seat", ("square", "rounded", "trapezoid", "cushioned")),
        Requirement("legs", ("panel", "crossed"), "seat", ("square", "cushioned")),
    ),
)


@dataclass(frozen=True)
class Seat:
    """Where the seat is: outer width and depth, and its top and underside."""

    width: float
    depth: float
    top: float
    bottom: float


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a chair; the seat comes first."""
    heights = {"normal": (0.40, 0.50), "bar": (0.65, 0.78), "low": (0.30, 0.38)}
    low, high = heights[choices.style["height"]]
    top = choices.size("seat_height", low, high)
    width = choices.size("seat_width", 0.40, 0.58)
    depth = width * choices.size("seat_depth_ratio", 0.85, 1.1)
    thick = {"cushioned": (0.07, 0.13), "dished": (0.03, 0.05)}.get(choices.style["seat"], (0.02, 0.07))
    seat = Seat(width, depth, top, top - choices.size("seat_thickness", *thick))
    parts = {"seat": _seat(choices, seat)}
    parts |= _support(choices, seat)
    if choices.style["back"] == "none":
        return on_floor(parts)
    back = back_placement(choices, width, depth, top)
    return on_floor(parts | build_back(choices, back) | _arms(choices, seat, back))


def _seat(choices: Choices, seat: Seat) -> Solid:
    thick, kind = seat.top - seat.bottom, choices.style["seat"]
    if kind == "cushioned":
        pad = cushion(
            (seat.width, 0.75 * thick, seat.depth),
            (0, seat.top - 0.375 * thick, 0),
            power=choices.size("pad", 5, 9),
        )
        board = box(
            (0.94 * seat.width, 0.4 * thick, 0.94 * seat.depth),
            (0, seat.bottom + 0.2 * thick, 0),
            bevel=0.004,
        )
        return join(pad, board)
    if kind == "dished":
        outline = smooth(_trapezoid_outline(seat, 0.85), rounds=2)
        rim = np.array([[s * c, y] for s, y, c in ((0.55, seat.bottom, 1), (1, seat.top - 0.4 * thick, 1))])
        rim = np.array([*rim, [1.0, seat.top], [0.85, seat.top], [0.5, seat.top - 0.3 * thick]])
        dish = lathe(rim, segments=len(outline))
        return dish.mapped(lambda v: _stretch_to(outline, v))
    outlines = {
        "square": rounded_rectangle(seat.width, seat.depth, 0.02),
        "rounded": rounded_rectangle(seat.width, seat.depth, 0.3 * seat.width, steps=6),
        "round": ellipse(seat.width, seat.depth, sides=32),
        "trapezoid": smooth(_trapezoid_outline(seat, choices.size("seat_taper", 0.72, 0.9)), ratio=0.06),
    }
    bevel = choices.size("seat_bevel", 0.1, 0.45) * thick
    return slab(outlines[kind], seat.bottom, seat.top, bevel=bevel, steps=2)


def _trapezoid_outline(seat: Seat, ratio: float) -> np.ndarray:
    """Seat (x, z) wider in front (+z) than behind."""
    w, d = seat.width / 2, seat.depth / 2
    return np.array([[-ratio * w, -d], [ratio * w, -d], [w, d], [-w, d]])


def _stretch_to(outline: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Unit disc vertices stretched so that the unit circle becomes `outline`."""
    angle, radius = np.arctan2(vertices[:, 2], vertices[:, 0]), np.hypot(vertices[:, 0], vertices[:, 2])
    around = np.arctan2(outline[:, 1], outline[:, 0])
    order = np.argsort(around)
    reach = np.hypot(outline[:, 0], outline[:, 1])[order]
    stretch = np.interp(angle, around[order], reach, period=2 * np.pi)
    return np.stack([radius * stretch * np.cos(angle), vertices[:, 1], radius * stretch * np.sin(angle)], axis=1)


def _support(choices: Choices, seat: Seat) -> dict[str, Solid]:
    kind = choices.style["legs"]
    if kind in ("four", "three", "rocker"):
        return _standing_legs(choices, seat)
    if kind in ("pedestal", "star"):
        return _column(choices, seat)
    if kind in ("cantilever", "sled"):
        return _bent_tube(choices, seat)
    thickness = choices.size("leg_thickness", 0.02, 0.045)
    x = 0.5 * seat.width - 0.6 * thickness
    if kind == "panel":
        size = (thickness, seat.bottom + 0.005, seat.depth * 0.96)
        return {
            f"leg_{i}": box(size, (side * x, size[1] / 2, 0), bevel=0.1 * thickness) for i, side in enumerate((1, -1))
        }
    parts = {}
    for i, (side, lean) in enumerate([(1, 1), (1, -1), (-1, 1), (-1, -1)]):
        inward = x - (0.0 if lean > 0 else thickness)
        ends = np.array([[side * inward, 0, -lean * 0.46 * seat.depth], [side * inward, seat.bottom + 0.01, 0]])
        ends[1, 2] = lean * 0.44 * seat.depth
        parts[f"leg_{i}"] = sweep(ends, rounded_rectangle(thickness, 1.3 * thickness, 0.1 * thickness))
    for i, z in enumerate((-0.42, 0.42)):
        ends = np.array([[-x, 0.03, z * seat.depth], [x, 0.03, z * seat.depth]])
        parts[f"bar_{i}"] = sweep(ends, circle(0.4 * thickness, sides=10))
    return parts


def _standing_legs(choices: Choices, seat: Seat) -> dict[str, Solid]:
    thickness = choices.size("leg_thickness", 0.025, 0.06)
    inset = choices.size("leg_inset", 0.0, 0.16) * seat.width + 0.6 * thickness
    shrink = 0.72 if choices.style["seat"] in ("round", "rounded", "dished", "trapezoid") else 1.0
    x, z = (0.5 * seat.width - inset) * shrink, (0.5 * seat.depth - inset) * shrink
    feet = [(x, z), (-x, z), (-x, -z), (x, -z)]
    if choices.style["legs"] == "three":
        feet = [(x, 0.7 * z), (-x, 0.7 * z), (0.0, -z)]
    lift = 0.05 if choices.style["legs"] == "rocker" else 0.0
    top = seat.bottom + min(0.4 * (seat.top - seat.bottom), 0.02)
    parts, legs = corner_legs(choices, feet, top, thickness, bottom=lift)
    if choices.style["bars"] == "ring":
        height = choices.size("bar_height", 0.2, 0.55) * seat.bottom
        radius = max(float(np.hypot(*leg(height)[[0, 2]])) for leg in legs)
        parts["bar_0"] = foot_ring(radius, height, choices.size("ring_thickness", 0.018, 0.03))
    else:
        parts |= bars_between(choices, legs, seat.bottom, thickness)
    if lift:
        curve = choices.size("rocker_curve", 0.08, 0.15)
        section = rounded_rectangle(0.8 * thickness, 0.04, 0.006)
        for side, pair in (("left", (0, 3)), ("right", (1, 2))):
            x = float(legs[pair[0]](lift)[0])
            half = abs(float(legs[pair[0]](lift)[2])) + 0.13
            height = 0.02 + curve
            path = bow((x, height, half), (x, height, -half), (0, -curve, 0), steps=14)
            path[:, 1] += 0.02
            parts[f"rocker_{side}"] = sweep(path, section)
    return parts


def _column(choices: Choices, seat: Seat) -> dict[str, Solid]:
    radius = choices.size("column_radius", 0.018, 0.04)
    reach = choices.size("base_reach", 0.42, 0.55) * max(seat.width, 0.62 * seat.top)
    plate = box((0.5 * seat.width, 0.015, 0.5 * seat.depth), (0, seat.bottom - 0.006, 0), bevel=0.003)
    if choices.style["legs"] == "pedestal":
        profile = np.array([[reach, 0], [reach, 0.015], [0.6 * reach, 0.025], [1.6 * radius, 0.05], [radius, 0.12]])
        profile = np.concatenate([profile, [[radius, seat.bottom]]])
        parts: dict[str, Solid] = {"pedestal": lathe(profile, segments=28), "mount": plate}
        if choices.style["bars"] == "ring":
            height, ring = choices.size("bar_height", 0.2, 0.55) * seat.bottom, 0.42 * seat.width
            parts["bar_0"] = foot_ring(ring, height, choices.size("ring_thickness", 0.018, 0.03))
            parts["bar_1"] = cylinder(0.01, (-ring, height, 0), (ring, height, 0), sides=8)
        return parts
    arms = choices.count("star_arms", 4, 6)
    wheel = choices.size("caster_radius", 0.018, 0.03)
    height = 2.2 * wheel
    parts = {
        "pedestal": join(
            frustum(1.5 * radius, 1.5 * radius, height - 0.01, height + 0.05),
            frustum(radius, 0.8 * radius, height + 0.04, seat.bottom),
        ),
        "mount": plate,
    }
    for i in range(arms):
        degrees = 90 + i * 360 / arms
        path = np.array([[0, height + 0.02, 0], [0.6 * reach, height + 0.012, 0], [reach, height + 0.002, 0]])
        arm = sweep(path, rounded_rectangle(0.04, 0.026, 0.006), scales=np.array([1.0, 0.8, 0.6]))
        parts[f"leg_{i}"] = arm.rotated("y", degrees)
        roll = join(
            cylinder(wheel, (0.94 * reach, wheel, -0.016), (0.94 * reach, wheel, -0.004), sides=14),
            cylinder(wheel, (0.94 * reach, wheel, 0.004), (0.94 * reach, wheel, 0.016), sides=14),
            cylinder(0.006, (0.94 * reach, wheel, 0), (0.94 * reach, height, 0), sides=8),
        )
        parts[f"caster_{i}"] = roll.rotated("y", degrees)
    return parts


def _bent_tube(choices: Choices, seat: Seat) -> dict[str, Solid]:
    """Sled runners, or a cantilever: two bent tubes "leg_0" and "leg_1" and the bars that hold them."""
    radius = choices.size("tube_radius", 0.01, 0.018)
    x, front, back = 0.47 * seat.width - radius, 0.46 * seat.depth, -0.46 * seat.depth
    top, floor = seat.bottom - 0.6 * radius, radius
    lean = choices.size("tube_lean", 0.0, 0.1) * seat.depth
    if choices.style["legs"] == "cantilever":
        points = [(x, top, back), (x, top, front), (x, floor, front + lean), (x, floor, back)]
        ends = [("bar_0", floor, back), ("bar_1", top, 0.6 * back)]
    else:
        points = [(x, top, back), (x, floor, back - lean), (x, floor, front + lean), (x, top, front)]
        ends = [("bar_0", top, 0.8 * back), ("bar_1", top, 0.8 * front)]
    left = tube(rounded_path(points, choices.size("tube_bend", 0.03, 0.1)), radius)
    parts = {"leg_0": left, "leg_1": left.mirrored()}
    for name, y, z in ends:
        parts[name] = cylinder(radius, (-x, y, z), (x, y, z), sides=10)
    return parts


def _arms(choices: Choices, seat: Seat, back: Back) -> dict[str, Solid]:
    """Left arm at +x, and its mirror image."""
    kind = choices.style["arms"]
    if kind == "none":
        return {}
    rise = min(choices.size("arm_height", 0.17, 0.27), 0.85 * back.height)
    width = choices.size("arm_width", 0.03, 0.07)
    y, x = seat.top + rise, seat.width / 2 + 0.2 * width
    front = seat.depth * choices.size("arm_reach", 0.2, 0.42)
    behind = back.place(np.array([[back.width / 2 - 0.01, rise, 0.0]]))[0]
    left: dict[str, Solid] = {}
    if kind == "solid":
        low = 0.6 * seat.bottom
        left["arm"] = box(
            (1.5 * width, y - low, seat.depth + 0.03), (x, (y + low) / 2, -0.015), bevel=0.4 * width, steps=3
        )
    elif kind == "loop":
        under = seat.bottom - 0.006
        points = [
            behind,
            (x, y, 0.3 * behind[2]),
            (x, y, front),
            (x, under, front),
            (0.3 * seat.width, under, front),
        ]
        left["arm"] = tube(rounded_path(points, 0.09), max(0.3 * width, 0.012))
    else:
        path = rounded_path([behind, (x, y, 0.3 * behind[2]), (x, y, front)], 0.15)
        left["arm"] = sweep(path, rounded_rectangle(width, max(0.5 * width, 0.02), 0.3 * width, steps=2))
    if kind == "posts":
        z = min(front - 0.04, (0.12 if choices.style["seat"] == "rounded" else 0.4) * seat.depth)
        foot = (0.46 * seat.width * (0.93 if choices.style["seat"] == "trapezoid" else 1.0), seat.bottom, z)
        left["arm_post"] = cylinder(max(0.25 * width, 0.01), foot, (x, y, z), sides=12)
    if kind == "floating":
        under = seat.bottom - 0.005
        brace = rounded_path([(0.3 * seat.width, under, 0), (x, under, 0), (x, y, 0)], 0.04)
        left["arm_post"] = sweep(brace, rounded_rectangle(0.05, 0.012, 0.004))
    return both_sides(left)
