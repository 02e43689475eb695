"""Guitars, basses, violins, banjos, lutes: "body", "neck", "fingerboard", "string_0", "peg_0", "bridge", ..."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.guitar_body import SOLID, Instrument, build_body
from dr_kfs.datasets.families.guitar_front import build_front
from dr_kfs.datasets.families.guitar_head import build_head
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.open_surfaces import membrane
from dr_kfs.datasets.outlines import rounded_path, spline, vector
from dr_kfs.datasets.primitives import Solid, box, cylinder, join, loft, tube

__all__ = ["OPTIONS", "build"]

_HOLLOW = ("acoustic", "violin", "teardrop", "round", "box", "archtop")
OPTIONS = StyleOptions(
    family="guitar",
    code=109,
    options={
        "body": {
            "acoustic": 3,
            "archtop": 1.2,
            "double": 2,
            "single": 1.5,
            "vee": 1,
            "angular": 1,
            "violin": 1.8,
            "teardrop": 1.5,
            "round": 1.2,
            "box": 0.7,
        },
        "sound": {"hole": 3, "f_holes": 2, "pickups": 3, "humbuckers": 1.5, "resonator": 0.6, "plain": 1},
        "head": {"paired": 3, "inline": 2, "slotted": 1, "scroll": 1.5, "arrow": 0.8, "none": 0.5},
        "bridge": {"pins": 2, "tail": 1.5, "block": 1.5},
        "guard": {"none": 2, "drop": 1, "plate": 1},
        "knobs": {"none": 2, "two": 1, "four": 1},
        "holding": {"none": 4, "stand": 1.2, "strap": 1.2, "pin": 0.6},
    },
    requirements=(
        Requirement("body", ("acoustic",), "sound", ("hole", "resonator", "plain", "f_holes")),
        Requirement("body", ("archtop",), "sound", ("f_holes", "humbuckers", "pickups")),
        Requirement("body", SOLID, "sound", ("pickups", "humbuckers")),
        Requirement("body", ("violin",), "sound", ("f_holes",)),
        Requirement("body", ("teardrop",), "sound", ("hole", "f_holes", "plain")),
        Requirement("body", ("round",), "sound", ("plain", "resonator")),
        Requirement("body", ("box",), "sound", ("hole", "f_holes", "pickups", "plain")),
        Requirement("body", ("violin",), "head", ("scroll",)),
        Requirement("head", ("scroll",), "body", ("violin", "teardrop")),
        Requirement("head", ("slotted",), "body", ("acoustic", "box", "round", "teardrop")),
        Requirement("head", ("arrow", "none"), "body", SOLID),
        Requirement("body", ("violin", "archtop", "round", "teardrop"), "bridge", ("tail",)),
        Requirement("body", ("double", "single"), "bridge", ("block", "tail")),
        Requirement("body", ("vee", "angular"), "bridge", ("block",)),
        Requirement("body", ("acoustic", "box"), "bridge", ("pins",)),
        Requirement("guard", ("drop",), "body", ("acoustic", "archtop")),
        Requirement("guard", ("plate",), "body", ("double", "single")),
        Requirement("knobs", ("two", "four"), "sound", ("pickups", "humbuckers")),
        Requirement("holding", ("pin",), "body", ("violin",)),
        Requirement("holding", ("strap",), "body", ("acoustic", "archtop", "round", "teardrop", *SOLID)),
    ),
)


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of an instrument that stands upright, its strings towards +z."""
    body, what = build_body(choices)
    parts = {"body": body} | _neck(choices, what)
    parts |= build_head(choices, what) | build_front(choices, what) | _holding(choices, what)
    return on_floor(parts)


def _neck(choices: Choices, what: Instrument) -> dict[str, Solid]:
    """Neck, fingerboard, nut, frets."""
    thick = choices.size("neck_thickness", 0.018, 0.026)
    foot, z = what.joint - 0.012, what.front
    angles = np.linspace(0, np.pi, 9)
    rings = []
    for y, deep in ((foot, 1.9), (what.joint + 0.02, 1.0), (what.nut, 0.85)):
        half = what.half_width(y)
        rings.append(
            np.stack([half * np.cos(angles), 0 * angles + y, z - deep * thick * np.sin(angles) + 0.001], axis=1)
        )
    parts = {"neck": loft(np.stack(rings))}
    end = what.board_end
    corners = []
    for y in (end, what.nut):
        half = what.half_width(y)
        corners.append([(half, y, z), (half, y, z + 0.008), (-half, y, z + 0.008), (-half, y, z)])
    parts["fingerboard"] = loft(np.array(corners))
    half = what.half_width(what.nut)
    parts["nut"] = box((2 * half, 0.006, 0.012), (0, what.nut, z + 0.006))
    if choices.style["body"] != "violin" and choices.count("fretless", 0, 9) > 0:
        places = what.nut - (what.nut - what.bridge) * (1 - 2.0 ** (-np.arange(1, 22) / 12))
        frets = [box((1.98 * what.half_width(y), 0.0024, 0.003), (0, y, z + 0.009)) for y in places if y > end + 0.004]
        parts["frets"] = join(*frets)
    return parts


def _holding(choices: Choices, what: Instrument) -> dict[str, Solid]:
    kind = choices.style["holding"]
    if kind == "pin":
        return {
            "pin": cylinder(
                0.005, (0, 0.02, what.middle), (0, -choices.size("pin_length", 0.06, 0.14), what.middle), sides=10
            )
        }
    if kind == "strap":
        out, wide = choices.size("strap_reach", 0.1, 0.3), choices.size("strap_width", 0.015, 0.03)
        side = what.half_body * (0.5 + out)
        foot = (0.75 * what.half_body, 0.04) if choices.style["body"] == "vee" else (0.0, 0.006)
        knots = [
            (*foot, what.middle),
            (side, -0.02, what.middle - 0.06),
            (1.5 * side, 0.5 * what.joint, what.middle - 0.1),
        ]
        knots += [
            (1.1 * side, what.joint, what.middle - 0.1),
            (0.2 * what.half_body, what.joint - 0.02, what.middle - 0.02),
        ]
        line = spline(knots, steps=6)
        tangent = np.gradient(line, axis=0)
        across = np.cross(tangent, (0.3, 0.0, 1.0))
        across = np.cross(tangent, across)
        across = across / np.linalg.norm(across, axis=1, keepdims=True)
        return {"strap": membrane(np.stack([line - wide * across, line + wide * across], axis=1))}
    if kind == "none":
        return {}
    # Two feet in front carry the body, one reaches back, and a post behind holds the neck.
    low, wide, rod = choices.size("stand_height", 0.08, 0.16), 0.75 * what.half_body, 0.007
    z = what.back - 0.02
    hub = np.array([0.0, 0.04, z])
    fork = [(wide, 0.05, what.front + 0.03), (wide, 0.03, what.front + 0.02), (wide, 0.015, z), hub]
    arm = tube(rounded_path(fork, 0.02), rod, sides=8)
    top = np.array([0.0, what.joint + 0.4 * (what.nut - what.joint), what.front - 0.045])
    spine = tube(
        np.array([hub - vector(0, 0.01, 0), [0, 0.3 * top[1], z], [top[0], top[1], min(top[2], z)]]), rod, sides=8
    )
    yoke = [
        (0.034, top[1], what.front + 0.02),
        (0.034, top[1], top[2]),
        (0, top[1], min(top[2], z)),
        (-0.034, top[1], top[2]),
        (-0.034, top[1], what.front + 0.02),
    ]
    parts = {"stand": join(spine, arm, arm.mirrored(), tube(rounded_path(yoke, 0.015), 0.8 * rod, sides=8))}
    feet = [(1.2 * wide, -low, what.front + 0.1), (-1.2 * wide, -low, what.front + 0.1), (0, -low, z - 0.26)]
    return parts | {f"stand_leg_{i}": tube(np.array([hub, foot]), rod, sides=8) for i, foot in enumerate(feet)}
