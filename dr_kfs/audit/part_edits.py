"""Edits of whole parts: bars moved and removed, a part taken away, parts and boxes added."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dr_kfs.audit.splits import neighbour_seed
from dr_kfs.audit.surface import SurfaceIndex, seeded_samples, triangles_of
from dr_kfs.audit.targets import NotApplicableError, Variant, bounds, diagonal, random_stream, target_shape
from dr_kfs.datasets import LabelledShape, generate
from dr_kfs.geometry import Meshes

__all__ = [
    "PIXEL",
    "another_shape",
    "bars_moved",
    "bars_removed",
    "box_added",
    "fragments_added",
    "part_added",
    "part_removed",
    "striking_part",
]

PIXEL = 2 * 2.732 * math.tan(math.radians(12.5)) / 256
"""What one pixel of a 256 px view spans at the shape's centre [diagonals]: 0.0047. The default rig's distance is 2.732
diagonals, its field of view 25 degrees."""

PART_SIZES = (0.015, 0.25)
"""A part that stands for "a part" has at least and at most this share of the shape's area, and sticks out."""


def bars_moved(shape: LabelledShape, pixels: float) -> Meshes:
    """The stretcher bars moved up by `pixels` (down where negative), as a level 256 px view of the default rig sees it.

    The paper's Table 5 has 5 px up and 5 px down.
    """
    return shape.moved("bar_*", (0.0, pixels * PIXEL * diagonal(shape), 0.0)).to_meshes()


def bars_removed(shape: LabelledShape, share: float) -> Meshes:
    """A share of the stretcher bars taken away, in their order and rounded up; the paper's Table 5 takes all (1)."""
    bars = shape.part_names("bar_*")
    return shape.without(*bars[: math.ceil(share * len(bars) - 1e-9)]).to_meshes()


def part_removed(shape: LabelledShape, count: float) -> Meshes:
    """The part that sticks out most taken away (then the next, ...); see `striking_part`."""
    gone: list[str] = []
    for _ in range(round(count)):
        rest = shape.without(*gone)
        gone.append(striking_part(rest, rest))
    return shape.without(*gone).to_meshes()


def part_added(shape: LabelledShape, count: float) -> Meshes:
    """Parts of another shape of the family that stick out most here, in the place that they have there.

    The other shape is scaled to the same box diagonal, and stands on the same ground around the same upright axis.
    """
    others = [generate(shape.family, neighbour_seed(int(shape.parameters["seed"]), step)) for step in (1, 2, 3)]
    for other in others:
        try:
            return _with_parts_of(other, shape, round(count))
        except NotApplicableError:
            continue
    raise NotApplicableError(f"no {count:g} parts of three other shapes stick out of this {shape.family}")


def _with_parts_of(other: LabelledShape, shape: LabelledShape, count: int) -> Meshes:
    moved = _same_size(other, shape)
    drop = bounds(shape)[0][1] - bounds(moved)[0][1]
    moved = moved.moved("*", (0.0, float(drop), 0.0))
    added: list[str] = []
    while len(added) < count:
        candidates = moved if not added else moved.without(*added)
        added.append(striking_part(candidates, shape))
    extra = moved.only(*added).to_meshes()
    return _joined(shape.to_meshes(), [(extra.vertices.numpy(), extra.faces.numpy())])


def striking_part(shape: LabelledShape, rest: LabelledShape) -> str:
    """Of the parts with 1.5 to 25 % of the shape's area the one that is farthest from the rest on average.

    Args:
        shape: whose parts are looked at.
        rest: what the distance is measured to; without the part, where it is the shape itself.

    Raises:
        NotApplicableError: no part is of that size, or none sticks out.
    """
    areas = {name: _area(part.vertices[part.faces]) for name, part in shape.parts.items()}
    total = sum(areas.values())
    best, farthest = "", 0.01 * diagonal(rest)
    for name, area in areas.items():
        if len(shape.parts) == 1 or not PART_SIZES[0] <= area / total <= PART_SIZES[1]:
            continue
        points = seeded_samples(shape.only(name).to_meshes(), 200, 0)
        others = shape.without(name) if rest is shape else rest
        surface = SurfaceIndex(triangles_of(others.to_meshes()), 0.03 * diagonal(rest))
        distance = float(surface.distances(points).mean())
        if distance > farthest:
            best, farthest = name, distance
    if not best:
        raise NotApplicableError(f"no part of this {shape.family} has 1.5 to 25 % of its area and sticks out")
    return best


def _area(triangles: np.ndarray) -> float:
    doubled = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return float(np.linalg.norm(doubled, axis=1).sum() / 2)


def box_added(shape: LabelledShape, side: float) -> Meshes:
    """A floating cube with a side of `side` diagonals, in the emptiest place of the shape's box.

    The place is the same at every size. It is the point farthest from the surface among 400 random ones.
    """
    low, high = bounds(shape)
    places = random_stream(shape, "box").uniform(low, high, (400, 3))
    surface = SurfaceIndex(triangles_of(shape.to_meshes()), 0.03 * diagonal(shape))
    centre = places[surface.distances(places).argmax()]
    return _joined(shape.to_meshes(), [_cube(centre, side * diagonal(shape))])


def fragments_added(shape: LabelledShape, count: float) -> Meshes:
    """`count` floating tetrahedra, about 3 px large (0.015 diagonals), off the surface in the shape's box.

    The first n are the same whatever the count.
    """
    size = 0.015 * diagonal(shape)
    stream = random_stream(shape, "fragments")
    low, high = bounds(shape)
    places = stream.uniform(low, high, (20 * round(count) + 100, 3))
    surface = SurfaceIndex(triangles_of(shape.to_meshes()), 0.03 * diagonal(shape))
    places = places[surface.distances(places) > 1.5 * size][: round(count)]
    if len(places) < round(count):
        raise NotApplicableError(f"there is no room for {count:g} fragments in the box of this {shape.family}")
    return _joined(shape.to_meshes(), [_tetrahedron(place, size) for place in places])


def another_shape(shape: LabelledShape, *, variant: Variant = "free", step: float = 1.0) -> Meshes:
    """Another shape of the family and variant, scaled to the box diagonal and moved to the centre of this one.

    The yardstick: what an edit costs is compared with it.

    Args:
        shape: of that variant.
        variant: which shape of the other seed is taken; see `target_shape`.
        step: 1, 2, ...: how many seeds further.
    """
    seed = int(shape.parameters["seed"])
    for further in range(8):  # not every seed has the variant
        other = target_shape(shape.family, neighbour_seed(seed, round(step) + 50 * further), variant)
        if other is not None:
            break
    else:
        raise NotApplicableError(f'found no other {shape.family} with variant "{variant}"')
    return _same_size(other, shape).to_meshes()


def _same_size(other: LabelledShape, shape: LabelledShape) -> LabelledShape:
    """The other shape with the box diagonal and the box centre of this one."""
    scale = diagonal(shape) / diagonal(other)
    middle, other_middle = sum(bounds(shape)) / 2, sum(bounds(other)) / 2
    return other.transformed("*", lambda vertices: (vertices - other_middle) * scale + middle)


def _cube(centre: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * side / 2
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return centre + corners, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _tetrahedron(centre: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) * size / 2
    return centre + corners, np.array([[0, 1, 3], [0, 2, 1], [0, 3, 2], [1, 2, 3]])


def _joined(meshes: Meshes, solids: Sequence[tuple[np.ndarray, np.ndarray]]) -> Meshes:
    """One mesh and solids as one mesh."""
    vertices, faces = [meshes.vertices.double().numpy()], [meshes.faces.numpy()]
    count = len(vertices[0])
    for more, corners in solids:
        vertices.append(np.asarray(more, dtype=np.float64))
        faces.append(corners + count)
        count += len(more)
    return Meshes.from_list([np.concatenate(vertices).astype(np.float32)], [np.concatenate(faces)])
