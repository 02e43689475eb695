"""Fit a template mesh to a target through a loss: gradient descent on the vertices, with mesh regularisers."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dr_kfs._saved_fit import fingerprint, load_fit, save_fit
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.geometry import Frame, Meshes, Shape, as_meshes, bounding_frame, normalize
from dr_kfs.large_steps import LargeSteps
from dr_kfs.losses.edge_length import edge_length_loss
from dr_kfs.losses.image import Channel, image_loss
from dr_kfs.losses.laplacian import uniform_laplacian_loss
from dr_kfs.losses.normal_consistency import normal_consistency_loss
from dr_kfs.rendering import Views

Objective = Literal["drkfs", "image", "silhouette"]
OBJECTIVES: tuple[Objective, ...] = ("drkfs", "image", "silhouette")
CHANNELS: dict[Objective, Channel] = {"image": "shade", "silhouette": "alpha"}
LAYOUT = "dr_kfs.MeshFit/1"


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a template is moved. Lengths are in units of the target's diagonal."""

    steps: int = 300
    """Gradient steps."""
    resolutions: tuple[int, ...] = (64, 128, 256)
    """Image sizes that are used one after the other, each for the same number of steps [px]: coarse views find the
    proportions, fine ones the details. Patches span the same share of small views, but never less than 32 px."""
    views_per_step: int = 6
    """Views per step at the finest resolution, drawn at random; more, in proportion to the pixels, at coarser ones.
    The objective is scaled to the whole rig."""
    learning_rate: float = 1.5e-2
    """About the largest motion of a coordinate per step, at the start [target diagonals]; falls to a tenth by the end
    (cosine)."""
    smoothing: float = 2.0
    """How far a vertex drags its neighbours along, see `LargeSteps`."""
    laplacian: float = 10.0
    """Weight of the uniform Laplacian."""
    normal_consistency: float = 0.02
    """Weight of the normal consistency."""
    edge_length: float = 4.0
    """Weight of the squared edge length."""
    seed: int = 0
    """Of the choice of views."""


def in_unit_frame(stages: DRKFSLoss, renderer: Any) -> DRKFSLoss:
    """The same loss with another renderer, for shapes that are in the rig's frame already."""
    return DRKFSLoss(
        scales=stages.scales.resized(renderer.image_size).factors,
        detach_weights=stages.detach_weights,
        renderer=renderer,
        detector=stages.detector,
        descriptor=stages.descriptor,
        matcher=stages.matcher,
        recall_weight=stages.recall_weight,
        precision_weight=stages.precision_weight,
        normalize="none",
        view_chunk=stages.view_chunk,
        max_memory=stages.max_memory,
        cuda_graphs=stages.cuda_graphs,
    )


class _Level:
    """The target at one resolution."""

    def __init__(self, loss: DRKFSLoss, target: Meshes) -> None:
        self.loss = loss
        self.target = target
        self.code = loss.encode(target)

    @functools.cached_property
    def views(self) -> Views:
        """Its pictures, for the objectives that compare pixels."""
        with torch.no_grad():  # the target is a constant
            return self.loss.renderer(self.target)


class MeshFit:
    """Moves the vertices of a template until it looks like a target.

    Every step renders a few views, takes the objective, adds

        laplacian * L_lap + normal_consistency * L_nc + edge_length * L_edge

    and makes one smooth step (`LargeSteps`). The state can be saved and restored between any two steps; a restored
    fit goes on to the same result.

    Args:
        template: one mesh; it is normalised to diagonal 1 with its own box, so only its shape matters.
        target: one mesh, in any units.
        objective: `"drkfs"`, or per-pixel mean squared difference of the shaded `"image"` or the `"silhouette"`
            (the rivals in the paper's Table 4; their mean is scaled by 100 to the magnitude of the regularisers).
        settings: see `FitSettings`.
        drkfs: the loss whose stages are used; `DRKFSLoss()`.

    Raises:
        ValueError: a batch of more than one, an unknown objective, settings that are not positive.
    """

    def __init__(
        self,
        template: Shape,
        target: Shape,
        *,
        objective: Objective = "drkfs",
        settings: FitSettings | None = None,
        drkfs: DRKFSLoss | None = None,
    ) -> None:
        template, target = as_meshes(template), as_meshes(target)
        if len(template) != 1 or len(target) != 1:
            raise ValueError(f"MeshFit takes one template and one target, got {len(template)} and {len(target)}.")
        if objective not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, got {objective!r}.")
        self.settings = FitSettings() if settings is None else settings
        if self.settings.steps < 1 or self.settings.views_per_step < 1 or self.settings.learning_rate <= 0:
            raise ValueError(f"steps, views_per_step and learning_rate must be positive, got {self.settings}.")
        stages = DRKFSLoss() if drkfs is None else drkfs
        self.objective: Objective = objective
        self.frame: Frame = bounding_frame(target)
        self.template = normalize(template.to(target.device, target.dtype)).detach()
        self.target = normalize(target, self.frame).detach()
        # Both meshes live in the unit frame here, so the losses must not normalise again.
        self.loss = in_unit_frame(stages, stages.renderer)
        self.full = _Level(self.loss, self.target)
        self.levels = [
            self.full
            if size == stages.renderer.image_size
            else _Level(in_unit_frame(stages, stages.renderer.resized(size)), self.target)
            for size in self.settings.resolutions
        ]
        self.vertices = self.template.vertices.clone().requires_grad_()
        self.descent = LargeSteps(self.template, smoothing=self.settings.smoothing)
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        self.step_count = 0

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step_count >= self.settings.steps

    def step(self) -> dict[str, float]:
        """One step; returns the value of every term, weighted, and their `"total"`."""
        progress = self.step_count / self.settings.steps
        rate = self.settings.learning_rate * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * progress)))
        meshes = self.template.with_vertices(self.vertices)
        terms = {
            self.objective: self._objective(meshes, self.levels[int(progress * len(self.levels))]),
            "laplacian": self.settings.laplacian * uniform_laplacian_loss(meshes),
            "normal_consistency": self.settings.normal_consistency * normal_consistency_loss(meshes),
            "edge_length": self.settings.edge_length * edge_length_loss(meshes),
        }
        total = torch.stack(list(terms.values())).sum()
        (gradient,) = torch.autograd.grad(total, self.vertices)
        self.descent.step(self.vertices, gradient, rate=rate)
        self.step_count += 1
        return {"total": total.item(), **{name: term.item() for name, term in terms.items()}}

    def _objective(self, meshes: Meshes, level: _Level) -> Tensor:
        rig, renderer = level.loss.view_count, level.loss.renderer
        coarser = (self.settings.resolutions[-1] / renderer.image_size) ** 2
        order = torch.randperm(rig, generator=self.generator)
        views = order[: min(round(self.settings.views_per_step * coarser), rig)].sort().values.tolist()
        if self.objective == "drkfs":
            return level.loss(meshes, level.code, views=views)
        rendered = renderer(meshes, renderer.cameras[views])
        return 100.0 * image_loss(rendered, level.views[views], channel=CHANNELS[self.objective])

    def meshes(self) -> Meshes:
        """The fitted mesh, in the target's units."""
        vertices = self.vertices.detach() * self.frame.scale[0] + self.frame.center[0]
        return self.template.with_vertices(vertices)

    def distance(self) -> float:
        """DR-KFS to the target, over all views."""
        with torch.no_grad():  # a measurement
            return float(self.loss(self.template.with_vertices(self.vertices.detach()), self.full.code))

    # -- save and restore ----------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, object]:
        """What must agree for a saved state to be this fit's."""
        return {
            "objective": self.objective,
            "settings": dataclasses.asdict(self.settings),
            "template": fingerprint(self.template.vertices, self.template.faces),
            "target": fingerprint(self.target.vertices, self.target.faces),
            "metric": self.loss.settings(),
        }

    def save(self, path: str | Path) -> None:
        """Write the state to a `.safetensors` file, in one step (a half-written file never replaces a whole one)."""
        tensors = {"vertices": self.vertices, "generator": self.generator.get_state()}
        tensors |= {f"descent.{name}": tensor for name, tensor in self.descent.state.items()}
        save_fit(path, tensors, layout=LAYOUT, identity=self._identity(), step_count=self.step_count)

    def restore(self, path: str | Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a saved fit, or one of another template, target, objective or other settings.
        """
        tensors, self.step_count = load_fit(path, layout=LAYOUT, identity=self._identity())
        with torch.no_grad():  # not a step of the optimisation
            self.vertices.copy_(tensors["vertices"])
        self.generator.set_state(tensors["generator"])
        for name, tensor in self.descent.state.items():
            tensor.copy_(tensors[f"descent.{name}"])


def icosphere(subdivisions: int = 4) -> Meshes:
    """A sphere of radius 0.5 of 20 * 4^subdivisions faces; 4 gives 2,562 vertices and 5,120 faces."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.5)
    return Meshes.from_trimesh(sphere).to(dtype=torch.float32)
