"""Lamp heads: a shade hung from the origin downwards, its fitting and its bulb."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.primitives import Solid, cylinder, ellipsoid, join, lathe, shell_of_revolution

__all__ = ["SHADES", "build_head"]

SHADES = {
    "cone": 3,
    "drum": 2,
    "dome": 1.5,
    "globe": 1.5,
    "bell": 1.5,
    "spot": 1,
    "pyramid": 1,
    "pleated": 0.8,
    "tulip": 0.6,
    "lantern": 0.6,
    "bare": 0.4,
}


def build_head(choices: Choices, height: float, small: float) -> dict[str, Solid]:
    """Parts "shade", "socket", "bulb", "spider" and "finial" around the fitting at the origin, hanging down.

    Args:
        choices: style and sizes of the lamp.
        height: of the whole lamp; larger lamps have larger shades.
        small: factor for one shade of several.
    """
    kind = choices.style["shade"]
    radius = small * choices.size("shade_radius", 0.11, 0.2) * (0.6 + 0.45 * height)
    tall = choices.size("shade_height", 0.75, 1.5) * radius
    socket = cylinder(0.2 * radius, (0, 0.03 * radius, 0), (0, -0.4 * radius, 0), sides=14, bevel=0.02 * radius)
    bulb = ellipsoid((0.22 * radius, 0.3 * radius, 0.22 * radius), (0, -0.6 * radius, 0), segments=14, rings=9)
    parts: dict[str, Solid] = {"socket": socket, "bulb": bulb}
    if kind == "bare":
        large = 0.5 * radius
        parts["bulb"] = ellipsoid((large, large, large), (0, -0.35 * radius - large, 0))
        return parts
    if kind in ("globe", "lantern"):
        flat = choices.size("globe_ratio", 0.7, 1.1)
        return {"socket": socket, "shade": _ball(radius, flat, ridged=kind == "lantern")}
    parts["shade"] = _shade(choices, kind, radius, tall)
    if kind in ("cone", "drum", "pyramid", "pleated"):
        lift = choices.size("shade_lift", 0.1, 0.4) * tall
        parts["shade"] = parts["shade"].translated(y=lift)
        top = parts["shade"].vertices[:, 1].max() - 0.01
        rim = 0.98 * _top_radius(parts["shade"])
        parts["spider"] = join(
            cylinder(0.004, (-rim, top, 0), (rim, top, 0), sides=6),
            cylinder(0.004, (0, top, -rim), (0, top, rim), sides=6),
            cylinder(0.004, (0, -0.01, 0), (0, top, 0), sides=6),
        )
        parts["finial"] = ellipsoid((0.012, 0.018, 0.012), (0, top + 0.012, 0), segments=12, rings=7)
    return parts


def _top_radius(shade: Solid) -> float:
    """Distance from the axis to the shade's upper rim along x, where the ends of the spider meet it."""
    rim = shade.vertices[shade.vertices[:, 1] > shade.vertices[:, 1].max() - 1e-6]
    return float(np.hypot(rim[:, 0], rim[:, 2]).max()) * (0.72 if len(rim) <= 8 else 1.0)


def _shade(choices: Choices, kind: str, radius: float, tall: float) -> Solid:
    """The shade's wall, from y = 0 down to -tall."""
    narrow = choices.size("shade_narrow", 0.25, 0.75)
    share = np.linspace(0, 1, 10)
    wall = 0.012 * radius + 0.003
    if kind == "pyramid":
        rows = np.stack([radius * (narrow + (1 - narrow) * np.array([0.0, 1.0])), np.array([0.0, -tall])], axis=1)
        return shell_of_revolution(rows * (1.2, 1.0), 1.5 * wall, segments=4).rotated("y", 45)
    if kind == "pleated":
        rows = np.stack([radius * (0.8 * narrow + 0.2 + 0.8 * (1 - narrow) * share[::3]), -tall * share[::3]], axis=1)
        shade = shell_of_revolution(rows, wall, segments=72)
        return shade.mapped(_pleats)
    if kind == "tulip":
        flare = 0.35 + 0.65 * np.sin(np.pi / 2 * share) ** 0.8 + 0.12 * share**6
        rows = np.stack([0.8 * radius * np.append(0, flare), -tall * np.append(0, share)], axis=1)
        return shell_of_revolution(rows, wall)
    profiles = {
        "cone": np.stack([narrow + (1 - narrow) * share[::3], -share[::3]], axis=1),
        "drum": np.stack([0.97 + 0.03 * share[::3], -0.9 * share[::3]], axis=1),
        "dome": np.stack([np.sin(share * np.pi / 2), -0.8 * (1 - np.cos(share * np.pi / 2))], axis=1),
        "bell": np.stack([0.25 + 0.75 * (0.35 * share + 0.65 * share**3), -share], axis=1),
        "spot": np.array([[0, 0], [0.38, 0], [0.5, -0.1], [0.55, -1.2]]),
    }
    profile = profiles[kind] * np.array([radius, tall])
    if kind == "bell":
        profile = np.concatenate([[[0.0, 0.0]], profile])
    return shell_of_revolution(profile, wall)


def _pleats(vertices: np.ndarray) -> np.ndarray:
    angle = np.arctan2(vertices[:, 2], vertices[:, 0])
    wave = 1 + 0.045 * np.sign(np.cos(36 * angle + 1e-3))
    return vertices * np.stack([wave, np.ones_like(wave), wave], axis=1)


def _ball(radius: float, flat: float, *, ridged: bool) -> Solid:
    latitude = np.linspace(np.pi / 2, -np.pi / 2, 25 if ridged else 15)
    profile = np.stack([np.cos(latitude), flat * np.sin(latitude)], axis=1)
    if ridged:
        profile[2:-2:2, 0] *= 0.95
    profile[[0, -1], 0] = 0.0
    return lathe(profile * radius, segments=28).translated(y=-flat * radius - 0.12 * radius)
