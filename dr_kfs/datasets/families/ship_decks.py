"""What stands on a ship's deck: houses, funnels, containers, cranes, guns, boats, benches, rails."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.families.ship_hull import Hull
from dr_kfs.datasets.outlines import circle, rounded_rectangle, vector
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, lathe, slab, sweep, tube

__all__ = ["build_decks"]

_HOUSES = {"aft": (0.1, 0.24), "middle": (0.36, 0.6), "stepped": (0.2, 0.7), "low": (0.3, 0.62)}
"""Shares of the length that a house takes."""


def build_decks(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Everything above the deck but masts and sails."""
    parts, top = _house(choices, hull)
    parts |= _funnels(choices, hull, top) | _rails(choices, hull)
    return parts | _CARGO[choices.style["cargo"]](choices, hull)


def _house(choices: Choices, hull: Hull) -> tuple[dict[str, Solid], list[tuple[float, float, float, float]]]:
    """Storeys "cabin_0".. with window strips, and for each its z range, half width and top."""
    kind = choices.style["house"]
    if kind == "none":
        return {}, []
    first, last = _HOUSES[kind]
    shift = choices.size("house_shift", -0.04, 0.06)
    z0, z1 = hull.at(first + shift)[0], hull.at(last + shift)[0]
    deck = max(hull.at(first + shift)[2], hull.at((first + last) / 2)[2]) - 0.006
    tall = choices.size("storey", 0.032, 0.05) * {"tug": 1.5, "motor": 1.3}.get(choices.style["hull"], 1.0)
    span = {"aft": (3, 5), "middle": (1, 4), "stepped": (2, 4), "low": (1, 1)}[kind]
    count = max(choices.count("storeys", *span), 2 if choices.style["hull"] == "warship" else 1)
    if choices.style["hull"] in ("motor", "tug") and kind != "low":
        count = min(count, 2)
    beam = hull.half_span or hull.at((first + last) / 2 + shift)[1]
    wide, cut = choices.size("house_width", 0.6, 0.85) * beam, choices.size("house_step", 0.04, 0.2)
    edge, slope = choices.size("house_edge", 0.004, 0.03), choices.size("house_slope", 0.0, 0.6)
    parts, levels = {}, []
    for i in range(count):
        shrink = 1 - cut * i * (1.0 if kind != "aft" else 0.15)
        length = (z1 - z0) * shrink
        middle = z0 + (z1 - z0) * (0.5 - 0.12 * cut * i)
        low, high = deck + i * tall, deck + (i + 1) * tall
        outline = rounded_rectangle(2 * wide * (0.5 + 0.5 * shrink), length, edge, steps=3)
        block = slab(outline, low, high + 0.002).mapped(
            lambda v, m=middle, b=low: (
                v
                + np.stack([0 * v[:, 0], 0 * v[:, 0], -slope * (v[:, 1] - b) * (v[:, 2] > 0)], axis=1)
                + vector(0, 0, m)
            )
        )
        half = wide * (0.5 + 0.5 * shrink)
        parts[f"cabin_{i}"] = join(block, *_windows(choices, half, length, (low, high), middle))
        roof = slab(outline * 1.06, high - 0.003, high + 0.005).translated(z=middle)
        parts[f"roof_{i}"] = roof
        levels.append((middle - length / 2, middle + length / 2, half, high))
    if choices.count("bridge_wings", 0, 1) and kind in ("aft", "middle") and count > 2:
        z = levels[-1][1] - 0.015
        parts["bridge"] = box((2 * beam, 0.012, 0.025), (0, levels[-1][3] - 0.02, z), bevel=0.003)
    return parts, levels


def _windows(choices: Choices, half: float, length: float, level: tuple[float, float], middle: float) -> list[Solid]:
    """Frames that stand out of both sides by a hair."""
    count = max(2, int(length / choices.size("window_pitch", 0.03, 0.06)))
    tall = 0.45 * (level[1] - level[0])
    places = middle + 0.9 * length * ((np.arange(count) + 0.5) / count - 0.5)
    pane = box((2 * half + 0.006, tall, 0.55 * length / count), (0, level[0] + 0.55 * (level[1] - level[0]), 0))
    return [pane.translated(z=float(z)) for z in places[1:-1]]


def _funnels(choices: Choices, hull: Hull, levels: list[tuple[float, float, float, float]]) -> dict[str, Solid]:
    count = {"none": 0, "one": 1, "two": 2, "three": 3}[choices.style["funnels"]]
    radius, tall = choices.size("funnel_radius", 0.016, 0.028), choices.size("funnel_height", 0.06, 0.12)
    lean, oval = choices.size("funnel_lean", 0.0, 0.35), choices.size("funnel_oval", 1.0, 1.6)
    parts = {}
    for i in range(count):
        back, front, _, top = levels[-1] if count == 1 else levels[0]
        top = max(level[3] for level in levels) if count > 1 else top
        z = back + (front - back) * ((i + 0.5) / count if count > 1 else 0.3)
        floor = max((level[3] for level in levels if level[0] < z < level[1]), default=top) - 0.006
        rim = np.array([[1, 0], [1, 0.8], [1.08, 0.82], [1.08, 0.9], [1, 0.92], [1, 1], [0.8, 1], [0.8, 0.85]]) * (
            radius,
            tall,
        )
        pipe = lathe(rim, segments=18).scaled(z=oval)
        pipe = pipe.mapped(lambda v: v - lean * v[:, 1:2] * np.array([0.0, 0.0, 1.0]))
        parts[f"funnel_{i}"] = pipe.translated(0, floor, z)
    return parts


def _rails(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Along both edges of the deck: a low wall, or posts with two wires."""
    kind = choices.style["rails"]
    if kind == "none":
        return {}
    tall = choices.size("rail_height", 0.022, 0.04)
    edge = np.array([hull.at(share) for share in np.linspace(0.06, 0.95, 22)])
    line = np.stack([0.95 * edge[:, 1], edge[:, 2], edge[:, 0]], axis=1)
    if kind == "wall":
        left = sweep(line + vector(0, tall / 2 - 0.002, 0), rounded_rectangle(0.006, tall, 0.001))
        return both_sides({"rail": left})
    wires = [tube(line + vector(0, level * tall, 0), 0.0016, sides=5) for level in (0.55, 1.0)]
    posts = [cylinder(0.002, p - vector(0, 0.003, 0), p + vector(0, tall, 0), sides=5) for p in line[::2]]
    return both_sides({"rail": join(*wires, *posts)})


def _none(choices: Choices, hull: Hull) -> dict[str, Solid]:
    return {}


def _containers(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Stacks on the free deck, each a little different in height."""
    long, rows = choices.size("container_length", 0.07, 0.1), choices.count("container_rows", 2, 4)
    start, most = choices.size("stack_start", 0, 1), choices.count("stack_height", 1, 4)
    spans = [(0.3, 0.88)] if choices.style["house"] == "aft" else [(0.68, 0.88), (0.05, 0.32)]
    stacks: list[Solid] = []
    for z0, z1 in ((hull.at(first)[0], hull.at(last)[0]) for first, last in spans):
        bays = max(1, int((z1 - z0) / (1.08 * long)))
        for z in z0 + (np.arange(bays) + 0.5) * (z1 - z0) / bays:
            _, beam, deck, _ = hull.beside(z)
            wide = 1.8 * min(beam, hull.beside(z + long / 2)[1]) / rows
            for row in range(rows):
                tall, high = 0.85 * wide, 1 + int((start + 0.618 * len(stacks)) % 1.0 * most)
                x = (row + 0.5 - rows / 2) * wide
                size, steps = (0.96 * wide, 0.97 * tall, 0.95 * long), range(high)
                stacks.append(join(*[box(size, (x, deck + (k + 0.5) * tall - 0.003, float(z))) for k in steps]))
    return {f"container_{i}": solid for i, solid in enumerate(stacks)}


def _cranes(choices: Choices, hull: Hull) -> dict[str, Solid]:
    count = choices.count("cranes", 1, 3)
    lift, tall = np.radians(choices.size("crane_lift", 5, 50)), choices.size("crane_height", 0.09, 0.15)
    first, last = (0.36, 0.84) if choices.style["house"] == "aft" else (0.68, 0.86)
    if choices.style["hull"] == "tug":
        count, first = 1, 0.14 if choices.style["house"] == "middle" else 0.5
    parts = {}
    for i in range(count):
        z, _, deck, _ = hull.at(first + (last - first) * (i + 0.5) / count if count > 1 else first)
        top = np.array([0.0, deck + tall, z])
        reach = choices.size("crane_reach", 0.1, 0.16)
        end = top + reach * np.array([0.0, np.sin(lift), np.cos(lift)])
        post = cylinder(0.012, (0, deck - 0.01, z), top, sides=12, bevel=0.002)
        jib = sweep(
            np.stack([top - vector(0, 0.015, 0), end]),
            rounded_rectangle(0.014, 0.014, 0.002),
            scales=np.array([1.0, 0.5]),
        )
        rope = cylinder(0.0016, end, end - vector(0, 0.7 * (end[1] - deck), 0), sides=5)
        stay = cylinder(0.0016, top + vector(0, 0.012, 0), end, sides=5)
        parts[f"crane_{i}"] = join(post, jib, rope, stay, box((0.03, 0.03, 0.03), top))
        if choices.style["hull"] == "cargo":
            _, beam, _, _ = hull.at(first + (last - first) * (i + 0.5) / count)
            parts[f"hatch_{i}"] = box((1.1 * beam, 0.016, 0.08), (0, deck + 0.004, z + 0.065), bevel=0.003)
    return parts


def _guns(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Turrets fore and aft, or cannon along both sides."""
    if choices.style["hull"] != "warship":
        left, count = {}, choices.count("cannon", 4, 8)
        for i in range(count):
            z, beam, deck, keel = hull.at(0.25 + 0.5 * (i + 0.5) / count)
            y = 0.75 * deck + 0.25 * keel
            left[f"cannon_{i}"] = join(
                cylinder(0.006, (0.7 * beam, y, z), (beam + 0.025, y, z), sides=10),
                box((0.008, 0.026, 0.026), (0.985 * beam, y, z)),
            )
        return both_sides(left)
    parts = {}
    for i, share in enumerate([0.84, 0.12, 0.75][: choices.count("turrets", 1, 3)]):
        z, beam, deck, _ = hull.at(share)
        size = choices.size("turret_size", 0.6, 0.8) * float(np.clip(beam, 0.034, 0.05))
        lift = 0.02 if share == 0.75 else 0.0
        aim, side = 180.0 if share < 0.3 else 0.0, choices.size(f"turret_turn_{i}", -30, 30)
        base = cylinder(0.8 * size, (0, -0.02, 0), (0, 0.01 + lift, 0), sides=16)
        house = box(
            (1.6 * size, 0.8 * size, 1.9 * size), (0, 0.4 * size + lift, 0), bevel=0.2 * size, taper=(0.85, 0.8)
        )
        guns = [
            cylinder(
                0.1 * size,
                (x * size, 0.45 * size + lift, 0.8 * size),
                (x * size, 0.6 * size + lift, 3.2 * size),
                sides=8,
            )
            for x in (-0.4, 0.4)
        ]
        parts[f"turret_{i}"] = join(base, house, *guns).rotated("y", aim + side).translated(0, deck, z)
    return parts


def _boats(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Life boats in davits along both sides."""
    count, left = choices.count("life_boats", 2, 6), {}
    for i in range(count):
        z, beam, deck, _ = hull.at(0.22 + 0.5 * (i + 0.5) / count)
        long = min(0.4 * 0.5 * hull.length / count, 0.05)
        body = ellipsoid((0.012, 0.011, long), (0.93 * beam, deck + 0.035, z), segments=12, rings=9)
        arms = [
            tube(
                np.array(
                    [
                        (0.8 * beam, deck - 0.004, z + d),
                        (0.82 * beam, deck + 0.05, z + d),
                        (0.95 * beam, deck + 0.055, z + d),
                        (0.94 * beam, deck + 0.036, z + d),
                    ]
                ),
                0.0022,
                sides=5,
            )
            for d in (-0.7 * long, 0.7 * long)
        ]
        left[f"boat_{i}"] = join(body, *arms)
    return both_sides(left)


def _benches(choices: Choices, hull: Hull) -> dict[str, Solid]:
    count, parts = choices.count("benches", 2, 4) * (1 if choices.style["hull"] == "rowing" else 3), {}
    for i in range(count):
        z, beam, deck, keel = hull.at(0.16 + 0.66 * (i + 0.5) / count)
        y = deck + 0.3 * (keel - deck)
        half = (beam - hull.floor) * 0.98
        parts[f"bench_{i}"] = box(
            (2 * half, 0.01, 0.03 if choices.style["hull"] == "galley" else 0.05), (0, y, z), bevel=0.002
        )
    return parts


def _barrels(choices: Choices, hull: Hull) -> dict[str, Solid]:
    shape = np.array([[0.8, 0], [1.0, 0.3], [1.0, 0.7], [0.8, 1.0]]) * (0.013, 0.035)
    parts = {}
    for i in range(choices.count("barrels", 2, 5)):
        share = 0.78 + 0.03 * (i // 2)
        z, beam, deck, _ = hull.at(share)
        parts[f"barrel_{i}"] = lathe(shape, segments=12).translated((0.35, -0.35)[i % 2] * beam, deck - 0.002, z)
    if choices.count("coil", 0, 1):
        z, _, deck, _ = hull.at(0.9)
        ring = np.stack(
            [0.02 * np.cos(np.arange(16) * np.pi / 8), 0 * np.arange(16.0), 0.02 * np.sin(np.arange(16) * np.pi / 8)],
            axis=1,
        )
        parts["coil"] = sweep(ring + vector(0, deck + 0.004, z), circle(0.005, sides=8), closed=True)
    return parts


_CARGO = {
    "none": _none,
    "containers": _containers,
    "cranes": _cranes,
    "guns": _guns,
    "boats": _boats,
    "benches": _benches,
    "barrels": _barrels,
}
