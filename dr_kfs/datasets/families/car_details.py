"""What is screwed on a car: lights, bumpers, grille, mirrors, handles, spoiler, rails, exhaust, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.outlines import rounded_path, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, lathe, sweep, tube, wing

if TYPE_CHECKING:
    from dr_kfs.datasets.families.car import Car

__all__ = ["build_details"]


def build_details(choices: Choices, car: Car) -> dict[str, Solid]:
    """All details of a car as parts."""
    left = _lights(choices, car) | _mirror(choices, car) | _handles(car, choices)
    parts = both_sides(left) | _bumpers(choices, car) | _spoiler(choices, car)
    return parts | _roof(choices, car) | _extra(choices, car)


def _face_height(choices: Choices, car: Car, front: bool) -> float:
    """Height of the upper edge of the nose or the tail."""
    kind = choices.style["body"]
    if kind in ("bus", "truck"):
        return car.belt if front else car.hood
    return car.hood - car.hood_drop if front else car.trunk - 0.3 * car.hood_drop


def _lights(choices: Choices, car: Car) -> dict[str, Solid]:
    half = 0.5 * car.length
    size = choices.size("light_size", 0.022, 0.034)
    x = 0.5 * car.width * choices.size("light_place", 0.64, 0.74)
    front = car.floor + 0.66 * (_face_height(choices, car, True) - car.floor)
    back = car.floor + 0.7 * (_face_height(choices, car, False) - car.floor)
    kind = choices.style["lights"]
    if kind == "round":
        lamp = cylinder(size, (0, 0, -0.02), (0, 0, 0.008), sides=18, bevel=0.006)
    elif kind == "square":
        lamp = box((2.2 * size, 1.6 * size, 0.028), (0, 0, -0.006), bevel=0.005)
    else:
        lamp = box((3.0 * size, 0.8 * size, 0.028), (0, 0, -0.006), bevel=0.005).rotated("z", 8)
    tail = box((1.1 * size, 2.0 * size, 0.02), (0, 0, 0.004), bevel=0.004)
    if choices.count("wide_taillights", 0, 1):
        tail = box((2.6 * size, 0.9 * size, 0.02), (0, 0, 0.004), bevel=0.004)
    return {"headlight": lamp.translated(x, front, half), "taillight": tail.translated(1.08 * x, back, -half)}


def _mirror(choices: Choices, car: Car) -> dict[str, Solid]:
    if choices.style["mirrors"] == "none":
        return {}
    size = choices.size("mirror_size", 0.016, 0.024) * (1.3 if choices.style["body"] in ("bus", "truck") else 1.0)
    x, y, z = 0.5 * car.width, car.belt + 0.9 * size, car.length * car.glass[3] - 0.07
    shell = ellipsoid((1.3 * size, size, 0.7 * size), (x + 0.9 * size, y, z), segments=14, rings=9)
    stalk = cylinder(0.25 * size, (0.88 * x, car.belt, z), (x + size, y, z), sides=8)
    return {"mirror": join(shell, stalk)}


def _handles(car: Car, choices: Choices) -> dict[str, Solid]:
    """Door handles under the side windows."""
    kind = choices.style["body"]
    if kind in ("bus", "truck"):
        return {}
    count = 1 if kind in ("sports", "convertible", "pickup") else 2
    rear, front = car.glass[1] * car.length, car.glass[2] * car.length
    y = car.floor + 0.78 * (car.belt - car.floor)
    handle = box((0.014, 0.008, 0.04), (0.492 * car.width, y, 0), bevel=0.003)
    return {
        f"handle_{i}": handle.translated(z=front + (rear - front) * (i + 0.7) / (count + 0.6)) for i in range(count)
    }


def _bumpers(choices: Choices, car: Car) -> dict[str, Solid]:
    half, wide = 0.5 * car.length, 0.5 * car.width
    kind = choices.style["bumpers"]
    tall = choices.size("bumper_height", 0.03, 0.05)
    y = car.floor + 0.6 * tall
    points = [(0.97 * wide, y, half - 0.07), (0.92 * wide, y, half + 0.006), (-0.92 * wide, y, half + 0.006)]
    points.append((-0.97 * wide, y, half - 0.07))
    depth = 0.02 if kind == "flush" else 0.032
    section = rounded_rectangle(depth, tall * (1.0 if kind == "flush" else 0.7), 0.006)
    front = sweep(rounded_path(points, 0.05, steps=4), section)
    parts: dict[str, Solid] = {"bumper_front": front, "bumper_back": front.rotated("y", 180)}
    high = _face_height(choices, car, True)
    middle, span = car.floor + 0.58 * (high - car.floor), high - car.floor
    bars = choices.count("grille_bars", 2, 5)
    width = choices.size("grille_width", 0.5, 0.9) * wide
    rows = [
        box((width, 0.22 * span / bars, 0.02), (0, middle + 0.3 * span * ((i + 0.5) / bars - 0.5), half))
        for i in range(bars)
    ]
    parts["grille"] = join(*rows)
    if kind == "bull":
        top = high + 0.02
        hoop = [(0.5 * wide, y, half + 0.02), (0.5 * wide, top, half + 0.03), (-0.5 * wide, top, half + 0.03)]
        hoop.append((-0.5 * wide, y, half + 0.02))
        parts["bull_bar"] = tube(rounded_path(hoop, 0.05), 0.009)
    return parts


def _spoiler(choices: Choices, car: Car) -> dict[str, Solid]:
    kind = choices.style["spoiler"]
    if kind == "none":
        return {}
    span, z = 0.42 * car.width, -0.46 * car.length
    if kind == "lip":
        plate = box((2 * span, 0.014, 0.05), (0, car.trunk + 0.002, z), bevel=0.004).rotated(
            "x", 14, about=(0, car.trunk, z)
        )
        return {"spoiler": plate}
    rise = choices.size("spoiler_height", 0.035, 0.075)
    chord = choices.size("spoiler_chord", 0.05, 0.08)
    y = car.trunk + rise
    blade = wing((((-span, y, z), chord), ((0, y, z), chord), ((span, y, z), chord)), thickness=0.14)
    stay = box((0.012, rise + 0.03, 0.03), (0.7 * span, car.trunk + rise / 2 - 0.015, z))
    return {"spoiler": blade, "spoiler_post_left": stay, "spoiler_post_right": stay.mirrored()}


def _roof(choices: Choices, car: Car) -> dict[str, Solid]:
    kind = choices.style["roof"]
    rear, front = car.glass[1] * car.length, car.glass[2] * car.length
    middle, y = (rear + front) / 2, car.height
    if kind == "plain":
        return {}
    if kind == "rails":
        x = 0.82 * min(car.roof_width, 0.45 * car.width)
        points = [(x, y - 0.006, front - 0.02), (x, y + 0.022, front - 0.05), (x, y + 0.022, rear + 0.05)]
        left = tube(rounded_path([*points, (x, y - 0.006, rear + 0.02)], 0.03), 0.006, sides=8)
        parts = {"rail_left": left, "rail_right": left.mirrored()}
        for i in range(choices.count("roof_bars", 0, 3)):
            z = front - 0.07 + (rear - front + 0.14) * (i + 0.5) / 3
            parts[f"roof_bar_{i}"] = cylinder(0.005, (-x, y + 0.022, z), (x, y + 0.022, z), sides=8)
        return parts
    if kind == "sign":
        return {"roof_sign": box((0.11, 0.035, 0.04), (0, y + 0.018, middle), bevel=0.005, taper=(0.8, 0.7))}
    wide = 0.85 * min(car.roof_width, 0.45 * car.width)
    lamps = [ellipsoid((0.4 * wide, 0.018, 0.022), (s * 0.55 * wide, y + 0.02, middle), rings=7) for s in (1, -1)]
    return {"lightbar": join(box((1.6 * wide, 0.014, 0.03), (0, y + 0.008, middle), bevel=0.003), *lamps)}


def _extra(choices: Choices, car: Car) -> dict[str, Solid]:
    kind, half = choices.style["extra"], 0.5 * car.length
    if kind == "none":
        return {}
    if kind == "antenna":
        z = car.length * (car.glass[3] + 0.03)
        top = np.array([0.4 * car.width, car.height + 0.05, z - 0.04])
        return {"antenna": cylinder(0.0035, (0.4 * car.width, car.hood - 0.02, z), top, sides=6)}
    if kind == "exhaust":
        pipe = cylinder(0.012, (0, 0, 0.06), (0, 0, -0.022), sides=12, bevel=0.002)
        count, y = choices.count("exhausts", 1, 2), car.floor + 0.004
        places = (0.26 * car.width, -0.26 * car.width)[:count]
        return {f"exhaust_{i}": pipe.translated(x, y, -half) for i, x in enumerate(places)}
    radius, width = car.wheel_radius * 0.95, car.wheel_width * 0.8
    profile = np.array([(0, 0), (0.9 * radius, 0), (radius, 0.2 * width), (radius, 0.8 * width), (0.9 * radius, width)])
    profile = np.concatenate([profile, [(0.6 * radius, width), (0.5 * radius, 0.85 * width), (0, 0.9 * width)]])
    wheel = lathe(profile, segments=24).rotated("x", -90)
    return {"spare_wheel": wheel.translated(0, car.floor + 1.35 * radius, -half + 0.01)}
