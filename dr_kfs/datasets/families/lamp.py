"""Lamps that stand, hang or reach: "base", "stem", "shade", "bulb", "arm_0", "joint_0", "leg_0", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.lamp_shade import SHADES, build_head
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.outlines import rounded_path, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, lathe, sweep, tube

__all__ = ["OPTIONS", "build"]

_BASES = ("disc", "dome", "square", "feet", "step")
OPTIONS = StyleOptions(
    family="lamp",
    code=103,
    options={
        "mount": {"floor": 4, "desk": 4, "pendant": 2, "wall": 1},
        "body": {
            "stem": 3,
            "turned": 2.5,
            "tripod": 1.5,
            "articulated": 2,
            "arc": 1,
            "gooseneck": 1,
            "cord": 2,
            "bracket": 1,
        },
        "heads": {"one": 5, "three": 1, "five": 0.6},
        "shade": SHADES,
        "base": {"disc": 2, "dome": 1.5, "square": 1.5, "feet": 1, "step": 1, "none": 0.5},
        "switch": {"none": 2, "knob": 1, "chain": 1},
    },
    requirements=(
        Requirement("mount", ("pendant",), "body", ("cord",)),
        Requirement("mount", ("wall",), "body", ("bracket",)),
        Requirement("mount", ("floor",), "body", ("stem", "tripod", "articulated", "arc")),
        Requirement("mount", ("desk",), "body", ("stem", "turned", "tripod", "articulated", "gooseneck")),
        Requirement("heads", ("three", "five"), "body", ("stem", "cord")),
        Requirement("heads", ("three", "five"), "shade", ("cone", "bell", "dome", "globe", "spot", "bare", "tulip")),
        Requirement("body", ("articulated", "gooseneck"), "shade", ("cone", "dome", "bell", "spot", "bare")),
        Requirement("body", ("turned", "tripod"), "shade", ("cone", "drum", "bell", "pyramid", "pleated", "globe")),
        Requirement("body", ("arc", "bracket"), "shade", ("cone", "dome", "bell", "globe", "spot", "drum", "pyramid")),
        Requirement("base", _BASES, "body", ("stem", "turned", "articulated", "arc", "gooseneck")),
        Requirement("base", ("none",), "body", ("tripod", "cord", "bracket", "turned")),
        Requirement("base", ("feet",), "body", ("stem", "articulated")),
        Requirement("switch", ("knob",), "body", ("stem", "turned", "articulated", "gooseneck")),
        Requirement("switch", ("knob",), "base", _BASES),
        Requirement("switch", ("chain",), "body", ("stem", "turned", "tripod", "cord")),
        Requirement("switch", ("chain",), "shade", ("cone", "drum", "bell", "pyramid", "pleated", "dome")),
        Requirement("switch", ("chain",), "heads", ("one",)),
    ),
)


@dataclass(frozen=True)
class Head:
    """Where a shade hangs: its upper fitting, and how far it is tipped forward [degrees]."""

    position: np.ndarray
    tip: float = 0.0


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a lamp."""
    spans = {"floor": (0.9, 1.15), "desk": (0.4, 0.65), "pendant": (0.6, 1.0), "wall": (0.4, 0.6)}
    height = choices.size("height", *spans[choices.style["mount"]])
    builders = {
        "stem": _stem,
        "turned": _turned,
        "tripod": _tripod,
        "articulated": _articulated,
        "arc": _arc,
        "gooseneck": _gooseneck,
        "cord": _cord,
        "bracket": _bracket,
    }
    parts, heads = builders[choices.style["body"]](choices, height)
    parts = _base(choices, height) | parts
    if choices.style["heads"] != "one":
        arms, heads = _branches(choices, heads[0], height)
        parts |= arms
    small = 0.55 if len(heads) > 1 else 1.0
    standing = choices.style["body"] in ("stem", "turned", "tripod")
    flip = 180.0 if standing and choices.style["shade"] in ("tulip", "bare", "globe", "lantern") else 0.0
    for i, head in enumerate(heads):
        suffix = f"_{i}" if len(heads) > 1 else ""
        for name, solid in build_head(choices, height, small).items():
            parts[name + suffix] = solid.rotated("x", flip - head.tip).translated(*head.position)
    parts |= _switch(choices, parts, heads[0])
    return parts if choices.style["mount"] in ("pendant", "wall") else on_floor(parts)


def _base(choices: Choices, height: float) -> dict[str, Solid]:
    kind = choices.style["base"]
    if kind == "none":
        return {}
    heavy = 1.25 if choices.style["body"] in ("arc", "articulated") else 1.0
    reach = heavy * (0.1 + choices.size("base_reach", 0.06, 0.13) * height)
    thick = choices.size("base_thickness", 0.015, 0.035)
    if kind == "square":
        return {"base": box((1.7 * reach, thick, 1.7 * reach), (0, thick / 2, 0), bevel=0.25 * thick)}
    if kind == "feet":
        foot = sweep(
            rounded_path([(0, 0.07, 0), (0.5 * reach, 0.05, 0), (1.2 * reach, 0.012, 0)], 0.1),
            rounded_rectangle(0.03, 0.024, 0.006),
        )
        count = choices.count("feet_count", 3, 5)
        hub = {"base": lathe(np.array([[0.03, 0.04], [0.035, 0.07], [0.02, 0.09]]), segments=20)}
        return hub | {f"leg_{i}": foot.rotated("y", 90 + i * 360 / count) for i in range(count)}
    share = np.linspace(0, np.pi / 2, 8)
    profiles = {
        "disc": [[reach, 0], [reach, 0.7 * thick], [0.94 * reach, thick], [0.05, thick], [0.02, 1.6 * thick]],
        "dome": [[reach, 0], *np.stack([reach * np.cos(share), 0.01 + 2.5 * thick * np.sin(share)], 1)[:-1]],
        "step": [
            [reach, 0],
            [reach, thick],
            [0.7 * reach, thick],
            [0.68 * reach, 2 * thick],
            [0.03, 2.3 * thick],
        ],
    }
    return {"base": lathe(np.array(profiles[kind], dtype=np.float64), segments=32)}


def _stem(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    radius = choices.size("stem_radius", 0.008, 0.02)
    rings = choices.count("stem_rings", 0, 3)
    parts: dict[str, Solid] = {"stem": cylinder(radius, (0, 0.01, 0), (0, height, 0), sides=14)}
    for i in range(rings):
        y = height * (0.12 + 0.6 * (i + 0.5) / rings)
        parts[f"ring_{i}"] = ellipsoid((2.0 * radius, 1.2 * radius, 2.0 * radius), (0, y, 0), segments=14, rings=7)
    return parts, [Head(np.array([0.0, height, 0.0]))]


def _turned(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Vase, bottle or stacked balls below the shade."""
    top = 0.72 * height
    wide = choices.size("body_width", 0.06, 0.13) * (0.5 + height)
    kind = choices.count("body_kind", 0, 3)
    share = np.linspace(0, 1, 22)
    belly = choices.size("body_belly", 0.25, 0.65)
    curves = [
        np.exp(-(((share - belly) / 0.26) ** 2)),
        np.where(share < 0.62, 1.0, np.clip(1 - 6 * (share - 0.62), 0.0, 1.0)),
        np.abs(np.sin(np.pi * choices.count("body_balls", 2, 4) * share)) ** 0.7,
        1 - share**0.6,
    ]
    radius = np.maximum(wide * curves[kind], 0.16 * wide) * (1.0 - 0.25 * choices.size("body_taper", 0, 1) * share)
    profile = np.stack([radius, 0.008 + share * (top - 0.008)], axis=1)
    neck = cylinder(max(0.14 * wide, 0.008), (0, top - 0.01, 0), (0, height, 0), sides=12)
    return {"body": lathe(profile, segments=28), "stem": neck}, [Head(np.array([0.0, height, 0.0]))]


def _tripod(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    hub = height * choices.size("hub_height", 0.66, 0.8)
    reach = height * choices.size("leg_reach", 0.2, 0.34)
    radius = choices.size("leg_radius", 0.009, 0.018)
    parts: dict[str, Solid] = {
        "hub": lathe(np.array([[0.025, hub - 0.03], [0.04, hub], [0.03, hub + 0.025]]), segments=18),
        "stem": cylinder(0.011, (0, hub, 0), (0, height, 0), sides=12),
    }
    path = np.array([[0.02, hub + 0.005, 0], [reach, 0.0, 0]])
    for i in range(3):
        leg = sweep(path, rounded_rectangle(2 * radius, 2 * radius, 0.6 * radius), scales=np.array([1.0, 0.65]))
        parts[f"leg_{i}"] = leg.rotated("y", -90 + 120 * i)
    if choices.count("leg_ring", 0, 1):
        y = 0.35 * hub
        angles = np.arange(24) * np.pi / 12
        distance = 0.02 + (reach - 0.02) * (1 - y / hub)
        ring = np.stack([distance * np.cos(angles), 0 * angles + y, distance * np.sin(angles)], axis=1)
        parts["bar_0"] = tube(ring, 0.5 * radius, sides=8, closed=True)
    return parts, [Head(np.array([0.0, height, 0.0]))]


def _articulated(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Desk or floor lamp with two straight arms and joints, in the plane x = 0, reaching forward."""
    radius = choices.size("arm_radius", 0.006, 0.012)
    foot = np.array([0.0, 0.35 * height if choices.style["mount"] == "floor" else 0.05, 0.0])
    rise = height - foot[1]
    lower, upper = choices.size("lower_lean", -40, -8), choices.size("upper_lean", 30, 75)
    elbow = foot + 0.65 * rise * np.array([0, np.cos(np.radians(lower)), np.sin(np.radians(lower))])
    reach = 0.6 * rise * np.array([0, np.cos(np.radians(upper)), np.sin(np.radians(upper))])
    head = elbow + reach
    gap = choices.size("rod_gap", 0.008, 0.018) * choices.count("double_rods", 0, 1)
    parts: dict[str, Solid] = {"stem": cylinder(1.6 * radius, (0, 0.01, 0), foot, sides=12)}
    for i, (a, b) in enumerate(((foot, elbow), (elbow, head))):
        rods = [cylinder(radius * (0.6 if gap else 1.0), a + s, b + s, sides=10) for s in _offsets(gap)]
        parts[f"arm_{i}"] = join(*rods)
    for i, joint in enumerate((foot, elbow, head)):
        half = np.array([gap + 1.6 * radius, 0.0, 0.0])
        parts[f"joint_{i}"] = cylinder(2.2 * radius, joint - half, joint + half, sides=14, bevel=0.3 * radius)
    return parts, [Head(head, choices.size("shade_tip", -10, 45))]


def _offsets(gap: float) -> list[np.ndarray]:
    return [np.zeros(3)] if gap == 0 else [np.array([gap, 0.0, 0.0]), np.array([-gap, 0.0, 0.0])]


def _arc(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Great arc over the reader: the base stands behind, the shade hangs in front."""
    reach = choices.size("arc_reach", 0.5, 0.8) * height
    drop = choices.size("arc_drop", 0.12, 0.3) * height
    angles = np.linspace(np.pi, np.radians(choices.size("arc_end", 15, 50)), 20)
    y = 0.5 * height + 0.5 * height * np.sin(angles)
    z = 0.5 * reach * (1 + np.cos(angles))
    path = np.concatenate([[[0, 0.01, 0]], np.stack([0 * z, y, z], axis=1)])
    end = path[-1]
    head = end - np.array([0.0, min(drop, 0.4 * end[1]), 0.0])
    radius = choices.size("stem_radius", 0.008, 0.02) * 0.7
    return {"stem": tube(path, radius), "cord": cylinder(0.004, end, head, sides=8)}, [Head(head)]


def _gooseneck(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    reach = choices.size("neck_reach", 0.3, 0.6) * height
    dip = choices.size("neck_dip", 0.05, 0.25) * height
    points = [
        (0, 0.01, 0),
        (0, 0.6 * height, -0.05),
        (0, 1.05 * height, 0.3 * reach),
        (0, height - dip, reach),
    ]
    share = np.linspace(0, 1, 18)[:, None]
    a, b, c, d = (np.array(point) for point in points)
    path = (1 - share) ** 3 * a + 3 * share * (1 - share) ** 2 * b + 3 * share**2 * (1 - share) * c + share**3 * d
    radius = choices.size("stem_radius", 0.008, 0.02) * 0.8
    return {"stem": tube(path, radius)}, [Head(path[-1], choices.size("shade_tip", -10, 45))]


def _cord(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Ceiling canopy at y = height, and a cord or rod to the shade."""
    length = choices.size("cord_length", 0.35, 0.7) * height
    canopy = lathe(np.array([[0.01, height - 0.04], [0.055, height - 0.02], [0.06, height]]), segments=20)
    cord = cylinder(choices.size("cord_radius", 0.003, 0.008), (0, height - 0.02, 0), (0, height - length, 0), sides=8)
    return {"canopy": canopy, "cord": cord}, [Head(np.array([0.0, height - length, 0.0]))]


def _bracket(choices: Choices, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Plate on the wall z = 0 and an arm that carries the shade forward."""
    reach = choices.size("bracket_reach", 0.24, 0.36)
    tall = choices.size("plate_height", 0.12, 0.24)
    plate = box((0.6 * tall, tall, 0.02), (0, 0.55 * height, 0.01), bevel=0.006)
    rise = choices.size("bracket_rise", 0.05, 0.2)
    start, end = np.array([0, 0.55 * height, 0.015]), np.array([0, 0.55 * height + rise, reach])
    path = rounded_path([start, (0, start[1], reach), end], 0.2)
    scroll = choices.count("bracket_scroll", 0, 1)
    parts: dict[str, Solid] = {"base": plate, "arm_0": tube(path, 0.009)}
    if scroll:
        brace = rounded_path([(0, start[1] - 0.4 * tall, 0.015), (0, start[1] - 0.3 * tall, 0.6 * reach), path[5]], 0.2)
        parts["arm_1"] = tube(brace, 0.006, sides=8)
    return parts, [Head(end)]


def _branches(choices: Choices, head: Head, height: float) -> tuple[dict[str, Solid], list[Head]]:
    """Several arms from the stem's top, or from the cord's end, each with its own shade."""
    count = {"three": 3, "five": 5}[choices.style["heads"]]
    reach = choices.size("branch_reach", 0.17, 0.28)
    rise = choices.size("branch_rise", 0.0, 0.08)
    x, y, z = head.position
    profile = np.array([[0.012, y - 0.05], [0.03, y - 0.03], [0.03, y - 0.01], [0.012, y + 0.015]])
    parts: dict[str, Solid] = {"hub": lathe(profile, segments=18)}
    heads = []
    points = [(0, y - 0.02, 0), (0.5 * reach, y - 0.1, 0), (reach, y - 0.08, 0), (reach, y + rise, 0)]
    arm = tube(rounded_path(points, 0.12), choices.size("branch_radius", 0.006, 0.01), sides=8)
    for i in range(count):
        degrees = -90 + i * 360 / count
        parts[f"arm_{i}"] = arm.rotated("y", degrees).translated(x, 0, z)
        angle = np.radians(degrees)
        heads.append(Head(np.array([x + reach * np.cos(angle), y + rise, z - reach * np.sin(angle)])))
    return parts, heads


def _switch(choices: Choices, parts: dict[str, Solid], head: Head) -> dict[str, Solid]:
    kind = choices.style["switch"]
    if kind == "none":
        return {}
    if kind == "knob":
        low, high = parts["base"].vertices.min(axis=0), parts["base"].vertices.max(axis=0)
        if choices.style["base"] == "feet":
            return {"switch": cylinder(0.01, (0, 0.06, 0.02), (0, 0.06, 0.06), sides=12, bevel=0.002)}
        y, z = low[1] + 0.4 * (high[1] - low[1]), 0.62 * high[2]
        return {"switch": cylinder(0.014, (0, y, z), (0, high[1] + 0.012, z), sides=14, bevel=0.003)}
    x, y, z = head.position + np.array([0.03, 0.0, 0.0])
    low = parts["shade"].vertices[:, 1].min() - 0.06
    ball = ellipsoid((0.009, 0.012, 0.009), (x, low, z), segments=10, rings=7)
    return {"chain": join(cylinder(0.0025, (x, y, z), (x, low, z), sides=6), ball)}
