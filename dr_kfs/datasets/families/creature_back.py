"""What animals carry on their backs: plates, spikes, humps, manes, shells, wings."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.open_surfaces import membrane
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import spline, vector
from dr_kfs.datasets.primitives import Solid, ellipsoid, extrude, join

if TYPE_CHECKING:
    from dr_kfs.datasets.families.creature import Body

__all__ = ["build_back"]


def build_back(choices: Choices, body: Body) -> dict[str, Solid]:
    """Parts "plate_0", "spike_0", "hump_0", "mane", "shell", "wing_left", ..."""
    kind = choices.style["back"]
    if kind == "plain":
        return {}
    if kind in ("plates", "spikes"):
        return _plates(choices, body)
    if kind == "humps":
        count, parts = choices.count("humps", 1, 2), {}
        for i in range(count):
            place, half, high = body.at(0.5 if count == 1 else (0.28, 0.68)[i])
            tall = choices.size("hump_height", 0.5, 0.9) * high
            parts[f"hump_{i}"] = ellipsoid(
                (0.6 * half, tall, 0.1 / count + 0.04), place + vector(0, 0.8 * high, 0), segments=16
            )
        return parts
    if kind == "mane":
        return _mane(choices, body)
    if kind == "shell":
        return _shell(choices, body)
    if choices.style["body"] == "bird":
        return _feathered(choices, body)
    return _leathery(choices, body)


def _plates(choices: Choices, body: Body) -> dict[str, Solid]:
    """Upright blades, or cones, along the spine."""
    count, size = choices.count("plates", 5, 10), choices.size("plate_size", 0.06, 0.12)
    pointed, twin = choices.size("plate_point", 0.2, 0.8), choices.count("plate_rows", 1, 2)
    parts = {}
    for i in range(count):
        share = 0.06 + 0.88 * i / (count - 1)
        place, half, high = body.at(share)
        tall = size * (0.5 + 0.5 * np.sin(np.pi * (0.15 + 0.7 * share)))
        side = (i % 2 - 0.5) * 0.5 * half * (twin - 1)
        foot = place + vector(side, 0.88 * high, 0)
        if choices.style["back"] == "spikes":
            solid = limb(
                [(0, 0, 0), (0, 0.6 * tall, -0.1 * tall), (0, tall, -0.35 * tall)],
                [0.22 * tall, 0.13 * tall, 0.02 * tall],
                sides=8,
                steps=3,
            )
        else:
            outline = (
                np.array(
                    [
                        (-0.3, -0.15),
                        (0.3, -0.15),
                        (0.5, 0.35),
                        (0.22 * (1 - pointed), 1.0),
                        (-0.22 * (1 - pointed), 1.0),
                        (-0.5, 0.35),
                    ]
                )
                * tall
            )
            solid = extrude(outline, 0.16 * tall, bevel=0.04 * tall).rotated("y", 90).rotated("z", 14 * np.sign(-side))
        parts[f"{choices.style['back'][:-1]}_{i}"] = solid.translated(*foot)
    return parts


def _mane(choices: Choices, body: Body) -> dict[str, Solid]:
    """A crest along the neck, or a ruff of locks around the head."""
    base, _, high = body.at(0.86)
    start, end = (
        base + vector(0, 0.8 * high, -0.02),
        body.head + vector(0, 0.35 * body.head_size, -0.3 * body.head_size),
    )
    if choices.style["body"] in ("cat", "hound"):
        count, size = choices.count("locks", 10, 16), choices.size("lock_length", 0.7, 1.1) * body.head_size
        centre = body.head + vector(0, -0.1 * body.head_size, -0.38 * body.head_size)
        lock = limb(
            [(0, 0.3 * size, 0), (0, 0.7 * size, -0.05 * size), (0, size, -0.25 * size)],
            [0.2 * size, 0.17 * size, 0.04 * size],
            sides=6,
            steps=2,
        )
        return {"mane": join(*[lock.rotated("z", 360 * k / count).translated(*centre) for k in range(count)])}
    tall, count = choices.size("mane_height", 0.03, 0.06), choices.count("locks", 6, 12)
    line = np.linspace(0, 1, count)[:, None] * (end - start) + start
    across = np.cross((1.0, 0, 0), end - start)
    across = across / np.linalg.norm(across)
    across = across if across[1] > 0 or across[2] < 0 else -across
    locks = [
        limb(
            [p - 0.5 * tall * across, p + 0.4 * tall * across, p + tall * across + vector(0, -0.3 * tall, 0)],
            [(0.014, 0.02), (0.01, 0.024), (0.004, 0.008)],
            sides=6,
            steps=2,
        )
        for p in line
    ]
    return {"mane": join(*locks)}


def _shell(choices: Choices, body: Body) -> dict[str, Solid]:
    """A dome with knobs, or two wing cases that meet along the back."""
    if choices.style["body"] == "insect":
        middle, half, high = body.at(0.3)
        case = ellipsoid((0.62 * half, high, 0.2), segments=18, rings=13)
        opening = choices.size("case_opening", 0, 25)
        left = case.rotated("y", opening, about=(0, 0, 0.18)).translated(
            0.52 * half, middle[1] + 0.35 * high, middle[2]
        )
        return both_sides({"shell": left})
    middle, half, high = body.at(0.5)
    tall = choices.size("shell_height", 0.1, 0.2)
    long = 0.62 * float(np.ptp(body.spine[:, 2])) + 0.02
    wide = 1.25 * half
    # The lower half is nearly flat.
    dome = ellipsoid((wide, tall, long), segments=28, rings=17).mapped(
        lambda v: v * np.where(v[:, 1:2] > 0, 1.0, (1.0, 0.12, 1.0))
    )
    size = choices.size("knob_size", 0.0, 0.05)
    pieces = [dome]
    for level, count in ((0.25, 1), (0.6, 6)):
        for k in range(count if size > 0.012 else 0):
            angle, reach = 2 * np.pi * (k + 0.5) / count, (0.0 if count == 1 else level)
            place = np.array([wide * reach * np.cos(angle), tall * np.sqrt(1 - reach**2), long * reach * np.sin(angle)])
            pieces.append(ellipsoid((size, 0.5 * size, size), place - vector(0, 0.15 * size, 0), segments=6, rings=5))
    return {"shell": join(*pieces).translated(*middle)}


def _feathered(choices: Choices, body: Body) -> dict[str, Solid]:
    """Wings folded along the body, or spread."""
    place, half, high = body.at(0.68)
    root = place + vector(0.75 * half, 0.35 * high, 0)
    if choices.count("wings_spread", 0, 1) == 0:
        back, _, _ = body.at(0.05)
        end = back + vector(0.75 * half, 0.2 * high, -0.12)
        blade = limb(
            [root + vector(0.01, -0.02, 0.04), 0.5 * (root + end) + vector(0.022, 0, 0), end],
            [(0.02, 0.06), (0.022, 0.07), (0.006, 0.014)],
            sides=14,
            steps=5,
        )
        return both_sides({"wing": blade})
    span, rise = choices.size("wing_span", 0.32, 0.5), np.radians(choices.size("wing_rise", -5, 35))
    chord = choices.size("wing_chord", 0.12, 0.2)
    out = np.array([np.cos(rise), np.sin(rise), 0.0])
    wrist = root + 0.45 * span * out + vector(0, 0.03, 0.03)
    tip = root + span * out - vector(0, 0, 0.06)
    arm = limb([root - 0.3 * half * out, wrist, tip], [0.028, 0.02, 0.006], sides=10, steps=5)
    count, feathers = choices.count("feathers", 7, 12), []
    line = spline([root, wrist, tip], steps=8)
    for k in range(count):
        share = (k + 0.5) / count
        foot = np.array([np.interp(share * 16, range(17), line[:, axis]) for axis in range(3)])
        long = chord * (1.0 - 0.25 * share)
        feather = ellipsoid((0.62 * span / count, 0.003, 0.55 * long), (0, 0, -0.45 * long), segments=8, rings=7)
        feathers.append(
            feather.rotated("y", -55 * max(share - 0.45, 0)).rotated("z", float(np.degrees(rise))).translated(*foot)
        )
    return both_sides({"wing": join(arm, *feathers)})


def _leathery(choices: Choices, body: Body) -> dict[str, Solid]:
    """Bat's wings, or an insect's: fingers, and open skins between them."""
    place, half, high = body.at(0.78 if choices.style["body"] != "insect" else 0.86)
    root = place + vector(0.5 * half, 0.6 * high, 0)
    span, rise = choices.size("wing_span", 0.3, 0.5), choices.size("wing_rise", 0.15, 0.8)
    if choices.style["body"] == "insect":
        left = {}
        for i, sweep_ in enumerate((0.25, 0.75)[: choices.count("wing_pairs", 1, 2)]):
            share = np.linspace(0, 1, 9)
            line = root + np.stack(
                [0.8 * span * share, rise * 0.3 * span * share, -sweep_ * span * share - 0.02 * i], axis=1
            )
            wide = 0.2 * span * np.sqrt(np.sin(np.pi * np.clip(0.05 + 0.93 * share, 0, 1))) * share**0.3
            left[f"wing_{i}"] = membrane(
                np.stack([line + wide[:, None] * (0.25, 0, 1.0), line - wide[:, None] * (0.25, 0, 1.0)], axis=1)
            )
        return both_sides(left)
    wrist = root + span * np.array([0.42, rise, 0.08])
    tips = [
        root + span * np.array(tip)
        for tip in ((1.0, rise + 0.12, -0.1), (0.9, rise - 0.3, -0.42), (0.55, rise - 0.5, -0.66))
    ]
    anchor = body.at(0.3)[0] + vector(0.6 * half, 0.5 * high, 0)
    fingers = [limb([root - vector(0.3 * half, 0.2 * high, 0), wrist], [0.02, 0.012], sides=8, smooth=False)]
    fingers += [
        limb([wrist, 0.5 * (wrist + tip) + vector(0, 0.03 * span, 0), tip], [0.009, 0.007, 0.003], sides=6, steps=4)
        for tip in tips
    ]
    edges = [spline([wrist, 0.5 * (wrist + tip) + vector(0, 0.03 * span, 0), tip], steps=4) for tip in tips]
    edges.append(np.linspace(wrist, anchor, 9))
    left = {"wing_arm": join(*fingers)}
    for i, (a, b) in enumerate(pairwise(edges)):
        across = np.linspace(0, 1, 6)[None, :, None]
        grid = a[:, None] * (1 - across) + b[:, None] * across
        # The free edge hangs back between two fingers.
        scallop = 1 - 0.22 * np.sin(np.pi * across) * np.linspace(0, 1, 9)[:, None, None]
        left[f"wing_{i}"] = membrane(wrist + (grid - wrist) * scallop)
    return both_sides(left)
