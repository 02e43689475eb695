"""Chair backs, built flat and upright, then leaned back and curved around the sitter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.outlines import bow, circle, ellipse, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cushion, sheet, sweep
from dr_kfs.datasets.refinement import refine

__all__ = ["Back", "back_placement", "build_back"]


@dataclass(frozen=True)
class Back:
    """Placement of a back built flat: x in -width/2..width/2, y from 0 (the seat) to height, around z = 0."""

    width: float
    height: float
    seat_top: float
    offset: float
    """z where the back meets the seat."""
    lean: float
    """Tangent of the angle to the vertical."""
    curve: float
    """How far the side edges come forward of the middle."""

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """Flat back -> leaned and curved, standing on the seat."""
        x, y, z = vertices.T
        forward = self.curve * (2 * x / self.width) ** 2
        z = z + self.offset + forward - self.lean * np.maximum(y, -0.05)
        return np.stack([x, y + self.seat_top, z], axis=1)


def back_placement(choices: Choices, width: float, depth: float, seat_top: float) -> Back:
    """Where the back stands on a seat `width` by `depth` whose upper face is at `seat_top`."""
    height = choices.size("back_height", 0.32, 0.62)
    lean = np.tan(np.radians(choices.size("back_lean", 2.0, 18.0)))
    curve = choices.size("back_curve", 0.0, 0.05)
    if choices.style["back"] == "curved":
        curve = choices.size("back_wrap", 0.08, 0.2)
    width *= choices.size("back_width", 0.86, 1.0)
    if choices.style["seat"] in ("round", "rounded", "dished", "trapezoid"):
        width *= 0.95 if choices.style["back"] == "curved" else 0.8
    offset = -0.5 * depth + (0.06 * depth if choices.style["seat"] in ("round", "dished") else 0.025)
    if choices.style["height"] == "bar":
        height *= 0.7
    return Back(width, height, seat_top, offset, float(lean), curve)


def build_back(choices: Choices, back: Back) -> dict[str, Solid]:
    """Parts of the back, in place."""
    flat = _FLAT[choices.style["back"]](choices, back.width, back.height)
    longest = 0.1 if back.curve > 0.02 else 0.25
    return {name: refine(solid, longest).mapped(back.place) for name, solid in flat.items()}


def _posts(choices: Choices, width: float, height: float) -> tuple[dict[str, Solid], float]:
    """Uprights "back_post_left" and "back_post_right", and their thickness."""
    thickness = choices.size("post_thickness", 0.022, 0.045)
    x = width / 2 - thickness / 2
    section = circle(thickness / 2, sides=12)
    if choices.style["section"] == "square":
        section = rounded_rectangle(thickness, thickness, 0.12 * thickness)
    path = np.array([[x, -0.04, 0], [x, 0.5 * height, 0], [x, height, 0]])
    tip = choices.size("post_tip", 0.7, 1.0)
    left = sweep(path, section, scales=np.array([1.0, 1.0, tip]), up=(0, 0, 1))
    return {"back_post_left": left, "back_post_right": left.mirrored()}, thickness


def _crest(choices: Choices, width: float, height: float, thickness: float) -> Solid:
    """Top rail, straight or arched."""
    tall = choices.size("crest_height", 0.04, 0.12)
    arch = max(0.0, choices.size("crest_arch", -0.03, 0.05))
    path = bow((-width / 2, height - tall / 2, 0), (width / 2, height - tall / 2, 0), (0, arch, 0), steps=8)
    return sweep(path, rounded_rectangle(0.75 * thickness, tall, 0.2 * thickness))


def _solid(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    thickness = choices.size("back_thickness", 0.015, 0.05)
    radius = choices.size("back_corner", 0.02, 0.45) * min(width, height)
    gap = max(0.0, choices.size("back_gap", -0.08, 0.14))
    panel = sheet(_rounded_rows(width, height - gap, radius), thickness).translated(y=gap)
    if gap < 0.01:
        return {"back": panel.translated(y=-0.01)}
    stay = box((0.045, gap + 0.12, 0.016), (0.28 * width, (gap + 0.04) / 2, -0.3 * thickness), bevel=0.003)
    return {"back": panel, "back_post_left": stay, "back_post_right": stay.mirrored()}


def _cushioned(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    thickness = choices.size("pad_thickness", 0.07, 0.13)
    board = box((0.96 * width, height, 0.03), (0, height / 2 - 0.02, -0.02), bevel=0.01)
    pad = cushion((width, height, thickness), (0, height / 2, 0.25 * thickness), power=5)
    parts = {"back": board, "back_pad": pad}
    if choices.count("headrest", 0, 2) == 0:
        parts["headrest"] = cushion((0.6 * width, 0.12, 0.8 * thickness), (0, height + 0.08, 0), power=4)
        parts["headrest_post"] = box((0.04, 0.12, 0.015), (0, height + 0.03, 0))
    return parts


def _slatted(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    parts, thickness = _posts(choices, width, height)
    parts["rail_top"] = _crest(choices, width, height, thickness)
    parts["rail_bottom"] = box((width, 0.035, 0.7 * thickness), (0, 0.06, 0), bevel=0.004)
    count = choices.count("slats", 3, 8)
    wide = choices.size("slat_width", 0.35, 0.7) * (width - 2 * thickness) / count
    for i, x in enumerate(_spread(count, width - 2 * thickness)):
        size = (wide, height - 0.06, 0.35 * thickness)
        parts[f"slat_{i}"] = box(size, (x, height / 2 + 0.01, 0))
    return parts


def _spindles(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    """Round sticks fanning out between the seat and a crest rail, or under a bow."""
    thickness = choices.size("post_thickness", 0.022, 0.045)
    parts: dict[str, Solid] = {}
    count = choices.count("spindles", 5, 11)
    fan = choices.size("spindle_fan", 0.65, 1.0)
    hooped = choices.count("hooped", 0, 1) == 1
    if hooped:
        angles = np.linspace(0, np.pi, 17)
        hoop = np.stack([np.cos(angles) * width / 2, np.sin(angles) ** 0.6 * height - 0.02, 0 * angles], axis=1)
        parts["rail_top"] = sweep(hoop, circle(0.4 * thickness, sides=10), up=(0, 0, 1))
    else:
        parts["rail_top"] = _crest(choices, width, height, thickness)
    for i, x in enumerate(_spread(count, 0.94 * width)):
        reach = height - 0.02
        if hooped:
            reach = height * max(1 - (2 * x / width) ** 2, 0.05) ** 0.3 - 0.02
        path = np.array([[fan * x, -0.02, 0], [0.5 * (1 + fan) * x, reach / 2, 0], [x, reach, 0]])
        parts[f"slat_{i}"] = sweep(path, circle(0.0075, sides=8), scales=np.array([0.9, 1.3, 0.8]), up=(0, 0, 1))
    return parts


def _rungs(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    parts, thickness = _posts(choices, width, height)
    count = choices.count("rungs", 2, 5)
    tall = choices.size("rung_height", 0.3, 0.65) * height / (count + 1)
    arch = max(0.0, choices.size("rung_arch", -0.03, 0.04))
    for i in range(count):
        y = height * (i + 1.15) / (count + 0.55)
        path = bow((-width / 2, y - tall / 2, 0), (width / 2, y - tall / 2, 0), (0, arch, 0), steps=8)
        parts[f"slat_{i}"] = sweep(path, rounded_rectangle(0.4 * thickness, tall, 0.1 * thickness))
    return parts


def _framed(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    parts, thickness = _posts(choices, width, height)
    parts["rail_top"] = _crest(choices, width, height, thickness)
    low = choices.size("panel_gap", 0.05, 0.18)
    parts["rail_bottom"] = box((width, 0.035, 0.7 * thickness), (0, low, 0), bevel=0.004)
    x = width / 2 - 0.8 * thickness
    rows = np.array([[y, -x, x] for y in np.linspace(low, height - 0.02, 6)])
    parts["back"] = sheet(rows, 0.4 * thickness)
    return parts


def _cross(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    parts, thickness = _posts(choices, width, height)
    parts["rail_top"] = _crest(choices, width, height, thickness)
    low = choices.size("panel_gap", 0.05, 0.18)
    parts["rail_bottom"] = box((width, 0.035, 0.7 * thickness), (0, low, 0), bevel=0.004)
    x, high = width / 2 - thickness, height - 0.05
    bent = choices.size("cross_bow", -0.08, 0.08)
    for i, side in enumerate((1, -1)):
        path = bow((-side * x, low, 0), (side * x, high, 0), (side * bent, 0, 0), steps=8)
        path[:, 2] = side * 0.12 * thickness
        parts[f"slat_{i}"] = sweep(path, rounded_rectangle(0.03, 0.3 * thickness, 0.002), up=(0, 0, 1))
    return parts


def _splat(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    """One wide, waisted board between the uprights."""
    parts, thickness = _posts(choices, width, height)
    parts["rail_top"] = _crest(choices, width, height, thickness)
    wide = choices.size("splat_width", 0.25, 0.45) * width / 2
    waist = choices.size("splat_waist", 0.35, 0.8)
    waves = choices.count("splat_waves", 1, 2)
    y = np.linspace(-0.01, height - 0.02, 17)
    x = wide * (waist + (1 - waist) * (0.5 + 0.5 * np.cos(2 * np.pi * waves * y / height)))
    parts["back"] = sheet(np.stack([y, -x, x], axis=1), 0.4 * thickness, columns=6)
    return parts


def _oval(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    """Medallion: an oval ring around a pad, on two short stays."""
    thickness = choices.size("post_thickness", 0.022, 0.045)
    low = choices.size("panel_gap", 0.05, 0.18)
    tall = height - low
    ring = ellipse(0.96 * width - thickness, tall - thickness, sides=32)
    path = np.stack([ring[:, 0], ring[:, 1] + low + tall / 2, np.zeros(32)], axis=1)
    parts = {"rail_top": sweep(path, circle(thickness / 2, sides=10), up=(0, 0, 1), closed=True)}
    angles = np.radians(np.linspace(-84, 84, 13))
    y, x = low + 0.5 * tall + 0.47 * tall * np.sin(angles), 0.46 * width * np.cos(angles)
    parts["back"] = sheet(np.stack([y, -x, x], axis=1), 0.6 * thickness)
    stay = np.array([[0.3 * width, -0.04, 0], [0.3 * width, low + 0.12 * tall, 0]])
    left = sweep(stay, circle(0.45 * thickness, sides=10), up=(0, 0, 1))
    return parts | {"back_post_left": left, "back_post_right": left.mirrored()}


def _shell(choices: Choices, width: float, height: float) -> dict[str, Solid]:
    """A plate that wraps around the sitter, lower at its sides."""
    thickness = choices.size("back_thickness", 0.015, 0.05)
    drop = choices.size("back_drop", 0.3, 0.8)
    low = choices.size("shell_narrow", 0.7, 1.0)
    share = np.concatenate([[0.0], np.linspace(0.02, 0.98, 13), [1.0]])
    y = -0.01 + height * share
    beyond = np.clip((share - (1 - drop)) / drop, 0, 1)
    x = width / 2 * (low + (1 - low) * np.minimum(2 * share, 1)) * np.sqrt(1 - 0.85 * beyond**2.5)
    return {"back": sheet(np.stack([y, -x, x], axis=1), thickness, columns=14)}


def _rounded_rows(width: float, height: float, radius: float) -> np.ndarray:
    """Rows of a rounded rectangle for `sheet`, standing on y = 0."""
    angles = np.radians(np.linspace(4, 90, 7))
    inset, rise = radius * (1 - np.sin(angles)), radius * (1 - np.cos(angles))
    middle = np.linspace(radius, height - radius, 5)[1:-1]
    y = np.concatenate([rise, middle, height - rise[::-1]])
    x = width / 2 - np.concatenate([inset, np.zeros(3), inset[::-1]])
    return np.stack([y, -x, x], axis=1)


def _spread(count: int, width: float) -> np.ndarray:
    """Centres of `count` equal shares of `width` around 0."""
    return (np.arange(count) + 0.5) / count * width - width / 2


_FLAT: dict[str, Callable[[Choices, float, float], dict[str, Solid]]] = {
    "solid": _solid,
    "cushioned": _cushioned,
    "slatted": _slatted,
    "spindles": _spindles,
    "rungs": _rungs,
    "framed": _framed,
    "cross": _cross,
    "splat": _splat,
    "oval": _oval,
    "curved": _shell,
}
