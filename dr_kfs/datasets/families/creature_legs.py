"""Legs and feet of animals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import vector
from dr_kfs.datasets.primitives import Solid, ellipsoid, frustum, join

if TYPE_CHECKING:
    from dr_kfs.datasets.families.creature import Body

__all__ = ["build_legs"]


def build_legs(choices: Choices, body: Body) -> dict[str, Solid]:
    """Parts "leg_front_left" and "foot_front_left", and so on; bipeds have "leg_left" and "arm_left"."""
    kind = choices.style["body"]
    if kind == "insect":
        return _many(choices, body)
    if kind in ("bird", "theropod"):
        return _two(choices, body)
    splayed = kind in ("lizard", "turtle")
    parts: dict[str, Solid] = {}
    swing = {"stand": 0.05, "walk": 0.3, "run": 0.6}[choices.style["pose"]] * (0.5 if kind == "elephant" else 1.0)
    for row, share in (("front", 0.86), ("back", 0.1)):
        hip, half, high = body.at(share)
        out = (0.95 if splayed else 0.62) * half
        for name, side in (("left", 1), ("right", -1)):
            # The diagonal pairs move together, at a gallop the two of a row.
            phase = (
                side * (1 if row == "front" else -1)
                if choices.style["pose"] != "run"
                else (1 if row == "front" else -0.6)
            )
            step = swing * phase * choices.size(f"step_{row}", 0.6, 1.0) * body.leg
            foot, bones = _bones(choices, body, row, hip, out, high, step, splayed)
            bones[:, 0] *= side
            thick = body.leg_radius * _thickness(choices, row)
            parts[f"leg_{row}_{name}"] = limb(bones, thick, sides=10, steps=3, up=(0, 0, 1))
            parts[f"foot_{row}_{name}"] = _foot(choices, body).translated(side * foot[0], 0.0, foot[2])
    return parts


def _thickness(choices: Choices, row: str) -> np.ndarray:
    """Over the leg's radius, from the hip down."""
    kind = choices.style["body"]
    if kind in ("elephant", "sauropod", "turtle"):
        return np.array([1.35, 1.1, 0.92, 0.95])
    if kind == "pig":
        return np.array([1.9, 1.4, 0.85, 0.75])
    return np.array([2.1, 1.35, 0.8, 0.7]) if row == "front" else np.array([2.7, 1.7, 0.8, 0.7])


def _bones(
    choices: Choices, body: Body, row: str, hip: np.ndarray, out: float, high: float, step: float, splayed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Place of the foot, and the joints from hip to ankle, on the left side."""
    leg = body.leg
    lift = 0.35 * abs(step) if step > 0 and choices.style["pose"] != "stand" and row == "front" else 0.0
    low = 1.1 * body.leg_radius + 0.3 * lift
    top = hip + vector(0, -0.25 * high, 0)
    top[0] = out
    if splayed:
        reach = leg * choices.size("splay", 0.6, 1.0) + 0.3 * out
        knee = np.array([out + 0.62 * reach, top[1] + 0.12 * leg, hip[2] + 0.5 * step])
        foot = np.array([out + reach, low, hip[2] + step + 0.25 * leg])
        return foot, np.stack([top, knee, 0.5 * (knee + foot) + vector(0.02, 0, 0), foot])
    bend = (
        leg * choices.size("leg_bend", 0.04, 0.14) * (0.3 if choices.style["body"] in ("elephant", "sauropod") else 1.0)
    )
    foot = np.array([out * 1.02, low, hip[2] + step + (0.0 if row == "front" else -0.4 * bend)])
    first, second = (-0.6 * bend, 0.5 * bend) if row == "front" else (1.2 * bend, -1.1 * bend)
    knee = top + 0.45 * (foot - top) + vector(0, 0, first)
    ankle = top + 0.76 * (foot - top) + vector(0, 0, second)
    return foot, np.stack([top, knee, ankle, foot])


def _foot(choices: Choices, body: Body) -> Solid:
    """On the floor below the origin, toes towards +z."""
    kind, r = choices.style["feet"], body.leg_radius
    if choices.style["body"] in ("elephant", "sauropod"):
        pad = frustum(1.35 * r, 1.05 * r, 0.0, 1.2 * r, segments=16)
        nails = [
            ellipsoid(
                (0.28 * r, 0.3 * r, 0.2 * r), (1.25 * r * np.sin(a), 0.3 * r, 1.25 * r * np.cos(a)), segments=8, rings=5
            )
            for a in (-0.6, 0.0, 0.6)
        ]
        return join(pad, *nails)
    if kind == "hoof":
        return frustum(1.25 * r, 0.85 * r, 0.0, 1.6 * r, segments=12).translated(z=0.15 * r)
    if kind == "paw":
        pad = ellipsoid((1.15 * r, 0.75 * r, 1.7 * r), (0, 0.72 * r, 0.5 * r), segments=12, rings=7)
        toes = [
            ellipsoid((0.42 * r, 0.5 * r, 0.6 * r), (x * r, 0.48 * r, 1.9 * r), segments=8, rings=5)
            for x in (-0.65, 0.0, 0.65)
        ]
        return join(pad, *toes)
    toes = []
    for turn in (-32, 0, 32):
        toe = limb(
            [(0, 0.9 * r, -0.2 * r), (0, 0.5 * r, 1.6 * r), (0, 0.15 * r, 2.9 * r)],
            [0.62 * r, 0.42 * r, 0.12 * r],
            sides=6,
            steps=2,
        )
        toes.append(toe.rotated("y", turn))
    return join(*toes)


def _two(choices: Choices, body: Body) -> dict[str, Solid]:
    """Two legs under the middle, and the small arms of a theropod."""
    bird = choices.style["body"] == "bird"
    swing = {"stand": 0.03, "walk": 0.28, "run": 0.55}[choices.style["pose"]]
    hip, half, high = body.at(0.42 if bird else 0.34)
    parts: dict[str, Solid] = {}
    r = body.leg_radius
    for name, side in (("left", 1), ("right", -1)):
        step = side * swing * body.leg
        top = hip + vector(side * 0.62 * half, -0.2 * high, 0)
        foot = np.array([side * 0.6 * half, 1.0 * r, hip[2] + step + 0.02])
        knee = top + 0.42 * (foot - top) + vector(side * 0.01, 0, 0.2 * body.leg)
        heel = top + 0.74 * (foot - top) + vector(0, 0, -0.16 * body.leg)
        thick = np.array([3.4 if bird else 2.3, 1.6, 0.75, 0.75]) * r
        parts[f"leg_{name}"] = limb([top, knee, heel, foot], thick, sides=10, steps=3, up=(0, 0, 1))
        toe = _foot(choices, body).scaled(1.5 if bird else 1.0, 1, 1.4 if bird else 1.0)
        if bird:
            spur = limb([(0, 0.8 * r, 0), (0, 0.3 * r, -2.4 * r)], [0.55 * r, 0.2 * r], sides=8, smooth=False)
            toe = join(toe, spur)
        parts[f"foot_{name}"] = toe.translated(foot[0], 0, foot[2])
        if not bird:
            shoulder, wide, tall = body.at(0.82)
            reach = choices.size("arm_length", 0.08, 0.16)
            start = shoulder + vector(side * 0.8 * wide, -0.3 * tall, 0.02)
            elbow = start + vector(side * 0.02, -0.7 * reach, -0.1 * reach)
            hand = elbow + vector(0, -0.1 * reach, 0.7 * reach)
            claws = [
                limb([hand, hand + vector(side * d, -0.02, 0.03)], [0.4 * r, 0.1 * r], sides=6, smooth=False)
                for d in (-0.012, 0.012)
            ]
            parts[f"arm_{name}"] = join(limb([start, elbow, hand], [1.0 * r, 0.65 * r, 0.45 * r], sides=10), *claws)
    return parts


def _many(choices: Choices, body: Body) -> dict[str, Solid]:
    """Six or eight thin legs around the thorax, each with a knee above the body."""
    pairs, parts = choices.count("leg_pairs", 3, 4), {}
    reach, rise = choices.size("leg_reach", 0.25, 0.4), choices.size("knee_rise", 0.04, 0.16)
    middle, half, _ = body.at(0.86)
    for i in range(pairs):
        turn = np.radians(np.linspace(-52, 58, pairs)[i] + (6 if choices.style["pose"] != "stand" and i % 2 else 0))
        for name, side in (("left", 1), ("right", -1)):
            out = np.array([side * np.cos(turn), 0.0, -np.sin(turn)])
            start = middle + 0.7 * half * out
            knee = middle + 0.5 * reach * out + vector(0, rise, 0)
            foot = middle + reach * out
            foot[1] = 0.006
            bones = [start, knee, 0.35 * knee + 0.65 * foot + 0.02 * out, foot]
            radii = body.leg_radius * np.array([1.1, 0.9, 0.6, 0.35])
            parts[f"leg_{name}_{i}"] = limb(bones, radii, sides=8, steps=3)
    return parts
