"""Wheels of bicycles, and the fenders over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.outlines import rounded_rectangle, vector
from dr_kfs.datasets.primitives import Solid, cylinder, join, lathe, sweep, torus

if TYPE_CHECKING:
    from dr_kfs.datasets.families.bicycle import Bike

__all__ = ["build_wheels"]


def build_wheels(choices: Choices, bike: Bike) -> dict[str, Solid]:
    """Parts "wheel_front", "spokes_front", "hub_front", "fender_front" and so on for every wheel."""
    parts = {}
    places = [("front", bike.front, bike.radius_front)]
    if bike.track:
        side = np.array([bike.track, 0.0, 0.0])
        places += [("left", bike.back + side, bike.radius_back), ("right", bike.back - side, bike.radius_back)]
    else:
        places.append(("back", bike.back, bike.radius_back))
    for name, place, radius in places:
        for part, solid in _wheel(choices, radius, bike.tyre, bike.thick).items():
            parts[f"{part}_{name}"] = solid.translated(*place)
    return parts | _fenders(choices, bike)


def _wheel(choices: Choices, radius: float, tyre: float, thick: float) -> dict[str, Solid]:
    """Parts "wheel", "spokes" and "hub" around the x axis."""
    kind = choices.style["spokes"]
    rim = radius - 1.9 * tyre
    deep = choices.size("rim_depth", 0.008, 0.02)
    band = np.array([[rim, -0.7], [rim, 0.7], [rim - deep, 0.35], [rim - deep, -0.35]]) * (1, tyre)
    wheel = join(torus(radius - tyre, tyre, segments=32, sides=8), lathe(band, segments=32, closed=True))
    half = tyre + 0.01
    hub = cylinder(min(1.1 * thick, 0.4 * rim), (-half, 0, 0), (half, 0, 0), sides=12, bevel=0.003)
    parts = {"wheel": wheel.rotated("z", 90), "hub": hub}
    inner = rim - 0.5 * deep
    if kind == "disc":
        plate = np.array(
            [
                [0, -0.9 * half],
                [0.3 * rim, -0.8 * half],
                [inner, -0.003],
                [inner, 0.003],
                [0.3 * rim, 0.8 * half],
                [0, 0.9 * half],
            ]
        )
        return parts | {"spokes": lathe(plate, segments=32).rotated("z", 90)}
    if kind == "blades":
        count = choices.count("blades", 3, 6)
        blade = sweep(
            np.array([[0, 0, 0], [0, inner, 0]]),
            rounded_rectangle(0.16 * rim, 0.7 * tyre, 0.2 * tyre),
            scales=np.array([1.0, 0.65]),
            up=(1, 0, 0),
        )
        return parts | {"spokes": join(*[blade.rotated("x", 360 * k / count) for k in range(count)])}
    count = choices.count("spokes", 12, 26) if radius > 0.12 else choices.count("few_spokes", 8, 12)
    gauge = choices.size("spoke_gauge", 0.0013, 0.0024)
    turn = np.radians(choices.size("spoke_turn", 40, 75)) if kind == "crossed" else 0.0
    # To the left and to the right end of the hub in turn; crossed ones leave it in both directions.
    pieces = []
    for k in range(4):
        side, start = 1 if k % 2 else -1, (1 if k < 2 else -1) * turn
        foot = (side * 0.8 * half, 0.9 * thick * np.cos(start), 0.9 * thick * np.sin(start))
        pieces.append(cylinder(gauge, foot, (0, inner, 0), sides=5))
    return parts | {"spokes": join(*[pieces[k % 4].rotated("x", 360 * k / count) for k in range(count)])}


def _fenders(choices: Choices, bike: Bike) -> dict[str, Solid]:
    kind = choices.style["fenders"]
    if kind == "none":
        return {}
    gap, parts = 0.016, {}
    wheels = [("back", bike.back, bike.radius_back, (-70, 80)), ("front", bike.front, bike.radius_front, (-75, 15))]
    for name, place, radius, (first, last) in wheels[: 1 if kind == "back" else 2]:
        angles = np.radians(np.linspace(first, last, 15))
        if bike.track and name == "back":
            continue
        reach = radius + gap
        if name == "front":
            # Between the blades and below the crown there is as much room as this.
            reach = min(reach, float(np.linalg.norm(bike.head_low - place)) - 0.006)
        path = np.stack([0 * angles, reach * np.cos(angles), reach * np.sin(angles)], axis=1) + place
        wide = 1.25 * bike.tyre + 0.004
        section = np.array(
            [(-1, -0.8), (-0.6, 0.0), (0.6, 0.0), (1, -0.8), (1, -0.4), (0.6, 0.4), (-0.6, 0.4), (-1, -0.4)]
        ) * (wide, 0.008)
        stays = [
            cylinder(
                0.0025, place + vector(s * (bike.tyre + 0.012), 0, 0), path[0] + vector(s * 0.9 * wide, 0, 0), sides=6
            )
            for s in (1, -1)
        ]
        parts[f"fender_{name}"] = join(sweep(path, section, up=(0, 1, 0)), *stays)
    return parts
