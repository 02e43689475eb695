"""The distances that can be audited, by name or as your own function."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from dr_kfs.audit.chamfer import SAMPLES, ChamferTarget, chamfer, chamfer_target
from dr_kfs.audit.surface import triangles_of
from dr_kfs.audit.view_distances import ViewMSE, front_silhouette_renderer
from dr_kfs.audit.voxels import CellLattice, lattice_of, solid_voxels
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.geometry import Meshes
from dr_kfs.presets import Preset
from dr_kfs.shape_code import ShapeCode

__all__ = [
    "DISTANCES",
    "ChamferDistance",
    "DRKFSDistance",
    "Distance",
    "FunctionDistance",
    "NoNumberError",
    "VoxelIoUDistance",
    "as_distance",
    "as_number",
    "make_distance",
]


class NoNumberError(TypeError):
    """A distance returned something that is not one number."""


@runtime_checkable
class Distance(Protocol):
    """What an audit asks of a distance: 0 or its least for equal shapes, larger for less similar ones."""

    name: str

    def prepare(self, target: Meshes) -> Any:
        """Whatever of the target can be computed once for all the edits that are compared with it."""
        ...

    def distance(self, predicted: Meshes, state: Any) -> float:
        """The distance of one mesh to the target that `prepare` made the state of."""
        ...

    def settings(self) -> dict[str, Any]:
        """What values depend on, JSON-able: rows of other settings are not mixed."""
        ...


class DRKFSDistance:
    """DR-KFS, with any settings.

    Args:
        loss: the loss; `DRKFSLoss()`.
        name: how reports call it.
        device: where it runs.
    """

    def __init__(self, loss: DRKFSLoss | None = None, *, name: str = "drkfs", device: str = "cpu") -> None:
        self.name = name
        self.device = device
        self.loss = (DRKFSLoss() if loss is None else loss).to(device)

    def prepare(self, target: Meshes) -> ShapeCode:
        """Encode the target."""
        return self.loss.encode(target.to(device=self.device))

    @torch.no_grad()
    def distance(self, predicted: Meshes, state: ShapeCode) -> float:
        """DR-KFS to the encoded target."""
        return float(self.loss(predicted.to(device=self.device), state, reduction="sum"))

    def settings(self) -> dict[str, Any]:
        """Names of the weights, and a fingerprint of every setting."""
        stages: dict[str, Any] = self.loss.code_settings()
        describe = getattr(self.loss.matcher, "settings", None)
        matcher = repr(self.loss.matcher) if describe is None else describe()
        directions = {"recall_weight": self.loss.recall_weight, "precision_weight": self.loss.precision_weight}
        if set(directions.values()) == {1.0}:
            directions = {}  # the paper's sum keeps the fingerprint that it had before there were weights
        text = json.dumps({**stages, "matcher": matcher, **directions}, sort_keys=True, default=str)
        weights = [stages[stage].get("weights") for stage in ("detector", "descriptor") if stage in stages]
        return {
            "distance": "drkfs",
            "preset": self.loss.preset,
            "weights": weights,
            "fingerprint": _fingerprint(text.encode()),
        }


class ChamferDistance:
    """`chamfer`: bidirectional, unsquared, from seeded samples of one surface to the other [diagonals].

    Args:
        samples: per surface.
        seed: of the samples.
        name: how reports call it.
    """

    def __init__(self, *, samples: int = SAMPLES, seed: int = 0, name: str = "chamfer") -> None:
        self.name = name
        self.samples = samples
        self.seed = seed

    def prepare(self, target: Meshes) -> ChamferTarget:
        """Sample the target."""
        return chamfer_target(target, samples=self.samples, seed=self.seed)

    def distance(self, predicted: Meshes, state: ChamferTarget) -> float:
        """Chamfer distance to the sampled target."""
        return chamfer(predicted, state)

    def settings(self) -> dict[str, Any]:
        """Samples and seed."""
        return {"distance": "chamfer", "samples": self.samples, "seed": self.seed}


class VoxelIoUDistance:
    """1 - IoU of solid voxels, in [0, 1], on a lattice that the target's longest side spans with `side` cells.

    Args:
        side: cells along the longest side.
        name: how reports call it.
    """

    def __init__(self, *, side: int = 64, name: str = "iou") -> None:
        self.name = name
        self.side = side

    def prepare(self, target: Meshes) -> tuple[CellLattice, set[tuple[int, ...]]]:
        """Voxelise the target."""
        triangles = triangles_of(target)
        lattice = lattice_of(triangles, self.side)
        return lattice, _cells(triangles, lattice)

    def distance(self, predicted: Meshes, state: tuple[CellLattice, set[tuple[int, ...]]]) -> float:
        """1 - IoU with the target's voxels, in the target's lattice."""
        lattice, theirs = state
        ours = _cells(triangles_of(predicted), lattice)
        return 1.0 - len(ours & theirs) / len(ours | theirs)

    def settings(self) -> dict[str, Any]:
        """Cells along the side."""
        return {"distance": "iou", "side": self.side}


class FunctionDistance:
    """A Python function `(predicted: Meshes, target: Meshes) -> float` as a distance.

    Args:
        function: both arguments are batches of one mesh, in the target's units; the result a number, or a tensor or
            array of one.
        name: how reports call it.
        device: where the meshes are when the function gets them.
        fingerprint: of its source, if known: rows of another version are then not mixed.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str, device: str = "cpu", fingerprint: str | None = None
    ) -> None:
        self.function = function
        self.name = name
        self.device = device
        self.fingerprint = fingerprint

    def prepare(self, target: Meshes) -> Meshes:
        """The target itself."""
        return target.to(device=self.device)

    def distance(self, predicted: Meshes, state: Meshes) -> float:
        """What the function returns.

        Raises:
            NoNumberError: it is not one number.
        """
        with torch.no_grad():
            return as_number(self.function(predicted.to(device=self.device), state))

    def settings(self) -> dict[str, Any]:
        """Its name, and the fingerprint of its source."""
        return {"distance": "function", "name": self.name, "fingerprint": self.fingerprint}


def as_distance(value: Any, *, name: str, device: str = "cpu", fingerprint: str | None = None) -> Distance:
    """A `Distance` from one, from a `DRKFSLoss`, or from a function of two meshes.

    Raises:
        TypeError: none of these.
    """
    if isinstance(value, DRKFSLoss):
        return DRKFSDistance(value, name=name, device=device)
    if isinstance(value, Distance) and not isinstance(value, type):
        return value
    if callable(value) and not isinstance(value, type):
        return FunctionDistance(value, name=name, device=device, fingerprint=fingerprint)
    what = f"the class {value.__name__}: make an object of it" if isinstance(value, type) else type(value).__name__
    raise TypeError(f"{name}: expected a function (predicted, target) -> number, a DRKFSLoss or a Distance, got {what}")


def as_number(value: Any) -> float:
    """A float of a number, or of a tensor or array of one element; it need not be finite.

    Raises:
        NoNumberError: something else.
    """
    if isinstance(value, torch.Tensor | np.ndarray | np.generic) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor | np.ndarray) else ""
        raise NoNumberError(f"expected one number, got {type(value).__name__}{shape}")
    return float(value)


def _cells(triangles: np.ndarray, lattice: CellLattice) -> set[tuple[int, ...]]:
    return set(map(tuple, solid_voxels(triangles, lattice).tolist()))


def _fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _front_drkfs(*, device: str) -> DRKFSDistance:
    return DRKFSDistance(DRKFSLoss(renderer=front_silhouette_renderer()), name="drkfs-2d", device=device)


def _preset_drkfs(preset: Preset, *, device: str) -> DRKFSDistance:
    return DRKFSDistance(DRKFSLoss.from_preset(preset), name=f"drkfs-{preset}", device=device)


DISTANCES: dict[str, Callable[..., Distance]] = {
    "drkfs": DRKFSDistance,
    "drkfs-fine": functools.partial(_preset_drkfs, "fine"),
    "drkfs-paper": functools.partial(_preset_drkfs, "paper"),
    "chamfer": lambda *, device: ChamferDistance(),
    "iou": lambda *, device: VoxelIoUDistance(),
    "pixel-mse": functools.partial(ViewMSE, "shade", name="pixel-mse"),
    "poi-mse": functools.partial(ViewMSE, "poi", name="poi-mse"),
    "silhouette-mse": functools.partial(ViewMSE, "alpha", name="silhouette-mse"),
    "drkfs-2d": _front_drkfs,
    "poi-mse-2d": lambda *, device: ViewMSE(
        "poi", renderer=front_silhouette_renderer(), name="poi-mse-2d", device=device
    ),
    "silhouette-mse-2d": lambda *, device: ViewMSE(
        "alpha", renderer=front_silhouette_renderer(), name="silhouette-mse-2d", device=device
    ),
}
"""Built-in distances: how to make each. Those in "-2d" see one binary front view, as the paper's Table 5 does: bars
behind others do not count, so that half of the bars gone can look like none."""


def make_distance(name: str, *, device: str = "cpu") -> Distance:
    """A built-in distance.

    Raises:
        ValueError: unknown name.
    """
    if name not in DISTANCES:
        raise ValueError(
            f"Unknown distance {name!r}: choose from {', '.join(DISTANCES)}, or name a function of your own as "
            '"module:function" or "path/to/file.py:function".'
        )
    return DISTANCES[name](device=device)
