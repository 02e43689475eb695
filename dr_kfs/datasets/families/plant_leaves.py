"""Leaves, fronds and blossoms, made of open surfaces."""

from __future__ import annotations

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.open_surfaces import leaf_blade, membrane
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import Point, vector
from dr_kfs.datasets.primitives import Solid, cylinder, ellipsoid, join

__all__ = ["arching", "bloom", "direction", "frond", "leaf"]


def direction(turn: float, rise: float) -> np.ndarray:
    """Unit vector at an angle around the y axis and above the horizontal [radians]."""
    return np.array([np.cos(rise) * np.cos(turn), np.sin(rise), np.cos(rise) * np.sin(turn)])


def arching(start: Point, way: np.ndarray, length: float, droop: float, *, steps: int = 7) -> np.ndarray:
    """Path of `length` that leaves along `way` and sinks by `droop` times its length until its end."""
    share = np.linspace(0, 1, steps)[:, None]
    return np.asarray(start) + length * (share * way - droop * share**2 * np.array([0.0, 1.0, 0.0]))


def _outline(kind: str, share: np.ndarray) -> np.ndarray:
    """Half width over the largest one, along the blade."""
    if kind == "heart":
        return np.clip(1.15 * np.sqrt(np.maximum(1 - share, 0)) * (1 - 0.2 * share), 0, 1) * np.clip(
            12 * share, 0.12, 1
        )
    if kind == "round":
        return np.sqrt(np.maximum(1 - (2 * np.clip(share, 0.02, 1) - 1) ** 2, 0.0))
    if kind == "strap":
        return np.clip(0.55 + 1.2 * share, 0, 1) * np.clip(3.2 * (1 - share), 0, 1) ** 0.7
    if kind == "lance":
        return np.sin(np.pi * np.clip(share, 0.03, 1) ** 0.75)
    if kind == "lobed":
        return np.sin(np.pi * np.clip(share, 0.05, 1) ** 0.8) * (0.72 + 0.28 * np.cos(6 * np.pi * share))
    return np.sin(np.pi * np.clip(share, 0.04, 1)) ** 0.8


def leaf(choices: Choices, path: np.ndarray, *, ratio: float = 1.0, kind: str | None = None) -> Solid:
    """One leaf along a path from its foot to its tip."""
    kind = kind or choices.style["leaf"]
    slim = {"oval": 0.24, "lance": 0.1, "heart": 0.38, "round": 0.4, "lobed": 0.4, "strap": 0.06}[kind]
    share = np.linspace(0, 1, len(path))
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    half = length * slim * ratio * choices.size("leaf_width", 0.7, 1.35) * _outline(kind, share)
    half[-1] = 0.0
    return leaf_blade(path, half, fold=choices.size("leaf_fold", -0.15, 0.45))


def frond(choices: Choices, path: np.ndarray, *, bare: float = 0.15) -> Solid:
    """Feather of leaflets on both sides of a rib; the first part of the rib is bare."""
    pairs = choices.count("leaflets", 6, 11)
    long, sweep_ = choices.size("leaflet_length", 0.22, 0.42), np.radians(choices.size("leaflet_sweep", 25, 60))
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    shares = np.linspace(0, 1, len(path))
    tangents = np.gradient(path, axis=0)
    pieces = [limb(path, np.linspace(0.006, 0.0018, len(path)), sides=6, smooth=False)]
    hang = choices.size("leaflet_hang", -0.1, 0.5)
    for k in range(pairs):
        share = bare + (0.99 - bare) * (k + 0.5) / pairs
        place = np.array([np.interp(share, shares, path[:, axis]) for axis in range(3)])
        along = np.array([np.interp(share, shares, tangents[:, axis]) for axis in range(3)])
        along = along / np.linalg.norm(along)
        side = np.cross(along, (0.0, 1.0, 0.0))
        side = side / max(float(np.linalg.norm(side)), 1e-6)
        reach = length * long * np.sin(np.pi * (0.18 + 0.76 * (share - bare) / (1 - bare))) ** 0.8
        for sign in (1, -1):
            way = np.sin(sweep_) * along + sign * np.cos(sweep_) * side
            blade = arching(place, way, reach, hang, steps=4)
            half = reach * choices.size("leaflet_width", 0.06, 0.14) * np.array([0.5, 1.0, 0.8, 0.0])
            pieces.append(leaf_blade(blade, half, fold=0.2))
    return join(*pieces)


def bloom(choices: Choices, place: np.ndarray, way: np.ndarray, size: float) -> Solid:
    """Blossom at the end of a stem, its face along `way`."""
    kind = choices.style["bloom"]
    count = choices.count("petals", 5, 13)
    solid = _BLOOMS[kind](choices, size, count)
    # Turn +y to `way`: tilt in the plane of x and y, then around y.
    tilt = float(np.degrees(np.arccos(np.clip(way[1] / np.linalg.norm(way), -1, 1))))
    turn = float(np.degrees(np.arctan2(-way[2], way[0])))
    return solid.rotated("z", -tilt).rotated("y", turn).translated(*place)


def _daisy(choices: Choices, size: float, count: int) -> Solid:
    heart = ellipsoid((0.3 * size, 0.14 * size, 0.3 * size), segments=14, rings=7)
    rise = choices.size("petal_rise", -0.1, 0.5)
    wide = min(1.2, 7.0 / count) * choices.size("petal_width", 0.7, 1.0)
    path = arching((0.22 * size, 0, 0), np.array([1.0, rise, 0.0]), 0.85 * size, 0.25, steps=5)
    petal = leaf_blade(path, 0.36 * size * wide * np.array([0.35, 0.75, 1.0, 0.85, 0.0]), fold=0.15)
    return join(heart, *[petal.rotated("y", 360 * k / count) for k in range(count)])


def _cup(choices: Choices, size: float, count: int) -> Solid:
    """Tulip: petals that rise around the middle."""
    count = min(count, 6)
    share = np.linspace(0, 1, 6)
    path = np.stack([size * (0.1 + 0.55 * np.sin(1.9 * share) ** 0.8), size * (1.25 * share - 0.05), 0 * share], axis=1)
    petal = leaf_blade(path, size * 0.52 * np.array([0.3, 0.85, 1.0, 0.9, 0.55, 0.0]), fold=0.35, columns=4)
    heart = ellipsoid((0.16 * size, 0.12 * size, 0.16 * size), segments=10, rings=7)
    return join(heart, *[petal.rotated("y", 360 * k / count) for k in range(count)])


def _bell(choices: Choices, size: float, count: int) -> Solid:
    """Trumpet: one open skin that flares, its rim in lobes."""
    share, around = np.linspace(0, 1, 6), np.linspace(0, 2 * np.pi, 19)
    flare = size * (0.16 + 0.25 * share + 0.75 * share**4)
    lobes = 1 + 0.22 * share[:, None] ** 4 * np.cos(min(count, 6) * around)[None]
    radius = flare[:, None] * lobes
    rows = np.stack(
        [radius * np.cos(around), np.broadcast_to(1.5 * size * share[:, None], radius.shape), radius * np.sin(around)],
        axis=2,
    )
    rod = cylinder(0.05 * size, (0, -0.05 * size, 0), (0, 1.3 * size, 0), sides=6)
    heart = ellipsoid((0.2 * size, 0.16 * size, 0.2 * size), segments=10, rings=7)
    return join(membrane(rows), rod, heart)


def _ball(choices: Choices, size: float, count: int) -> Solid:
    """A head of many small globes, or one berry."""
    if choices.count("berries", 0, 1):
        return ellipsoid((0.55 * size, 0.6 * size, 0.55 * size), (0, 0.4 * size, 0), segments=14, rings=9)
    pieces = [ellipsoid((0.5 * size,) * 3, (0, 0.3 * size, 0), segments=12, rings=7)]
    for k in range(14):
        y = 1 - 2 * (k + 0.5) / 14
        way = direction(k * 2.39996, float(np.arcsin(y)))
        pieces.append(ellipsoid((0.23 * size,) * 3, 0.5 * size * way + vector(0, 0.3 * size, 0), segments=6, rings=5))
    return join(*pieces)


def _spike(choices: Choices, size: float, count: int) -> Solid:
    """Many small bells around the last part of a stem."""
    rows = choices.count("spike_rows", 5, 8)
    pieces = [cylinder(0.06 * size, (0, -0.1 * size, 0), (0, 3.6 * size, 0), sides=6)]
    for k in range(3 * rows):
        y = 3.5 * size * k / (3 * rows)
        small = 0.42 * size * (1 - 0.6 * k / (3 * rows))
        bud = ellipsoid((small, 0.55 * small, 0.55 * small), (0.9 * small, 0, 0), segments=6, rings=4).rotated("z", 25)
        pieces.append(bud.rotated("y", 137.5 * k).translated(y=y))
    return join(*pieces)


_BLOOMS = {"daisy": _daisy, "cup": _cup, "bell": _bell, "ball": _ball, "spike": _spike}
