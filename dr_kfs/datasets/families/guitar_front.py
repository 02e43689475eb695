"""What lies on the front of a string instrument: strings, bridge, pickups, holes, guards, knobs."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.guitar_body import Instrument
from dr_kfs.datasets.families.guitar_head import string_count
from dr_kfs.datasets.outlines import circle, smooth, spline
from dr_kfs.datasets.primitives import Solid, box, cylinder, extrude, frustum, join, lathe, loft, sweep, torus

__all__ = ["build_front"]


def build_front(choices: Choices, what: Instrument) -> dict[str, Solid]:
    """Parts "bridge", "string_0", "pickup_0", "rosette", "f_hole_left", "guard", "knob_0", ..."""
    parts = _bridge(choices, what) | _sound(choices, what) | _guard(choices, what)
    lift, top = parts["bridge"].vertices[:, 2].max(), what.front + 0.014
    count = string_count(choices)
    gauge = choices.size("string_gauge", 0.0009, 0.0018)
    low = what.bridge
    if choices.style["bridge"] == "tail":
        low = parts["tailpiece"].vertices[:, 1].max() - 0.004
    for i in range(count):
        share = (i / (count - 1) - 0.5) * 1.7
        ends = [
            (share * 1.2 * what.half_width(what.bridge), what.bridge, lift),
            (share * what.half_width(what.nut), what.nut, top),
        ]
        path = (
            ends
            if choices.style["bridge"] != "tail"
            else [(0.5 * ends[0][0], low, what.front + what.rise + 0.008), *ends]
        )
        parts[f"string_{i}"] = sweep(np.array(path), circle(gauge, sides=6))
    return parts


def _bridge(choices: Choices, what: Instrument) -> dict[str, Solid]:
    kind, y, z = choices.style["bridge"], what.bridge, what.front + what.rise
    half = 1.2 * what.half_width(y)
    if kind == "pins":
        wide = choices.size("bridge_width", 1.6, 2.3) * half
        outline = np.array(
            [[-wide, -0.4], [-half, -1], [half, -1], [wide, -0.4], [wide, 0.4], [half, 1], [-half, 1], [-wide, 0.4]]
        ) * (1, 0.016)
        plate = extrude(smooth(outline), 0.012, bevel=0.002).translated(0, y - 0.004, z + 0.005)
        return {"bridge": join(plate, box((2.1 * half, 0.004, 0.008), (0, y, z + 0.013)))}
    if kind == "block":
        base = box((2.3 * half, 0.045, 0.008), (0, y - 0.012, z + 0.003), bevel=0.002)
        saddles = [
            box((0.3 * half, 0.016, 0.008), (x * half, y - 0.004, z + 0.009))
            for x in np.linspace(-0.9, 0.9, string_count(choices))
        ]
        arm = sweep(
            np.array(
                [[half, y - 0.01, z + 0.004], [1.3 * half, y + 0.01, z + 0.028], [1.6 * half, y + 0.12, z + 0.026]]
            ),
            circle(0.003, sides=8),
        )
        extra = [arm] if choices.count("tremolo", 0, 1) else []
        return {"bridge": join(base, *saddles, *extra)}
    tall = choices.size("bridge_height", 0.016, 0.03) if what.rise else 0.014
    foot = np.array(
        [[-1, 0], [-0.6, 0], [-0.5, 0.35], [0, 0.5], [0.5, 0.35], [0.6, 0], [1, 0], [0.9, 0.7], [0, 1], [-0.9, 0.7]]
    )
    bridge = extrude(foot * (1.3 * half, tall + 0.006), 0.006).rotated("x", 90).translated(0, y, z - 0.004)
    low = 0.06 * what.outline[:, 1].max()
    ends = np.array([[0.35 * half, low, what.front + 0.004], [1.05 * half, 0.62 * y + 0.38 * low, z + 0.006]])
    rings = [np.array([(x, py, pz), (x, py, pz + 0.006), (-x, py, pz + 0.006), (-x, py, pz)]) for x, py, pz in ends]
    return {"bridge": bridge, "tailpiece": loft(np.stack(rings))}


def _sound(choices: Choices, what: Instrument) -> dict[str, Solid]:
    kind, z = choices.style["sound"], what.front
    parts: dict[str, Solid] = {}
    if choices.style["body"] == "round":
        parts |= _drum(choices, what)
    if kind == "hole":
        ring = torus(1.14 * what.hole_radius, 0.003, segments=40, sides=6).scaled(y=0.7).rotated("x", 90)
        parts["rosette"] = ring.translated(0, what.hole, z)
    elif kind == "resonator":
        radius = 0.55 * what.half_body
        cone = np.array([[1, 0], [1, 0.012], [0.92, 0.014], [0.85, 0.006], [0.3, 0.012], [0.2, 0.018]]) * (radius, 1)
        parts["resonator"] = (
            lathe(cone, segments=32).rotated("x", 90).translated(0, max(what.bridge, 1.05 * radius), z - 0.002)
        )
    elif kind == "f_holes":
        parts |= _f_holes(choices, what)
    elif kind in ("pickups", "humbuckers"):
        deep = 0.02 if kind == "pickups" else 0.038
        count = choices.count("pickup_count", 1, 3) if kind == "pickups" else choices.count("pickup_count", 1, 2)
        places = np.linspace(what.bridge + 0.05, what.board_end - 0.025, 3)[[0, 2, 1]][:count]
        for i, y in enumerate(places):
            pad = box((2.6 * what.half_width(what.bridge), deep, 0.01), (0, y, z + what.rise + 0.003), bevel=0.003)
            poles = [
                cylinder(0.003, (x, y, z), (x, y, z + what.rise + 0.01), sides=8)
                for x in np.linspace(-0.9, 0.9, 6) * what.half_width(what.bridge)
            ]
            lean = choices.size("pickup_lean", -8, 14) if i == 0 and kind == "pickups" else 0.0
            parts[f"pickup_{i}"] = join(pad, *poles).rotated("z", lean, about=(0, y, 0))
        parts |= _knobs(choices, what)
    return parts


def _knobs(choices: Choices, what: Instrument) -> dict[str, Solid]:
    count = {"none": 0, "two": 2, "four": 4}[choices.style["knobs"]]
    radius = choices.size("knob_radius", 0.009, 0.014)
    knob = frustum(radius, 0.85 * radius, 0, 0.016, segments=16).rotated("x", 90)
    parts = {}
    for i in range(count):
        x, y = _inside(what, 0.62 - 0.14 * (i % 2), what.bridge - 0.02 - 0.035 * (i // 2) - 0.03 * (i % 2))
        parts[f"knob_{i}"] = knob.translated(x, y, what.front - 0.002)
    return parts


def _inside(what: Instrument, share: float, y: float) -> tuple[float, float]:
    """Point at a share of the body's right half width at height y, where the body is wide enough."""
    ys = np.linspace(max(y, 0.06), 0.5 * what.joint, 8)
    widths = [_edge(what, float(level)) for level in ys]
    best = int(np.argmax([min(width, 0.6 * what.half_body) for width in widths]))
    level = ys[0] if widths[0] > 0.5 * what.half_body else ys[best]
    return share * _edge(what, float(level)), float(level)


def _edge(what: Instrument, y: float) -> float:
    """Smallest x of the outline's right side at height y."""
    near = what.outline[(np.abs(what.outline[:, 1] - y) < 0.04) & (what.outline[:, 0] > 0)]
    return float(near[:, 0].min()) if len(near) else 0.5 * what.half_body


def _f_holes(choices: Choices, what: Instrument) -> dict[str, Solid]:
    """Slender S curves beside the bridge; they stand out by a hair, as a real slot would cut the front open."""
    tall = choices.size("f_length", 0.12, 0.17) * what.outline[:, 1].max() / 0.45
    x, y = 0.5 * what.half_body, what.bridge + 0.02
    curve = spline(
        [(-0.014, -0.42), (0.008, -0.5), (0.012, -0.36), (-0.004, 0.0), (-0.012, 0.36), (-0.008, 0.5), (0.014, 0.42)],
        steps=4,
    )
    path = np.stack([x + curve[:, 0], y + tall * curve[:, 1]], axis=1)
    path = np.column_stack([path, what.front_at(path) + 0.001])
    line = sweep(
        path, circle(1.0, sides=6), scales=np.interp(np.linspace(0, 1, len(path)), [0, 0.5, 1], [0.0032, 0.006, 0.0032])
    )
    return {"f_hole_left": line, "f_hole_right": line.mirrored()}


def _drum(choices: Choices, what: Instrument) -> dict[str, Solid]:
    """Hoop and hooks around a banjo's skin."""
    radius, middle = what.half_body, what.outline[:, 1].mean()
    hoop = torus(radius, 0.007, segments=48, sides=8).rotated("x", 90).translated(0, middle, what.front)
    count = choices.count("hooks", 12, 24)
    hook = cylinder(0.0035, (0, radius + 0.004, what.front + 0.006), (0, radius + 0.004, what.middle), sides=6)
    return {
        "hoop": hoop,
        "hooks": join(*[hook.rotated("z", 360 * (k + 0.5) / count) for k in range(count)]).translated(y=middle),
    }


def _guard(choices: Choices, what: Instrument) -> dict[str, Solid]:
    kind = choices.style["guard"]
    if kind == "none":
        return {}
    half, y = what.half_body, what.hole
    if kind == "drop":
        r = what.hole_radius
        knots = np.array(
            [
                (0.95 * r, y - 0.2 * r),
                (1.5 * r, y - 0.1 * r),
                (0.58 * half, y - 1.2 * r),
                (0.5 * half, y - 2.4 * r),
                (1.1 * r, y - 2.0 * r),
                (0.75 * r, y - 0.9 * r),
            ]
        )
        return {
            "guard": extrude(spline(knots, steps=4, closed=True), 0.004).translated(
                z=what.front + what.rise * 0.5 + 0.002
            )
        }
    low, high = what.bridge - 0.03, what.board_end + 0.02
    knots = np.array(
        [
            (0.1, low + 0.07),
            (0.5 * half, low - 0.02),
            (0.62 * half, low + 0.05),
            (0.5 * half, (low + high) / 2),
            (0.56 * half, high),
            (0.2 * half, high - 0.01),
            (-0.45 * half, high),
            (-0.48 * half, (low + high) / 2),
            (-0.25 * half, low + 0.07),
        ]
    )
    knots[0, 0] = 0.1 * half
    return {"guard": extrude(spline(knots, steps=3, closed=True), 0.004).translated(z=what.front + 0.001)}
