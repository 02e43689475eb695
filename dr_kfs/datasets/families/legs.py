"""Legs and the bars between them, shared by chairs and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.outlines import circle, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, post, sweep, tube

__all__ = ["BARS", "LEG_SHAPES", "SECTIONS", "Leg", "bars_between", "corner_legs", "foot_ring", "leg_section"]

LEG_SHAPES = {"straight": 3.0, "tapered": 2.0, "splayed": 3.0, "curved": 1.5, "turned": 1.5}
SECTIONS = {"square": 1.0, "round": 1.0}
BARS = {"none": 4.0, "h": 1.5, "box": 1.5, "front_back": 1.0, "sides": 1.0, "cross": 0.8, "stacked": 0.8}

Leg = Callable[[float], np.ndarray]
"""Centre line of a leg: height y -> point (x, y, z)."""


def leg_section(choices: Choices, thickness: float) -> np.ndarray:
    """Horizontal section of the legs, round or square with cut corners."""
    if choices.style["section"] == "round" or choices.style.get("leg_shape") == "turned":
        return circle(thickness / 2, sides=12)
    return rounded_rectangle(thickness, thickness, 0.12 * thickness)


def corner_legs(
    choices: Choices,
    feet: Sequence[tuple[float, float]],
    top: float,
    thickness: float,
    *,
    bottom: float = 0.0,
) -> tuple[dict[str, Solid], list[Leg]]:
    """Legs "leg_0".. from `top` down to the floor below the given places (x, z) under the seat or table top.

    Returns:
        The parts, and each leg's centre line for the bars.
    """
    shape = choices.style["leg_shape"]
    splay = choices.size("leg_splay", 0.06, 0.22) if shape == "splayed" else 0.0
    sway = choices.size("leg_curve", 0.06, 0.14) if shape == "curved" else 0.0
    section = leg_section(choices, thickness)
    count = 3 if shape == "straight" else 13
    heights = np.linspace(bottom, top, 29 if shape == "turned" else count)
    share = (heights - bottom) / (top - bottom)
    scales = _leg_scales(choices, share)
    parts, legs = {}, []
    for i, (x, z) in enumerate(feet):
        leg = _centre_line((x, z), bottom, top, splay, sway)
        parts[f"leg_{i}"] = post(np.stack([leg(y) for y in heights]), section, scales=scales)
        legs.append(leg)
    return parts, legs


def _centre_line(place: tuple[float, float], bottom: float, top: float, splay: float, sway: float) -> Leg:
    outward = np.array([place[0], 0.0, place[1]])
    outward = outward / max(float(np.linalg.norm(outward)), 1e-9)

    def leg(y: float) -> np.ndarray:
        share = (y - bottom) / (top - bottom)
        reach = splay * (top - bottom) * (1 - share) + sway * (top - bottom) * np.sin(2 * np.pi * (share - 0.5))
        return np.array([place[0], y, place[1]]) + reach * outward

    return leg


def _leg_scales(choices: Choices, share: np.ndarray) -> np.ndarray:
    """Thickness along a leg, from the floor (share 0) to the top (share 1)."""
    shape = choices.style["leg_shape"]
    if shape == "straight":
        return np.ones_like(share)
    if shape == "turned":
        beads = choices.count("leg_beads", 2, 5)
        depth = choices.size("leg_bead_depth", 0.15, 0.35)
        wave = 1 - depth * (0.5 + 0.5 * np.cos(2 * np.pi * beads * share))
        return np.where(share > 0.85, 1.05, wave * (0.75 + 0.35 * share))
    tip = choices.size("leg_tip", 0.45, 0.8)
    return tip + (1 - tip) * share


def bars_between(choices: Choices, legs: Sequence[Leg], top: float, thickness: float) -> dict[str, Solid]:
    """Stretcher bars "bar_0".. between four legs given in order around the seat, the first two in front."""
    kind = choices.style["bars"]
    if kind == "none" or len(legs) < 4:
        return {}
    height = choices.size("bar_height", 0.2, 0.55) * top
    step = choices.size("bar_step", -0.08, 0.08) * top
    width = choices.size("bar_thickness", 0.35, 0.75) * thickness
    section = circle(width / 2, sides=10)
    if choices.style["section"] == "square":
        tall = choices.size("bar_ratio", 1.0, 2.2)
        section = rounded_rectangle(width * 0.8, width * tall, 0.1 * width)
    front, left, back, right = (0, 1), (0, 3), (3, 2), (1, 2)
    pairs: dict[str, list[tuple[tuple[int, int], float]]] = {
        "h": [(left, height), (right, height)],
        "box": [(front, height), (back, height), (left, height + step), (right, height + step)],
        "front_back": [(front, height), (back, height)],
        "sides": [(left, height), (right, height)],
        "cross": [((0, 2), height), ((1, 3), height)],
        "stacked": [(pair, y) for pair in (left, right, front) for y in (0.55 * height + 0.02 * top, 1.25 * height)],
    }
    spans = [(legs[a](y), legs[b](y)) for (a, b), y in pairs[kind]]
    if kind == "h":
        spans.append(((spans[0][0] + spans[0][1]) / 2, (spans[1][0] + spans[1][1]) / 2))
    return {f"bar_{i}": sweep(np.stack(span), section) for i, span in enumerate(spans)}


def foot_ring(radius: float, height: float, thickness: float) -> Solid:
    """Round foot rest."""
    angles = np.arange(28) * 2 * np.pi / 28
    path = np.stack([radius * np.cos(angles), np.full(28, height), radius * np.sin(angles)], axis=1)
    return tube(path, thickness / 2, closed=True)
