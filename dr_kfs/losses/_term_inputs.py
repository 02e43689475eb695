"""One prediction and one target in every form that the terms of a hybrid loss take, each made once."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dr_kfs.geometry import Meshes, PointSets, SoftSurface, as_meshes, as_point_sets, as_surface
from dr_kfs.losses._point_pairs import point_pair
from dr_kfs.losses.loss_term import Takes
from dr_kfs.shape_code import ShapeCode


class TermInputs:
    """The inputs of one step.

    Args:
        predicted: shapes, or point sets if no term takes anything else.
        only_points: whether that is so.
        samples: points to draw from each surface.
        seed: of these samples.
    """

    def __init__(self, predicted: Any, *, only_points: bool, samples: int | None, seed: int | None) -> None:
        self.samples = samples
        self.seed = seed
        self.shared: Tensor
        """Where the gradients of all terms pass: the packed vertices, the points, or the faces' opacities."""
        if only_points:
            self._points: PointSets | None = self._sampled(predicted)
            self.shared = self._points.points
        else:
            self._points = None
            self._drawn = as_surface(predicted)
            drawn = self._drawn
            self.shared = drawn.face_opacity if isinstance(drawn, SoftSurface) else drawn.vertices
        self._surfaces: dict[int, Any] = {}
        self._pairs: dict[int, tuple[PointSets, PointSets]] = {}

    def of(self, takes: Takes, name: str, target: Any) -> tuple[Any, ...]:
        """What to call the term `name` with."""
        if takes == "mesh":
            return (self._mesh(name),)
        if takes == "shapes":
            return self._drawn, self._surface(target)
        return self._pair(name, target)

    def _mesh(self, name: str) -> Meshes:
        if isinstance(self._drawn, SoftSurface):
            raise TypeError(
                f"Term {name!r} needs a mesh, and a SoftSurface is none: leave it out, or predict marching_cubes(grid)."
            )
        return self._drawn

    def _surface(self, target: Any) -> Any:
        if id(target) not in self._surfaces:
            self._surfaces[id(target)] = target if isinstance(target, ShapeCode) else as_meshes(target)
        return self._surfaces[id(target)]

    def _pair(self, name: str, target: Any) -> tuple[PointSets, PointSets]:
        if isinstance(target, ShapeCode):
            raise TypeError(
                f"Term {name!r} needs points or a surface as its target, got a ShapeCode: pass the shape as the target "
                'and the code to the terms that can use it, loss_fn(predicted, target, targets={"drkfs": code}).'
            )
        if id(target) not in self._pairs:
            if self._points is None:
                self._points = self._sampled(self._mesh(name))
            theirs = self._surfaces.get(id(target), target)  # a volume that is a mesh already
            self._pairs[id(target)] = point_pair(self._points, theirs, samples=self.samples, seed=self.seed)
        return self._pairs[id(target)]

    def _sampled(self, predicted: Any) -> PointSets:
        # The seeds of `point_pair`: the target's samples are drawn from 2 s + 1.
        return as_point_sets(predicted, samples=self.samples, seed=None if self.seed is None else 2 * self.seed)
