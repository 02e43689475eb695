"""Closed solids: boxes, lofts, surfaces of revolution, extrusions and sweeps, and how to place them.

Everything is a `Solid`: float64 vertices and outward triangles. Most primitives are lofts, that is a stack of
rings joined side by side and capped, so one function carries the topology and all solids are watertight by
construction.
Frame: right-handed, y up, units of about one object size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dr_kfs.datasets.outlines import Number, Point, airfoil, circle, ear_clip, rounded_rectangle

__all__ = [
    "Solid",
    "box",
    "cushion",
    "cylinder",
    "ellipsoid",
    "extrude",
    "frustum",
    "join",
    "lathe",
    "loft",
    "post",
    "sheet",
    "shell_of_revolution",
    "slab",
    "sweep",
    "torus",
    "tube",
    "wing",
]

_AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True, eq=False)
class Solid:
    """A triangle mesh: (n, 3) float64 vertices and (m, 3) int64 faces; closed, with outward winding.

    Only what `open_surfaces` makes has a boundary, and no outside.
    """

    vertices: np.ndarray
    faces: np.ndarray

    def translated(self, x: Number = 0.0, y: Number = 0.0, z: Number = 0.0) -> Solid:
        """Moved by (x, y, z)."""
        return Solid(self.vertices + np.array([x, y, z]), self.faces)

    def rotated(self, axis: str, degrees: Number, *, about: Point = (0.0, 0.0, 0.0)) -> Solid:
        """Turned right-handed around "x", "y" or "z" through the point `about`."""
        first, second = (_AXES[axis] + 1) % 3, (_AXES[axis] + 2) % 3
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix = np.eye(3)
        matrix[first, first] = matrix[second, second] = cosine
        matrix[first, second], matrix[second, first] = -sine, sine
        centre = np.asarray(about, dtype=np.float64)
        return Solid((self.vertices - centre) @ matrix.T + centre, self.faces)

    def scaled(self, x: Number = 1.0, y: Number = 1.0, z: Number = 1.0) -> Solid:
        """Stretched from the origin; an odd number of negative factors mirrors and turns the faces too."""
        faces = self.faces[:, ::-1] if x * y * z < 0 else self.faces
        return Solid(self.vertices * np.array([x, y, z]), faces)

    def mirrored(self) -> Solid:
        """The other side's twin: reflected in the plane x = 0."""
        return self.scaled(x=-1.0)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray]) -> Solid:
        """Every vertex sent through `function`: (n, 3) -> (n, 3), which must not turn space inside out."""
        return Solid(np.asarray(function(self.vertices.copy()), dtype=np.float64), self.faces)

    def volume(self) -> float:
        """Signed volume, positive when the faces look outwards."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def join(*solids: Solid) -> Solid:
    """Several solids as one mesh; they may overlap, their vertices stay apart."""
    offsets = np.cumsum([0] + [len(solid.vertices) for solid in solids[:-1]])
    return Solid(
        np.concatenate([solid.vertices for solid in solids]),
        np.concatenate([solid.faces + offset for solid, offset in zip(solids, offsets, strict=True)]),
    )


def _outward(vertices: np.ndarray, faces: np.ndarray) -> Solid:
    solid = Solid(vertices - vertices.mean(axis=0), faces)
    turned = faces if solid.volume() >= 0 else faces[:, ::-1]
    return Solid(vertices, np.ascontiguousarray(turned, dtype=np.int64))


def loft(rings: np.ndarray, *, caps: np.ndarray | None = None, closed: bool = False) -> Solid:
    """Skin over a stack of rings.

    Args:
        rings: (R, K, 3) corners; corner k of each ring joins corner k of the next.
        caps: (T, 3) triangulation of the end rings; by default a fan, which is right for convex rings.
        closed: join the last ring to the first (a torus) and leave out the caps.
    """
    count, corners = rings.shape[:2]
    index = np.arange(count * corners).reshape(count, corners)
    lower = index if closed else index[:-1]
    upper = np.roll(index, -1, axis=0) if closed else index[1:]
    faces = [_quads(lower, upper, np.roll(lower, -1, axis=1), np.roll(upper, -1, axis=1))]
    if not closed:
        if caps is None:
            rest = np.arange(1, corners - 1)
            caps = np.stack([np.zeros_like(rest), rest, rest + 1], axis=1)
        faces += [index[0][caps[:, ::-1]], index[-1][caps]]
    return _outward(rings.reshape(-1, 3), np.concatenate(faces))


def _quads(a: np.ndarray, d: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    a, b, c, d = (corner.reshape(-1) for corner in (a, b, c, d))
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def box(
    size: Point,
    center: Point = (0.0, 0.0, 0.0),
    *,
    bevel: Number = 0.0,
    steps: int = 1,
    taper: tuple[Number, Number] = (1.0, 1.0),
) -> Solid:
    """Box of `size` (x, y, z); edges cut by `bevel` in `steps` chords, top scaled by `taper` (x, z)."""
    width, height, depth = (float(value) for value in size)
    bevel = min(bevel, 0.45 * width, 0.45 * height, 0.45 * depth)
    outline = rounded_rectangle(width, depth, bevel, steps=steps)
    solid = slab(outline, -height / 2, height / 2, bevel=bevel, steps=steps)
    if taper != (1.0, 1.0):
        share = solid.vertices[:, 1] / height + 0.5
        factors = 1 + share[:, None] * (np.array([taper[0], 1.0, taper[1]]) - 1)
        solid = Solid(solid.vertices * factors, solid.faces)
    return solid.translated(*center)


def slab(outline: np.ndarray, bottom: Number, top: Number, *, bevel: Number = 0.0, steps: int = 1) -> Solid:
    """Horizontal plate: an outline (x, z) between two heights, its upper and lower rims cut by `bevel`."""
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    half = (outline.max(axis=0) - outline.min(axis=0)) / 2
    bevel = min(bevel, 0.49 * (top - bottom), 0.9 * half.min())
    insets, heights = [0.0, 0.0], [bottom, top]
    if bevel > 0:
        angles = np.linspace(0, np.pi / 2, steps + 1)
        rise, inset = bevel * (1 - np.cos(angles)), bevel * (1 - np.sin(angles))
        insets = [*inset, *inset[::-1]]
        heights = [*(bottom + rise), *(top - rise[::-1])]
    rings = np.empty((len(insets), len(outline), 3))
    for ring, inset_, height in zip(rings, insets, heights, strict=True):
        flat = centre + (outline - centre) * (1 - inset_ / half)
        ring[:, 0], ring[:, 1], ring[:, 2] = flat[:, 0], height, flat[:, 1]
    return loft(rings, caps=ear_clip(outline))


def cushion(
    size: Point,
    center: Point = (0.0, 0.0, 0.0),
    *,
    power: Number = 5.0,
    sides: int = 32,
    rings: int = 9,
) -> Solid:
    """Upholstery: a superellipsoid of `size`; power 2 is an ellipsoid, large powers approach a box."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)
    radius = np.abs(np.cos(latitude)) ** (2 / power)
    height = np.sign(latitude) * np.abs(np.sin(latitude)) ** (2 / power)
    profile = np.stack([np.where(radius < 1e-6, 0.0, radius), height], axis=1)
    solid = lathe(profile, segments=sides)
    angle = np.arctan2(solid.vertices[:, 2], solid.vertices[:, 0])
    stretch = (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
    squared = solid.vertices * np.stack([stretch, np.ones_like(stretch), stretch], axis=1)
    return Solid(squared * (np.asarray(size, dtype=np.float64) / 2) + np.asarray(center), solid.faces)


def ellipsoid(radii: Point, center: Point = (0.0, 0.0, 0.0), *, segments: int = 20, rings: int = 11) -> Solid:
    """Ellipsoid with half axes `radii` (x, y, z)."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)
    profile = np.stack([np.cos(latitude), np.sin(latitude)], axis=1)
    profile[[0, -1], 0] = 0.0
    return lathe(profile, segments=segments).scaled(*radii).translated(*center)


def lathe(profile: np.ndarray, *, segments: int = 24, closed: bool = False) -> Solid:
    """Surface of revolution around the y axis.

    Args:
        profile: (R, 2) pairs (radius, height), radius >= 0, 0 only at the ends; flat discs close open ends.
        segments: corners around the axis.
        closed: the profile is a closed loop away from the axis (a ring or a thin shell).
    """
    if not closed:
        first = [] if profile[0, 0] <= 1e-9 else [(0.0, profile[0, 1])]
        last = [] if profile[-1, 0] <= 1e-9 else [(0.0, profile[-1, 1])]
        profile = np.concatenate([np.reshape(first, (-1, 2)), profile, np.reshape(last, (-1, 2))])
    angles = np.arange(segments) * 2 * np.pi / segments
    circle_ = np.stack([np.cos(angles), np.zeros(segments), np.sin(angles)], axis=1)
    rings = profile[:, 0, None, None] * circle_ + profile[:, 1, None, None] * np.array([0.0, 1.0, 0.0])
    if closed:
        return loft(rings, closed=True)
    middle = np.arange(1, 1 + (len(profile) - 2) * segments).reshape(-1, segments)
    lower, upper = middle[:-1], middle[1:]
    around = np.roll(middle, -1, axis=1)
    last = 1 + middle.size
    faces = [
        _quads(lower, upper, around[:-1], around[1:]),
        np.stack([np.zeros(segments, dtype=np.int64), around[0], middle[0]], axis=1),
        np.stack([np.full(segments, last), middle[-1], around[-1]], axis=1),
    ]
    return _outward(np.concatenate([rings[0, :1], rings[1:-1].reshape(-1, 3), rings[-1, :1]]), np.concatenate(faces))


def shell_of_revolution(profile: np.ndarray, thickness: Number, *, segments: int = 28) -> Solid:
    """Thin bowl, tube or shade: a wall of `thickness` inside the profile (radius, height), top to bottom.

    A profile that starts on the axis makes a closed top; otherwise both ends stay open.
    """
    tangent = np.gradient(profile, axis=0)
    tangent = tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
    inner = profile + thickness * np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)
    inner[:, 0] = np.maximum(inner[:, 0], 0.2 * profile[:, 0])
    capped = profile[0, 0] <= 1e-9
    if capped:
        inner[0] = (0.0, profile[0, 1] - thickness)
    return lathe(np.concatenate([profile, inner[::-1]]), segments=segments, closed=not capped)


def frustum(bottom_radius: Number, top_radius: Number, bottom: Number, top: Number, *, segments: int = 20) -> Solid:
    """Upright cone frustum between two heights; a radius of 0 makes a cone."""
    return lathe(np.array([[bottom_radius, bottom], [top_radius, top]]), segments=segments)


def cylinder(radius: Number, start: Point, stop: Point, *, sides: int = 16, bevel: Number = 0.0) -> Solid:
    """Round bar from `start` to `stop`, its rims cut by `bevel`."""
    begin, end = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    length = float(np.linalg.norm(end - begin))
    bevel = min(bevel, 0.45 * radius, 0.45 * length)
    if bevel <= 0:
        return sweep(np.stack([begin, end]), circle(radius, sides=sides))
    cut = bevel / length
    stops = np.array([0.0, cut, 1 - cut, 1.0])[:, None]
    scales = np.array([1 - bevel / radius, 1.0, 1.0, 1 - bevel / radius])
    return sweep(begin + stops * (end - begin), circle(radius, sides=sides), scales=scales)


def torus(major: Number, minor: Number, *, segments: int = 28, sides: int = 10) -> Solid:
    """Ring around the y axis: circle of radius `minor` at distance `major`."""
    return lathe(circle(minor, sides=sides) + np.array([major, 0.0]), segments=segments, closed=True)


def extrude(outline: np.ndarray, depth: Number, *, bevel: Number = 0.0) -> Solid:
    """Outline (x, y), convex or not, given the thickness `depth` along z around 0.

    The rims are cut by `bevel` and drawn in towards the outline's centre by the same amount.
    """
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    half = (outline.max(axis=0) - outline.min(axis=0)) / 2
    bevel = min(bevel, 0.45 * depth)
    layers = [(-depth / 2, 0.0), (depth / 2, 0.0)]
    if bevel > 0:
        layers = [(-depth / 2, bevel), (bevel - depth / 2, 0.0), (depth / 2 - bevel, 0.0), (depth / 2, bevel)]
    rings = np.empty((len(layers), len(outline), 3))
    for ring, (z, inset) in zip(rings, layers, strict=True):
        ring[:, :2] = centre + (outline - centre) * (1 - inset / half)
        ring[:, 2] = z
    return loft(rings, caps=ear_clip(outline))


def sweep(
    path: np.ndarray,
    section: np.ndarray,
    *,
    scales: np.ndarray | None = None,
    up: Point = (0.0, 1.0, 0.0),
    closed: bool = False,
) -> Solid:
    """Section carried along a polyline without twist.

    Args:
        path: (R, 3) points; the section stands across the path at each of them.
        section: (K, 2) outline; its second axis follows `up` where the path allows.
        scales: (R,) or (R, 2) factors of the section at each point.
        up: direction of the section's second axis at the start.
        closed: the path is a loop.
    """
    path = np.asarray(path, dtype=np.float64)
    around = np.concatenate([path[-1:], path, path[:1]])
    tangents = around[2:] - around[:-2] if closed else np.gradient(path, axis=0)
    tangents = tangents / np.linalg.norm(tangents, axis=1, keepdims=True)
    normal = np.asarray(up, dtype=np.float64)
    if abs(normal @ tangents[0]) > 0.99 * np.linalg.norm(normal):
        normal = np.eye(3)[2] if abs(tangents[0][2]) < 0.9 else np.eye(3)[0]
    factors = np.ones((len(path), 2)) if scales is None else np.asarray(scales, dtype=np.float64)
    factors = factors[:, None] * np.ones(2) if factors.ndim == 1 else factors
    rings = np.empty((len(path), len(section), 3))
    for i, tangent in enumerate(tangents):
        normal = normal - (normal @ tangent) * tangent
        normal = normal / np.linalg.norm(normal)
        (a, b, c), (d, e, f) = normal, tangent
        side = np.array([b * f - c * e, c * d - a * f, a * e - b * d])  # np.cross, which is slow for one vector
        scaled = section * factors[i]
        rings[i] = path[i] + scaled[:, :1] * side + scaled[:, 1:] * normal
    return loft(rings, caps=ear_clip(section), closed=closed)


def tube(path: np.ndarray, radius: Number, *, sides: int = 10, closed: bool = False) -> Solid:
    """Round bar along a polyline."""
    return sweep(path, circle(radius, sides=sides), closed=closed)


def post(path: np.ndarray, section: np.ndarray, *, scales: np.ndarray | None = None) -> Solid:
    """Section (x, z) kept horizontal while its centre follows a rising path: a leg that stands flat."""
    factors = np.ones(len(path)) if scales is None else np.asarray(scales, dtype=np.float64)
    flat = np.stack([section[:, 0], np.zeros(len(section)), section[:, 1]], axis=1)
    return loft(np.asarray(path)[:, None, :] + factors[:, None, None] * flat, caps=ear_clip(section))


def sheet(rows: np.ndarray, thickness: Number, *, columns: int = 8) -> Solid:
    """Upright plate that can be curved later: a grid of faces instead of the few triangles of `extrude`.

    Args:
        rows: (R, 3) of (height y, left edge x, right edge x), rising.
        thickness: along z, centred on z = 0; a quarter less along the two side edges.
        columns: number of quads across.
    """
    share = np.linspace(0, 1, columns + 1)
    half = np.where((share == 0) | (share == 1), 0.25, 0.5) * thickness
    across = np.concatenate([share, share[::-1]])
    z = np.concatenate([half, -half[::-1]])
    rings = np.empty((len(rows), len(across), 3))
    for ring, (y, left, right) in zip(rings, rows, strict=True):
        ring[:, 0], ring[:, 1], ring[:, 2] = left + (right - left) * across, y, z
    corners = np.arange(columns)
    mirror = 2 * columns + 1 - corners
    caps = np.concatenate([np.stack([corners, corners + 1, mirror - 1], 1), np.stack([corners, mirror - 1, mirror], 1)])
    return loft(rings, caps=caps)


def wing(stations: Sequence[tuple[Point, Number]], *, thickness: Number = 0.12, upright: bool = False) -> Solid:
    """Lifting surface: airfoils lofted from root to tip.

    Args:
        stations: (position of the mid chord (x, y, z), chord) from root to tip; the leading edge looks to +z.
        thickness: largest thickness as a fraction of the chord.
        upright: the section's thickness lies along x (a fin) instead of y.
    """
    rings = []
    for position, chord in stations:
        section = airfoil(chord, thickness)
        ring = np.zeros((len(section), 3))
        ring[:, 2], ring[:, 0 if upright else 1] = section[:, 0], section[:, 1]
        rings.append(ring + np.asarray(position))
    return loft(np.stack(rings), caps=ear_clip(airfoil(1.0, thickness)))
