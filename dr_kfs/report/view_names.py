"""What the views of a rig are called in tables and figures, and in which rows they are shown."""

from __future__ import annotations

import math
from typing import Any

from dr_kfs.rendering import Cameras

__all__ = ["view_names", "view_rows"]

MOST_COLUMNS = 9
"""Views side by side in a figure: eight azimuths and the top view."""


def view_names(cameras: Cameras | dict[str, Any] | None, count: int) -> list[str]:
    """`"3: az 135 el 0"` for each of `count` views; `"3"` where the cameras are not known.

    Azimuth turns from +z towards +x, elevation rises towards +y [degrees].

    Args:
        cameras: a rig, or the `settings()` of one.
        count: number of views.
    """
    directions = _directions(cameras)
    if len(directions) != count:
        return [str(view) for view in range(count)]
    names = []
    for view, (azimuth, elevation) in enumerate(directions):
        at_pole = abs(elevation) > 89.5  # where an azimuth means nothing
        place = ("top" if elevation > 0 else "bottom") if at_pole else f"az {azimuth:.0f} el {elevation:.0f}"
        names.append(f"{view}: {place}")
    return names


def view_rows(cameras: Cameras | dict[str, Any] | None, count: int) -> list[list[int]]:
    """The views in rows that can be read: one elevation per row, and a lone last view beside the row before it.

    The 25 views of `hemisphere_rig()` make rows of 8, 8 and 9. Where the cameras are not known, rows of at most 9.
    """
    elevations = [round(elevation) for _, elevation in _directions(cameras)]
    if len(elevations) != count:
        elevations = [view // MOST_COLUMNS for view in range(count)]
    rows: list[list[int]] = []
    for view in range(count):
        new_row = not rows or len(rows[-1]) == MOST_COLUMNS
        if new_row or elevations[view] != elevations[rows[-1][0]]:
            rows.append([view])
        else:
            rows[-1].append(view)
    if len(rows) > 1 and len(rows[-1]) == 1 and len(rows[-2]) < MOST_COLUMNS:
        lone = rows.pop()
        rows[-1] += lone
    return rows


def _directions(cameras: Cameras | dict[str, Any] | None) -> list[tuple[float, float]]:
    """(azimuth, elevation) [degrees] of every eye, as seen from the origin."""
    settings = cameras.settings() if isinstance(cameras, Cameras) else cameras or {}
    eyes: Any = settings.get("eyes", [])
    return [
        (float(round(math.degrees(math.atan2(x, z))) % 360), math.degrees(math.atan2(y, math.hypot(x, z))))
        for x, y, z in eyes
    ]
