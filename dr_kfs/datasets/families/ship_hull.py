"""Hulls of ships: cross sections lofted from stern to bow, decked or open; keel, rudder, screw and bow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import ear_clip, vector
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, join, loft, torus, wing

__all__ = ["Hull", "build_hull"]

# Beam, depth and draught over the length; fullness of the stern and of the bow (0 pointed, 1 square);
# rise of the deck at stern and bow, and rake of the stem, over the depth; squareness of the middle section.
_SHAPES = {
    "clipper": (0.2, 0.17, 0.6, 0.35, 0.3, 0.35, 0.4, 0.9, 2.4),
    "yacht": (0.25, 0.12, 0.5, 0.5, 0.1, 0.0, 0.35, 1.0, 2.0),
    "motor": (0.28, 0.16, 0.4, 0.85, 0.15, 0.0, 0.35, 1.2, 3.0),
    "cargo": (0.17, 0.13, 0.6, 0.8, 0.6, 0.05, 0.3, 0.35, 6.0),
    "liner": (0.15, 0.13, 0.5, 0.5, 0.25, 0.1, 0.3, 0.6, 4.0),
    "tug": (0.33, 0.22, 0.55, 0.75, 0.5, 0.1, 0.5, 0.4, 3.0),
    "warship": (0.13, 0.1, 0.45, 0.65, 0.1, 0.0, 0.3, 0.9, 3.5),
    "rowing": (0.36, 0.14, 0.5, 0.55, 0.1, 0.2, 0.5, 0.7, 2.2),
    "galley": (0.18, 0.1, 0.5, 0.1, 0.1, 0.9, 0.9, 0.7, 2.2),
    "catamaran": (0.085, 0.12, 0.5, 0.5, 0.1, 0.0, 0.1, 0.35, 2.5),
}
_OPEN = ("rowing", "galley")


@dataclass(frozen=True)
class Hull:
    """Stations from stern to bow: z, half beam at the deck, deck height and keel height, (R, 4)."""

    stations: np.ndarray
    length: float
    depth: float
    floor: float
    """Thickness of the shell of open boats, 0 where the hull is decked."""
    half_span: float
    """Half distance of a catamaran's hulls, otherwise 0."""

    def at(self, share: float) -> tuple[float, float, float, float]:
        """z, half beam, deck and keel at a share of the length from the stern (0) to the bow (1)."""
        return self.beside((share - 0.5) * self.length)

    def beside(self, z: float) -> tuple[float, float, float, float]:
        """z, half beam, deck and keel at z."""
        beam, deck, keel = (float(np.interp(z, self.stations[:, 0], column)) for column in self.stations[:, 1:].T)
        return z, beam, deck, keel


def build_hull(choices: Choices) -> tuple[dict[str, Solid], Hull]:
    """Hull with what is fixed to it, and its measures."""
    kind = choices.style["hull"]
    beam, depth, _, stern, bow, rise_stern, rise_bow, rake, power = _SHAPES[kind]
    length = choices.size("length", 0.9, 1.1)
    half = length * beam / 2 * choices.size("beam", 0.88, 1.15)
    deep = length * depth * choices.size("depth", 0.85, 1.15)
    full = np.clip(bow * choices.size("bow_fullness", 0.7, 1.3), 0.05, 0.8)
    aft = np.clip(stern * choices.size("stern_fullness", 0.8, 1.15), 0.08, 0.95)
    lean = rake * choices.size("rake", 0.6, 1.4) * deep
    share = np.concatenate([np.linspace(0, 0.75, 14), np.linspace(0.8, 1, 9)])
    half_beams = half * _beam(share, float(aft), float(full), choices.style["stern"] == "round")
    sheer = choices.size("sheer", 0.7, 1.3) * deep
    decks = sheer * (
        rise_stern * np.clip(1 - 2.2 * share, 0, 1) ** 2 + rise_bow * np.clip(2.2 * share - 1.2, 0, 1) ** 2
    )
    pointed = kind == "galley"
    lift = 0.25 if kind not in ("rowing", "galley", "motor") else 0.1
    keels = -deep + deep * (
        lift * np.clip(1 - share / 0.25, 0, 1) ** 2 + 0.12 * np.clip((share - 0.75) / 0.25, 0, 1) ** 2
    )
    if pointed:
        keels += deep * 0.5 * np.clip(1 - share / 0.2, 0, 1) ** 2
    stations = np.stack([(share - 0.5) * length, half_beams, decks, keels], axis=1)
    open_ = kind in _OPEN
    hull = Hull(stations, length, deep, choices.size("plank", 0.008, 0.014) if open_ else 0.0, 0.0)
    solid = _skin(hull, power * choices.size("squareness", 0.85, 1.15), lean)
    if kind == "catamaran":
        hull = Hull(stations, length, deep, 0.0, choices.size("span", 0.16, 0.24))
        parts = both_sides({"hull": solid.translated(hull.half_span)})
        deck = box((2 * hull.half_span + 0.02, 0.03, 0.45 * length), (0, -0.005, -0.12 * length), bevel=0.006)
        beam_ = cylinder(
            0.012, (-hull.half_span, -0.01, 0.24 * length), (hull.half_span, -0.01, 0.24 * length), sides=10
        )
        return parts | {"deck": deck, "beam_0": beam_}, hull
    parts = {"hull": solid}
    if choices.style["stern"] == "castle":
        parts |= _castle(choices, hull)
    return parts | _bow(choices, hull, lean) | _drive(choices, hull) | _keel(choices, hull), hull


def _beam(share: np.ndarray, stern: float, bow: float, rounded: bool) -> np.ndarray:
    """Half beam along the hull, 1 amidships: never 0, so that every section keeps an area."""
    widest = 0.42
    ahead = np.clip((share - widest) / (1 - widest), 0, 1)
    behind = np.clip((widest - share) / widest, 0, 1)
    fore = (1 - ahead ** (1.6 + 5 * bow)) ** (0.9 - 0.5 * bow)
    rear = 1 - (1 - stern) * behind**2.2
    if rounded:
        rear = rear * (1 - 0.55 * np.clip(behind * 1.02 - 0.8, 0, 1) ** 2 / 0.0484)
    return np.maximum(np.where(share > widest, fore, rear), 0.03)


def _skin(hull: Hull, power: float, lean: float) -> Solid:
    """Sections |x|^p + |y|^p = 1 below the deck, slimmer and deeper towards the bow."""
    angles = np.linspace(0, np.pi, 17)
    rings = []
    for i, (z, beam, deck, keel) in enumerate(hull.stations):
        share = i / (len(hull.stations) - 1)
        sharp = power + (1.3 - power) * np.clip((share - 0.55) / 0.45, 0, 1)
        x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** (2 / sharp)
        down = np.sin(angles) ** (2 / sharp)
        y = deck + (keel - deck) * down
        ahead = lean * np.clip((share - 0.6) / 0.4, 0, 1) ** 1.5
        outer = np.stack([beam * x, y, z + ahead * (1 - down)], axis=1)
        if hull.floor:
            wall = min(hull.floor / max(beam, 1e-6), 0.5)
            inner_y = deck + (keel + hull.floor - deck) * down * 0.98
            inner = np.stack([(1 - wall) * beam * x, np.minimum(inner_y, deck), z + ahead * (1 - down)], axis=1)
            outer = np.concatenate([outer, inner[::-1]])
        rings.append(outer)
    if not hull.floor:
        return loft(np.stack(rings), caps=ear_clip(rings[0][:, :2]))
    k = np.arange(16)
    twin = 33 - k
    caps = np.concatenate([np.stack([k, k + 1, twin - 1], axis=1), np.stack([k, twin - 1, twin], axis=1)])
    body = loft(np.stack(rings), caps=caps)
    ends = []
    for ring, step in ((rings[0], hull.floor), (rings[-1], -hull.floor)):
        plate = np.stack([ring[:17], ring[:17] + vector(0, 0, step)])
        ends.append(loft(plate, caps=ear_clip(ring[:17, :2])))
    return join(body, *ends)


def _castle(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Raised decks at the stern, and a lower one at the bow."""
    parts = {}
    tall = choices.size("castle_height", 0.03, 0.06)
    if hull.floor:
        z, beam, deck, _ = hull.at(0.06)
        return {
            "castle_0": box((2.4 * beam + 0.05, 1.4 * tall, 0.14 * hull.length), (0, deck + 0.2 * tall, z), bevel=0.006)
        }
    for i, (first, last, level) in enumerate(
        [(0.01, 0.3, 1.0), (0.01, 0.15, 2.0), (0.8, 0.95, 0.8)][: choices.count("castles", 1, 3)]
    ):
        rings = []
        for share in np.linspace(first, last, 7):
            z, beam, deck, _ = hull.at(float(share))
            low, high = deck - 0.012, deck + level * tall
            rings.append(
                [(0.98 * beam, low, z), (0.94 * beam, high, z), (-0.94 * beam, high, z), (-0.98 * beam, low, z)]
            )
        parts[f"castle_{i}"] = loft(np.array(rings))
    return parts


def _bow(choices: Choices, hull: Hull, lean: float) -> dict[str, Solid]:
    kind = choices.style["bow"]
    z, _, deck, keel = hull.at(1.0)
    if kind == "sprit":
        reach, rise = choices.size("sprit_length", 0.1, 0.22), choices.size("sprit_rise", 0.02, 0.09)
        return {
            "bowsprit": limb(
                [(0, deck - 0.005, z - 0.05), (0, deck + rise, z + lean + reach)], [0.01, 0.005], sides=10, smooth=False
            )
        }
    if kind == "bulb":
        size = choices.size("bulb_size", 0.14, 0.24) * hull.depth
        return {"bulb": ellipsoid((size, size, 2.4 * size), (0, keel + 1.1 * size, z - 0.6 * size), segments=16)}
    return {}


def _keel(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Fin under a sailing yacht."""
    if choices.style["hull"] != "yacht":
        return {}
    deep, chord = choices.size("keel_depth", 0.07, 0.13), choices.size("keel_chord", 0.1, 0.22)
    z, _, _, keel = hull.at(0.48)
    fin = wing((((0, keel + 0.03, z), chord), ((0, keel - deep, z - 0.03), 0.7 * chord)), thickness=0.12, upright=True)
    if choices.count("ballast", 0, 1):
        fin = join(fin, ellipsoid((0.018, 0.018, 0.6 * chord), (0, keel - deep, z - 0.03), segments=14))
    return {"keel": fin}


def _drive(choices: Choices, hull: Hull) -> dict[str, Solid]:
    kind = choices.style["drive"]
    z, _, deck, keel = hull.at(0.0)
    middle = (deck + keel) / 2
    if kind == "none":
        return {}
    rudder = wing(
        (((0, keel - 0.15 * hull.depth, z - 0.004), 0.05), ((0, middle + 0.1 * hull.depth, z - 0.004), 0.045)),
        thickness=0.16,
        upright=True,
    )
    if kind == "rudder":
        return {"rudder": rudder}
    if kind == "screw":
        radius = choices.size("screw_radius", 0.16, 0.26) * hull.depth
        count, low = choices.count("screw_blades", 3, 5), keel - 0.1 * radius
        blade = wing(
            (((0, 0, 0), 0.5 * radius), ((0.6 * radius, 0, 0), 0.9 * radius), ((radius, 0, 0), 0.4 * radius)),
            thickness=0.1,
        ).rotated("x", 55)
        hub = ellipsoid((0.2 * radius, 0.2 * radius, 0.4 * radius), segments=12, rings=7)
        screw = join(hub, *[blade.rotated("z", 360 * k / count) for k in range(count)]).translated(0, low, z + 0.02)
        shaft = cylinder(0.12 * radius, (0, low, z + 0.02), (0, low + 0.3 * radius, z + 0.12), sides=10)
        return {"rudder": rudder.translated(z=-0.012), "screw": screw, "shaft": shaft}
    if kind == "outboard":
        head = box((0.05, 0.06, 0.07), (0, deck + 0.045, z - 0.03), bevel=0.014, steps=2)
        leg = box((0.018, deck - keel + 0.07, 0.03), (0, middle, z - 0.032), bevel=0.004)
        leg = join(leg, box((0.03, 0.04, 0.04), (0, deck - 0.03, z - 0.014)))
        return {
            "outboard": join(
                head, leg, torus(0.022, 0.004, segments=16, sides=6).rotated("x", 90).translated(0, keel, z - 0.052)
            )
        }
    oars = choices.count("oars", 1, 2) if choices.style["hull"] == "rowing" else choices.count("many_oars", 7, 14)
    reach, drop = choices.size("oar_reach", 0.16, 0.3), choices.size("oar_drop", 0.03, 0.1)
    left = {}
    for i in range(oars):
        share = 0.5 if oars == 1 else 0.26 + 0.5 * i / (oars - 1)
        zi, wide, level, _ = hull.at(share)
        ends = np.array(
            [(0.55 * wide, level + 0.03, zi), (wide, level + 0.006, zi - 0.01), (wide + reach, level - drop, zi - 0.03)]
        )
        shaft = limb(ends, [0.004, 0.004, 0.0035], sides=6, smooth=False)
        blade = ellipsoid((0.045, 0.004, 0.013), segments=10, rings=7).rotated(
            "z", -float(np.degrees(np.arctan2(drop, reach)))
        )
        left[f"oar_{i}"] = join(shaft, blade.translated(*ends[-1]))
    return both_sides(left)
