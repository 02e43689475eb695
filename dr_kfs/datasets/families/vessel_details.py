"""Handles, spouts, lids, feet and trim of vessels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import ellipse, rounded_path, rounded_rectangle, spline
from dr_kfs.datasets.primitives import Solid, cylinder, ellipsoid, join, lathe, loft, sweep, torus

if TYPE_CHECKING:
    from dr_kfs.datasets.families.vessel import Wall

__all__ = ["build_details"]


def build_details(choices: Choices, wall: Wall) -> dict[str, Solid]:
    """All parts but the body."""
    parts = _handles(choices, wall) | _spout(choices, wall) | _lid(choices, wall)
    return parts | _foot(choices, wall) | _trim(choices, wall)


def _handles(choices: Choices, wall: Wall) -> dict[str, Solid]:
    kind = choices.style["handle"]
    if kind == "none":
        return {}
    thick = choices.size("handle_thickness", 0.016, 0.034)
    section = ellipse(2.2 * thick, 1.3 * thick, sides=12)
    if kind == "stick":
        radius, y = wall.rim
        length, rise = choices.size("stick_length", 0.35, 0.6), choices.size("stick_rise", 0.0, 0.12)
        path = np.array(
            [(0, 0.8 * y, wall.inside(0.8 * y)), (0, 0.85 * y, radius + 0.06), (0, 0.85 * y + rise, radius + length)]
        )
        grip = limb(path, [0.6 * thick, 0.8 * thick, 1.1 * thick], sides=10)
        return {"handle_0": grip.rotated("y", 180)}
    if kind == "bail":
        return {"handle_0": _bail(choices, wall, thick)}
    if kind == "pair":
        if choices.style["form"] in ("pan", "bucket", "bowl", "jar", "planter"):
            radius, y = wall.rim
            reach = choices.size("lug_reach", 0.04, 0.09)
            y *= 0.86
            radius = wall.radius(y)
            x = np.sqrt(max(wall.inside(y) ** 2 - 0.08**2, 0.0))
            points = [(x, y, 0.08), (radius + reach, y, 0.07), (radius + reach, y, -0.07), (x, y, -0.08)]
            left = sweep(rounded_path(points, 0.04), 0.8 * section)
        else:
            left = _ear(choices, wall, section).rotated("y", -90)
        return {"handle_0": left, "handle_1": left.mirrored()}
    return {"handle_0": _ear(choices, wall, section, square=kind == "square").rotated("y", 180)}


def _ear(choices: Choices, wall: Wall, section: np.ndarray, *, square: bool = False) -> Solid:
    """Loop on the side +z, in the plane x = 0."""
    top = wall.rim[1]
    low, high = choices.size("ear_low", 0.18, 0.4) * top, choices.size("ear_high", 0.7, 0.92) * top
    reach = choices.size("ear_reach", 0.35, 0.6) * (high - low) + 0.02
    a, b = wall.inside(low), wall.inside(high)
    out = max(a, b, wall.radius((low + high) / 2)) + reach
    if square:
        path = rounded_path([(0, low, a), (0, low, out), (0, high, out), (0, high, b)], 0.05)
    else:
        rise = choices.size("ear_rise", -0.05, 0.25) * (high - low)
        knots = [
            (0, low, a),
            (0, low + 0.1 * (high - low), a + 0.5 * reach),
            (0, (low + high) / 2, out - 0.15 * reach),
            (0, high + rise, 0.75 * out + 0.25 * b),
            (0, high, b),
        ]
        path = spline(knots, steps=5)
    return sweep(path, section, up=(0, 1, 0))


def _bail(choices: Choices, wall: Wall, thick: float) -> Solid:
    """Arch over the vessel, from side to side or from front to back."""
    y = 0.9 * wall.rim[1] if choices.style["form"] == "bucket" else 0.72 * wall.rim[1]
    radius = wall.radius(y)
    rise = choices.size("bail_rise", 1.05, 1.7) * radius
    angles = np.linspace(0, np.pi, 19)
    squareness = choices.size("bail_squareness", 0.5, 1.0)
    across = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** squareness
    path = np.stack([0 * angles, y + rise * np.sin(angles) ** squareness, wall.inside(y) * across], axis=1)
    if choices.style["form"] == "bucket":
        fall = np.radians(choices.size("bail_fall", 0, 70))
        path = np.stack([path[:, 2], y + (path[:, 1] - y) * np.cos(fall), (path[:, 1] - y) * np.sin(fall)], axis=1)
    round_ = ellipse(1.6 * thick, 1.0 * thick, sides=10)
    return sweep(path, round_, up=(1, 0, 0) if choices.style["form"] != "bucket" else (0, 0, 1))


def _spout(choices: Choices, wall: Wall) -> dict[str, Solid]:
    kind = choices.style["spout"]
    if kind == "none":
        return {}
    radius, top = wall.rim
    if kind == "lip":
        wide, reach = choices.size("lip_width", 0.3, 0.5) * radius, choices.size("lip_reach", 0.2, 0.45) * radius
        tall = choices.size("lip_height", 0.12, 0.22) * top
        rings = []
        for share in np.linspace(0, 1, 6):
            # A chute: half a ring that widens upwards and leans outwards.
            angles = np.linspace(0, np.pi, 9)
            half, out = wide * (0.25 + 0.75 * share), reach * share**1.5 + 0.004
            y = top - tall * (1 - share) + 0.06 * tall * share
            base = wall.inside(y)
            outer = np.stack([half * np.cos(angles), 0 * angles + y, base + out * np.sin(angles)], axis=1)
            inner = np.stack(
                [0.8 * half * np.cos(angles), 0 * angles + y, base + 0.75 * out * np.sin(angles) - 0.004], axis=1
            )
            rings.append(np.concatenate([outer, inner[::-1]]))
        n = 9
        k = np.arange(n - 1)
        m = 2 * n - 1 - k
        caps = np.concatenate([np.stack([k, k + 1, m - 1], axis=1), np.stack([k, m - 1, m], axis=1)])
        return {"spout": loft(np.stack(rings), caps=caps)}
    low = choices.size("spout_low", 0.25, 0.5) * top
    end = choices.size("spout_high", 0.85, 1.1) * top
    reach = choices.size("spout_reach", 0.5, 0.9) * wall.radius(low) + 0.03
    start = 0.75 * wall.radius(low)
    thick = choices.size("spout_thickness", 0.16, 0.24) * top + 0.008
    if kind == "straight":
        knots = [(0, low, start), (0, (low + end) / 2, start + 0.62 * reach), (0, end, start + 1.25 * reach)]
    else:
        z = np.array([0.0, 0.55, 0.72, 1.2]) * reach + start
        knots = [
            (0, low, z[0]),
            (0, low + 0.12 * (end - low), z[1]),
            (0, low + 0.65 * (end - low), z[2]),
            (0, end, z[3]),
        ]
    path = spline(knots, steps=5)
    scales = np.interp(np.linspace(0, 1, len(path)), [0, 0.4, 1], [1.0, 0.6, 0.36]) * thick
    return {"spout": sweep(path, ellipse(2, 2, sides=14), scales=scales, up=(1, 0, 0))}


def _lid(choices: Choices, wall: Wall) -> dict[str, Solid]:
    kind = choices.style["lid"]
    radius, y = wall.rim
    if kind == "none":
        return {}
    if kind in ("stopper", "cap"):
        tall = choices.size("stopper_height", 0.05, 0.1)
        if kind == "cap":
            return {
                "lid": cylinder(1.12 * radius, (0, y - 0.6 * tall, 0), (0, y + 0.2 * tall, 0), sides=20, bevel=0.004)
            }
        shape = np.array([[0.8, -0.3], [0.9, 0.1], [1.15, 0.15], [1.0, 0.25]]) * (radius, tall)
        ball = ellipsoid((0.9 * radius, 0.45 * tall, 0.9 * radius), (0, y + 0.55 * tall, 0), segments=16, rings=9)
        return {"lid": join(lathe(shape, segments=18).translated(y=y), ball)}
    rise = radius * (choices.size("lid_rise", 0.2, 0.6) if kind == "domed" else 0.06)
    angles = np.linspace(0, np.pi / 2, 8)
    dome = np.stack([1.04 * radius * np.cos(angles), y + 0.012 + rise * np.sin(angles)], axis=1)
    dome[-1, 0] = 0.0
    lid = lathe(np.concatenate([[[1.04 * radius, y - 0.004]], dome]), segments=32)
    size = choices.size("knob_size", 0.1, 0.2) * radius + 0.008
    top = y + 0.012 + rise
    stalk = cylinder(0.4 * size, (0, top - 0.3 * size, 0), (0, top + size, 0), sides=12)
    knob = ellipsoid((size, 0.7 * size, size), (0, top + 1.2 * size, 0), segments=16, rings=9)
    return {"lid": lid, "knob": join(stalk, knob)}


def _foot(choices: Choices, wall: Wall) -> dict[str, Solid]:
    kind = choices.style["foot"]
    radius, y = wall.foot
    if kind == "plain":
        return {}
    if kind == "ring":
        tall = choices.size("foot_height", 0.015, 0.04)
        return {"foot": lathe(np.array([[1.02 * radius, y - tall], [0.9 * radius, y + 0.006]]), segments=32)}
    if kind == "saucer":
        wide = choices.size("saucer_radius", 1.25, 1.6) * wall.profile[:, 0].max()
        rows = np.array([[0.5, 0], [0.55, 0.05], [0.8, 0.08], [1.0, 0.22], [0.99, 0.26], [0.78, 0.13], [0.5, 0.09]])
        return {"saucer": lathe(rows * (wide, 0.5 * wide), segments=36).translated(y=y - 0.045 * wide)}
    if kind == "feet":
        tall, count = choices.size("foot_height", 0.03, 0.08), choices.count("feet_count", 3, 4)
        foot = limb(
            [(0.7 * radius, y + 0.4 * tall, 0), (0.95 * radius, y - 0.3 * tall, 0), (radius, y - tall, 0)],
            [0.5 * tall, 0.35 * tall, 0.22 * tall],
            sides=10,
        )
        return {f"foot_{i}": foot.rotated("y", -90 + 360 * i / count) for i in range(count)}
    tall = (
        choices.size("pedestal_height", 0.12, 0.4)
        if choices.style["form"] == "goblet"
        else choices.size("pedestal_height", 0.05, 0.2)
    )
    wide = choices.size("pedestal_radius", 0.55, 0.85) * wall.profile[:, 0].max()
    stem = min(choices.size("stem_radius", 0.012, 0.035), 0.7 * radius)
    rows = np.array([[wide, 0], [wide, 0.014], [0.6 * wide, 0.03], [1.3 * stem, 0.05], [stem, 0.25 * tall + 0.03]])
    bead = choices.size("stem_bead", 1.0, 2.6)
    rows = np.concatenate([rows, [[bead * stem, 0.55 * tall + 0.01], [stem, 0.8 * tall], [0.9 * radius, tall + 0.01]]])
    rows[:, 1] = np.maximum.accumulate(rows[:, 1] + 1e-4 * np.arange(len(rows)))
    return {"foot": lathe(rows, segments=28).translated(y=y - tall)}


def _trim(choices: Choices, wall: Wall) -> dict[str, Solid]:
    """Rings around the wall, smooth, of beads, or of studs."""
    kind = choices.style["trim"]
    if kind == "none":
        return {}
    top = wall.rim[1]
    size = choices.size("trim_size", 0.006, 0.012)
    parts = {}
    for i in range(choices.count("trim_count", 1, 3)):
        y = top * choices.size(f"trim_level_{i}", 0.12 + 0.28 * i, 0.3 + 0.28 * i)
        radius = wall.radius(y)
        if kind == "bands":
            ring = sweep(_circle(radius, y), rounded_rectangle(1.6 * size, 2.4 * size, 0.4 * size), closed=True)
            parts[f"band_{i}"] = (
                ring if choices.count("flat_bands", 0, 1) else torus(radius, size, segments=36, sides=8).translated(y=y)
            )
            continue
        count = int(np.clip(2 * np.pi * radius / (size * (2.6 if kind == "beads" else 6.0)), 8, 40))
        bead = ellipsoid((size, size, size), (0, y, radius), segments=7, rings=5)
        parts[f"band_{i}"] = join(*[bead.rotated("y", 360 * k / count) for k in range(count)])
    return parts


def _circle(radius: float, y: float) -> np.ndarray:
    angles = np.arange(36) * np.pi / 18
    return np.stack([radius * np.cos(angles), 0 * angles + y, radius * np.sin(angles)], axis=1)
