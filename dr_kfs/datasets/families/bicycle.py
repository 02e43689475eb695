"""Bicycles, tricycles, scooters, motorbikes: "tube_0", "wheel_front", "spokes_front", "fork", "saddle", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.bicycle_frame import build_frame
from dr_kfs.datasets.families.bicycle_parts import build_parts
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.primitives import Solid

__all__ = ["OPTIONS", "Bike", "build"]

_CYCLES = ("diamond", "step_through", "cruiser", "mountain", "folding", "tricycle")
OPTIONS = StyleOptions(
    family="bicycle",
    code=110,
    options={
        "frame": {
            "diamond": 3,
            "step_through": 1.5,
            "cruiser": 1.5,
            "mountain": 1.5,
            "folding": 1,
            "tricycle": 1,
            "penny": 0.8,
            "scooter": 0.8,
            "motor": 2,
        },
        "spokes": {"radial": 2, "crossed": 2, "blades": 1.2, "disc": 0.6},
        "bars": {"drop": 1.5, "flat": 2, "riser": 1.2, "swept": 1.5, "high": 0.8},
        "fork": {"straight": 2, "curved": 1.5, "suspension": 1},
        "saddle": {"narrow": 2, "wide": 1.2, "long": 0.8, "none": 0.3},
        "fenders": {"none": 2, "both": 1.2, "back": 0.8},
        "carrier": {"none": 3, "rack": 1.5, "basket": 1.2, "panniers": 0.8, "box": 0.7},
        "stand": {"none": 2, "side": 1},
        "lamp": {"none": 1, "front": 1},
    },
    requirements=(
        Requirement("bars", ("drop",), "frame", ("diamond", "motor")),
        Requirement("frame", ("penny",), "bars", ("swept", "flat")),
        Requirement("frame", ("scooter",), "bars", ("flat", "riser")),
        Requirement("fork", ("suspension",), "frame", ("mountain", "motor", "folding")),
        Requirement("frame", ("penny", "scooter"), "fork", ("straight",)),
        Requirement("frame", ("mountain",), "fork", ("straight", "suspension")),
        Requirement("saddle", ("long",), "frame", ("motor", "cruiser")),
        Requirement("saddle", ("none",), "frame", ("scooter",)),
        Requirement("frame", ("scooter",), "saddle", ("none",)),
        Requirement("frame", ("motor",), "saddle", ("long", "wide")),
        Requirement("frame", ("penny",), "fenders", ("none",)),
        Requirement("frame", ("penny", "mountain", "scooter"), "carrier", ("none",)),
        Requirement("frame", ("scooter",), "fenders", ("none", "back")),
        Requirement("frame", ("scooter", "motor", "penny"), "spokes", ("radial", "blades", "crossed")),
        Requirement("frame", ("motor",), "carrier", ("none", "panniers", "box")),
        Requirement("frame", ("tricycle",), "carrier", ("box", "basket")),
        Requirement("frame", ("tricycle", "penny"), "stand", ("none",)),
        Requirement("carrier", ("panniers",), "fenders", ("none", "back")),
    ),
)

# Radius of the wheels, wheel base, height of the saddle's post over the bottom bracket, thickness of the tubes.
_MEASURES = {
    "diamond": ((0.19, 0.215), (0.58, 0.66), (0.36, 0.44), (0.011, 0.016)),
    "step_through": ((0.185, 0.21), (0.6, 0.68), (0.34, 0.42), (0.011, 0.016)),
    "cruiser": ((0.18, 0.2), (0.64, 0.76), (0.28, 0.36), (0.012, 0.017)),
    "mountain": ((0.175, 0.2), (0.6, 0.68), (0.28, 0.36), (0.014, 0.02)),
    "folding": ((0.11, 0.14), (0.52, 0.62), (0.4, 0.48), (0.015, 0.022)),
    "tricycle": ((0.15, 0.19), (0.56, 0.66), (0.32, 0.4), (0.011, 0.016)),
    "penny": ((0.32, 0.38), (0.44, 0.5), (0.0, 0.0), (0.01, 0.014)),
    "scooter": ((0.065, 0.11), (0.5, 0.6), (0.0, 0.0), (0.012, 0.018)),
    "motor": ((0.15, 0.18), (0.66, 0.8), (0.2, 0.26), (0.015, 0.022)),
}


@dataclass(frozen=True)
class Bike:
    """Places in the plane x = 0, as (x, y, z); the front is +z and the left side +x."""

    radius_front: float
    radius_back: float
    tyre: float
    """Half thickness of the tyres."""
    thick: float
    """Radius of the main tubes."""
    front: np.ndarray
    """Front axle."""
    back: np.ndarray
    """Rear axle."""
    crank: np.ndarray
    """Bottom bracket, or the front axle of a penny-farthing."""
    seat: np.ndarray
    """Where the seat tube ends."""
    saddle: np.ndarray
    head_low: np.ndarray
    head_high: np.ndarray
    bar: np.ndarray
    """Middle of the handlebar."""
    track: float
    """Half distance of the rear wheels of a tricycle, otherwise 0."""


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a bicycle."""
    bike = _places(choices)
    return on_floor(build_frame(choices, bike) | build_parts(choices, bike))


def _places(choices: Choices) -> Bike:
    kind = choices.style["frame"]
    radii, bases, posts, tubes = _MEASURES[kind]
    radius, base = choices.size("wheel_radius", *radii), choices.size("wheel_base", *bases)
    post, thick = choices.size("saddle_height", *posts), choices.size("tube_radius", *tubes)
    fat = {"mountain": 0.022, "cruiser": 0.02, "motor": 0.034, "penny": 0.009, "scooter": 0.016}.get(kind, 0.013)
    tyre = fat * choices.size("tyre_ratio", 0.75, 1.25)
    small = {"penny": choices.size("small_wheel", 0.26, 0.4), "tricycle": 0.85}.get(kind, 1.0) * radius
    back, front = np.array([0.0, small, -0.47 * base]), np.array([0.0, radius, 0.53 * base])
    if kind == "penny":
        front = np.array([0.0, radius, 0.4 * base])
    slope = np.radians(choices.size("head_angle", 60, 68) if kind == "motor" else choices.size("head_angle", 67, 75))
    up = np.array([0.0, np.sin(slope), -np.cos(slope)])
    rake = np.array([0.0, 0.0, choices.size("rake", 0.01, 0.035) if choices.style["fork"] != "straight" else 0.0])
    low = front - rake + up * (radius + tyre + choices.size("crown_gap", 0.02, 0.05) + (0.03 if kind == "motor" else 0))
    high = low + up * choices.size("head_length", 0.06, 0.13)
    crank = np.array([0.0, small - choices.size("bracket_drop", 0.02, 0.05), -0.12 * base])
    if small < 0.15:
        crank[1] = 0.15
    tilt = np.radians(choices.size("seat_angle", 68, 75))
    lean = np.array([0.0, np.sin(tilt), -np.cos(tilt)])
    share = {"diamond": 0.78, "mountain": 0.6, "folding": 0.35, "motor": 0.75, "cruiser": 0.8}.get(kind, 0.72)
    seat, saddle = crank + share * post * lean, crank + post * lean
    rise = {"folding": 0.2, "scooter": choices.size("stem_height", 0.4, 0.5), "penny": 0.02}.get(kind, 0.05)
    if kind == "penny":
        crank, saddle = front, high + np.array([0.0, 0.0, -0.13])
        seat = saddle
    if kind == "folding":
        saddle[1] = max(saddle[1], high[1] + 0.12)
    return Bike(
        radius_front=radius,
        radius_back=small,
        tyre=tyre,
        thick=thick,
        front=front,
        back=back,
        crank=crank,
        seat=seat,
        saddle=saddle,
        head_low=low,
        head_high=high,
        bar=high + up * rise,
        track=choices.size("track", 0.13, 0.2) if kind == "tricycle" else 0.0,
    )
