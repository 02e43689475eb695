"""Plants that grow from the soil itself: rosettes, straps, fronds, palms, cacti, canes, flowers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import scattered
from dr_kfs.datasets.families.plant_leaves import arching, bloom, direction, frond, leaf
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import spline, vector
from dr_kfs.datasets.primitives import Solid, cylinder, ellipsoid, join, lathe, torus

__all__ = ["Pot", "bamboo", "cactus", "fern", "flowers", "palm", "rosette", "straps"]

GOLDEN = 2.399963
"""Angle between successive leaves of many plants [radians]."""


@dataclass(frozen=True)
class Pot:
    """Rim radius and height, soil radius and height, radius of the foot."""

    radius: float
    height: float
    inner: float
    soil: float
    foot: float


def rosette(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Leaves in a spiral from one point, the outer ones flatter."""
    count, long = choices.count("leaves", 12, 32), choices.size("leaf_length", 0.24, 0.44)
    low, droop = np.radians(choices.size("lowest_leaf", 5, 35)), choices.size("leaf_droop", -0.2, 0.45)
    parts = {}
    for i in range(count):
        share = i / (count - 1)
        way = direction(i * GOLDEN, low + (1.45 - low) * share)
        path = arching(
            (0.02 * way[0], pot.soil - 0.006, 0.02 * way[2]), way, long * (1 - 0.45 * share), droop * (1 - 0.7 * share)
        )
        parts[f"leaf_{i}"] = leaf(choices, path, ratio=1.3 if choices.style["leaf"] in ("lance", "strap") else 0.9)
    if choices.style["bloom"] == "spike":
        top = np.array([0.0, pot.soil + 1.1 * long, 0.0])
        parts["stem_0"] = cylinder(0.006, (0, pot.soil, 0), top, sides=8)
        parts["bloom_0"] = bloom(choices, top, np.array([0.0, 1.0, 0.0]), choices.size("bloom_size", 0.03, 0.05))
    return parts


def straps(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Upright blades of different heights."""
    count, long = choices.count("leaves", 6, 16), choices.size("leaf_length", 0.35, 0.7)
    start, lean = choices.size("start", 0, 1), choices.size("blade_lean", 0.05, 0.4)
    droop, parts = choices.size("leaf_droop", 0.0, 0.4), {}
    for i in range(count):
        a, b = scattered(start, 2 * i), scattered(start, 2 * i + 1)
        turn, reach = i * GOLDEN, pot.inner * 0.75 * np.sqrt((i + 0.3) / count)
        foot = (reach * np.cos(turn), pot.soil - 0.01, reach * np.sin(turn))
        way = direction(turn, np.pi / 2 - lean * (0.3 + 0.7 * a) * (0.3 + reach / pot.inner))
        parts[f"leaf_{i}"] = leaf(choices, arching(foot, way, long * (0.55 + 0.45 * b), droop * a, steps=9), ratio=1.2)
    return parts


def fern(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Fronds that arch out of the pot."""
    count, long = choices.count("fronds", 7, 14), choices.size("frond_length", 0.34, 0.55)
    start, droop = choices.size("start", 0, 1), choices.size("frond_droop", 0.3, 0.65)
    parts = {}
    for i in range(count):
        a = scattered(start, i)
        way = direction(i * GOLDEN, 0.9 + 0.5 * a)
        path = arching((0.02 * way[0], pot.soil - 0.01, 0.02 * way[2]), way, long * (0.8 + 0.25 * a), droop, steps=9)
        parts[f"leaf_{i}"] = frond(choices, path)
    return parts


def palm(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """A ringed trunk, perhaps two, with a crown of fronds."""
    parts: dict[str, Solid] = {}
    trunks, n = choices.count("trunks", 1, 2), 0
    for k in range(trunks):
        tall = choices.size("trunk_height", 0.25, 0.5) * (1.0 if k == 0 else 0.7)
        thick = choices.size("trunk_radius", 0.016, 0.032) * (1.0 if k == 0 else 0.8)
        lean = choices.size(f"trunk_lean_{k}", -0.12, 0.12)
        foot = np.array([0.35 * pot.inner * (2 * k - 1) * (trunks - 1), pot.soil - 0.01, 0.0])
        path = spline([foot, foot + vector(0.2 * lean, 0.5 * tall, 0), foot + vector(lean, tall, 0)], steps=8)
        ring = np.where(np.arange(len(path)) % 2 == 0, 1.12, 0.9) * np.linspace(1.25, 0.85, len(path)) * thick
        name = "trunk" if trunks == 1 else f"trunk_{k}"
        parts[name] = limb(path, ring, sides=12, smooth=False)
        count, droop = choices.count("fronds", 7, 12) - 3 * k, choices.size("frond_droop", 0.25, 0.75)
        for i in range(count):
            a = scattered(0.37 * k, i)
            way = direction(i * GOLDEN + k, 0.35 + 0.85 * a)
            line = arching(path[-1] - 0.01 * way, way, choices.size("frond_length", 0.26, 0.42), droop, steps=9)
            parts[f"leaf_{n}"] = frond(choices, line, bare=0.2)
            n += 1
    return parts


def bamboo(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Straight canes with knots, and bunches of slender leaves."""
    count, tall = choices.count("canes", 3, 7), choices.size("cane_height", 0.45, 0.75)
    start, thick = choices.size("start", 0, 1), choices.size("cane_radius", 0.007, 0.015)
    long, parts, n = choices.size("leaf_length", 0.12, 0.22), {}, 0
    for i in range(count):
        a, b = scattered(start, 2 * i), scattered(start, 2 * i + 1)
        turn, reach = i * GOLDEN, 0.75 * pot.inner * np.sqrt((i + 0.4) / count)
        foot = np.array([reach * np.cos(turn), pot.soil - 0.02, reach * np.sin(turn)])
        top = foot + tall * (0.65 + 0.35 * a) * direction(turn, np.pi / 2 - 0.12 * b)
        knots = [foot + (top - foot) * s for s in np.arange(0.15, 0.98, choices.size("knot_gap", 0.12, 0.2))]
        rings = [torus(thick, 0.35 * thick, segments=12, sides=6).translated(*knot) for knot in knots]
        parts[f"stem_{i}"] = join(cylinder(thick, foot, top, sides=10), *rings)
        for k, knot in enumerate(knots[2:]):
            for j in range(2):
                way = direction(turn + 2.2 * k + 2.9 * j, 0.7 - 0.3 * scattered(start, 5 * k + j))
                parts[f"leaf_{n}"] = leaf(choices, arching(knot, way, long * (0.8 + 0.3 * b), 0.35), ratio=0.9)
                n += 1
    return parts


def cactus(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """A ribbed column with arms, a ribbed ball, or flat pads on one another."""
    kind = ("column", "ball", "pads")[choices.count("cactus", 0, 2)]
    ribs, parts = choices.count("ribs", 8, 14), {}
    if kind == "pads":
        return _pads(choices, pot)
    radius = min(choices.size("cactus_radius", 0.05, 0.075), 0.8 * pot.inner)
    tall = choices.size("cactus_height", 0.4, 0.62)
    if kind == "ball":
        radius, tall = 0.95 * pot.inner + 0.02, choices.size("cactus_height", 0.4, 0.62) * 0.6
    share = np.linspace(0, 1, 13)
    around = (
        np.sqrt(np.clip(1 - ((share - 0.5) * 2) ** 2, 0, 1))
        if kind == "ball"
        else np.clip(8 * (1 - share), 0, 1) ** 0.4 * (0.85 + 0.15 * share)
    )
    profile = np.stack([radius * around, pot.soil - 0.01 + tall * share], axis=1)
    profile[0, 0] = max(profile[0, 0], 0.5 * radius)
    profile[-1, 0] = 0.0
    depth = choices.size("rib_depth", 0.1, 0.25)

    def ribbed(v: np.ndarray) -> np.ndarray:
        factor = 1 - depth * (0.5 - 0.5 * np.cos(ribs * np.arctan2(v[:, 2], v[:, 0])))
        return v * np.stack([factor, np.ones(len(v)), factor], axis=1)

    parts["trunk"] = lathe(profile, segments=4 * ribs).mapped(ribbed)
    arms = choices.count("arms", 0, 3) if kind == "column" else 0
    for i in range(arms):
        turn, y = 1.1 + i * GOLDEN, pot.soil + tall * (0.3 + 0.2 * scattered(0.2, i))
        out, thick = direction(turn, 0.0), 0.6 * radius
        bend = [
            out * 0.6 * radius + vector(0, y, 0),
            out * 2.2 * radius + vector(0, y + 0.02, 0),
            out * 2.5 * radius + vector(0, y + 0.3 * tall, 0),
        ]
        parts[f"branch_{i}"] = limb(bend, [thick, thick, 0.9 * thick], sides=14, steps=6)
    if choices.count("spines", 0, 1):
        parts["spines"] = _spines(profile, ribs, radius)
    if choices.style["bloom"] != "none":
        top = np.array([0.0, profile[-1, 1] - 0.006, 0.0])
        parts["bloom_0"] = bloom(choices, top, np.array([0.0, 1.0, 0.0]), choices.size("bloom_size", 0.035, 0.06))
    return parts


def _spines(profile: np.ndarray, ribs: int, radius: float) -> Solid:
    """Thin needles on the ridges."""
    needles = []
    for k in range(ribs):
        for row in range(2, len(profile) - 1, 2):
            r, y = profile[row]
            needle = cylinder(0.0012, (0.95 * r, y, 0), (r + 0.3 * radius, y + 0.012, 0), sides=4)
            needles.append(needle.rotated("y", 360 * k / ribs))
    return join(*needles)


def _pads(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Prickly pear: each pad carries one or two smaller ones."""
    size, flat = choices.size("pad_size", 0.09, 0.13), choices.size("pad_flatness", 0.16, 0.28)
    fork, shrink = choices.size("pad_fork", 28, 50), choices.size("pad_shrink", 0.74, 0.88)
    parts: dict[str, Solid] = {}

    def grow(place: np.ndarray, turn: float, scale: float, depth: int) -> None:
        """Add a pad that stands on `place`, leaning by `turn` [degrees] in the plane of x and y, and its children."""
        s = size * scale
        pad = ellipsoid((0.75 * s, s, flat * s), (0, 0.92 * s, 0), segments=18, rings=11)
        parts[f"pad_{len(parts)}"] = pad.rotated("y", 30 * depth).rotated("z", turn).translated(*place)
        top = place + 1.75 * s * np.array([-np.sin(np.radians(turn)), np.cos(np.radians(turn)), 0.0])
        if depth < choices.count("pad_levels", 1, 3):
            for sign in (1, -1):
                if choices.count(f"pad_child_{len(parts)}", 0, 3):
                    grow(top, turn * 0.5 + sign * fork, scale * shrink, depth + 1)

    grow(np.array([0.0, pot.soil - 0.015, 0.0]), choices.size("pad_lean", -10, 10), 1.0, 0)
    return parts


def flowers(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Stems with a blossom each, and leaves at their feet."""
    count, tall = choices.count("stems", 3, 9), choices.size("stem_height", 0.3, 0.55)
    start, size = choices.size("start", 0, 1), choices.size("bloom_size", 0.04, 0.08)
    spread, parts = choices.size("stem_spread", 0.1, 0.55), {}
    long = choices.size("leaf_length", 0.16, 0.34)
    for i in range(count):
        a, b = scattered(start, 2 * i), scattered(start, 2 * i + 1)
        turn, reach = i * GOLDEN, pot.inner * 0.5 * np.sqrt(i / count)
        foot = np.array([reach * np.cos(turn), pot.soil - 0.01, reach * np.sin(turn)])
        lean = spread * (0.2 + 0.8 * np.sqrt(i / count))
        path = arching(foot, direction(turn, np.pi / 2 - lean), tall * (0.7 + 0.3 * a), 0.1 * b)
        parts[f"stem_{i}"] = limb(path, [0.005] * 6 + [0.0035], sides=6, smooth=False)
        way = direction(turn, np.pi / 2 - lean - choices.size("nod", 0.0, 0.9))
        parts[f"bloom_{i}"] = bloom(choices, path[-1], way, size * (0.8 + 0.3 * b))
    for i in range(choices.count("leaves", 4, 12)):
        way = direction(i * GOLDEN + 0.8, 0.5 + 0.7 * scattered(start, 3 * i))
        line = arching((0.3 * pot.inner * way[0], pot.soil - 0.006, 0.3 * pot.inner * way[2]), way, long, 0.35)
        parts[f"leaf_{i}"] = leaf(choices, line)
    return parts
