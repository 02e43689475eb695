"""Engines of airplanes: turbofans on pylons, jet nozzles, propellers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.primitives import Solid, box, ellipsoid, join, lathe, wing

if TYPE_CHECKING:
    from dr_kfs.datasets.families.airplane import Body, Wing

__all__ = ["build_engines"]


def build_engines(choices: Choices, body: Body, main: Wing) -> dict[str, Solid]:
    """Parts "engine_left_0", "pylon_left_0", "propeller_0", "nozzle_0", "intake_left", ..."""
    kind = choices.style["engines"]
    nose, tail = float(body.stations[-1, 0]), float(body.stations[0, 0])
    if kind == "none":
        return {}
    if kind == "nose":
        middle = float(body.stations[-1, 3])
        return _propeller(choices, np.array([0.0, middle, nose]), "propeller_0", choices.size("propeller", 0.1, 0.14))
    if kind == "jet":
        return _jet(choices, body)
    radius = choices.size("engine_radius", 0.024, 0.036)
    length = choices.size("engine_length", 3.2, 4.6) * radius
    parts: dict[str, Solid] = {}
    if kind == "rear":
        z = tail + 0.24 * (nose - tail)
        width, height, y = body.at(z)
        centre = np.array([width + 1.15 * radius, y + 0.35 * height, z])
        parts["engine_0"] = _turbofan(0.85 * radius, length).translated(*centre)
        inner = np.array([0.5 * width, y + 0.3 * height, z])
        parts["pylon_0"] = wing(((inner, 0.6 * length), (centre, 0.5 * length)), thickness=0.14)
        return both_sides(parts)
    shares = {"under_two": (0.34,), "under_four": (0.3, 0.6), "wing_propellers": (0.36,)}[kind]
    if kind == "wing_propellers" and choices.count("propeller_pairs", 1, 2) == 2:
        shares = (0.3, 0.58)
    for i, share in enumerate(shares):
        position, chord = main.at(share)
        small = 1.0 if i == 0 else 0.9
        if kind == "wing_propellers":
            centre = position + np.array([0.0, 0.1 * radius, 0.42 * chord])
            half = 0.55 * chord + 0.02
            parts[f"engine_{i}"] = ellipsoid((0.65 * radius, 0.7 * radius, half), centre - (0, 0, 0.3 * half), rings=13)
            hub = centre + np.array([0.0, 0.0, 0.62 * half])
            blades = _propeller(choices, hub, f"propeller_{i}", choices.size("propeller", 0.1, 0.14) * 0.7)
            parts |= blades
            continue
        centre = position + np.array([0.0, -1.35 * radius, 0.35 * chord])
        parts[f"engine_{i}"] = _turbofan(small * radius, length).translated(*centre)
        top = position + np.array([0.0, 0.0, 0.05 * chord])
        parts[f"pylon_{i}"] = wing(
            ((centre + np.array([0, 0.5 * radius, -0.1 * length]), 0.8 * length), (top, 0.6 * chord)),
            thickness=0.08,
            upright=True,
        )
    return both_sides(parts)


def _turbofan(radius: float, length: float) -> Solid:
    """Open nacelle with a spinner inside and an exhaust cone behind, along z, intake towards +z."""
    outer = np.array([[0.86, 0.5], [0.97, 0.44], [1.0, 0.2], [0.9, -0.2], [0.62, -0.42]])
    inner = np.array([[0.58, -0.42], [0.6, -0.3], [0.1, -0.28]])
    exhaust = np.array([[0.0, -0.28]])
    fan = np.array([[0.0, 0.42], [0.2, 0.3], [0.78, 0.3], [0.8, 0.48]])
    profile = np.concatenate([fan, outer, inner, exhaust]) * np.array([radius, length])
    cone = lathe(np.array([[0.0, -0.56 * length], [0.34 * radius, -0.25 * length]]), segments=16)
    return join(lathe(profile, segments=20), cone).rotated("x", 90)


def _propeller(choices: Choices, hub: np.ndarray, name: str, length: float) -> dict[str, Solid]:
    """Spinner and blades in front of `hub`."""
    blades = choices.count("blades", 2, 4)
    wide = choices.size("blade_width", 0.014, 0.024)
    spinner = ellipsoid((0.02, 0.02, 0.035), hub, segments=14, rings=9)
    blade = wing(
        (((0.0, 0.0, 0.0), 0.7 * wide), ((0.5 * length, 0.0, 0.0), wide), ((length, 0.0, 0.0), 0.5 * wide)),
        thickness=0.16,
    ).rotated("x", 62)
    turned = [blade.rotated("z", 90 + i * 360 / blades).translated(*hub).translated(z=0.012) for i in range(blades)]
    return {name: join(spinner, *turned)}


def _jet(choices: Choices, body: Body) -> dict[str, Solid]:
    """One or two nozzles behind, and an intake on either side of the cockpit."""
    tail, nose = float(body.stations[0, 0]), float(body.stations[-1, 0])
    width, height, y = body.at(tail)
    twin = choices.count("nozzles", 1, 2) == 2
    radius = (0.62 if twin else 0.9) * height
    bell = np.array([[0.0, 0.0], [0.9, 0.0], [1.0, -0.3], [0.8, -1.1], [0.72, -1.1], [0.85, -0.4], [0.0, -0.35]])
    nozzle = lathe(bell * radius, segments=18).rotated("x", 90)
    parts: dict[str, Solid] = {}
    for i, x in enumerate((0.55 * width, -0.55 * width) if twin else (0.0,)):
        parts[f"nozzle_{i}"] = nozzle.translated(x, y, tail + 0.02)
    z = tail + 0.52 * (nose - tail)
    width, height, y = body.at(z)
    size = (0.75 * width, 1.1 * height, choices.size("intake_length", 0.16, 0.28))
    left = box(size, (width, y - 0.1 * height, z), bevel=0.006, taper=(0.8, 0.85))
    return parts | {"intake_left": left, "intake_right": left.mirrored()}
