"""Potted plants: "pot", "soil", "trunk", "stem_0", "leaf_0", "branch_0", "bloom_0", ...; leaves are open surfaces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.families.plant_growth import Pot, bamboo, cactus, fern, flowers, palm, rosette, straps
from dr_kfs.datasets.families.plant_wood import bush, topiary, tree, vine
from dr_kfs.datasets.outlines import circle, rounded_rectangle
from dr_kfs.datasets.primitives import Solid, box, cylinder, join, lathe, shell_of_revolution, slab, sweep

__all__ = ["OPTIONS", "build"]

OPTIONS = StyleOptions(
    family="plant",
    code=113,
    options={
        "growth": {
            "rosette": 2,
            "straps": 1.2,
            "palm": 1.5,
            "fern": 1.2,
            "tree": 2,
            "topiary": 1,
            "bush": 2,
            "cactus": 1.5,
            "bamboo": 1,
            "vine": 1,
            "flowers": 2,
        },
        "leaf": {"oval": 2, "lance": 2, "heart": 1.5, "round": 1, "lobed": 1, "strap": 1},
        "bloom": {"none": 2, "daisy": 1.5, "bell": 1, "ball": 1, "spike": 0.8, "cup": 1},
        "pot": {"tapered": 2.5, "round": 1.5, "square": 1.2, "cylinder": 1.2, "bowl": 1, "hexagon": 0.7},
        "rim": {"plain": 2, "collar": 1.5, "rolled": 1},
        "under": {"none": 2, "saucer": 1.5, "legs": 1, "stool": 0.7},
        "support": {"none": 5, "stake": 1, "trellis": 0.7},
    },
    requirements=(
        Requirement("growth", ("rosette",), "leaf", ("oval", "lance", "strap", "heart")),
        Requirement("growth", ("straps",), "leaf", ("strap", "lance")),
        Requirement("growth", ("bamboo", "palm", "fern"), "leaf", ("lance",)),
        Requirement("growth", ("cactus", "topiary"), "leaf", ("round",)),
        Requirement("growth", ("flowers",), "bloom", ("daisy", "bell", "ball", "spike", "cup")),
        Requirement("growth", ("palm", "fern", "topiary", "bamboo", "straps"), "bloom", ("none",)),
        Requirement("growth", ("rosette",), "bloom", ("none", "spike")),
        Requirement("growth", ("tree",), "bloom", ("none", "ball")),
        Requirement("growth", ("cactus", "bush", "vine"), "bloom", ("none", "daisy", "bell", "cup")),
        Requirement("support", ("stake",), "growth", ("bush", "flowers", "tree", "vine")),
        Requirement("support", ("trellis",), "growth", ("bush", "vine", "bamboo")),
        Requirement("pot", ("bowl",), "growth", ("rosette", "cactus", "tree", "fern", "flowers")),
        Requirement("rim", ("rolled",), "pot", ("tapered", "round", "cylinder", "bowl")),
    ),
)

_GROWTHS: dict[str, Callable[[Choices, Pot], dict[str, Solid]]] = {
    "rosette": rosette,
    "straps": straps,
    "palm": palm,
    "fern": fern,
    "tree": tree,
    "topiary": topiary,
    "bush": bush,
    "cactus": cactus,
    "bamboo": bamboo,
    "vine": vine,
    "flowers": flowers,
}


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a plant; the pot comes first."""
    parts, pot = _pot(choices)
    parts |= _under(choices, pot) | _support(choices, pot) | _GROWTHS[choices.style["growth"]](choices, pot)
    return on_floor(parts)


def _pot(choices: Choices) -> tuple[dict[str, Solid], Pot]:
    """The pot, its foot at y = 0, and the soil in it."""
    kind = choices.style["pot"]
    radius, ratio = choices.size("pot_radius", 0.12, 0.2), choices.size("pot_height", 0.9, 1.7)
    tall = radius * ratio * (0.6 if kind == "bowl" else 1.0)
    foot = choices.size("pot_foot", 0.6, 0.85)
    share = np.linspace(0, 1, 7)
    walls = {
        "tapered": foot + (1 - foot) * share[::3],
        "round": 0.6 + 0.4 * np.sin(np.pi * (0.1 + 0.72 * share)) ** 0.8,
        "cylinder": np.ones(3),
        "bowl": 0.4 + 0.6 * np.sqrt(1 - (1 - share) ** 2),
    }.get(kind, foot + (1 - foot) * share[::6])
    heights = np.linspace(0, tall, len(walls))
    profile = np.stack([radius * walls, heights], axis=1)
    segments = {"square": 4, "hexagon": 6}.get(kind, 28)
    # `shell_of_revolution` wants the wall from top to bottom; a last point on the axis closes the bottom.
    wall = np.concatenate([[(0.0, 0.0)], profile]) * (1, -1)
    shell = shell_of_revolution(wall, 0.06 * radius + 0.004, segments=segments).scaled(y=-1)
    grow = 1.28 if segments == 4 else 1.0
    shell = shell.rotated("y", 180 / segments).scaled(x=grow, z=grow)
    top = radius * float(walls[-1])
    level = tall * choices.size("soil_level", 0.84, 0.94)
    inner = float(np.interp(level, heights, profile[:, 0])) - 0.02 * radius
    soil = lathe(np.array([[inner * 0.97, level - 0.02], [inner * 0.97, level]]), segments=segments)
    parts = {"pot": shell, "soil": soil.rotated("y", 180 / segments).scaled(x=grow, z=grow)}
    if choices.style["rim"] != "plain":
        high, out = choices.size("rim_height", 0.02, 0.05), choices.size("rim_reach", 0.004, 0.016)
        if choices.style["rim"] == "rolled":
            angles = np.arange(24) * np.pi / 12
            line = np.stack([top * np.cos(angles), np.full(24, tall), top * np.sin(angles)], axis=1)
            parts["rim"] = sweep(line, circle(0.4 * high, sides=10), closed=True)
        else:
            band = np.array(
                [
                    [top - 0.01, tall - high],
                    [top + out, tall - high],
                    [top + out, tall + 0.004],
                    [top - 0.01, tall + 0.004],
                ]
            )
            collar = lathe(band, segments=segments, closed=True).rotated("y", 180 / segments)
            parts["rim"] = collar.scaled(x=grow, z=grow)
    return parts, Pot(
        top, tall, inner * (0.7 if segments == 4 else 0.85), level, profile[0, 0] * (0.9 if segments > 4 else 1.1)
    )


def _under(choices: Choices, pot: Pot) -> dict[str, Solid]:
    """Saucer, legs on the pot, or a stool below it."""
    kind = choices.style["under"]
    if kind == "none":
        return {}
    if kind == "saucer":
        wide = choices.size("saucer_radius", 1.15, 1.5) * max(pot.foot, 0.75 * pot.radius)
        rows = np.array([[0.8, -0.012], [1.0, 0.02], [0.96, 0.02], [0.8, 0.0], [0.0, 0.0]]) * (wide, 1)
        return {"saucer": lathe(rows, segments=32)}
    tall = choices.size("stand_height", 0.06, 0.3)
    thick = choices.size("stand_thickness", 0.008, 0.016)
    reach, count = 0.9 * pot.foot, choices.count("stand_legs", 3, 4)
    out = reach + choices.size("stand_splay", 0.0, 0.3) * tall
    leg = cylinder(thick, (reach, 0.006, 0), (out, -tall, 0), sides=10)
    parts = {f"stand_leg_{i}": leg.rotated("y", 45 + 360 * i / count) for i in range(count)}
    if kind == "stool":
        plate = 1.15 * max(pot.foot, reach)
        return parts | {"stand": slab(circle(plate, sides=28), -0.024, 0.002, bevel=0.004)}
    bars = [
        box((2 * reach, 1.4 * thick, 1.4 * thick), (0, -0.3 * tall, 0)).rotated("y", 45 + 360 * i / count)
        for i in range(2 if count == 4 else 0)
    ]
    return parts | ({"bar_0": join(*bars)} if bars else {})


def _support(choices: Choices, pot: Pot) -> dict[str, Solid]:
    kind = choices.style["support"]
    if kind == "none":
        return {}
    high = pot.soil + choices.size("support_height", 0.4, 0.6)
    if kind == "stake":
        return {"stake": cylinder(0.006, (0.35 * pot.inner, pot.soil - 0.02, 0), (0.35 * pot.inner, high, 0), sides=8)}
    wide, rows = 0.75 * pot.inner, choices.count("trellis_rows", 3, 6)
    grow = choices.size("trellis_spread", 1.0, 1.8)
    rods = [
        sweep(
            np.array([[x * wide, pot.soil - 0.02, -0.3 * pot.inner], [x * grow * wide, high, -0.3 * pot.inner]]),
            rounded_rectangle(0.008, 0.008, 0.001),
        )
        for x in (-1.0, -0.33, 0.33, 1.0)
    ]
    for k in range(rows):
        share = (k + 0.7) / rows
        half = wide * (1 + (grow - 1) * share) + 0.008
        rods.append(box((2 * half, 0.008, 0.006), (0, pot.soil + share * (high - pot.soil), -0.3 * pot.inner + 0.004)))
    return {"trellis": join(*rods)}
