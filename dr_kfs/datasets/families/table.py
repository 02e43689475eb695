"""Tables, desks, consoles: "top", "leg_0", "bar_0", "shelf", "drawer_0", "apron_front", ..."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.legs import BARS, LEG_SHAPES, SECTIONS, bars_between, corner_legs
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.outlines import circle, ellipse, rounded_path, rounded_rectangle, smooth
from dr_kfs.datasets.primitives import Solid, box, cylinder, join, lathe, slab, sweep, tube

__all__ = ["OPTIONS", "Top", "build"]

OPTIONS = StyleOptions(
    family="table",
    code=102,
    options={
        "base": {
            "four": 8,
            "three": 0.8,
            "pedestal": 2,
            "double_pedestal": 1,
            "trestle": 1.2,
            "panel": 1,
            "crossed": 1,
            "hairpin": 1,
            "frame": 1,
            "block": 0.5,
        },
        "top": {"rectangle": 4, "rounded": 2, "round": 2, "oval": 1.5, "octagon": 0.8, "boat": 0.8},
        "leg_shape": LEG_SHAPES,
        "section": SECTIONS,
        "bars": BARS,
        "storage": {"none": 5, "shelf": 1.5, "drawer": 1.5, "drawers": 1.2, "cabinet": 1},
        "height": {"dining": 4, "coffee": 2, "bar": 1, "console": 1},
        "apron": {"none": 1, "boards": 1},
    },
    requirements=(
        Requirement("bars", ("h", "box", "front_back", "sides", "cross", "stacked"), "base", ("four",)),
        Requirement("leg_shape", ("tapered", "splayed", "curved", "turned"), "base", ("four", "three")),
        Requirement("leg_shape", ("curved",), "bars", ("none", "h", "box", "front_back", "sides")),
        Requirement("base", ("double_pedestal", "trestle"), "top", ("rectangle", "rounded", "boat", "oval")),
        Requirement("base", ("panel", "frame"), "top", ("rectangle", "rounded")),
        Requirement("base", ("three",), "top", ("round", "octagon", "oval")),
        Requirement("storage", ("shelf",), "base", ("four", "three", "panel", "frame", "hairpin")),
        Requirement("storage", ("shelf",), "bars", ("none",)),
        Requirement("storage", ("drawer", "drawers", "cabinet"), "base", ("four", "panel", "frame", "hairpin")),
        Requirement("storage", ("drawer", "drawers", "cabinet"), "top", ("rectangle",)),
        Requirement("storage", ("cabinet",), "bars", ("none", "sides")),
        Requirement("storage", ("cabinet",), "leg_shape", ("straight", "tapered", "turned")),
        Requirement("apron", ("boards",), "base", ("four",)),
        Requirement("apron", ("boards",), "top", ("rectangle", "rounded")),
        Requirement("apron", ("boards",), "storage", ("none", "shelf")),
    ),
)
_BOAT = np.array([[-1, -0.75], [0, -1], [1, -0.75], [1, 0.75], [0, 1], [-1, 0.75]])


@dataclass(frozen=True)
class Top:
    """Where the table top is: outer width and depth, and its upper face and underside."""

    width: float
    depth: float
    top: float
    bottom: float


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a table; the top comes first."""
    spans = {"dining": (0.62, 0.78), "coffee": (0.28, 0.42), "bar": (0.85, 1.05), "console": (0.7, 0.85)}
    height = choices.size("height", *spans[choices.style["height"]])
    round_ = choices.style["top"] in ("round", "octagon")
    narrow = {"bar": (0.5, 0.75), "console": (0.8, 1.2)}.get(choices.style["height"], (0.75, 1.3))
    width = choices.size("top_width", *narrow)
    ratio = choices.size("top_ratio", 0.28, 0.42) if choices.style["height"] == "console" else 0.0
    depth = width * (1.0 if round_ else ratio or choices.size("top_ratio", 0.5, 0.9))
    top = Top(width, depth, height, height - choices.size("top_thickness", 0.015, 0.06))
    parts = {"top": _top(choices, top)}
    builders = {
        "four": _legs,
        "three": _legs,
        "pedestal": _pedestal,
        "double_pedestal": _pedestal,
        "trestle": _trestle,
        "panel": _panels,
        "crossed": _crossed,
        "hairpin": _hairpin,
        "frame": _frames,
        "block": _block,
    }
    parts |= builders[choices.style["base"]](choices, top)
    return on_floor(parts | _storage(choices, top))


def _top(choices: Choices, top: Top) -> Solid:
    w, d = top.width, top.depth
    outlines = {
        "rectangle": rounded_rectangle(w, d, 0.01),
        "rounded": rounded_rectangle(w, d, choices.size("top_corner", 0.06, 0.3) * min(w, d), steps=6),
        "round": ellipse(w, d, sides=40),
        "oval": ellipse(w, d, sides=40, power=choices.size("top_power", 2.0, 3.2)),
        "octagon": ellipse(w, d, sides=8),
        "boat": smooth(_BOAT * (w / 2, d / 2), rounds=2),
    }
    bevel = choices.size("top_bevel", 0.05, 0.45) * (top.top - top.bottom)
    return slab(outlines[choices.style["top"]], top.bottom, top.top, bevel=bevel, steps=2)


def _corner(choices: Choices, top: Top, margin: float) -> tuple[float, float]:
    """Half distances (x, z) between the legs, well inside the top's outline."""
    shrink = 1.0 if choices.style["top"] == "rectangle" else 0.94 if choices.style["top"] == "rounded" else 0.68
    return (0.5 * top.width - margin) * shrink, (0.5 * top.depth - margin) * shrink


def _legs(choices: Choices, top: Top) -> dict[str, Solid]:
    thickness = choices.size("leg_thickness", 0.03, 0.085)
    x, z = _corner(choices, top, choices.size("leg_inset", 0.0, 0.1) * top.width + 0.6 * thickness)
    feet = [(x, z), (-x, z), (-x, -z), (x, -z)]
    if choices.style["base"] == "three":
        reach = 0.4 * top.depth
        feet = [(0.87 * reach, 0.5 * reach), (-0.87 * reach, 0.5 * reach), (0.0, -reach)]
    parts, legs = corner_legs(choices, feet, top.bottom + 0.005, thickness)
    parts |= bars_between(choices, legs, top.bottom, 0.8 * thickness)
    if choices.style["storage"] == "shelf":
        x_shelf, _, z_shelf = np.abs(legs[0](choices.size("shelf_height", 0.18, 0.5) * top.bottom))
        outline = rounded_rectangle(2 * x_shelf + 0.02, 2 * z_shelf + 0.02, 0.01)
        if len(feet) == 3:
            outline = circle(float(np.hypot(x_shelf, z_shelf)), sides=32)
        parts["shelf"] = _shelf(choices, top, outline)
    if choices.style["apron"] == "boards":
        tall = choices.size("apron_height", 0.05, 0.12) * min(1.0, 2 * top.top)
        y, board = top.bottom - tall / 2, 0.35 * thickness
        for name, side in (("front", 1), ("back", -1)):
            parts[f"apron_{name}"] = box((2 * x, tall, board), (0, y, side * z))
        for name, side in (("left", 1), ("right", -1)):
            parts[f"apron_{name}"] = box((board, tall, 2 * z), (side * x, y, 0))
    return parts


def _shelf(choices: Choices, top: Top, outline: np.ndarray) -> Solid:
    y = choices.size("shelf_height", 0.18, 0.5) * top.bottom
    return slab(outline, y - 0.01, y + 0.01, bevel=0.004)


def _pedestal(choices: Choices, top: Top) -> dict[str, Solid]:
    """One or two columns on a disc or on feet."""
    double = choices.style["base"] == "double_pedestal"
    radius = choices.size("column_radius", 0.025, 0.07)
    reach = choices.size("base_reach", 0.5, 0.75) * (top.depth if double else min(top.width, top.depth)) / 2
    footed = choices.count("feet", 0, 1) * choices.count("feet_count", 3, 5)
    bulge = choices.size("column_bulge", 0.8, 1.9)
    low = 0.09 if footed else 0.0
    column = [[radius, low + 0.06], [bulge * radius, 0.4 * top.bottom], [0.8 * radius, 0.75 * top.bottom]]
    head = [
        [1.2 * radius, top.bottom - 0.03],
        [3 * radius, top.bottom - 0.012],
        [3 * radius, top.bottom + 0.004],
    ]
    foot = [[1.3 * radius, low - 0.02]] if footed else [[reach, 0], [reach, 0.02], [0.8 * reach, 0.03]]
    solid = lathe(np.array([*foot, *column, *head]), segments=24)
    places = [0.27 * top.width, -0.27 * top.width] if double else [0.0]
    parts: dict[str, Solid] = {}
    for i, x in enumerate(places):
        name = f"pedestal_{i}" if double else "pedestal"
        parts[name] = solid.translated(x=x)
        for k in range(footed):
            points = [(0.5 * radius, low + 0.1, 0), (0.5 * reach, 0.8 * low, 0), (reach, 0.02, 0)]
            foot_ = sweep(rounded_path(points, 0.12), rounded_rectangle(0.035, 0.04, 0.006))
            degrees = 90 + k * 360 / footed
            parts[f"leg_{i * footed + k}"] = foot_.rotated("y", degrees).translated(x=x)
    if double:
        path = np.array([[places[1], 0.3 * top.bottom, 0], [places[0], 0.3 * top.bottom, 0]])
        parts["bar_0"] = sweep(path, rounded_rectangle(0.03, 0.05, 0.004))
    return parts


def _trestle(choices: Choices, top: Top) -> dict[str, Solid]:
    """Two side frames, either T shaped or A shaped, and a long bar."""
    thickness = choices.size("leg_thickness", 0.03, 0.085)
    x, half = 0.34 * top.width, 0.42 * top.depth
    section = rounded_rectangle(thickness, thickness, 0.1 * thickness)
    leaning = choices.count("leaning", 0, 1) == 1
    parts: dict[str, Solid] = {}
    for i, (name, side) in enumerate((("left", 1), ("right", -1))):
        y = top.bottom - 0.4 * thickness
        parts[f"beam_{name}"] = box((thickness, 0.8 * thickness, 1.8 * half), (side * x, y, 0), bevel=0.004)
        if leaning:
            for k, end in enumerate((1, -1)):
                path = np.array([[side * x, 0, end * half], [side * x, y, end * 0.35 * half]])
                parts[f"leg_{2 * i + k}"] = sweep(path, section, up=(0, 0, 1))
            path = np.array([[side * x, 0.35 * y, 0.8 * half], [side * x, 0.35 * y, -0.8 * half]])
            parts[f"bar_{i + 1}"] = sweep(path, 0.7 * section)
        else:
            size = (1.1 * thickness, y, 2.2 * thickness)
            parts[f"leg_{i}"] = box(size, (side * x, y / 2, 0), bevel=0.004)
            parts[f"foot_{name}"] = box((thickness, thickness, 2 * half), (side * x, thickness / 2, 0), bevel=0.01)
    height = choices.size("bar_height", 0.25, 0.6) * top.bottom if not leaning else 0.35 * top.bottom
    parts["bar_0"] = box((2 * x, 1.4 * thickness, 0.5 * thickness), (0, height, 0), bevel=0.003)
    return parts


def _panels(choices: Choices, top: Top) -> dict[str, Solid]:
    thickness = choices.size("panel_thickness", 0.015, 0.05)
    x = 0.5 * top.width - thickness / 2 - choices.size("leg_inset", 0.0, 0.1) * top.width
    size = (thickness, top.bottom + 0.004, 0.9 * top.depth)
    parts = {f"leg_{i}": box(size, (side * x, size[1] / 2, 0), bevel=0.003) for i, side in enumerate((1, -1))}
    tall = choices.size("modesty_height", 0.2, 0.7) * top.bottom
    parts["panel_back"] = box((2 * x, tall, 0.6 * thickness), (0, top.bottom - tall / 2, -0.36 * top.depth))
    return parts


def _crossed(choices: Choices, top: Top) -> dict[str, Solid]:
    """An X at both ends, or one three-dimensional X under a round top."""
    thickness = choices.size("leg_thickness", 0.03, 0.085) * 0.8
    section = rounded_rectangle(thickness, thickness, 0.1 * thickness)
    x, z = _corner(choices, top, 0.1 * top.width)
    y, parts = top.bottom + 0.003, {}
    if choices.style["top"] in ("round", "octagon", "oval"):
        for i, (sx, sz) in enumerate([(1, 1), (-1, 1)]):
            path = np.array([[-sx * x, 0, -sz * z], [sx * x, y, sz * z]])
            twin = np.array([[sx * x, 0, sz * z], [-sx * x, y, -sz * z]])
            parts[f"leg_{2 * i}"], parts[f"leg_{2 * i + 1}"] = sweep(path, section), sweep(twin, section)
        return parts
    for i, side in enumerate((1, -1)):
        for k, lean in enumerate((1, -1)):
            offset = side * (x - 0.5 * thickness * lean)
            path = np.array([[offset, 0, lean * z], [offset, y, -lean * z]])
            parts[f"leg_{2 * i + k}"] = sweep(path, section, up=(0, 0, 1))
    parts["bar_0"] = cylinder(0.3 * thickness, (-x, y / 2, 0), (x, y / 2, 0), sides=10)
    return parts


def _hairpin(choices: Choices, top: Top) -> dict[str, Solid]:
    """Each leg is one thin rod bent into a narrow V."""
    radius = choices.size("rod_radius", 0.006, 0.011)
    x, z = _corner(choices, top, 0.06 * top.width)
    spread, y = choices.size("rod_spread", 0.05, 0.09), top.bottom + 0.004
    parts = {}
    for i, (sx, sz) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
        points = [
            (sx * (x - 2 * spread), y, sz * z),
            (sx * x, radius, sz * z),
            (sx * x, y, sz * (z - 2 * spread)),
        ]
        parts[f"leg_{i}"] = tube(rounded_path(points, 0.03), radius)
    return parts


def _frames(choices: Choices, top: Top) -> dict[str, Solid]:
    """Two closed loops of square bar, upright or wider at the floor."""
    thickness = choices.size("leg_thickness", 0.03, 0.085) * 0.7
    section = rounded_rectangle(thickness, thickness, 0.05 * thickness)
    x, half = 0.5 * top.width - thickness, 0.45 * top.depth
    x -= choices.size("leg_inset", 0.0, 0.1) * top.width
    narrow = choices.size("frame_taper", 0.55, 1.0)
    low, high = thickness / 2, top.bottom - 0.4 * thickness
    parts = {}
    for i, side in enumerate((1, -1)):
        corners = [(low, half), (low, -half), (high, -narrow * half), (high, narrow * half)]
        bars = []
        for (y0, z0), (y1, z1) in zip(corners, corners[1:] + corners[:1], strict=True):
            ends = np.array([[side * x, y0, z0], [side * x, y1, z1]])
            reach = 0.5 * thickness * (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
            bars.append(sweep(ends + np.stack([-reach, reach]), section, up=(1, 0, 0)))
        parts[f"leg_{i}"] = join(*bars)
    parts["bar_0"] = box((2 * x, thickness, thickness), (0, high, 0))
    return parts


def _block(choices: Choices, top: Top) -> dict[str, Solid]:
    share = choices.size("block_width", 0.4, 0.8)
    size = (share * top.width, top.bottom + 0.004, share * top.depth)
    taper = choices.size("block_taper", 0.6, 1.3)
    if choices.style["top"] in ("round", "oval", "octagon"):
        radius = share * top.depth / 2
        profile = np.array([[radius, 0], [radius * (1 + taper) / 2, size[1] / 2], [radius * taper, size[1]]])
        return {"pedestal": lathe(profile, segments=32)}
    return {"pedestal": box(size, (0, size[1] / 2, 0), bevel=0.008, taper=(taper, taper))}


def _storage(choices: Choices, top: Top) -> dict[str, Solid]:
    kind = choices.style["storage"]
    if kind == "none":
        return {}
    thickness = choices.sizes.get("leg_thickness", 0.03)
    inset = choices.sizes.get("leg_inset", 0.0) * top.width + thickness
    x, z = _corner(choices, top, inset)
    if choices.style["base"] == "frame":
        x = 0.5 * top.width - thickness - choices.sizes["leg_inset"] * top.width
    if kind == "shelf":
        grow = 0.02 if choices.style["top"] in ("rectangle", "rounded") else 0.0
        outline = rounded_rectangle(2 * x + grow, 2 * z + grow, 0.01)
        return {} if choices.style["base"] in ("four", "three") else {"shelf": _shelf(choices, top, outline)}
    deep = 2 * z
    if kind == "cabinet":
        wide, tall = (
            choices.size("cabinet_width", 0.26, 0.4) * top.width,
            choices.size("cabinet_height", 0.6, 0.92),
        )
        return _chest("cabinet", x - wide / 2, top.bottom, (wide, tall * top.bottom, deep), (3, 1))
    tall = choices.size("drawer_height", 0.09, 0.16) * min(1.0, 2 * top.top)
    columns = 1 if kind == "drawer" else choices.count("drawer_columns", 2, 3)
    return _chest("case", 0.0, top.bottom, (2 * x, tall, deep), (1, columns))


def _chest(
    name: str, x: float, top: float, size: tuple[float, float, float], grid: tuple[int, int]
) -> dict[str, Solid]:
    """Box under the table top with `grid` (rows, columns) of drawer fronts and their knobs."""
    width, height, depth = size
    parts = {name: box(size, (x, top - height / 2 + 0.002, 0))}
    rows, columns = grid
    wide, tall, front = width / columns, height / rows, depth / 2
    for i in range(rows * columns):
        centre = (x - width / 2 + (i % columns + 0.5) * wide, top - (i // columns + 0.5) * tall)
        parts[f"drawer_{i}"] = box((0.92 * wide, 0.86 * tall, 0.02), (*centre, front + 0.006), bevel=0.004)
        knob = cylinder(0.011, (*centre, front + 0.01), (*centre, front + 0.04), sides=10, bevel=0.003)
        parts[f"handle_{i}"] = knob
    return parts
