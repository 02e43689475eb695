"""Heads of animals: skull and snout, eyes, ears, horns, trunk, beak, tusks, jaws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.placement import both_sides
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import vector
from dr_kfs.datasets.primitives import Solid, ellipsoid, join

if TYPE_CHECKING:
    from dr_kfs.datasets.families.creature import Body

__all__ = ["build_head"]


def build_head(choices: Choices, body: Body) -> dict[str, Solid]:
    """Parts around the skull; built around the origin, looking to +z, then lowered by the head's pitch."""
    size, kind = body.head_size, choices.style["body"]
    parts = _skull(choices, body) | both_sides({"eye": _eye(size)})
    parts |= _ears(choices, size) | _horns(choices, body) | _face(choices, body)
    pitch = {"horse": 38, "giraffe": 30, "bull": 22, "elephant": 12, "theropod": 8}.get(kind, 6) + choices.size(
        "head_pitch", -8, 12
    )
    turn = choices.size("head_turn", -28, 28)
    return {name: solid.rotated("x", pitch).rotated("y", turn).translated(*body.head) for name, solid in parts.items()}


def _skull(choices: Choices, body: Body) -> dict[str, Solid]:
    """Skull that narrows into a snout; with "jaws" the mouth is open."""
    s, reach = body.head_size, body.snout * body.head_size
    muzzle = choices.size("muzzle", 0.42, 0.68)
    if choices.style["face"] == "beak":
        reach = 0.15 * s
    if choices.style["face"] == "jaws":
        gape = choices.size("gape", 10, 26)
        upper = limb(
            [
                (0, 0.1 * s, -0.35 * s),
                (0, 0.14 * s, 0.2 * s),
                (0, 0.16 * s, 0.2 * s + 0.6 * reach),
                (0, 0.12 * s, 0.2 * s + reach),
            ],
            [(0.5 * s, 0.48 * s), (0.52 * s, 0.45 * s), (muzzle * 0.7 * s, 0.24 * s), (muzzle * 0.45 * s, 0.14 * s)],
            sides=16,
            steps=4,
        )
        lower = limb(
            [(0, -0.2 * s, -0.2 * s), (0, -0.24 * s, 0.2 * s), (0, -0.2 * s, 0.15 * s + 0.9 * reach)],
            [(0.34 * s, 0.2 * s), (muzzle * 0.62 * s, 0.14 * s), (muzzle * 0.36 * s, 0.08 * s)],
            sides=14,
            steps=4,
        )
        teeth = []
        for k in range(choices.count("teeth", 3, 7)):
            z = 0.35 * s + 0.6 * reach * (k + 0.5) / 7 * 1.4
            tooth = limb(
                [(muzzle * 0.5 * s, 0.0, z), (muzzle * 0.5 * s, -0.18 * s, z)],
                [0.05 * s, 0.015 * s],
                sides=6,
                smooth=False,
            )
            teeth += [tooth, tooth.mirrored()]
        return {"head": upper, "jaw": lower.rotated("x", gape, about=(0, 0, -0.1 * s)), "teeth": join(*teeth)}
    knots = [
        (0, 0.02 * s, -0.42 * s),
        (0, 0.06 * s, 0.0),
        (0, -0.04 * s, 0.3 * s + 0.3 * reach),
        (0, -0.1 * s, 0.35 * s + reach),
    ]
    radii = [
        (0.42 * s, 0.42 * s),
        (0.56 * s, 0.55 * s),
        (0.42 * s * (0.6 + 0.6 * muzzle), 0.4 * s),
        (muzzle * 0.55 * s, muzzle * 0.55 * s),
    ]
    head = limb(knots, radii, sides=16, steps=3)
    if choices.style["body"] == "pig":
        disc = ellipsoid((0.34 * s, 0.3 * s, 0.08 * s), (0, -0.1 * s, 0.42 * s + reach), segments=16, rings=7)
        head = join(head, disc)
    return {"head": head}


def _eye(s: float) -> Solid:
    return ellipsoid((0.1 * s, 0.1 * s, 0.1 * s), (0.46 * s, 0.24 * s, 0.24 * s), segments=10, rings=7)


def _ears(choices: Choices, s: float) -> dict[str, Solid]:
    kind = choices.style["ears"]
    if kind == "none":
        return {}
    size = choices.size("ear_size", 0.75, 1.3) * s
    spread = choices.size("ear_spread", 8, 38)
    root = np.array([0.36 * s, 0.36 * s, -0.16 * s])
    if choices.style["body"] == "elephant":
        disc = limb(
            [
                (0.0, 0.5 * size, 0),
                (0.5 * size, 0.3 * size, 0),
                (0.62 * size, -0.3 * size, 0),
                (0.3 * size, -0.8 * size, 0),
            ],
            [(0.02, 0.3 * size), (0.022, 0.55 * size), (0.02, 0.42 * size), (0.012, 0.14 * size)],
            sides=14,
            up=(1, 0, 0),
        )
        return both_sides({"ear": disc.rotated("y", 20 + spread).translated(0.42 * s, 0.1 * s, -0.2 * s)})
    flat = {
        "pointed": ([0.0, 0.3, 0.7, 1.0], [0.2, 0.24, 0.14, 0.02], 0.85, -spread),
        "round": ([0.0, 0.2, 0.45, 0.6], [0.16, 0.3, 0.27, 0.08], 0.95, -1.2 * spread),
        "long": ([0.0, 0.4, 1.1, 1.6], [0.14, 0.2, 0.2, 0.04], 1.0, -0.6 * spread),
        "floppy": ([0.0, 0.25, 0.7, 1.0], [0.14, 0.26, 0.3, 0.1], 0.9, -100 - spread),
    }[kind]
    heights, halves, factor, turn = flat
    path = np.stack([np.zeros(4), np.array(heights), np.zeros(4)], axis=1) * size * factor
    radii = np.stack([np.array(halves) * size, np.maximum(0.22 * np.array(halves), 0.015) * size], axis=1)
    ear = limb(path, radii, sides=10, steps=3, up=(0, 0, 1)).rotated("z", turn)
    if kind == "floppy":
        root = np.array([0.3 * s, 0.42 * s, -0.1 * s])
    return both_sides({"ear": ear.translated(*root)})


def _horns(choices: Choices, body: Body) -> dict[str, Solid]:
    kind, s = choices.style["horns"], body.head_size
    if kind == "none":
        return {}
    long = choices.size("horn_length", 0.8, 1.6) * s
    thick = choices.size("horn_thickness", 0.09, 0.17) * s
    if kind == "nose":
        z = 0.25 * s + 0.75 * body.snout * s
        horn = limb(
            [(0, 0.15 * s, z), (0, 0.15 * s + 0.4 * long, z + 0.1 * long), (0, 0.15 * s + 0.75 * long, z)],
            [1.3 * thick, 0.7 * thick, 0.08 * thick],
            sides=10,
        )
        return {"horn": horn}
    root = np.array([0.26 * s, 0.4 * s, -0.1 * s])
    if kind == "short":
        left = limb(
            [root, root + vector(0.1 * long, 0.5 * long, 0), root + vector(0.14 * long, 0.85 * long, 0.05 * long)],
            [thick, 0.7 * thick, 0.1 * thick],
            sides=10,
        )
        return both_sides({"horn": left})
    if kind == "feelers":
        tip = root + vector(0.8 * long, 1.1 * long, 1.6 * long)
        left = limb(
            [root, root + vector(0.3 * long, 1.0 * long, 0.6 * long), tip],
            [0.35 * thick, 0.25 * thick, 0.2 * thick],
            sides=6,
            steps=5,
        )
        return both_sides({"horn": join(left, ellipsoid((0.5 * thick,) * 3, tip, segments=8, rings=5))})
    if kind == "curved":
        angles = np.linspace(0, np.radians(choices.size("horn_turn", 110, 320)), 14)
        ring = 0.5 * long
        path = root + np.stack(
            [
                0.3 * long * angles / np.pi + 0.2 * ring * np.sin(angles),
                ring * np.sin(angles) * 0.9,
                ring * (np.cos(angles) - 1) * 0.8,
            ],
            axis=1,
        )
        return both_sides({"horn": limb(path, np.linspace(1.2 * thick, 0.15 * thick, 14), sides=10, smooth=False)})
    # Antlers: a beam that curves up and outwards, with tines in front of it.
    beam = np.array([(0, 0, 0), (0.45, 0.5, -0.25), (0.75, 1.1, -0.2), (0.65, 1.7, 0.1)]) * long + root
    pieces = [limb(beam, np.array([0.6, 0.5, 0.4, 0.12]) * thick, sides=8, steps=4)]
    for k in range(choices.count("tines", 2, 5)):
        share = 0.25 + 0.7 * k / 5
        place = np.array([np.interp(share * 3, range(4), beam[:, axis]) for axis in range(3)])
        tip = place + np.array([0.1 - 0.12 * (k % 2), 0.36, 0.3 - 0.2 * (k % 2)]) * long * (1 - 0.4 * share)
        pieces.append(
            limb(
                [place, 0.5 * (place + tip) + vector(0, 0, 0.04 * long), tip],
                np.array([0.38, 0.3, 0.08]) * thick,
                sides=6,
                steps=3,
            )
        )
    return both_sides({"antler": join(*pieces)})


def _face(choices: Choices, body: Body) -> dict[str, Solid]:
    kind, s, reach = choices.style["face"], body.head_size, body.snout * body.head_size
    front = 0.3 * s + reach
    if kind == "trunk":
        long = choices.size("trunk_length", 1.1, 1.8) * s if choices.style["body"] == "elephant" else 0.7 * s
        curl = choices.size("trunk_curl", -0.3, 0.9) * long
        path = [
            (0, 0.0, 0.6 * front),
            (0, -0.1 * s, front + 0.12 * s),
            (0, -0.5 * long, front + 0.2 * s),
            (0, -0.95 * long, front + 0.22 * s + 0.4 * curl),
            (0, -1.0 * long + 0.3 * curl, front + 0.3 * s + curl),
        ]
        parts = {"trunk": limb(path, np.array([0.36, 0.3, 0.22, 0.16, 0.12]) * s, sides=14, steps=5)}
        return parts | (_tusks(choices, s, front) if choices.count("tusked", 0, 1) else {})
    if kind == "tusks":
        return _tusks(choices, s, front)
    if kind == "beak":
        long, hook = choices.size("beak_length", 0.5, 1.6) * s, choices.size("beak_hook", 0.0, 0.35) * s
        path = [
            (0, 0.05 * s, 0.25 * s),
            (0, 0.06 * s, 0.45 * s),
            (0, 0.0 * s, 0.45 * s + 0.6 * long),
            (0, -hook, 0.45 * s + long),
        ]
        flat = choices.size("beak_flatness", 0.6, 1.8)
        radii = [(0.34 * s, 0.3 * s), (0.26 * s, 0.24 * s), (0.13 * s * flat, 0.12 * s), (0.03 * s * flat, 0.025 * s)]
        parts = {"beak": limb(path, radii, sides=12, steps=4)}
        if choices.count("comb", 0, 2) == 0:
            bumps = [
                ellipsoid(
                    (0.05 * s, 0.2 * s, 0.14 * s),
                    (0, 0.55 * s - 0.06 * k * s, 0.2 * s - 0.22 * k * s),
                    segments=10,
                    rings=7,
                )
                for k in range(4)
            ]
            parts["comb"] = join(*bumps)
        return parts
    return {}


def _tusks(choices: Choices, s: float, front: float) -> dict[str, Solid]:
    long, rise = choices.size("tusk_length", 0.5, 1.1) * s, choices.size("tusk_rise", 0.1, 0.5)
    path = [
        (0.2 * s, -0.16 * s, 0.5 * front),
        (0.3 * s, -0.3 * s, front),
        (0.32 * s, -0.3 * s + rise * long, front + long),
    ]
    return both_sides({"tusk": limb(path, np.array([0.1, 0.08, 0.015]) * s, sides=8, steps=5)})
