"""Plants with wood: trees, clipped balls, bushes, vines."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import scattered
from dr_kfs.datasets.families.plant_growth import GOLDEN, Pot
from dr_kfs.datasets.families.plant_leaves import arching, bloom, direction, leaf
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import spline, vector
from dr_kfs.datasets.primitives import Solid, ellipsoid, frustum, lathe, torus

__all__ = ["bush", "topiary", "tree", "vine"]


def tree(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """A trunk, branches, and leaves around their ends."""
    tall, thick = choices.size("trunk_height", 0.26, 0.45), choices.size("trunk_radius", 0.013, 0.026)
    bend = choices.size("trunk_bend", -0.09, 0.09)
    foot = np.array([0.0, pot.soil - 0.015, 0.0])
    trunk = spline(
        [
            foot,
            foot + vector(bend, 0.4 * tall, 0.4 * bend),
            foot + vector(0.2 * bend, 0.75 * tall, -0.3 * bend),
            foot + vector(0.6 * bend, tall, 0),
        ],
        steps=4,
    )
    parts: dict[str, Solid] = {"trunk": limb(trunk, np.linspace(1.5, 0.6, len(trunk)) * thick, sides=10, smooth=False)}
    count, start = choices.count("branches", 4, 8), choices.size("start", 0, 1)
    reach, rise = choices.size("branch_reach", 0.15, 0.28), choices.size("branch_rise", 0.2, 1.0)
    leaves, long, n = choices.count("leaves_per_branch", 5, 9), choices.size("leaf_length", 0.08, 0.16), 0
    for i in range(count):
        a = scattered(start, i)
        place = np.array(
            [np.interp(0.55 + 0.42 * i / count, np.linspace(0, 1, len(trunk)), trunk[:, axis]) for axis in range(3)]
        )
        way = direction(i * GOLDEN, rise * (0.6 + 0.8 * a))
        path = arching(place, way, reach * (0.75 + 0.5 * a), -0.15)
        parts[f"branch_{i}"] = limb(path, np.linspace(0.5, 0.18, len(path)) * thick, sides=7, smooth=False)
        for k in range(leaves):
            share = 0.35 + 0.65 * k / (leaves - 1)
            twig = np.array([np.interp(share, np.linspace(0, 1, len(path)), path[:, axis]) for axis in range(3)])
            out = direction(i * GOLDEN + k * GOLDEN, 0.9 * scattered(start, 7 * i + k) - 0.1)
            parts[f"leaf_{n}"] = leaf(choices, arching(twig, out, long * (0.75 + 0.4 * a), 0.25, steps=6))
            n += 1
        if choices.style["bloom"] == "ball":
            parts[f"bloom_{i}"] = bloom(
                choices,
                path[-1] - vector(0, 0.01, 0),
                np.array([0.0, -1.0, 0.0]),
                choices.size("bloom_size", 0.03, 0.05),
            )
    return parts


def topiary(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Clipped crowns on a straight trunk: balls, a cone, or a spiral."""
    kind = ("balls", "cone", "spiral", "disc")[choices.count("topiary", 0, 3)]
    size, thick = choices.size("crown_size", 0.11, 0.19), choices.size("trunk_radius", 0.01, 0.02)
    bare, waves = choices.size("trunk_height", 0.08, 0.25), choices.size("crown_waves", 0.0, 0.06)
    low = pot.soil + bare

    def clipped(v: np.ndarray) -> np.ndarray:
        """Slight bumps, so that a hedge is not a billiard ball."""
        bump = 1 + waves * np.sin(61 * v[:, :1]) * np.sin(57 * v[:, 1:2]) * np.sin(59 * v[:, 2:])
        return v * (1, 0, 1) * bump + v * (0, 1, 0)

    parts: dict[str, Solid] = {}
    top = low
    if kind == "balls":
        for i in range(choices.count("crowns", 1, 3)):
            r = size * (1 - 0.2 * i)
            ball = ellipsoid((r, r, r), (0, top + 0.92 * r, 0), segments=24, rings=15)
            parts[f"crown_{i}"] = ball.mapped(clipped)
            top += 1.8 * r + (0.06 if i < 2 else 0)
    elif kind == "cone":
        top = low + 3.4 * size
        rows = np.stack([np.linspace(1.0, 0.0, 14) * size, np.linspace(low, top, 14)], axis=1)
        parts["crown_0"] = lathe(rows, segments=24).mapped(clipped)
    elif kind == "disc":
        for i in range(choices.count("crowns", 2, 4)):
            r = size * (1.2 - 0.22 * i)
            parts[f"crown_{i}"] = ellipsoid((r, 0.3 * r, r), (0, top + 0.3 * r, 0), segments=24, rings=11).mapped(
                clipped
            )
            top += 0.6 * r + 0.07
    else:
        turns, top = choices.size("spiral_turns", 2.5, 4.0), low + 3.2 * size
        share = np.linspace(0, 1, 48)
        angle, reach = 2 * np.pi * turns * share, size * (0.72 - 0.6 * share)
        path = np.stack([reach * np.cos(angle), low + (top - low) * share, reach * np.sin(angle)], axis=1)
        parts["crown_0"] = limb(path, np.linspace(0.42, 0.16, 48) * size, sides=12, smooth=False)
    trunk = frustum(1.15 * thick, 0.7 * thick, pot.soil - 0.015, top - 0.4 * size, segments=12)
    return {"trunk": trunk} | parts


def bush(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Several stems with leaves up to their ends."""
    count, tall = choices.count("stems", 4, 8), choices.size("stem_height", 0.3, 0.6)
    start, spread = choices.size("start", 0, 1), choices.size("stem_spread", 0.15, 0.75)
    leaves, long = choices.count("leaves_per_stem", 4, 9), choices.size("leaf_length", 0.1, 0.22)
    droop, stalk = choices.size("leaf_droop", 0.1, 0.6), choices.size("stalk", 0.0, 0.06)
    parts: dict[str, Solid] = {}
    n = 0
    for i in range(count):
        a, b = scattered(start, 2 * i), scattered(start, 2 * i + 1)
        turn, reach = i * GOLDEN, 0.55 * pot.inner * np.sqrt(i / count)
        foot = np.array([reach * np.cos(turn), pot.soil - 0.01, reach * np.sin(turn)])
        path = arching(
            foot, direction(turn, np.pi / 2 - spread * np.sqrt((i + 0.2) / count)), tall * (0.6 + 0.4 * a), 0.12
        )
        parts[f"stem_{i}"] = limb(path, np.linspace(0.007, 0.003, len(path)), sides=6, smooth=False)
        for k in range(leaves):
            share = 0.3 + 0.7 * k / (leaves - 1)
            knot = np.array([np.interp(share, np.linspace(0, 1, len(path)), path[:, axis]) for axis in range(3)])
            way = direction(turn + k * GOLDEN, 0.25 + 0.7 * share * b)
            blade = leaf(choices, arching(knot + stalk * way, way, long * (1.1 - 0.4 * share), droop, steps=6))
            parts[f"leaf_{n}"] = blade
            if stalk > 0.015:
                parts[f"stalk_{n}"] = limb([knot, knot + (stalk + 0.004) * way], [0.0025, 0.002], sides=5, smooth=False)
            n += 1
        if choices.style["bloom"] != "none":
            parts[f"bloom_{i}"] = bloom(
                choices, path[-1], direction(turn, 1.2), choices.size("bloom_size", 0.03, 0.055)
            )
    return parts


def vine(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Runners that fall over the rim; on a trellis or a stake some climb."""
    count, long = choices.count("runners", 5, 10), choices.size("runner_length", 0.3, 0.6)
    start, leaves = choices.size("start", 0, 1), choices.count("leaves_per_runner", 5, 9)
    size, parts, n = choices.size("leaf_length", 0.07, 0.13), {}, 0
    climbing = choices.style["support"] != "none"
    for i in range(count):
        a, turn = scattered(start, i), i * GOLDEN
        out = direction(turn, 0.0)
        if climbing and i % 2 == 0:
            path = arching(
                (0.2 * pot.inner * out[0], pot.soil - 0.01, 0.2 * pot.inner * out[2]),
                direction(turn, 1.35),
                0.4 + 0.15 * a,
                0.0,
            )
        else:
            fall = long * (0.5 + 0.5 * a)
            over = 1.12 * pot.radius * (1.35 if choices.style["pot"] == "square" else 1.0)
            knots = [
                0.4 * pot.inner * out + vector(0, pot.soil - 0.01, 0),
                0.8 * over * out + vector(0, pot.height + 0.05, 0),
                (over + 0.03) * out + vector(0, pot.height - 0.02, 0),
                (over + 0.03 + 0.05 * a) * out + vector(0, pot.height - fall, 0),
            ]
            path = spline(knots, steps=4)
        parts[f"stem_{i}"] = limb(path, np.linspace(0.0045, 0.002, len(path)), sides=6, smooth=False)
        for k in range(leaves):
            share = 0.2 + 0.8 * k / (leaves - 1)
            knot = np.array([np.interp(share, np.linspace(0, 1, len(path)), path[:, axis]) for axis in range(3)])
            way = direction(turn + (k % 2 - 0.5) * 2.4, 0.35)
            parts[f"leaf_{n}"] = leaf(choices, arching(knot, way, size * (1.15 - 0.4 * share), 0.55, steps=6))
            n += 1
        if choices.style["bloom"] != "none" and i % 2:
            parts[f"bloom_{i // 2}"] = bloom(
                choices, path[-1], out + vector(0, 0.3, 0), choices.size("bloom_size", 0.025, 0.045)
            )
    if choices.count("hanging", 0, 1) and not climbing:
        parts |= _hanger(choices, pot)
    return parts


def _hanger(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Three cords from the rim to a ring."""
    top = pot.height + choices.size("hanger_height", 0.35, 0.55)
    parts = {}
    for i in range(3):
        rim = 0.99 * pot.radius * direction(0.5 + i * 2 * np.pi / 3, 0.0) + vector(0, pot.height - 0.01, 0)
        parts[f"cord_{i}"] = limb([rim, (0, top, 0)], [0.0025, 0.0025], sides=6, smooth=False)
    return parts | {"ring": torus(0.022, 0.004, segments=18, sides=6).rotated("x", 90).translated(y=top + 0.02)}
