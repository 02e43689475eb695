"""What is measured: single cases, and the groups that vary one thing each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Literal

Axis = Literal["faces", "views", "size", "batch", "grid", "points"]
"""What a group varies, and what a panel of the picture is drawn over."""
AXES: tuple[Axis, ...] = ("faces", "views", "size", "batch", "grid", "points")
POINT_LOSSES = ("chamfer", "qal", "ckdtree")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One workload, forward and backward: spheres, seen from some views or as points, or volumes and their surfaces."""

    what: Literal["render", "step", "pytorch3d", "surface", "chamfer", "qal", "ckdtree"]
    """`SoftRenderer`, `DRKFSLoss` against a cached target, PyTorch3D's rasterizer and shader; `marching_cubes`;
    `ChamferLoss`, `QALLoss`, or the Chamfer distance with scipy's k-d tree."""
    faces: int = 5120
    """Of each shape."""
    views: int = 25
    size: int = 256
    """Side of the images [px]."""
    batch: int = 1
    """Shapes."""
    sigma: float = 1e-5
    """Softness of outlines [NDC^2]."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the descriptor's convolutions; the renderer works in float32."""
    preset: Literal["default", "fine"] = "default"
    """Of `DRKFSLoss`."""
    graphs: bool = False
    """`DRKFSLoss(cuda_graphs=True)`."""
    grid: int = 64
    """Side of the volume, for a surface; faces, views, size and sigma are not of it."""
    points: int = 0
    """Of each of the two sets of a loss of points."""
    device: str = "cpu"

    @property
    def measured_views(self) -> int:
        """Views that are run; time and memory are scaled from them to `views`.

        On a CPU PyTorch3D runs one, because 25 take ten minutes and more memory than most machines have.
        """
        return 1 if self.what == "pytorch3d" and self.device == "cpu" else self.views

    @property
    def kind(self) -> str:
        """What runs and how, as tables and pictures name it: "step", "step fine bfloat16"."""
        unusual = [text for text in (self.preset, self.precision) if text not in ("default", "float32")]
        return " ".join([self.what, *unusual, *(["graphs"] if self.graphs else [])])

    @property
    def label(self) -> str:
        """One line for progress messages."""
        if self.what == "surface":
            return f"surface: grid {self.grid}^3, batch {self.batch}"
        if self.what in POINT_LOSSES:
            return f"{self.what}: 2 x {self.points:,} points"
        views = "1 view" if self.views == 1 else f"{self.views} views"
        return (
            f"{self.kind}: {self.faces:,} faces, {views}, {self.size} px, batch {self.batch}, sigma {self.sigma_text}"
        )

    @property
    def sigma_text(self) -> str:
        """1e-5 instead of Python's 1e-05 and 0.0001."""
        return f"{self.sigma:.0e}".replace("e-0", "e-")


@dataclass(frozen=True)
class Group:
    """Cases that differ in one thing."""

    name: str
    """What `--only` is matched with."""
    axis: Axis
    cases: tuple[Case, ...]


@dataclass
class Chosen:
    """A case, with the axes of all groups that hold it."""

    case: Case
    axes: list[Axis] = field(default_factory=list)


SMOKE = Group("smoke", "faces", (Case(what="render", faces=1280, views=5, size=128),))
"""A second's work that shows that everything runs; only where `--only smoke` asks for it."""


def all_groups(device: str = "cpu") -> list[Group]:
    """Every group but `SMOKE`. What a group does not vary has the defaults of `Case`."""
    render, step = Case(what="render", device=device), Case(what="step", device=device)
    fine, dense = replace(step, preset="fine"), replace(step, faces=20480)
    peer, surface = replace(render, what="pytorch3d"), replace(render, what="surface")
    chamfer, half = Case(what="chamfer", device=device), replace(dense, precision="bfloat16")
    on_gpus = [
        _sweep("step batch, 20k faces, graphs", "batch", replace(dense, graphs=True), (1, 8)),
        _sweep("step batch, 20k faces, bfloat16, graphs", "batch", replace(half, graphs=True), (1, 8)),
    ]
    return [
        _sweep("render faces", "faces", render, (1280, 5120, 20480, 81920, 100_820, 200_000)),
        _sweep("render faces, sigma 1e-4", "faces", replace(render, sigma=1e-4), (5120, 20480)),
        _sweep("render views", "views", render, (1, 5, 25, 50, 100)),
        _sweep("render size", "size", render, (64, 128, 256, 512)),
        _sweep("render batch", "batch", render, (1, 4, 16, 32)),
        _sweep("step faces", "faces", step, (5120, 20480, 81920)),
        _sweep("step faces, bfloat16", "faces", replace(step, precision="bfloat16"), (5120, 20480)),
        _sweep("step faces, fine", "faces", fine, (5120, 20480)),
        _sweep("step faces, fine, bfloat16", "faces", replace(fine, precision="bfloat16"), (5120, 20480)),
        _sweep("step views", "views", step, (25, 50, 100)),
        _sweep("step size", "size", step, (64, 128, 256, 512)),
        _sweep("step batch", "batch", step, (1, 4, 16)),
        _sweep("step batch, 20k faces", "batch", dense, (1, 8)),
        _sweep("step batch, 20k faces, bfloat16", "batch", half, (1, 8)),
        *(on_gpus if device != "cpu" else []),
        _sweep("surface grid", "grid", surface, (32, 64, 128)),
        _sweep("surface batch", "batch", surface, (1, 8)),
        _sweep("pytorch3d faces", "faces", peer, (5120, 20480)),
        _sweep("points chamfer", "points", chamfer, (2048, 10_000, 100_000)),
        _sweep("points qal", "points", replace(chamfer, what="qal"), (2048, 10_000, 100_000)),
        _sweep("points ckdtree", "points", replace(chamfer, what="ckdtree"), (2048, 10_000, 100_000)),
    ]


def choose(*, only: str | None = None, quick: bool = False, device: str = "cpu") -> list[Chosen]:
    """The cases to run, each once, in the order of the groups.

    Args:
        only: a regular expression for the names of groups.
        quick: leave out what takes long: more than 20,480 faces, 25 views, 256 px or 4 shapes, and PyTorch3D above
            5,120 faces.
        device: `"cpu"` or `"cuda"`.

    Raises:
        ValueError: no group has such a name.
    """
    smoke = replace(SMOKE, cases=tuple(replace(case, device=device) for case in SMOKE.cases))
    groups = all_groups(device)
    wanted = (
        [smoke] if only == smoke.name else [group for group in groups if only is None or re.search(only, group.name)]
    )
    if not wanted:
        names = ", ".join(f'"{group.name}"' for group in [*groups, smoke])
        raise ValueError(f"No group is named like {only!r}; there are {names}.")
    chosen: dict[Case, Chosen] = {}
    for group in wanted:
        for case in group.cases:
            if not quick or _is_quick(case):
                chosen.setdefault(case, Chosen(case)).axes.append(group.axis)
    return list(chosen.values())


def _sweep(name: str, axis: Axis, base: Case, values: tuple[int, ...]) -> Group:
    return Group(name, axis, tuple(replace(base, **{axis: value}) for value in values))


def _is_quick(case: Case) -> bool:
    faces = 5120 if case.what == "pytorch3d" else 20480
    return case.faces <= faces and case.views <= 25 and case.size <= 256 and case.batch <= 4
