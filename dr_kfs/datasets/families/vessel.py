"""Bottles, vases, mugs, jugs, teapots, pans, goblets: "body", "handle_0", "spout", "lid", "foot", "band_0", ..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.families.vessel_details import build_details
from dr_kfs.datasets.outlines import spline
from dr_kfs.datasets.primitives import Solid, lathe, shell_of_revolution

__all__ = ["OPTIONS", "Wall", "build"]

_HOLLOW = ("vase", "mug", "jug", "goblet", "bowl", "pan", "planter", "bucket")
_SHAPED = ("vase", "bottle", "jar", "urn", "planter", "bowl", "jug", "goblet", "teapot")
OPTIONS = StyleOptions(
    family="vessel",
    code=108,
    options={
        "form": {
            "bottle": 2,
            "flask": 1,
            "vase": 3,
            "mug": 2,
            "jug": 2,
            "teapot": 2,
            "kettle": 1.2,
            "goblet": 1.5,
            "bowl": 1,
            "pan": 1.2,
            "jar": 1.5,
            "urn": 1.5,
            "bucket": 0.8,
            "planter": 0.6,
        },
        "handle": {"none": 2, "ear": 3, "pair": 1.5, "square": 1, "bail": 1, "stick": 1},
        "spout": {"none": 3, "curved": 2, "straight": 1, "lip": 1},
        "lid": {"none": 2, "domed": 2, "flat": 1, "stopper": 1.5, "cap": 1},
        "foot": {"plain": 3, "ring": 1.5, "pedestal": 1, "feet": 1, "saucer": 0.8},
        "surface": {"smooth": 4, "fluted": 1.2, "twisted": 0.7, "ribbed": 1, "faceted": 0.8, "lobed": 0.7},
        "trim": {"none": 3, "bands": 1.2, "beads": 0.8, "studs": 0.6},
    },
    requirements=(
        Requirement("form", ("teapot", "kettle"), "spout", ("curved", "straight")),
        Requirement("form", ("jug",), "spout", ("lip",)),
        Requirement("spout", ("curved", "straight"), "form", ("teapot", "kettle")),
        Requirement("spout", ("lip",), "form", ("jug", "bucket", "pan")),
        Requirement("form", ("teapot",), "handle", ("ear", "bail", "square")),
        Requirement("form", ("kettle",), "handle", ("bail",)),
        Requirement("form", ("mug", "jug"), "handle", ("ear", "square")),
        Requirement("form", ("pan",), "handle", ("stick", "pair")),
        Requirement("form", ("bucket",), "handle", ("bail", "pair")),
        Requirement("form", ("goblet", "flask", "planter"), "handle", ("none", "pair")),
        Requirement("form", ("bowl",), "handle", ("none", "pair")),
        Requirement("form", ("bottle", "jar"), "handle", ("none", "ear", "pair")),
        Requirement("form", ("vase", "urn"), "handle", ("none", "pair")),
        Requirement("handle", ("stick",), "form", ("pan",)),
        Requirement("form", ("teapot", "kettle", "jar"), "lid", ("domed", "flat")),
        Requirement("form", ("pan",), "lid", ("none", "domed", "flat")),
        Requirement("form", ("urn",), "lid", ("none", "domed")),
        Requirement("form", ("bottle", "flask"), "lid", ("none", "stopper", "cap")),
        Requirement("form", ("vase", "mug", "goblet", "bowl", "bucket", "planter", "jug"), "lid", ("none",)),
        Requirement("lid", ("stopper", "cap"), "form", ("bottle", "flask")),
        Requirement("form", ("goblet",), "foot", ("pedestal",)),
        Requirement("foot", ("pedestal",), "form", ("goblet", "vase", "urn", "bowl", "jar")),
        Requirement("foot", ("saucer",), "form", ("mug", "planter", "bowl")),
        Requirement("foot", ("feet",), "form", ("bowl", "planter", "jar", "teapot", "urn")),
        Requirement("surface", ("twisted", "lobed", "faceted"), "form", _SHAPED),
        Requirement("surface", ("faceted",), "trim", ("none",)),
        Requirement("surface", ("twisted", "lobed", "fluted"), "trim", ("none", "bands")),
    ),
)

# Corners (radius, height) of the wall from foot to rim over (largest radius, height), and height over diameter.
_PROFILES: dict[str, tuple[list[list[tuple[float, float]]], tuple[float, float]]] = {
    "bottle": (
        [
            [(0.95, 0), (1, 0.05), (1, 0.5), (0.9, 0.6), (0.42, 0.74), (0.33, 0.82), (0.33, 0.97), (0.4, 1)],
            [(0.8, 0), (0.95, 0.12), (1, 0.35), (0.75, 0.58), (0.36, 0.76), (0.3, 0.9), (0.38, 1)],
            [(1, 0), (1, 0.03), (1, 0.62), (0.96, 0.68), (0.5, 0.73), (0.4, 0.77), (0.4, 0.98), (0.44, 1)],
        ],
        (1.9, 3.4),
    ),
    "flask": (
        [
            [(0.7, 0), (0.96, 0.14), (1, 0.3), (0.7, 0.5), (0.24, 0.6), (0.2, 0.85), (0.26, 1)],
            [(1, 0), (1, 0.04), (0.85, 0.2), (0.5, 0.48), (0.24, 0.64), (0.2, 0.94), (0.28, 1)],
        ],
        (1.1, 1.8),
    ),
    "vase": (
        [
            [(0.5, 0), (0.75, 0.15), (1, 0.45), (0.8, 0.7), (0.45, 0.85), (0.6, 1)],
            [(0.55, 0), (0.5, 0.1), (0.75, 0.4), (1, 0.7), (0.7, 0.9), (0.6, 1)],
            [(0.6, 0), (0.55, 0.3), (0.62, 0.6), (0.8, 0.85), (1, 1)],
            [(0.9, 0), (1, 0.2), (0.85, 0.4), (0.4, 0.6), (0.36, 0.8), (0.55, 1)],
            [(0.8, 0), (1, 0.25), (0.6, 0.5), (0.9, 0.75), (0.75, 1)],
        ],
        (1.1, 2.6),
    ),
    "mug": (
        [
            [(0.95, 0), (1, 0.05), (1, 0.5), (1, 1)],
            [(0.7, 0), (0.85, 0.1), (1, 0.5), (0.97, 0.8), (1, 1)],
            [(0.75, 0), (0.82, 0.3), (0.9, 0.6), (1, 1)],
            [(0.6, 0), (0.9, 0.2), (0.98, 0.5), (0.85, 0.85), (0.92, 1)],
        ],
        (0.9, 1.35),
    ),
    "jug": (
        [
            [(0.6, 0), (0.85, 0.15), (1, 0.4), (0.8, 0.65), (0.5, 0.82), (0.62, 1)],
            [(0.95, 0), (1, 0.06), (0.9, 0.5), (0.75, 0.9), (0.8, 1)],
            [(0.7, 0), (0.98, 0.2), (0.9, 0.5), (0.55, 0.7), (0.5, 0.85), (0.65, 1)],
        ],
        (1.15, 1.9),
    ),
    "teapot": (
        [
            [(0.6, 0), (0.85, 0.15), (1, 0.5), (0.85, 0.8), (0.5, 0.98), (0.45, 1)],
            [(0.9, 0), (1, 0.1), (0.9, 0.5), (0.65, 0.9), (0.5, 1)],
            [(0.5, 0), (0.7, 0.2), (0.95, 0.55), (1, 0.75), (0.6, 0.97), (0.5, 1)],
        ],
        (0.62, 1.0),
    ),
    "kettle": (
        [
            [(0.95, 0), (1, 0.08), (0.95, 0.4), (0.7, 0.8), (0.4, 0.98), (0.35, 1)],
            [(0.98, 0), (1, 0.06), (1, 0.6), (0.85, 0.85), (0.5, 0.98), (0.45, 1)],
        ],
        (0.6, 0.85),
    ),
    "goblet": (
        [
            [(0.2, 0), (0.7, 0.2), (0.98, 0.55), (0.9, 0.85), (0.8, 1)],
            [(0.15, 0), (0.4, 0.3), (0.7, 0.65), (1, 1)],
            [(0.3, 0), (0.8, 0.1), (0.92, 0.5), (1, 1)],
            [(0.25, 0), (0.55, 0.15), (0.66, 0.6), (0.7, 1)],
        ],
        (0.6, 1.2),
    ),
    "bowl": (
        [
            [(0.45, 0), (0.7, 0.15), (0.92, 0.55), (1, 1)],
            [(0.5, 0), (0.62, 0.08), (0.85, 0.35), (0.9, 0.8), (1, 1)],
            [(0.4, 0), (0.85, 0.3), (1, 0.65), (0.9, 1)],
        ],
        (0.35, 0.6),
    ),
    "pan": (
        [
            [(0.92, 0), (0.97, 0.08), (1, 0.5), (1, 1)],
            [(0.75, 0), (0.82, 0.1), (0.92, 0.6), (1, 1)],
            [(0.97, 0), (1, 0.05), (0.99, 0.9), (1.02, 1)],
        ],
        (0.22, 0.7),
    ),
    "jar": (
        [
            [(0.85, 0), (0.95, 0.1), (1, 0.5), (0.95, 0.85), (0.75, 1)],
            [(0.6, 0), (0.8, 0.2), (1, 0.6), (0.85, 0.9), (0.55, 1)],
            [(0.97, 0), (1, 0.05), (1, 0.8), (0.8, 0.9), (0.78, 1)],
        ],
        (0.85, 1.6),
    ),
    "urn": (
        [
            [(0.35, 0), (0.4, 0.08), (0.75, 0.35), (1, 0.68), (0.85, 0.85), (0.42, 0.93), (0.55, 1)],
            [(0.3, 0), (0.35, 0.1), (0.9, 0.45), (1, 0.6), (0.6, 0.8), (0.35, 0.88), (0.4, 0.95), (0.55, 1)],
        ],
        (1.0, 1.9),
    ),
    "bucket": ([[(0.75, 0), (0.8, 0.2), (0.9, 0.6), (1, 1)], [(0.9, 0), (0.92, 0.1), (0.96, 0.5), (1, 1)]], (0.8, 1.2)),
    "planter": (
        [
            [(0.7, 0), (0.75, 0.2), (0.9, 0.8), (0.9, 0.82), (1, 0.84), (1, 1)],
            [(0.6, 0), (0.95, 0.35), (1, 0.7), (0.95, 1)],
        ],
        (0.7, 1.3),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Wall:
    """Outer wall: (R, 2) pairs (radius, height) from the foot to the rim."""

    profile: np.ndarray
    thickness: float
    dent: float
    """Share of the radius at which the wall is surely met, whatever its relief: 1 on a plain wall."""

    def radius(self, y: float) -> float:
        """Outer radius at a height."""
        return float(np.interp(y, self.profile[:, 1], self.profile[:, 0]))

    def inside(self, y: float) -> float:
        """Radius that lies in the wall, or just within it, all around."""
        return self.dent * self.radius(y) - 0.4 * self.thickness

    @property
    def rim(self) -> tuple[float, float]:
        """Radius and height of the rim."""
        return float(self.profile[-1, 0]), float(self.profile[-1, 1])

    @property
    def foot(self) -> tuple[float, float]:
        """Radius and height of the foot."""
        return float(self.profile[0, 0]), float(self.profile[0, 1])


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a vessel; spout and stick handle towards +z, an ear behind."""
    form, surface = choices.style["form"], choices.style["surface"]
    variants, (low, high) = _PROFILES[form]
    corners = np.array(variants[choices.count("profile", 0, len(variants) - 1)])
    ratio = choices.size("height_ratio", low, high)
    belly, level = choices.size("belly", 0.88, 1.14), choices.size("belly_level", 0.88, 1.12)
    corners[:, 1] = corners[:, 1] ** level
    corners[1:-1, 0] = corners[1:-1, 0] ** belly
    radius = (0.36 if choices.style["handle"] == "stick" else 0.44) / max(1.0, ratio)
    rows = spline(corners, steps=2 if len(corners) > 6 else 4)
    rows[:, 1] = np.maximum.accumulate(np.clip(rows[:, 1], 0, 1) + 1e-4 * np.arange(len(rows)))
    profile = np.clip(rows, 0.08, None) * (1, 0) + rows * (0, 1)
    profile = profile * (radius, 2 * radius * ratio)
    waves = {"faceted": (5, 9), "lobed": (4, 8), "ribbed": (4, 8)}.get(surface, (9, 14))
    count = choices.count("waves", *waves) if surface != "smooth" else 36
    dent = {"smooth": 1.0, "faceted": float(np.cos(np.pi / count)), "lobed": 0.92}.get(surface, 0.96)
    wall = Wall(profile, choices.size("wall", 0.02, 0.05) * radius + 0.004, dent)
    segments = {"lobed": 6, "fluted": 4, "twisted": 4}.get(surface, 1) * (36 if surface == "ribbed" else count)
    if form in _HOLLOW or choices.style["lid"] == "none":
        floor = np.array([[0.0, profile[0, 1]]])
        inside = np.concatenate([floor, profile])
        # `shell_of_revolution` puts the wall on the right of the way: turned upside down, that is inside.
        body = shell_of_revolution(inside * (1, -1), wall.thickness, segments=segments).scaled(y=-1)
    else:
        body = lathe(profile, segments=segments)
    if surface in ("lobed", "ribbed", "fluted", "twisted"):
        body = body.mapped(_relief(choices, wall, count))
    return on_floor({"body": body} | build_details(choices, wall))


def _relief(choices: Choices, wall: Wall, count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Flutes, lobes or ribs: the radius changed by angle and height, and the wall perhaps turned about its axis."""
    surface, height = choices.style["surface"], wall.rim[1]
    depth = choices.size("relief_depth", 0.025, 0.06) * (2.0 if surface == "lobed" else 1.0)
    turn = choices.size("twist", 0.4, 1.4) if surface == "twisted" else 0.0

    def relief(vertices: np.ndarray) -> np.ndarray:
        share = vertices[:, 1] / height
        angle = np.arctan2(vertices[:, 2], vertices[:, 0])
        wave = np.cos(2 * np.pi * count * share) if surface == "ribbed" else np.cos(count * angle)
        if surface in ("fluted", "twisted"):
            wave = np.abs(np.cos(0.5 * count * angle)) * 2 - 1
        fade = np.clip(5 * share, 0, 1) * np.clip(6 * (1 - share), 0, 1)
        radius = np.hypot(vertices[:, 0], vertices[:, 2]) * (1 + depth * fade * wave)
        angle = angle + turn * share
        return np.stack([radius * np.cos(angle), vertices[:, 1], radius * np.sin(angle)], axis=1)

    return relief
