"""Airplanes: "fuselage", "wing_left", "fin", "stabilizer_left", "engine_left_0", "propeller_0", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.airplane_engine import build_engines
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.outlines import ellipse
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, loft, sweep, wing

__all__ = ["OPTIONS", "Body", "Wing", "build"]

OPTIONS = StyleOptions(
    family="airplane",
    code=104,
    options={
        "fuselage": {"airliner": 4, "light": 3, "fighter": 2, "glider": 1, "cargo": 1, "business": 1.5},
        "wing": {
            "swept": 4,
            "straight": 2,
            "tapered": 2,
            "delta": 1.2,
            "biplane": 1.2,
            "gull": 0.6,
            "forward": 0.4,
        },
        "wing_position": {"low": 3, "mid": 1.5, "high": 2},
        "wing_tip": {"plain": 3, "winglet": 1.5, "tank": 0.6},
        "tail": {"conventional": 4, "t": 1.5, "v": 0.8, "twin": 0.8, "cruciform": 0.8},
        "engines": {
            "under_two": 3,
            "under_four": 1.2,
            "rear": 1.5,
            "nose": 3,
            "wing_propellers": 1.5,
            "jet": 1.5,
            "none": 0.6,
        },
        "gear": {"none": 3, "tricycle": 2, "taildragger": 1, "floats": 0.5},
        "stores": {"none": 4, "missiles": 1, "tanks": 0.7},
    },
    requirements=(
        Requirement("fuselage", ("airliner",), "wing", ("swept", "tapered", "delta")),
        Requirement("fuselage", ("cargo",), "wing", ("swept", "tapered", "straight")),
        Requirement("fuselage", ("business",), "wing", ("swept", "tapered", "forward")),
        Requirement("fuselage", ("light",), "wing", ("straight", "tapered", "biplane", "gull")),
        Requirement("fuselage", ("fighter",), "wing", ("swept", "delta", "forward", "tapered", "gull")),
        Requirement("fuselage", ("glider",), "wing", ("straight", "tapered", "gull")),
        Requirement("fuselage", ("airliner",), "engines", ("under_two", "under_four", "rear")),
        Requirement("fuselage", ("cargo",), "engines", ("under_two", "under_four", "wing_propellers")),
        Requirement("fuselage", ("business",), "engines", ("rear",)),
        Requirement("fuselage", ("light",), "engines", ("nose", "wing_propellers")),
        Requirement("fuselage", ("fighter",), "engines", ("jet", "nose")),
        Requirement("fuselage", ("glider",), "engines", ("none", "nose")),
        Requirement("wing", ("delta",), "engines", ("under_two", "under_four", "jet")),
        Requirement("wing", ("biplane",), "engines", ("nose",)),
        Requirement("wing", ("biplane",), "wing_position", ("low",)),
        Requirement("wing", ("delta",), "wing_position", ("low", "mid")),
        Requirement("wing_tip", ("winglet",), "wing", ("swept", "tapered", "straight")),
        Requirement("wing_tip", ("tank",), "fuselage", ("light", "fighter", "business")),
        Requirement("wing_tip", ("tank",), "wing", ("swept", "tapered", "straight")),
        Requirement("fuselage", ("cargo",), "wing_position", ("high",)),
        Requirement("fuselage", ("airliner", "business"), "wing_position", ("low", "mid")),
        Requirement("engines", ("rear",), "tail", ("t", "cruciform", "v")),
        Requirement("fuselage", ("airliner", "cargo"), "tail", ("conventional", "t", "cruciform")),
        Requirement("gear", ("floats", "taildragger"), "fuselage", ("light",)),
        Requirement("gear", ("tricycle",), "fuselage", ("airliner", "light", "fighter", "business", "cargo")),
        Requirement("stores", ("missiles", "tanks"), "fuselage", ("fighter",)),
    ),
)


@dataclass(frozen=True)
class Body:
    """Fuselage: its cross sections along z."""

    stations: np.ndarray
    """(R, 4): z (rising), half width, half height, y of the middle."""

    def at(self, z: float) -> tuple[float, float, float]:
        """Half width, half height and middle y at z."""
        width, height, middle = (np.interp(z, self.stations[:, 0], self.stations[:, k]) for k in (1, 2, 3))
        return float(width), float(height), float(middle)


@dataclass(frozen=True)
class Wing:
    """One side's wing: mid-chord positions and chords from root to tip."""

    stations: tuple[tuple[np.ndarray, float], ...]

    def at(self, share: float) -> tuple[np.ndarray, float]:
        """Mid-chord position and chord at a share of the half span."""
        x = np.array([position[0] for position, _ in self.stations])
        where = x[0] + share * (x[-1] - x[0])
        position = [np.interp(where, x, [p[k] for p, _ in self.stations]) for k in range(3)]
        return np.array(position), float(np.interp(where, x, [chord for _, chord in self.stations]))


# (z, half width, half height, middle y) of unit length and unit radius; z from tail (0) to nose (1).
_PROFILES = {
    "airliner": [
        (0, 0.06, 0.08, 0.62), (0.06, 0.22, 0.26, 0.52), (0.16, 0.55, 0.6, 0.3),
        (0.28, 0.92, 0.94, 0.06), (0.36, 1, 1, 0),
        (0.8, 1, 1, 0), (0.88, 0.94, 0.94, -0.03), (0.94, 0.74, 0.74, -0.1),
        (0.98, 0.42, 0.42, -0.18), (1, 0.08, 0.08, -0.22),
    ],
    "cargo": [
        (0, 0.1, 0.08, 0.9), (0.1, 0.4, 0.3, 0.68), (0.22, 0.75, 0.65, 0.34), (0.34, 1, 1, 0),
        (0.8, 1, 1, 0),
        (0.88, 0.96, 0.92, -0.08), (0.95, 0.75, 0.7, -0.2), (0.99, 0.4, 0.4, -0.3),
        (1, 0.1, 0.1, -0.32),
    ],
    "business": [
        (0, 0.05, 0.08, 0.5), (0.1, 0.35, 0.4, 0.36), (0.26, 0.85, 0.88, 0.08), (0.4, 1, 1, 0),
        (0.7, 1, 1, 0),
        (0.78, 0.95, 0.95, 0), (0.86, 0.75, 0.68, -0.12), (0.94, 0.45, 0.4, -0.3),
        (1, 0.05, 0.05, -0.42),
    ],
    "light": [
        (0, 0.08, 0.16, 0.28), (0.2, 0.3, 0.36, 0.2), (0.42, 0.72, 0.74, 0.12),
        (0.55, 0.98, 1.05, 0.1), (0.68, 1, 1.05, 0.08),
        (0.76, 0.95, 0.8, -0.08), (0.9, 0.85, 0.66, -0.14), (0.97, 0.65, 0.52, -0.14),
        (1, 0.3, 0.26, -0.14),
    ],
    "fighter": [
        (0, 0.62, 0.56, 0), (0.1, 0.8, 0.7, 0), (0.35, 1.05, 0.9, 0), (0.55, 1, 0.9, 0),
        (0.7, 0.75, 0.8, 0),
        (0.84, 0.5, 0.58, -0.05), (0.94, 0.25, 0.3, -0.1), (1, 0.02, 0.02, -0.14),
    ],
    "glider": [
        (0, 0.06, 0.1, 0.3), (0.3, 0.16, 0.18, 0.26), (0.52, 0.32, 0.36, 0.18),
        (0.66, 0.75, 0.8, 0.06), (0.78, 1, 1.05, 0),
        (0.88, 0.85, 0.85, -0.06), (0.96, 0.5, 0.5, -0.14), (1, 0.08, 0.08, -0.2),
    ],
}  # fmt: skip
_RADIUS = {
    "airliner": (0.048, 0.068),
    "cargo": (0.06, 0.08),
    "business": (0.05, 0.062),
    "light": (0.058, 0.08),
    "fighter": (0.045, 0.062),
    "glider": (0.036, 0.048),
}


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of an airplane, nose towards +z."""
    body = _body(choices)
    power = choices.size("body_squareness", 2.0, 3.4 if choices.style["fuselage"] in ("light", "cargo") else 2.3)
    section = ellipse(2, 2, sides=20, power=power)
    rings = [
        np.stack([w * section[:, 0], y + h * section[:, 1], np.full(len(section), z)], axis=1)
        for z, w, h, y in body.stations
    ]
    parts = {"fuselage": loft(np.stack(rings))} | _canopy(choices, body)
    main = _wing(choices, body)
    parts |= _wings(choices, body, main) | _tail(choices, body)
    parts |= build_engines(choices, body, main)
    return parts | _gear(choices, body, main) | _stores(choices, main)


def _body(choices: Choices) -> Body:
    kind = choices.style["fuselage"]
    length = choices.size("length", 0.85, 1.05) * (0.8 if kind in ("light", "glider") else 1.0)
    radius = choices.size("body_radius", *_RADIUS[kind])
    stretch = choices.size("body_height", 0.95, 1.2)
    stations = np.array(_PROFILES[kind], dtype=np.float64)
    fine = np.unique(np.concatenate([stations[:, 0], np.linspace(0.03, 0.97, 24)]))
    smooth = np.stack([fine, *(np.interp(fine, stations[:, 0], stations[:, k]) for k in (1, 2, 3))], axis=1)
    smooth[1:-1, 1:] = (smooth[:-2, 1:] + 2 * smooth[1:-1, 1:] + smooth[2:, 1:]) / 4
    smooth[:, 0] = (smooth[:, 0] - 0.5) * length
    smooth[:, 1:] *= radius * np.array([1.0, stretch, stretch])
    return Body(smooth)


def _canopy(choices: Choices, body: Body) -> dict[str, Solid]:
    """Cockpit: a bubble on fighters and gliders, a cabin on light planes, a windscreen band on the others."""
    kind = choices.style["fuselage"]
    ends = body.stations[[0, -1], 0]
    if kind in ("fighter", "glider"):
        z = ends[0] + (ends[1] - ends[0]) * (0.74 if kind == "fighter" else 0.84)
        width, height, middle = body.at(z)
        length = choices.size("canopy_length", 0.08, 0.13)
        return {"cockpit": ellipsoid((0.62 * width, 0.75 * height, length), (0, middle + 0.75 * height, z))}
    share = {"light": 0.7, "airliner": 0.945, "cargo": 0.935, "business": 0.83}[kind]
    z = ends[0] + (ends[1] - ends[0]) * share
    width, height, middle = body.at(z)
    if kind == "light":
        size = (1.5 * width, 0.5 * height, choices.size("canopy_length", 0.08, 0.13) * 1.8)
        taper = choices.size("canopy_taper", 0.55, 0.85)
        return {"cockpit": box(size, (0, middle + height, z - 0.02), bevel=0.008, taper=(taper, 0.6 * taper))}
    return {"cockpit": ellipsoid((0.82 * width, 0.5 * height, 0.03), (0, middle + 0.52 * height, z), rings=7)}


def _wing(choices: Choices, body: Body) -> Wing:
    """Left wing from inside the fuselage to the tip."""
    kind, fuselage = choices.style["wing"], choices.style["fuselage"]
    span = choices.size("half_span", 0.36, 0.52) * {"glider": 1.25, "fighter": 0.68}.get(fuselage, 1.0)
    chord = choices.size("root_chord", 0.14, 0.21) * {"glider": 0.55, "light": 0.85, "fighter": 1.35}.get(fuselage, 1.0)
    taper = {"straight": choices.size("wing_taper", 0.25, 0.5) + 0.5, "biplane": 0.95, "delta": 0.08}.get(
        kind, choices.size("wing_taper", 0.25, 0.5)
    )
    sweep_ = {"swept": choices.size("wing_sweep", 20, 38), "forward": -18.0, "tapered": 4.0}.get(kind, 0.0)
    dihedral = np.tan(np.radians(choices.size("dihedral", -1, 6)))
    z = choices.size("wing_place", -0.02, 0.08) + {"light": 0.06, "glider": 0.1, "fighter": -0.1}.get(fuselage, 0.0)
    if kind == "delta":
        span, chord, sweep_ = 0.7 * span, 3.0 * chord, 0.0
        z -= 0.12
    width, height, middle = body.at(z)
    level = {"low": -0.6, "mid": 0.0, "high": 0.85}[choices.style["wing_position"]]
    root = np.array([0.3 * width, middle + level * height, z])
    stations = []
    for share in (0.0, 0.35, 0.7, 1.0):
        local = chord * (1 - (1 - taper) * share)
        back = np.tan(np.radians(sweep_)) * span * share
        if kind == "delta":
            back = 0.5 * (chord - local) * 0.9
        rise = dihedral * span * share
        if kind == "gull":
            rise = 0.22 * span * min(share, 0.35) / 0.35 - 0.08 * span * max(share - 0.35, 0.0)
        if kind == "swept" and share == 0.0:
            local *= 1.35
        stations.append((root + np.array([span * share, rise, -back]), local))
    return Wing(tuple(stations))


def _wings(choices: Choices, body: Body, main: Wing) -> dict[str, Solid]:
    thickness = choices.size("wing_thickness", 0.08, 0.14) * (0.4 if choices.style["wing"] == "delta" else 1.0)
    left = {"wing": wing(main.stations, thickness=thickness)}
    tip, chord = main.at(1.0)
    if choices.style["wing_tip"] == "winglet":
        rise = choices.size("winglet_height", 0.035, 0.07)
        cant = choices.size("winglet_cant", 0.1, 0.6) * rise
        ends = (
            (tip - np.array([0.004, 0, 0]), chord),
            (tip + np.array([cant, rise, -0.4 * chord - 0.3 * rise]), 0.45 * chord),
        )
        left["winglet"] = wing(ends, thickness=0.08, upright=True)
    if choices.style["wing_tip"] == "tank":
        left["tip_tank"] = ellipsoid((0.016, 0.016, 0.75 * chord + 0.02), tip, segments=14, rings=13)
    if choices.style["wing"] == "biplane":
        rise = choices.size("biplane_gap", 0.11, 0.15)
        shift = np.array([0.0, rise, choices.size("biplane_stagger", 0.0, 0.04)])
        upper = [(position + shift, c) for position, c in main.stations]
        left["wing_upper"] = wing([((0.0, *upper[0][0][1:]), upper[0][1]), *upper], thickness=thickness)
        for i, share in enumerate((0.12, 0.75)):
            low, local = main.at(share)
            struts = [
                sweep(
                    np.stack([low + forward, low + shift + forward]),
                    ellipse(0.007, 0.014, sides=8),
                )
                for forward in (np.array([0.0, 0.0, s * local]) for s in (-0.25, 0.25))
            ]
            left[f"strut_{i}"] = join(*struts)
    elif choices.style["wing_position"] == "high" and choices.style["fuselage"] == "light":
        middle, _ = main.at(0.5)
        width, height, y = body.at(middle[2])
        foot = np.array([0.8 * width, y - 0.6 * height, middle[2]])
        left["strut_0"] = sweep(np.stack([foot, middle]), ellipse(0.018, 0.007, sides=8))
    return both_sides(left)


def _tail(choices: Choices, body: Body) -> dict[str, Solid]:
    kind, fuselage = choices.style["tail"], choices.style["fuselage"]
    size = {"light": 0.8, "glider": 0.8, "fighter": 1.1}.get(fuselage, 1.0)
    tall = size * choices.size("fin_height", 0.11, 0.17)
    chord = size * choices.size("fin_chord", 0.09, 0.14)
    half = size * choices.size("stabilizer_span", 0.12, 0.19)
    back = choices.size("tail_sweep", 0.1, 0.7) * (0.4 if fuselage in ("light", "glider") else 1.0)
    z = body.stations[0, 0] + 0.55 * chord + 0.015
    width, height, y = body.at(z)
    base = y + 0.5 * height
    if kind == "v":
        root = np.array([0.3 * width, base, z])
        tip = root + np.array([0.75 * half, 0.8 * tall, -back * tall])
        return both_sides({"stabilizer": wing(((root, chord), (tip, 0.55 * chord)), thickness=0.09)})
    fin = [((0, base - 0.3 * height, z), 1.1 * chord), ((0, base + tall, z - back * tall), 0.6 * chord)]
    level = {"t": base + 0.97 * tall, "cruciform": base + 0.45 * tall}.get(kind, y + 0.15 * height)
    share = (level - base) / tall if kind in ("t", "cruciform") else 0.0
    root = np.array([0.0 if share else 0.4 * width, level, z - share * back * tall])
    tip = root + np.array([half, 0.05 * half, -back * half])
    wide = 0.75 * chord
    left = {"stabilizer": wing(((root, wide), (tip, 0.5 * wide)), thickness=0.09)}
    if kind != "twin":
        return {"fin": wing(fin, thickness=0.09, upright=True)} | both_sides(left)
    foot = np.array([0.62 * width, base, z]) if fuselage == "fighter" else tip
    top = foot + np.array([0.12 * tall, 0.85 * tall, -back * tall])
    low = foot - np.array([0.0, 0.25 * tall if fuselage != "fighter" else 0.3 * height, 0.0])
    left["fin"] = wing(((low, 0.8 * chord), (foot, chord), (top, 0.55 * chord)), thickness=0.08, upright=True)
    return both_sides(left)


def _gear(choices: Choices, body: Body, main: Wing) -> dict[str, Solid]:
    kind, fuselage = choices.style["gear"], choices.style["fuselage"]
    if kind == "none":
        return {}
    size = 1.25 if fuselage in ("light",) else 1.0
    radius = size * choices.size("wheel_radius", 0.014, 0.02)
    place, _ = main.at(0.0)
    floor = min(body.stations[:, 3] - body.stations[:, 2]) - size * choices.size("gear_length", 0.05, 0.075)
    nose = body.stations[-1, 0]
    z = place[2] - (0.03 if kind == "tricycle" else -0.04)
    width, height, y = body.at(z)
    track = width * choices.size("gear_track", 1.3, 2.2)
    if kind == "floats":
        keel = ellipsoid((0.028, 0.026, 0.26 * (nose - body.stations[0, 0])), (track, floor, z + 0.04), rings=13)
        legs = [
            cylinder(0.005, (0.5 * width, y - 0.8 * height, z + s), (track, floor, z + s), sides=8)
            for s in (-0.06, 0.1)
        ]
        return both_sides({"float": keel, "gear": join(*legs)})
    wheel = cylinder(radius, (track - 0.4 * radius, floor, z), (track + 0.4 * radius, floor, z), bevel=0.2 * radius)
    leg = cylinder(0.3 * radius, (0.6 * width, y - 0.75 * height, z), (track, floor, z), sides=10)
    parts = both_sides({"wheel": wheel, "gear": leg})
    end = nose - 0.14 * (nose - body.stations[0, 0]) if kind == "tricycle" else body.stations[0, 0] + 0.05
    small = radius if kind == "tricycle" else 0.6 * radius
    _, height, y = body.at(end)
    low = floor if kind == "tricycle" else y - height - 1.2 * small
    name = "nose" if kind == "tricycle" else "tail"
    parts[f"wheel_{name}"] = cylinder(small, (-0.4 * small, low, end), (0.4 * small, low, end), bevel=0.2 * small)
    parts[f"gear_{name}"] = cylinder(0.25 * small, (0, y - 0.7 * height, end), (0, low, end), sides=10)
    return parts


def _stores(choices: Choices, main: Wing) -> dict[str, Solid]:
    kind = choices.style["stores"]
    if kind == "none":
        return {}
    left = {}
    for i, share in enumerate((0.45, 0.75) if kind == "missiles" else (0.5,)):
        position, chord = main.at(share)
        radius, length = (0.008, 0.13) if kind == "missiles" else (0.018, 0.17)
        centre = position - np.array([0.0, 2.2 * radius, 0.0])
        shape = ellipsoid((radius, radius, length / 2), centre, segments=12, rings=11)
        pylon = box((0.006, 2 * radius, 0.4 * chord), position - np.array([0.0, radius, 0.0]))
        left[f"{kind[:-1]}_{i}"] = join(shape, pylon)
    return both_sides(left)
