"""Masts, yards, ropes, and sails as open surfaces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from dr_kfs.datasets.choices import Choices
from dr_kfs.datasets.families.ship_hull import Hull
from dr_kfs.datasets.open_surfaces import membrane
from dr_kfs.datasets.organic import limb
from dr_kfs.datasets.outlines import vector
from dr_kfs.datasets.primitives import Solid, box, cylinder, join, torus

__all__ = ["build_rig"]


def build_rig(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Parts "mast_0", "yard_0", "boom_0", "sail_0", "stay_0", "flag", ..."""
    kind = choices.style["rig"]
    if kind == "none":
        return _signal_mast(choices, hull)
    places = {"sloop": (0.55,), "lateen": (0.58,), "schooner": (0.66, 0.36), "square": (0.78, 0.52, 0.26)}[kind]
    if kind == "square" and choices.style["hull"] != "clipper":
        places = (0.5,)
    elif kind == "square" and choices.count("masts", 2, 3) == 2:
        places = (0.7, 0.36)
    tall = hull.length * choices.size("mast_height", 0.6, 0.85) * {"sloop": 1.15, "lateen": 0.8}.get(kind, 0.85)
    if choices.style["hull"] in ("rowing", "galley"):
        tall *= 0.75
    parts: dict[str, Solid] = {}
    tops = []
    for i, share in enumerate(places):
        z, _, deck, keel = hull.at(share)
        high = tall * (0.9 if i == 2 else 1.0 if i < 1 or kind == "square" else 1.05)
        foot = keel + 0.02 if hull.floor else deck - 0.02
        rake = choices.size("mast_rake", 0.0, 0.08) * high
        top = np.array([0.0, deck + high, z - rake])
        parts[f"mast_{i}"] = limb([(0, foot, z), top], [0.01, 0.005], sides=10, smooth=False)
        tops.append((np.array([0.0, deck, z]), top))
    makers = {"sloop": _fore_and_aft, "schooner": _fore_and_aft, "square": _square, "lateen": _lateen}
    return parts | makers[kind](choices, hull, tops) | _stays(choices, hull, tops) | _flag(choices, tops)


def _signal_mast(choices: Choices, hull: Hull) -> dict[str, Solid]:
    """Short mast with cross trees on ships without sails."""
    if choices.style["hull"] in ("rowing", "catamaran") or choices.count("signal_mast", 0, 2) == 0:
        return {}
    house = {"aft": 0.2, "low": 0.45}.get(choices.style["house"], 0.52)
    z, _, deck, _ = hull.at(house)
    high = choices.size("signal_height", 0.24, 0.34) if choices.style["house"] != "low" else 0.14
    pole = limb([(0, deck, z), (0, deck + high, z - 0.02)], [0.005, 0.0025], sides=8, smooth=False)
    arms = [
        cylinder(0.002, (-w, deck + h * high, z - 0.02 * h), (w, deck + h * high, z - 0.02 * h), sides=6)
        for w, h in ((0.04, 0.78), (0.025, 0.88))
    ]
    return {"mast_0": join(pole, *arms)}


def _fore_and_aft(choices: Choices, hull: Hull, masts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Solid]:
    """A boom with a sail behind each mast, with or without a gaff, and a jib in front."""
    parts: dict[str, Solid] = {}
    gaff = choices.count("gaff", 0, 1) if choices.style["rig"] == "schooner" else 0
    swing = np.radians(choices.size("boom_swing", 0, 28))
    out = np.array([np.sin(swing), 0.0, -np.cos(swing)])
    n = 0
    for i, (foot, top) in enumerate(masts):
        behind = masts[i + 1][0][2] if i + 1 < len(masts) else -0.5 * hull.length
        reach = 0.94 * (foot[2] - behind) * (0.85 if i + 1 == len(masts) else 1.0)
        low = foot + vector(0, choices.size("boom_level", 0.05, 0.09), 0)
        end = low + reach * out
        parts[f"boom_{i}"] = cylinder(0.005, low, end + 0.01 * out, sides=8)
        high = low + (top - low) * (0.7 if gaff else 0.95)
        peak = high + (0.7 * reach * out + vector(0, 0.22 * reach, 0) if gaff else 0)
        if gaff:
            parts[f"gaff_{i}"] = cylinder(0.004, high, peak + 0.02 * out, sides=8)
        if choices.style["sails"] == "set":
            parts[f"sail_{n}"] = _sail([low, high, peak, end], swing, choices.size("belly", 0.03, 0.1) * reach)
            n += 1
        elif choices.style["sails"] == "furled":
            parts[f"sail_roll_{i}"] = limb(
                [
                    low + 0.03 * out + vector(0, 0.012, 0),
                    (low + end) / 2 + vector(0, 0.016, 0),
                    end + vector(0, 0.008, 0),
                ],
                [0.012, 0.016, 0.007],
                sides=10,
            )
    foot, top = masts[0]
    bow = _bow(hull) + vector(0, 0.006, 0.08 if choices.style["bow"] == "sprit" else 0.0)
    if choices.style["sails"] == "set":
        for k in range(choices.count("jibs", 1, 2) if choices.style["hull"] != "rowing" else 0):
            tack = bow - vector(0, 0, 0.06 * k)
            head = foot + (top - foot) * (0.93 - 0.2 * k)
            clew = foot + vector(0.03, 0.06, 0.03 + 0.03 * k)
            parts[f"sail_{n}"] = _sail(
                [tack, tack + 0.96 * (head - tack), tack + 0.96 * (head - tack), clew], 0.3, 0.05 * hull.length
            )
            n += 1
    return parts


def _sail(corners: list[np.ndarray], swing: float, belly: float) -> Solid:
    """Surface between the luff (first to second corner) and the leech (last to third), bellied sideways."""
    tack, head, peak, clew = (np.asarray(corner, dtype=np.float64) for corner in corners)
    share = np.linspace(0, 1, 10)[:, None]
    luff, leech = tack + share * (head - tack), clew + share * (peak - clew)
    across = np.linspace(0, 1, 8)[None, :, None]
    grid = luff[:, None] * (1 - across) + leech[:, None] * across
    width = np.linalg.norm(leech - luff, axis=1)[:, None] / max(float(np.linalg.norm(leech[0] - luff[0])), 1e-9)
    bulge = belly * width * np.sin(np.pi * across[..., 0]) * np.sin(np.pi * (0.15 + 0.8 * share))
    return membrane(grid + bulge[..., None] * np.array([np.cos(swing), 0.0, np.sin(swing)]))


def _square(choices: Choices, hull: Hull, masts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Solid]:
    """Yards across each mast, with sails that the wind from behind fills."""
    parts: dict[str, Solid] = {}
    count = choices.count("yards", 2, 4) if len(masts) > 1 else 1
    wide, brace = (
        choices.size("yard_width", 0.13, 0.19) * (1.3 if len(masts) == 1 else 1.0),
        choices.size("yard_turn", -25, 25),
    )
    n = 0
    for i, (foot, top) in enumerate(masts):
        levels = np.linspace(0.3, 0.92, count + 1)[1:] if count > 1 else np.array([0.82])
        lowest = foot + 0.14 * (top - foot)
        for k, share in enumerate(levels):
            middle = foot + share * (top - foot)
            half = wide * (1 - 0.45 * k / max(count, 2)) * (0.85 if i == 2 else 1.0)
            yard = limb(
                [(-half, 0, 0.012), (0, 0, 0.012), (half, 0, 0.012)], [0.003, 0.0055, 0.003], sides=8, smooth=False
            )
            parts[f"yard_{n}"] = yard.rotated("y", brace).translated(*middle)
            below = middle - (foot + levels[k - 1] * (top - foot)) if k else middle - lowest
            drop, grown = 0.92 * below[1], half * (1.14 if k else 1.0)
            if choices.style["sails"] == "set":
                y, x = np.linspace(0, 1, 7)[:, None], np.linspace(-1, 1, 9)[None]
                belly = choices.size("belly", 0.03, 0.1) * 3.2 * drop
                z = 0.02 + belly * np.sin(np.pi * (0.06 + 0.72 * y)) * (1 - 0.75 * x**2)
                grid = np.stack(
                    [
                        x * (0.94 * half + (grown - half) * y),
                        np.broadcast_to(-drop * y - 0.004 + 0.12 * drop * y * (1 - x**2), z.shape),
                        z,
                    ],
                    axis=2,
                )
                lean = (foot - top) / (top[1] - foot[1]) * 1.0
                sail = membrane(grid).rotated("y", brace)
                parts[f"sail_{n}"] = sail.mapped(
                    lambda v, lean=lean: v + (-v[:, 1:2]) * np.array([0.0, 0.0, lean[2]])
                ).translated(*middle)
            elif choices.style["sails"] == "furled":
                roll = limb(
                    [(-0.9 * half, -0.008, 0.02), (0, -0.014, 0.022), (0.9 * half, -0.008, 0.02)],
                    [0.006, 0.012, 0.006],
                    sides=8,
                )
                parts[f"sail_roll_{n}"] = roll.rotated("y", brace).translated(*middle)
            n += 1
        if choices.count("tops", 0, 1) and len(masts) > 1:
            ring = foot + 0.5 * (top - foot)
            parts[f"top_{i}"] = join(torus(0.022, 0.004, segments=16, sides=6), box((0.03, 0.006, 0.03))).translated(
                *ring
            )
    return parts


def _lateen(choices: Choices, hull: Hull, masts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Solid]:
    """One long slanting yard and a triangular sail below it."""
    foot, top = masts[0]
    slant = np.radians(choices.size("lateen_slant", 35, 55))
    middle = foot + 0.9 * (top - foot)
    along = np.array([0.012, np.sin(slant), -np.cos(slant)])
    half = choices.size("lateen_length", 0.55, 0.75) * float(np.linalg.norm(top - foot))
    low, high = middle - 0.85 * half * along, middle + half * along
    low[1] = max(low[1], foot[1] + 0.04)
    parts: dict[str, Solid] = {"yard_0": limb([low, middle, high], [0.004, 0.006, 0.003], sides=8, smooth=False)}
    clew = np.array([0.02, foot[1] + 0.06, -0.5 * hull.length + 0.1])
    if choices.style["sails"] == "set":
        parts["sail_0"] = _sail([low, high, high, clew], 0.2, choices.size("belly", 0.03, 0.1) * hull.length)
    else:
        parts["sail_roll_0"] = limb(
            [low - vector(0, 0.012, 0), middle - vector(0, 0.016, 0), high - vector(0, 0.012, 0)],
            [0.006, 0.014, 0.006],
            sides=8,
        )
    return parts


def _stays(choices: Choices, hull: Hull, masts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Solid]:
    """Ropes from the mast heads to bow, stern and sides."""
    gauge = choices.size("rope", 0.0011, 0.0022)
    bow = _bow(hull)
    stern = np.array([0.0, hull.at(0.0)[2], hull.at(0.0)[0] + 0.01])
    heads = [foot + 0.96 * (top - foot) for foot, top in masts]
    lines = [(bow, heads[0]), *pairwise(heads)]
    if choices.style["rig"] in ("sloop", "schooner") and not hull.half_span:
        lines.append((heads[-1], stern))
    if choices.style["rig"] == "lateen":
        lines = []
    parts = {f"stay_{i}": cylinder(gauge, *ends, sides=5) for i, ends in enumerate(lines)}
    for i, ((foot, _), head) in enumerate(zip(masts, heads, strict=True)):
        _, beam, deck, _ = hull.beside(foot[2])
        wide = hull.half_span or 0.95 * beam
        ropes = [
            cylinder(gauge, (wide, deck, foot[2] + d), 0.85 * head + 0.15 * foot, sides=5) for d in (-0.05, -0.02, 0.01)
        ]
        if choices.count("ratlines", 0, 1) and choices.style["hull"] == "clipper":
            for share in np.linspace(0.12, 0.7, 7):
                a, b = (
                    np.array([wide, deck, foot[2] + d]) * (1 - share) + share * (0.85 * head + 0.15 * foot)
                    for d in (-0.05, 0.01)
                )
                ropes.append(cylinder(0.8 * gauge, a, b, sides=4))
        left = join(*ropes)
        parts |= {f"shroud_left_{i}": left, f"shroud_right_{i}": left.mirrored()}
    return parts


def _bow(hull: Hull) -> np.ndarray:
    """Where the foremost rope ends: at the bow, or on the beam between a catamaran's hulls."""
    z, _, deck, _ = hull.at(1.0)
    return np.array([0.0, 0.0, 0.24 * hull.length]) if hull.half_span else np.array([0.0, deck + 0.006, z])


def _flag(choices: Choices, masts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Solid]:
    if choices.count("flag", 0, 2):
        return {}
    top = masts[0][1] - vector(0, 0.006, 0)
    long, tall = choices.size("flag_length", 0.06, 0.12), choices.size("flag_height", 0.025, 0.05)
    share = np.linspace(0, 1, 9)
    line = np.stack([0.012 * np.sin(7 * share), 0 * share, -long * share], axis=1) + top
    return {"flag": membrane(np.stack([line - vector(0, tall, 0), line]))}
