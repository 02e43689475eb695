"""What a cabinet stands on, and what finishes it above."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.cabinet_layout import Carcass
from dr_kfs.datasets.outlines import arc, circle, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cylinder, ellipsoid, extrude, join, post, slab, tube

__all__ = ["CORNERS", "build_base", "build_top", "caster", "rimmed_plate"]

CORNERS = ((1, 1), (-1, 1), (-1, -1), (1, -1))
"""Signs of x and z around the floor, the front ones first."""


def rimmed_plate(width: float, depth: float, low: float, high: float, *, middle: float = 0.0) -> Solid:
    """Horizontal plate around x = 0 and z = `middle`, its rims a little cut."""
    return slab(rounded_rectangle(width, depth, 0.006), low, high, bevel=0.004).translated(z=middle)


def build_base(choices: Choices, width: float, depth: float) -> tuple[float, dict[str, Solid]]:
    """Height of the carcass above the floor, and what carries it: "leg_0", "caster_0", "plinth"."""
    kind = choices.style["base"]
    x, z = width / 2, depth / 2
    if kind == "floor":
        return 0.0, {}
    if kind == "plinth":
        tall, inset = choices.size("plinth_height", 0.03, 0.08), choices.size("plinth_inset", -0.012, 0.025)
        size = (width - 2 * inset, tall + 0.004, depth - 2 * inset)
        return tall, {"plinth": box(size, (0, tall / 2, 0), bevel=0.004)}
    if kind == "bun":
        radius = choices.size("bun_radius", 0.022, 0.04)
        bun = ellipsoid((radius, 0.75 * radius, radius), (0, 0.7 * radius, 0), segments=16, rings=9)
        places = [(sx * (x - radius), sz * (z - radius)) for sx, sz in CORNERS]
        return 1.35 * radius, {f"leg_{i}": bun.translated(px, 0, pz) for i, (px, pz) in enumerate(places)}
    if kind == "casters":
        places = [(sx * (x - 0.035), sz * (z - 0.035)) for sx, sz in CORNERS]
        return 0.06, {f"caster_{i}": caster(px, pz) for i, (px, pz) in enumerate(places)}
    tall = choices.size("leg_height", 0.08, 0.22)
    thick = choices.size("leg_thickness", 0.022, 0.042)
    if kind == "sled":
        bar, half = 0.7 * thick, z - 0.6 * thick
        post_ = box((bar, tall + 0.006, bar), (0, tall / 2 + 0.003, half))
        frame = join(post_, post_.scaled(z=-1), box((bar, bar, 2 * half - bar), (0, bar / 2, 0)))
        frame = frame.translated(x - thick - choices.size("leg_inset", 0, 0.08) * width)
        return tall, {"leg_0": frame, "leg_1": frame.mirrored()}
    return tall, _legs(choices, (x, z), tall, thick)


def _legs(choices: Choices, half: tuple[float, float], tall: float, thick: float) -> dict[str, Solid]:
    splay = max(choices.size("leg_splay", -0.15, 0.3), 0.0) * tall
    section = rounded_rectangle(thick, thick, 0.003)
    if choices.count("round_legs", 0, 1):
        section = circle(thick / 2, sides=14)
    inset = thick / 2 + 0.004
    x, z = half[0] - inset - choices.size("leg_inset", 0.0, 0.08) * half[0] - 0.4 * splay, half[1] - inset - 0.4 * splay
    tip = choices.size("leg_tip", 0.45, 1.0)
    parts = {}
    for i, (sx, sz) in enumerate(CORNERS):
        head = np.array([sx * x, tall + 0.004, sz * z])
        foot = np.array([sx * (x + splay), 0.0, sz * (z + splay)])
        parts[f"leg_{i}"] = post(np.stack([foot, head]), section, scales=np.array([tip, 1.0]))
    return parts


def caster(x: float, z: float) -> Solid:
    """Swivel wheel of height 0.064 on the floor."""
    wheel = cylinder(0.02, (x - 0.009, 0.02, z), (x + 0.009, 0.02, z), sides=16, bevel=0.004)
    fork = box((0.028, 0.028, 0.014), (x, 0.04, z))
    return join(wheel, fork, cylinder(0.01, (x, 0.03, z), (x, 0.064, z), sides=10))


def build_top(choices: Choices, body: Carcass) -> dict[str, Solid]:
    """Parts "top", "gallery", "rail_left", "finial": what stands on the carcass."""
    kind = choices.style["top"]
    if kind == "flat":
        return {}
    if kind == "cornice":
        return {"top": _cornice(choices, body)}
    if kind == "arched":
        return _arch(choices, body)
    deep, middle = body.front - body.back, (body.back + body.front) / 2
    reach, thick = choices.size("top_reach", 0.008, 0.03), choices.size("top_thickness", 0.012, 0.035)
    high = body.top + thick
    size = (body.width + 2 * reach, deep + reach)
    parts = {"top": rimmed_plate(*size, body.top - 0.002, high, middle=middle + reach / 2)}
    if kind == "gallery":
        tall = choices.size("gallery_height", 0.06, 0.16)
        wall = box((body.width, tall, 0.014), (0, high + tall / 2 - 0.002, body.back + 0.01), bevel=0.003)
        x, y, z = 0.47 * body.width, high + 0.55 * tall, body.back + 0.75 * deep
        rail = join(
            tube(np.array([[x, y, body.back + 0.01], [x, y, z]]), 0.005),
            cylinder(0.005, (x, high - 0.004, z), (x, y + 0.005, z), sides=10),
        )
        parts |= {"gallery": wall, "rail_left": rail, "rail_right": rail.mirrored()}
    return parts


def _cornice(choices: Choices, body: Carcass) -> Solid:
    """Steps that grow outwards, none of them behind the back."""
    reach, rise = choices.size("cornice_reach", 0.02, 0.05), choices.size("cornice_height", 0.03, 0.07)
    steps = [(0.15, 0.0, 0.3), (0.5, 0.26, 0.6), (1.0, 0.56, 1.0)]
    middle = (body.back + body.front) / 2
    return join(*[
        rimmed_plate(
            body.width + 2 * reach * grow,
            body.front - body.back + reach * grow,
            body.top + rise * low - 0.002,
            body.top + rise * high,
            middle=middle + reach * grow / 2,
        )
        for grow, low, high in steps
    ])  # fmt: skip


def _arch(choices: Choices, body: Carcass) -> dict[str, Solid]:
    """Pediment in front: an arc, or an arc between two shoulders, with a ball on it."""
    rise, half = choices.size("arch_height", 0.05, 0.14), body.width / 2
    wide = min(choices.size("arch_width", 0.5, 1.2), 1.0) * half
    shoulder = 0.02 if wide < half else 0.0
    radius = (wide**2 + rise**2) / (2 * rise)
    turn = float(np.degrees(np.arctan2(wide, radius - rise)))
    curve = arc((0.0, shoulder + rise - radius), radius, 90 - turn, 90 + turn, steps=16)
    curve = curve[1:-1] if not shoulder else curve
    corners = [[-half, 0.0], [half, 0.0]] + ([[half, 0.8 * shoulder]] if shoulder else [])
    outline = np.concatenate([corners, curve, [[-half, 0.8 * shoulder]] if shoulder else np.zeros((0, 2))])
    panel = extrude(outline, 0.022).translated(0, body.top - 0.004, body.front - 0.014)
    ball = ellipsoid((0.018, 0.026, 0.018), (0, body.top + rise + shoulder + 0.012, body.front - 0.014), segments=12)
    return {"top": panel, "finial": ball}
