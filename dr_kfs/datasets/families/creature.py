"""Animals, real and invented: "torso", "neck", "head", "leg_front_left", "foot_...", "ear_left", "tail", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.creature_back import build_back
from dr_kfs.datasets.families.creature_head import build_head
from dr_kfs.datasets.families.creature_legs import build_legs
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import vector
from dr_kfs.datasets.primitives import Solid, ellipsoid, join

__all__ = ["OPTIONS", "Body", "build"]

_MAMMALS = ("horse", "hound", "bull", "elephant", "giraffe", "pig", "cat", "rabbit")
_SCALED = ("lizard", "sauropod", "theropod", "turtle")
OPTIONS = StyleOptions(
    family="creature",
    code=112,
    options={
        "body": {
            "horse": 2,
            "hound": 2,
            "bull": 1.5,
            "elephant": 1.2,
            "giraffe": 1,
            "pig": 1,
            "cat": 1.5,
            "rabbit": 0.8,
            "lizard": 1,
            "sauropod": 1,
            "theropod": 1.2,
            "turtle": 0.8,
            "bird": 1.5,
            "insect": 1,
        },
        "pose": {"stand": 2, "walk": 2, "run": 1},
        "feet": {"hoof": 1.5, "paw": 2, "claw": 1.5},
        "ears": {"pointed": 2, "floppy": 1.5, "round": 1.2, "long": 1, "none": 1},
        "horns": {"none": 4, "short": 1, "curved": 1, "antlers": 1, "nose": 0.6, "feelers": 0.5},
        "face": {"plain": 3, "trunk": 1, "beak": 1, "tusks": 0.6, "jaws": 1},
        "tail": {"thin": 2, "bushy": 1.2, "long": 2, "curled": 0.8, "stub": 1, "fan": 0.8},
        "back": {"plain": 4, "plates": 1, "humps": 0.8, "mane": 1, "wings": 1, "shell": 0.6, "spikes": 0.6},
    },
    requirements=(
        Requirement("body", ("horse", "giraffe", "bull", "pig"), "feet", ("hoof",)),
        Requirement("body", ("hound", "cat", "rabbit", "elephant"), "feet", ("paw",)),
        Requirement("body", ("lizard", "theropod", "bird", "turtle", "sauropod"), "feet", ("claw", "paw")),
        Requirement("body", ("bird", "insect"), "feet", ("claw",)),
        Requirement("body", (*_SCALED, "bird", "insect"), "ears", ("none",)),
        Requirement("body", ("rabbit",), "ears", ("long",)),
        Requirement("body", ("elephant",), "ears", ("round",)),
        Requirement("body", _MAMMALS, "ears", ("pointed", "floppy", "round", "long")),
        Requirement("body", ("cat", "rabbit", "turtle", "elephant", "pig"), "horns", ("none", "nose")),
        Requirement("body", ("hound", "bird", "lizard"), "horns", ("none", "short")),
        Requirement("body", ("insect",), "horns", ("feelers",)),
        Requirement("horns", ("feelers",), "body", ("insect",)),
        Requirement("horns", ("antlers", "curved"), "body", ("horse", "bull", "giraffe", "theropod", "sauropod")),
        Requirement("body", ("elephant",), "face", ("trunk",)),
        Requirement("face", ("trunk",), "body", ("elephant", "pig")),
        Requirement("body", ("bird",), "face", ("beak",)),
        Requirement("face", ("beak",), "body", ("bird", "turtle", "theropod")),
        Requirement("face", ("tusks",), "body", ("elephant", "pig", "bull", "cat")),
        Requirement("face", ("jaws",), "body", ("lizard", "theropod", "hound")),
        Requirement("body", ("bird",), "tail", ("fan",)),
        Requirement("tail", ("fan",), "body", ("bird",)),
        Requirement("body", ("lizard", "sauropod", "theropod"), "tail", ("long",)),
        Requirement("body", ("turtle", "insect"), "tail", ("stub",)),
        Requirement("body", ("pig",), "tail", ("curled", "thin")),
        Requirement("body", ("rabbit",), "tail", ("stub",)),
        Requirement("body", ("turtle",), "back", ("shell",)),
        Requirement("back", ("shell",), "body", ("turtle", "insect")),
        Requirement("back", ("plates", "spikes"), "body", (*_SCALED, "bull", "pig")),
        Requirement("back", ("mane",), "body", ("horse", "cat", "giraffe", "hound")),
        Requirement("back", ("humps",), "body", ("horse", "bull", "giraffe")),
        Requirement("back", ("wings",), "body", ("bird", "horse", "lizard", "theropod", "cat", "insect", "sauropod")),
        Requirement("body", ("bird",), "back", ("wings",)),
    ),
)

# Torso: length, half width, half height, pitch [degrees]. Legs: length, radius. Neck: length, pitch, radius.
# Head: size, snout over size.
_MEASURES = {
    "horse": (0.5, 0.095, 0.115, 0, 0.36, 0.026, 0.24, 52, 0.062, 0.08, 1.5),
    "hound": (0.42, 0.075, 0.09, 0, 0.26, 0.023, 0.12, 45, 0.05, 0.07, 1.2),
    "bull": (0.55, 0.13, 0.155, 2, 0.24, 0.034, 0.09, 12, 0.095, 0.095, 1.0),
    "elephant": (0.5, 0.165, 0.185, 3, 0.27, 0.058, 0.13, 16, 0.12, 0.13, 0.45),
    "giraffe": (0.38, 0.09, 0.11, 12, 0.44, 0.024, 0.5, 68, 0.046, 0.066, 1.4),
    "pig": (0.5, 0.13, 0.135, 0, 0.13, 0.032, 0.04, 0, 0.1, 0.095, 0.9),
    "cat": (0.42, 0.068, 0.078, 0, 0.21, 0.023, 0.07, 48, 0.05, 0.075, 0.5),
    "rabbit": (0.32, 0.1, 0.12, 14, 0.12, 0.026, 0.05, 35, 0.07, 0.08, 0.6),
    "lizard": (0.46, 0.075, 0.06, 0, 0.11, 0.02, 0.07, 8, 0.05, 0.065, 1.6),
    "sauropod": (0.46, 0.12, 0.13, 4, 0.24, 0.042, 0.46, 42, 0.048, 0.055, 1.0),
    "theropod": (0.36, 0.085, 0.1, 22, 0.34, 0.034, 0.13, 48, 0.06, 0.09, 1.5),
    "turtle": (0.42, 0.15, 0.07, 0, 0.1, 0.03, 0.13, 16, 0.042, 0.055, 0.8),
    "bird": (0.3, 0.085, 0.09, 28, 0.22, 0.013, 0.14, 68, 0.038, 0.055, 0.3),
    "insect": (0.4, 0.09, 0.08, 4, 0.2, 0.011, 0.04, 0, 0.04, 0.07, 0.2),
}


@dataclass(frozen=True)
class Body:
    """The torso's middle line and what the other parts are fixed to; x = 0 is the plane of symmetry."""

    spine: np.ndarray
    """(K, 3) from the rump to the chest."""
    radii: np.ndarray
    """(K, 2) half widths and half heights along it."""
    leg: float
    leg_radius: float
    head: np.ndarray
    """Middle of the skull."""
    head_size: float
    snout: float
    """Length of the snout over the skull's size."""

    def at(self, share: float) -> tuple[np.ndarray, float, float]:
        """Point of the middle line, half width and half height, from the rump (0) to the chest (1)."""
        place = share * (len(self.spine) - 1)
        columns = np.concatenate([self.spine, self.radii], axis=1).T
        row = [float(np.interp(place, np.arange(len(self.spine)), column)) for column in columns]
        return np.array(row[:3]), row[3], row[4]


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a creature that looks towards +z."""
    kind = choices.style["body"]
    body, torso = _torso(choices, kind)
    parts = {"torso": torso} | _neck(choices, body) | build_head(choices, body)
    parts |= build_legs(choices, body) | _tail(choices, body) | build_back(choices, body)
    return on_floor(parts)


def _torso(choices: Choices, kind: str) -> tuple[Body, Solid]:
    length, wide, high, pitch, leg, leg_radius, neck, neck_pitch, _, head, snout = _MEASURES[kind]
    length *= choices.size("torso_length", 0.85, 1.18)
    wide, high = wide * choices.size("torso_width", 0.82, 1.2), high * choices.size("torso_height", 0.85, 1.15)
    leg *= choices.size("leg_length", 0.8, 1.2)
    slope = np.radians(pitch + choices.size("torso_pitch", -4, 5))
    along = np.linspace(-0.5, 0.5, 7)
    sag, belly = choices.size("sag", -0.03, 0.035), choices.size("belly", 0.92, 1.12)
    thick = np.array([0.62, 0.92, 0.97, 1.0, 1.02, 0.98, 0.7])
    if kind == "insect":
        thick = np.array([0.45, 0.95, 1.1, 0.8, 0.38, 0.6, 0.5])
    elif kind in ("lizard", "theropod", "bird", "sauropod"):
        thick = np.array([0.55, 0.85, 1.0, 1.06, 1.0, 0.85, 0.6])
    thick[2:5] *= belly
    level = leg + 0.55 * high
    y = level + along * length * np.sin(slope) - sag * np.cos(np.pi * along)
    spine = np.stack([0 * along, y, along * length * np.cos(slope)], axis=1)
    radii = np.stack([wide * thick, high * thick], axis=1)
    reach = neck * choices.size("neck_length", 0.75, 1.25)
    tilt = np.radians(neck_pitch + choices.size("neck_pitch", -14, 12))
    chest = spine[-2] + vector(0, 0.35 * radii[-2, 1], 0)
    size = head * choices.size("head_size", 0.85, 1.25)
    start = chest + vector(0, 0.3 * high * np.sin(tilt), 0.28 * length * 0.5 + 0.2 * high)
    place = start + reach * np.array([0, np.sin(tilt), np.cos(tilt)]) + vector(0, 0, 0.3 * size)
    body = Body(
        spine,
        radii,
        leg,
        leg_radius * choices.size("leg_thickness", 0.85, 1.3),
        place,
        size,
        snout * choices.size("snout", 0.75, 1.25),
    )
    torso = limb(spine, radii, sides=18, steps=2)
    if kind == "insect":
        middle, half, tall = body.at(0.86)
        torso = join(torso, ellipsoid((0.9 * half + 0.02, tall + 0.02, 0.09), middle, segments=18))
    return body, torso


def _neck(choices: Choices, body: Body) -> dict[str, Solid]:
    """From inside the chest to the back of the skull."""
    radius = _MEASURES[choices.style["body"]][8] * choices.size("neck_thickness", 0.85, 1.25)
    start, half, high = body.at(0.86)
    base = start + vector(0, 0.2 * high, 0)
    end = body.head - vector(0, 0.15 * body.head_size, 0.1 * body.head_size)
    arch = choices.size("neck_arch", 0.0, 0.12) * float(np.linalg.norm(end - base))
    middle = (base + end) / 2 + vector(
        0, -0.4 * arch, -arch if choices.style["body"] not in ("sauropod", "bird") else arch
    )
    low = min(max(1.5 * radius, 0.55 * high), 0.9 * high)
    return {
        "neck": limb(
            [base, middle, end],
            [(min(low, 0.9 * half), low), (1.02 * radius, 1.1 * radius), (0.82 * radius, 0.9 * radius)],
            sides=14,
            steps=5,
        )
    }


def _tail(choices: Choices, body: Body) -> dict[str, Solid]:
    kind = choices.style["tail"]
    start, half, high = body.at(0.04)
    start = start + vector(0, 0.25 * high, 0)
    sway = choices.size("tail_sway", -0.12, 0.12)
    if kind == "stub":
        size = choices.size("tail_size", 0.022, 0.04)
        return {
            "tail": ellipsoid(
                (size, size, 1.2 * size), start - vector(0, -0.3 * high, 0.2 * high + 0.02), segments=14, rings=9
            )
        }
    if kind == "fan":
        pieces = []
        count, long = choices.count("tail_feathers", 3, 7), choices.size("tail_length", 0.12, 0.24)
        for k in range(count):
            turn = (k - (count - 1) / 2) * choices.size("tail_spread", 5, 16)
            feather = ellipsoid((0.018, 0.004, 0.55 * long), (0, 0, -0.5 * long), segments=10, rings=9)
            pieces.append(feather.rotated("y", turn).rotated("x", choices.size("tail_lift", -12, 25)))
        return {"tail": join(*pieces).translated(*start - vector(0, 0.1 * high, 0.0))}
    if kind == "curled":
        angles = np.linspace(0, 2 * np.pi * choices.size("tail_turns", 1.0, 1.8), 22)
        ring = 0.035 * (1 - 0.4 * angles / angles[-1])
        path = np.stack(
            [
                0.03 * angles / angles[-1] * np.sign(sway),
                ring * np.sin(angles),
                -0.02 - ring * (1 - np.cos(angles)) - 0.03 * angles / angles[-1],
            ],
            axis=1,
        )
        return {
            "tail": limb(
                path + start + vector(0, 0.1 * high, -0.1 * high), np.linspace(0.014, 0.005, 22), sides=8, smooth=False
            )
        }
    long = {"thin": (0.2, 0.32), "bushy": (0.2, 0.3), "long": (0.32, 0.6)}[kind]
    reach = choices.size("tail_length", *long) * (1.25 if choices.style["body"] in ("sauropod", "lizard") else 1.0)
    fall = {"thin": choices.size("tail_fall", 35, 80), "bushy": choices.size("tail_fall", -35, 60)}.get(
        kind, choices.size("tail_fall", -12, 22)
    )
    fall = np.radians(min(fall, np.degrees(np.arcsin(np.clip((start[1] - 0.06) / reach, 0, 1)))))
    back = np.array([0.0, -np.sin(fall), -np.cos(fall)])
    curl = choices.size("tail_curl", -0.1, 0.25) * reach
    share = np.array([0.0, 0.3, 0.65, 1.0])
    path = (
        start
        + share[:, None] * reach * back
        + np.stack([sway * reach * np.sin(3.5 * share), curl * share**2, 0 * share], axis=1)
    )
    path[:, 1] = np.maximum(path[:, 1], 0.03)
    if kind == "bushy":
        thick = choices.size("tail_size", 0.022, 0.04)
        return {"tail": limb(path, [0.5 * thick, 1.1 * thick, 1.4 * thick, 0.25 * thick], sides=14, steps=5)}
    if kind == "long":
        root = 0.72 * min(half, high) if choices.style["body"] in _SCALED else 0.02
        return {"tail": limb(path, [root, 0.62 * root, 0.32 * root, 0.1 * root], sides=14, steps=6)}
    rope = limb(path, [0.011, 0.008, 0.007, 0.006], sides=8, steps=4)
    tuft = choices.size("tail_tuft", 0.0, 0.03)
    return {
        "tail": join(
            rope, ellipsoid((0.5 * tuft + 0.004, tuft + 0.01, 0.5 * tuft + 0.004), path[-1], segments=10, rings=7)
        )
    }
