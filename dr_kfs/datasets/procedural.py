"""Parametric shapes of thirteen families with part labels: furniture, vehicles, vessels, instruments, living things.

    shape = generate("chair", 3, style={"legs": "four", "back": "slatted"})
    shape.part_names("leg_*")                        # ["leg_0", "leg_1", "leg_2", "leg_3"]
    broken = shape.without("leg_0")                  # what eyes notice at once
    thick = shape.scaled("leg_*", (1.3, 1.0, 1.3))   # what they forgive

Each shape is about one unit large, y up, right-handed, its front towards +z and its left hand towards +x; all but
airplanes and lamps that hang stand on y = 0. Every part is a closed mesh, or several, with outward faces, or an open
surface: leaves and petals, sails and flags, straps, the skins of wings. Parts may overlap where they are joined, as
in CAD models. The same (family, seed, style, sizes) gives the same bits.

What is done to the triangles rather than to the parts is in `cad_defects` and `retriangulation`; which families and
seeds are for training, validation and test, in `splits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dr_kfs.datasets.choices import Choices, StyleOptions
from dr_kfs.datasets.families import (
    airplane,
    bicycle,
    cabinet,
    car,
    chair,
    creature,
    guitar,
    lamp,
    plant,
    ship,
    sofa,
    table,
    vessel,
)
from dr_kfs.datasets.mesh_adjacency import edge_pairs
from dr_kfs.datasets.outlines import Number, Point
from dr_kfs.datasets.primitives import Solid
from dr_kfs.datasets.refinement import refine

if TYPE_CHECKING:
    from dr_kfs.geometry import Meshes

__all__ = ["FAMILIES", "LabelledShape", "Part", "generate", "generate_many", "style_options"]

_BUILDERS: dict[str, tuple[StyleOptions, Callable[[Choices], dict[str, Solid]]]] = {
    module.OPTIONS.family: (module.OPTIONS, module.build)
    for module in (chair, table, lamp, airplane, car, cabinet, sofa, vessel, guitar, bicycle, ship, creature, plant)
}
FAMILIES: tuple[str, ...] = tuple(_BUILDERS)
"""Names that `generate` accepts. It grows at its end; `splits` says which of them may be trained on."""

Anchor = Literal["center", "base", "top", "origin"]


@dataclass(frozen=True, eq=False)
class Part:
    """A named set of faces with its own vertices: (n, 3) float64 and (m, 3) int64 into them."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray

    def bounds(self) -> np.ndarray:
        """(2, 3): smallest and largest corner of the bounding box."""
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def is_closed(self) -> bool:
        """True where each edge joins two faces that are wound alike, so that the part has an inside."""
        return 2 * len(edge_pairs(self.faces)) == 3 * len(self.faces)


@dataclass(frozen=True, eq=False)
class LabelledShape:
    """A shape made of named parts; each edit returns a new shape, which shares the parts it leaves alone."""

    family: str
    parameters: dict[str, Any]
    """Every choice made, fit for JSON: "seed", "style" {option: word}, "sizes" {name: number}, "edits"."""
    parts: dict[str, Part]

    def __repr__(self) -> str:
        faces = sum(len(part.faces) for part in self.parts.values())
        seed = self.parameters["seed"]
        return f"LabelledShape({self.family!r}, seed={seed}, parts={list(self.parts)}, {faces} faces)"

    def part_names(self, *patterns: str) -> list[str]:
        """Names of the parts that match any of the glob patterns, in order; without a pattern all names.

        Raises:
            ValueError: a pattern matches no part.
        """
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in self.parts):
                raise ValueError(f"no part of this {self.family} matches {pattern!r}; it has {list(self.parts)}")
        chosen = patterns or ("*",)
        return [name for name in self.parts if any(fnmatchcase(name, pattern) for pattern in chosen)]

    def to_mesh(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One mesh of all parts.

        Returns:
            vertices (N, 3) float64, faces (F, 3) int64, and (F,) int64, the index of each face's part.
        """
        parts = list(self.parts.values())
        offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
        faces = [part.faces + offset for part, offset in zip(parts, offsets, strict=True)]
        labels = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
        return np.concatenate([part.vertices for part in parts]), np.concatenate(faces), labels

    def to_meshes(self) -> Meshes:
        """The shape as a batch of one, float32."""
        import torch

        from dr_kfs.geometry import Meshes

        vertices, faces, _ = self.to_mesh()
        return Meshes.from_list([torch.as_tensor(vertices, dtype=torch.float32)], [torch.as_tensor(faces)])

    def without(self, *patterns: str) -> LabelledShape:
        """The shape with the matching parts taken away.

        Raises:
            ValueError: a pattern matches nothing, or nothing would be left.
        """
        gone = set(self.part_names(*patterns)) if patterns else set()
        if len(gone) == len(self.parts):
            raise ValueError(f"{list(patterns)} matches every part of this {self.family}: nothing would be left")
        return self.edited("without", patterns, {n: part for n, part in self.parts.items() if n not in gone})

    def only(self, *patterns: str) -> LabelledShape:
        """The matching parts alone."""
        kept = self.part_names(*patterns)
        return self.edited("only", patterns, {name: self.parts[name] for name in kept})

    def moved(self, pattern: str, offset: Point) -> LabelledShape:
        """The matching parts shifted by `offset` (x, y, z)."""
        step = np.asarray(offset, dtype=np.float64)
        return self.transformed(pattern, lambda vertices: vertices + step)

    def scaled(self, pattern: str, factors: Number | Point, *, about: Anchor | Point = "center") -> LabelledShape:
        """Each matching part stretched by `factors` (one, or x, y, z; all positive) about its own anchor.

        Args:
            pattern: glob of part names.
            factors: 1.0 keeps the size.
            about: "center" of the part's box, the middle of its "base" or "top", the "origin", or a point.
        """
        stretch = np.broadcast_to(np.asarray(factors, dtype=np.float64), (3,))
        if not (stretch > 0).all():
            raise ValueError(f"factors must be positive, got {factors}; a mirrored part would turn inside out")
        return self.transformed(pattern, lambda v: _anchor(v, about) + (v - _anchor(v, about)) * stretch)

    def rotated(
        self,
        pattern: str,
        degrees: Number,
        *,
        axis: Literal["x", "y", "z"] = "y",
        about: Anchor | Point = "center",
    ) -> LabelledShape:
        """Each matching part turned right-handed around the axis through `about` (see `scaled`)."""
        _check_axis(axis)
        empty = np.zeros((0, 3), dtype=np.int64)
        return self.transformed(
            pattern, lambda v: Solid(v, empty).rotated(axis, degrees, about=_anchor(v, about)).vertices
        )

    def bent(
        self, pattern: str, degrees: Number, *, axis: Literal["x", "y", "z"] = "x", steps: int = 8
    ) -> LabelledShape:
        """Each matching part bent around `axis`, into an arc that turns by `degrees` along its longest side.

        The end of the smaller coordinate stays in place. Long faces are cut first, so that they can follow.

        Args:
            pattern: glob of part names.
            degrees: total turn; its sign chooses the side.
            axis: axis of the bend; the part bends along its longest side among the other two directions.
            steps: at least this many pieces along the part.
        """
        _check_axis(axis)
        parts = dict(self.parts)
        for name in self.part_names(pattern):
            part = parts[name]
            length = float(np.ptp(part.vertices, axis=0).max())
            finer = refine(Solid(part.vertices, part.faces), length / steps)
            parts[name] = Part(name, _bend(finer.vertices, "xyz".index(axis), np.radians(degrees)), finer.faces)
        return self.edited("bent", (pattern,), parts)

    def refined(self, pattern: str = "*", *, longest: Number) -> LabelledShape:
        """The same surface with every edge of the matching parts cut down to `longest` or less."""
        parts = dict(self.parts)
        for name in self.part_names(pattern):
            finer = refine(Solid(parts[name].vertices, parts[name].faces), longest)
            parts[name] = Part(name, finer.vertices, finer.faces)
        return self.edited("refined", (pattern,), parts)

    def transformed(self, pattern: str, function: Callable[[np.ndarray], np.ndarray]) -> LabelledShape:
        """Each matching part with its vertices (n, 3) sent through `function`; it gets a copy."""
        parts = dict(self.parts)
        for name in self.part_names(pattern):
            before = parts[name]
            vertices = np.asarray(function(before.vertices.copy()), dtype=np.float64)
            if vertices.shape != before.vertices.shape:
                wanted = before.vertices.shape
                raise ValueError(f"function must return {wanted} vertices of part {name!r}, got {vertices.shape}")
            parts[name] = Part(name, vertices, before.faces)
        return self.edited("transformed", (pattern,), parts)

    def edited(self, edit: str, arguments: Sequence[object], parts: dict[str, Part]) -> LabelledShape:
        """The shape with other `parts`, and the edit's name and JSON-able arguments added to its parameters."""
        edits = [*self.parameters.get("edits", []), [edit, *arguments]]
        return replace(self, parameters={**self.parameters, "edits": edits}, parts=parts)


def generate(
    family: str,
    seed: int,
    *,
    style: Mapping[str, str] | None = None,
    sizes: Mapping[str, Number] | None = None,
) -> LabelledShape:
    """One shape of a family.

    Each choice has its own random stream, so a choice fixed by hand leaves the others as the seed drew them.
    `generate(family, p["seed"], style=p["style"], sizes=p["sizes"])` rebuilds the shape of parameters p.

    Args:
        family: one of `FAMILIES`.
        seed: non-negative whole number.
        style: discrete choices by option, for instance {"legs": "four", "bars": "box"}; see `style_options`.
        sizes: numbers by name as they stand in `parameters["sizes"]`, for instance {"leg_thickness": 0.06}.

    Raises:
        ValueError: unknown family, option, word or size, or a seed that is not a non-negative whole number.
    """
    options, build = _family(family)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be a non-negative whole number, got {seed!r}")
    choices = Choices(options, int(seed), style or {}, sizes or {})
    parts = {name: Part(name, _frozen(s.vertices), _frozen(s.faces)) for name, s in build(choices).items()}
    if unused := choices.unused_sizes():
        raise ValueError(f"this {family} has no sizes {unused}; it has {sorted(choices.sizes)}")
    parameters = {"seed": int(seed), "style": choices.style, "sizes": choices.sizes}
    return LabelledShape(family, parameters, parts)


def generate_many(count: int, seed: int = 0, families: Sequence[str] = FAMILIES) -> Iterator[LabelledShape]:
    """`count` shapes, the families in turn, each shape with its own seed derived from `seed`.

    The first n shapes do not depend on `count`. They do depend on `families`: where a sequence must stay the same
    when families are added to the library, name them.

    Args:
        count: how many.
        seed: of all the shapes' seeds; these have 32 bits and belong to no split.
        families: in this order; by default all.

    Raises:
        ValueError: no family, or an unknown one.
    """
    names = list(families)
    for family in names:
        _family(family)
    if not names:
        raise ValueError(f"families is empty; choose from {list(FAMILIES)}")
    for i in range(count):
        shape_seed = int(np.random.SeedSequence([seed, i // len(names)]).generate_state(1)[0])
        yield generate(names[i % len(names)], shape_seed)


def style_options(family: str) -> dict[str, tuple[str, ...]]:
    """The words that each style option of a family accepts."""
    return {option: tuple(words) for option, words in _family(family)[0].options.items()}


def _family(name: str) -> tuple[StyleOptions, Callable[[Choices], dict[str, Solid]]]:
    if name not in _BUILDERS:
        raise ValueError(f"unknown family {name!r}; choose from {list(FAMILIES)}")
    return _BUILDERS[name]


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.array(array)
    array.flags.writeable = False
    return array


def _check_axis(axis: str) -> None:
    if axis not in ("x", "y", "z"):
        raise ValueError(f"axis must be 'x', 'y' or 'z', got {axis!r}")


def _anchor(vertices: np.ndarray, about: str | Point) -> np.ndarray:
    if not isinstance(about, str):
        return np.asarray(about, dtype=np.float64)
    if about == "origin":
        return np.zeros(3)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    point = (low + high) / 2
    heights = {"center": point[1], "base": low[1], "top": high[1]}
    if about not in heights:
        raise ValueError(f"about must be a point or one of {[*heights, 'origin']}, got {about!r}")
    point[1] = heights[about]
    return point


def _bend(vertices: np.ndarray, axis: int, angle: float) -> np.ndarray:
    """Vertices bent in the plane across `axis`: arc length along the longest side, the low end in place."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    along, across = (first, second) if high[first] - low[first] >= high[second] - low[second] else (second, first)
    length = high[along] - low[along]
    if abs(angle) < 1e-9 or length <= 0:
        return vertices.copy()
    radius = length / angle
    turn = (vertices[:, along] - low[along]) / radius
    offset = vertices[:, across] - (low[across] + high[across]) / 2
    bent = vertices.copy()
    bent[:, along] = low[along] + (radius - offset) * np.sin(turn)
    bent[:, across] = (low[across] + high[across]) / 2 + radius - (radius - offset) * np.cos(turn)
    return bent
