"""Sofas, armchairs, chaises, day beds: "base", "seat_cushion_0", "back", "arm_left", "leg_0", "pillow_0", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.placement import both_sides, on_floor
from dr_kfs.datasets.families.sofa_back import build_back
from dr_kfs.datasets.outlines import circle, rounded_rectangle, spline
from dr_kfs.datasets.primitives import Solid, box, cushion, cylinder, ellipsoid, extrude, join, post, slab, sweep

__all__ = ["OPTIONS", "build"]

_BACKED = ("cushions", "board", "channels", "camel", "wrapped", "slatted", "rolled")
OPTIONS = StyleOptions(
    family="sofa",
    code=107,
    options={
        "form": {"armchair": 2, "two": 2, "three": 3, "corner": 1.5, "chaise": 1, "daybed": 1, "bench": 0.8},
        "back": {
            "cushions": 3,
            "board": 1.5,
            "channels": 1.2,
            "camel": 1,
            "wrapped": 1,
            "slatted": 1,
            "rolled": 1,
            "none": 0.5,
        },
        "arms": {"box": 3, "scroll": 2, "sloped": 1.5, "pad": 1, "open": 1.2, "low": 1, "none": 1},
        "seat": {"box": 2, "soft": 2, "single": 1.2, "tufted": 0.8},
        "legs": {"block": 2, "tapered": 2, "sled": 1, "bun": 1, "plinth": 1, "hairpin": 0.7},
        "skirt": {"none": 4, "plain": 1},
        "pillows": {"none": 2, "square": 2, "bolster": 1, "round": 0.6},
    },
    requirements=(
        Requirement("form", ("armchair", "two", "three", "corner"), "back", _BACKED),
        Requirement("form", ("daybed", "bench"), "back", ("board", "none", "slatted", "rolled")),
        Requirement("form", ("chaise",), "back", ("board", "camel", "cushions", "rolled", "channels")),
        Requirement("back", ("wrapped",), "arms", ("none",)),
        Requirement("back", ("camel", "rolled"), "arms", ("scroll", "box", "sloped", "none", "low")),
        Requirement("form", ("corner",), "arms", ("box", "low", "sloped", "pad")),
        Requirement("form", ("corner",), "back", ("cushions", "board", "channels")),
        Requirement("skirt", ("plain",), "legs", ("block", "bun", "plinth")),
    ),
)


@dataclass(frozen=True)
class Couch:
    """Where the upholstery is: outer width and depth, arms included, and levels."""

    width: float
    depth: float
    inner: float
    """Half width between the arms."""
    clear: float
    """Height of the underside."""
    frame: float
    """Height of the frame's upper side."""
    seat: float
    """Height of the cushions' upper side."""
    back: float
    """Height of the back."""
    front: float
    """z of the back's front face at the seat."""


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a sofa; the base comes first."""
    form = choices.style["form"]
    spans = {"armchair": (0.5, 0.68), "two": (0.8, 0.98), "three": (1.0, 1.25), "corner": (1.05, 1.25)}
    width = choices.size("width", *spans.get(form, (0.85, 1.1)))
    depth = choices.size("depth", 0.4, 0.52) * (0.85 if form in ("daybed", "bench") else 1.0)
    arm = 0.0 if choices.style["arms"] == "none" else choices.size("arm_width", 0.045, 0.11)
    clear = choices.size("clearance", 0.05, 0.13)
    frame = clear + choices.size("frame_height", 0.05, 0.1)
    seat = frame + choices.size("cushion_height", 0.05, 0.1)
    tall = choices.size("back_height", 0.17, 0.32) * (0.75 if form in ("daybed", "bench") else 1.0)
    front = -0.5 * depth + choices.size("back_thickness", 0.06, 0.1)
    if choices.style["back"] in ("none", "slatted"):
        front = -0.5 * depth + 0.02
    inner = width / 2 - arm
    couch = Couch(width, depth, inner, clear, frame, seat, seat + tall, front)
    corner = 0.22 * depth if choices.style["back"] == "wrapped" else 0.01
    outline = rounded_rectangle(width - 0.01, depth - 0.01, corner, steps=4)
    parts = {"base": slab(outline, clear, frame, bevel=0.01)}
    parts |= _arms(choices, couch, arm) | build_back(choices, couch)
    cushions, places = _seat(choices, couch)
    parts |= cushions | _pillows(choices, couch)
    return on_floor(parts | _support(choices, couch, places))


def _seat(choices: Choices, couch: Couch) -> tuple[dict[str, Solid], list[tuple[float, float]]]:
    """Cushions between the arms, and the places (x, z) of the legs."""
    form = choices.style["form"]
    count = {"armchair": 1, "two": 2, "three": 3, "corner": 3, "chaise": 1}.get(form, choices.count("seats", 1, 3))
    if choices.style["seat"] == "single":
        count = 1
    x, z = couch.width / 2 - 0.04, couch.depth / 2 - 0.04
    places = [(x, z), (-x, z), (-x, -z), (x, -z)]
    reach = choices.size("cushion_reach", 0.0, 0.03)
    front, wide = couch.depth / 2 + reach, 2 * couch.inner / count
    parts: dict[str, Solid] = {}
    for i in range(count):
        middle = couch.inner - (i + 0.5) * wide
        ahead = front
        if form == "corner" and i == count - 1:
            ahead = front + choices.size("corner_reach", 0.28, 0.42)
            size = (wide + couch.width / 2 - couch.inner - 0.01, couch.frame - couch.clear, ahead - front + 0.06)
            block = (middle - (size[0] - wide) / 2, (couch.clear + couch.frame) / 2, ahead - reach - size[2] / 2)
            parts["base_corner"] = box(size, block, bevel=0.01)
            places += [(middle + wide / 2 - 0.05, ahead - reach - 0.05), (-x, ahead - reach - 0.05)]
        size = (wide - 0.006, couch.seat - couch.frame, ahead - couch.front - 0.004)
        centre = (middle, (couch.frame + couch.seat) / 2, (ahead + couch.front) / 2)
        parts[f"seat_cushion_{i}"] = _cushion(choices, size).translated(*centre)
    return parts, places


def _cushion(choices: Choices, size: tuple[float, float, float]) -> Solid:
    kind = choices.style["seat"]
    if kind == "soft":
        high = size[1] * choices.size("cushion_puff", 1.1, 1.5)
        return cushion((size[0], high, size[2]), power=choices.size("cushion_power", 4.0, 7.0), sides=40, rings=11)
    edge = choices.size("cushion_edge", 0.008, 0.025)
    solid = box((size[0], size[1] + 0.006, size[2]), bevel=edge, steps=3)
    if kind != "tufted":
        return solid
    rows, columns = choices.count("tuft_rows", 1, 3), max(2, round(size[0] / choices.size("tuft_pitch", 0.07, 0.12)))
    pitch = (0.92 * size[0] / columns, 0.92 * size[2] / rows)
    pad = cushion((1.02 * pitch[0], 0.03, 1.02 * pitch[1]), power=3.5, sides=12, rings=7)
    places = [
        ((c + 0.5) * pitch[0] - 0.46 * size[0], (r + 0.5) * pitch[1] - 0.46 * size[2])
        for c in range(columns)
        for r in range(rows)
    ]
    return join(solid, *[pad.translated(x, size[1] / 2, z) for x, z in places])


def _arms(choices: Choices, couch: Couch, thick: float) -> dict[str, Solid]:
    kind = choices.style["arms"]
    if kind == "none":
        return {}
    rise = choices.size("arm_height", 0.06, 0.14)
    low, high = couch.clear, couch.seat + (0.25 * rise if kind == "low" else rise)
    x, depth = couch.width / 2 - thick / 2, couch.depth
    if kind in ("box", "low"):
        edge = choices.size("arm_edge", 0.004, 0.03)
        left = box((thick, high - low, depth), (x, (low + high) / 2, 0), bevel=min(edge, 0.4 * thick), steps=3)
    elif kind == "scroll":
        radius = thick * choices.size("scroll_radius", 0.55, 0.75)
        panel = box((0.8 * thick, high - low - radius, depth), (x, (low + high - radius) / 2, 0), bevel=0.006)
        roll = cylinder(
            radius,
            (x + 0.25 * thick, high - radius, -depth / 2),
            (x + 0.25 * thick, high - radius, depth / 2 + 0.006),
            sides=20,
            bevel=0.01,
        )
        left = join(panel, roll)
    elif kind == "sloped":
        drop = choices.size("arm_drop", 0.2, 0.9) * rise
        curve = spline(
            [
                (-depth / 2, high + 0.3 * rise),
                (-0.1 * depth, high - 0.2 * drop),
                (0.36 * depth, high - drop),
                (depth / 2, high - drop),
            ]
        )
        outline = np.concatenate([curve, [[depth / 2, low], [-depth / 2, low]]])[::-1]
        left = extrude(outline, thick, bevel=0.006).rotated("y", -90).translated(x=x)
        left = left.scaled(z=1.0)
    elif kind == "pad":
        stay = box((0.4 * thick, high - low, 0.03), (x, (low + high) / 2, 0), bevel=0.003)
        pad = cushion((thick, 0.05, 0.82 * depth), (x, high, 0.02 * depth), power=5, sides=24)
        left = join(stay.translated(z=0.36 * depth), stay.translated(z=-0.36 * depth), pad)
    else:
        left = _open_arm(choices, couch, (x, high), thick)
    return both_sides({"arm": left})


def _open_arm(choices: Choices, couch: Couch, place: tuple[float, float], thick: float) -> Solid:
    """Frame of bars: two posts, a rail on top, and slats or a panel between them."""
    x, high = place
    bar = max(0.4 * thick, 0.022)
    z = couch.depth / 2 - bar / 2
    section = rounded_rectangle(bar, bar, 0.15 * bar)
    pieces = [box((1.5 * bar, 0.8 * bar, couch.depth), (x, high - 0.4 * bar, 0), bevel=0.004)]
    for side in (1, -1):
        pieces.append(post(np.array([[x, 0.0, side * z], [x, high - 0.2 * bar, side * z]]), section))
    for k in range(choices.count("arm_slats", 0, 5)):
        place_z = z * (2 * (k + 1) / (choices.count("arm_slats", 0, 5) + 1) - 1)
        pieces.append(
            box((0.4 * bar, high - couch.frame, 0.7 * bar), (x, (high + couch.frame) / 2 - 0.2 * bar, place_z))
        )
    return join(*pieces)


def _support(choices: Choices, couch: Couch, places: list[tuple[float, float]]) -> dict[str, Solid]:
    """Parts "leg_0", "plinth", "skirt"."""
    kind, clear = choices.style["legs"], couch.clear
    parts: dict[str, Solid] = {}
    if choices.style["skirt"] == "plain":
        parts["skirt"] = box((couch.width, clear, couch.depth), (0, clear / 2 + 0.006, 0), bevel=0.006)
    if choices.style["arms"] == "open" and kind in ("block", "bun", "tapered"):
        places = places[4:]
    thick = choices.size("leg_thickness", 0.022, 0.05)
    if kind == "plinth":
        size = (couch.width - 0.08, clear + 0.01, couch.depth - 0.08)
        return parts | {"plinth": box(size, (0, clear / 2, 0))}
    if kind == "sled":
        x, z = couch.width / 2 - 0.06, couch.depth / 2 - 0.05
        bar = box((0.014, clear + 0.01, 0.03), (x, clear / 2, z))
        frame = join(bar, bar.scaled(z=-1), box((0.014, 0.014, 2 * z), (x, 0.007, 0)))
        parts |= {"leg_0": frame, "leg_1": frame.mirrored()}
        places = places[4:]
    for i, (x, z) in enumerate(places, start=2 if kind == "sled" else 0):
        parts[f"leg_{i}"] = (
            _leg(choices, kind, clear, thick).rotated("y", float(np.degrees(np.arctan2(x, z)))).translated(x, 0, z)
        )
    return parts


def _leg(choices: Choices, kind: str, clear: float, thick: float) -> Solid:
    """One leg around the y axis, its outer side towards +z."""
    high = clear + 0.008
    if kind == "bun":
        return ellipsoid((0.7 * thick, 0.5 * high, 0.7 * thick), (0, 0.5 * high, 0), segments=14, rings=9)
    if kind == "hairpin":
        rod = np.array([[0.5 * thick, high, 0], [0.0, 0.004, 0.3 * thick], [-0.5 * thick, high, 0]])
        return sweep(rod, circle(0.004, sides=8), up=(0, 0, 1))
    if kind == "tapered":
        splay = choices.size("leg_splay", 0.0, 0.35) * clear
        path = np.array([[0, 0, 0.5 * splay], [0, high, -0.5 * splay]])
        return post(path, circle(thick / 2, sides=12), scales=np.array([choices.size("leg_tip", 0.45, 0.9), 1.0]))
    return box((thick, high, thick), (0, high / 2, 0), bevel=0.003).rotated("y", 45)


def _pillows(choices: Choices, couch: Couch) -> dict[str, Solid]:
    """Loose pillows that lean on the back, or on the arms."""
    kind = choices.style["pillows"]
    if kind == "none":
        return {}
    size = choices.size("pillow_size", 0.12, 0.18)
    lean = choices.size("pillow_lean", 14, 30)
    depth = {"cushions": choices.sizes.get("back_cushion", 0.08)}.get(choices.style["back"], 0.0)
    z = couch.front + 0.8 * depth + 0.035 + 0.5 * size * np.sin(np.radians(lean))
    parts = {}
    count = choices.count("pillow_count", 1, 2 if couch.inner < 0.35 else 3)
    for i in range(count):
        x = (couch.inner - 0.55 * size) * (1, -1, choices.size("pillow_place", -0.4, 0.4))[i]
        if kind == "bolster":
            roll = cylinder(0.33 * size, (0, 0, -0.55 * size), (0, 0, 0.55 * size), sides=20, bevel=0.06 * size)
            parts[f"pillow_{i}"] = roll.translated(x, couch.seat + 0.34 * size, z + 0.2 * size)
            continue
        solid = (
            cushion((size, size, 0.42 * size), power=3.2, sides=28)
            if kind == "square"
            else cushion((size, size, 0.4 * size), power=2, sides=28)
        )
        solid = solid.rotated("x", -lean).rotated("y", choices.size(f"pillow_turn_{i}", -18, 18) - 12 * np.sign(x))
        parts[f"pillow_{i}"] = solid.translated(x, couch.seat + 0.47 * size, z)
    return parts
