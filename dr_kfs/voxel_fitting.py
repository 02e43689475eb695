"""Fit a grid of probabilities to a target through its views: parts grow, vanish and sharpen."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs._sample_views import doubt_of_points, hidden_points
from dr_kfs._saved_fit import fingerprint, load_fit, save_fit
from dr_kfs.drkfs import DRKFSLoss
from dr_kfs.fitting import in_unit_frame
from dr_kfs.geometry import (
    Frame,
    Meshes,
    Shape,
    SoftSurface,
    VoxelGrid,
    as_meshes,
    bounding_frame,
    marching_cubes,
    normalize,
    soft_surface,
)
from dr_kfs.losses.image import image_loss
from dr_kfs.rendering import Views
from dr_kfs.shape_code import ShapeCode

VoxelForm = Literal["soft", "hard"]
FORMS: tuple[VoxelForm, ...] = ("soft", "hard")
LAYOUT = "dr_kfs.VoxelFit/1"

_BETAS = (0.8, 0.95)
"""Adam's averages: over some five and twenty steps, as each step sees other views."""
_EPSILON = 2e-6
"""Added to the root of the mean squared gradient: below it a gradient is noise, and its sample should rest. That of a
sample of a 64^3 grid whose surface is wrong is 1e-5 to 1e-3."""
_STRONG = 0.95
"""Quantile of the gradients that makes a whole step of an exploring step."""
_WEAK = 0.3
"""Gradients below this share of the strong one move nothing, or haze gathers everywhere."""
_FADING = 0.3
"""Share of its distance to the lowest probability that a sample outside loses in an exploring step that does not ask
for more of it."""
_FILLED = 0.25
"""When hidden samples are filled, as a share of `fill_every`: soon after the exploration, and at the end."""


@dataclass(frozen=True, kw_only=True)
class VoxelFitSettings:
    """How the probabilities of a grid are moved."""

    steps: int = 220
    """Gradient steps."""
    exploring_steps: int = 4
    """The first steps of the form `"soft"`, which let parts appear."""
    image_size: int = 128
    """Of the views [px]; about two pixels per sample of a 64^3 grid."""
    exploring_image_size: int = 64
    """Of the views in exploring steps [px]: a translucent surface costs memory and time for each of its layers."""
    views_per_step: int = 6
    """Drawn at random for every step."""
    shade: float = 1.0
    """Weight of the squared difference of the shaded images."""
    silhouette: float = 1.0
    """Weight of the squared difference of the silhouettes."""
    drkfs: float = 1e-3
    """Weight of DR-KFS. It costs more than all else, and one view of it per step is a noisy direction."""
    drkfs_every: int = 8
    """DR-KFS is taken once in so many steps, of the first view drawn; not in exploring steps."""
    learning_rate: float = 0.15
    """About the largest change of a probability per step, at the start; falls to a hundredth by the end (cosine)."""
    exploring_rate: float = 0.25
    """Largest change of a probability by the gradient in an exploring step; haze that none asks for fades besides."""
    explored: int = 1000
    """Samples whose triangles are all drawn in an exploring step, `soft_surface(explore=...)`: drawn at random, more
    where all views that see them are wrong."""
    least_opacity: float = 0.03
    """Of the triangles that are drawn in an exploring step, see `soft_surface`."""
    margin: float = 0.025
    """Probabilities stay within [margin, 1 - margin], below the least opacity: one of 1 hides what is behind it, and at
    0 and 1 logits, and so places, are steep."""
    sharpening: float = 4.0
    """Factor of the start's logits: its surface stays, the haze around it goes."""
    fill_every: int = 40
    """Steps after which samples that no view of the rig sees become inside; 0: never. No view tells either."""
    seed: int = 0
    """Of the choice of views and samples."""


class VoxelFit:
    """Moves the probabilities of a grid until it looks like a target.

    Every step renders a few views of the grid's surface and descends on

        shade * mean (I - I')^2 + silhouette * mean (A - A')^2 + drkfs * DR-KFS,

    I and A being shade and silhouette: there is no supervision but views. As `"hard"`, the surface is that of
    `marching_cubes`, and the steps are Adam's: surfaces move, parts grow from what is there of them, and vanish. As
    `"soft"`, the first steps draw `soft_surface` instead, so that parts appear of which there is nothing. They are
    descents with the sign of strong gradients, as gradients of haze differ by orders of magnitude.

    The state can be saved and restored between any two steps; a restored fit goes on to the same result.

    Args:
        grid: one volume, probabilities or logits, in the target's units.
        target: one mesh.
        form: `"soft"` or `"hard"`.
        settings: see `VoxelFitSettings`.
        drkfs: the loss whose stages are used; `DRKFSLoss()`.

    Raises:
        ValueError: a batch of more than one, an unknown form, signed distances, settings out of their range.
    """

    def __init__(
        self,
        grid: VoxelGrid,
        target: Shape,
        *,
        form: VoxelForm = "soft",
        settings: VoxelFitSettings | None = None,
        drkfs: DRKFSLoss | None = None,
    ) -> None:
        target = as_meshes(target)
        if len(grid) != 1 or len(target) != 1:
            raise ValueError(f"VoxelFit takes one grid and one target, got {len(grid)} and {len(target)}.")
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}.")
        if grid.kind == "distance":
            raise ValueError(
                "VoxelFit moves probabilities, got signed distances. Choose a width: "
                'grid = replace(grid, values=-grid.values / width, kind="logit").'
            )
        self.settings = VoxelFitSettings() if settings is None else settings
        _check(self.settings)
        stages = DRKFSLoss() if drkfs is None else drkfs
        self.form: VoxelForm = form
        self.frame: Frame = bounding_frame(target)
        self.target = normalize(target, self.frame).detach()
        scale = self.frame.scale[:, None]
        # Grid and target live in the unit frame here, so the losses must not normalise again.
        self.grid = VoxelGrid(
            _probabilities(grid.detach(), self.settings),
            (grid.origin.detach() - self.frame.center) / scale,
            grid.spacing.detach() / scale,
        )
        self.values = self.grid.values.clone().requires_grad_()
        self.points = self.grid.points().flatten(0, 3)
        self.spacing = float(self.grid.spacing.max())
        self.full = in_unit_frame(stages, stages.renderer)
        self.fine = in_unit_frame(stages, stages.renderer.resized(self.settings.image_size))
        self.coarse = stages.renderer.resized(self.settings.exploring_image_size)
        with torch.no_grad():  # the target is a constant
            self.fine_views: Views = self.fine.renderer(self.target)
            self.coarse_views: Views = self.coarse(self.target)
        self.fine_code: ShapeCode | None = self.fine.encode(self.target) if self.settings.drkfs > 0 else None
        self.mean = torch.zeros_like(self.grid.values)
        self.square = torch.zeros_like(self.grid.values)
        self.generator = torch.Generator().manual_seed(self.settings.seed)
        self.step_count = 0

    @property
    def done(self) -> bool:
        """Whether all steps are made."""
        return self.step_count >= self.settings.steps

    def step(self) -> dict[str, float]:
        """One step; returns the value of every term, weighted, and their `"total"`."""
        order = torch.randperm(self.full.view_count, generator=self.generator)
        views = order[: self.settings.views_per_step].tolist()
        exploring = self.form == "soft" and self.step_count < self.settings.exploring_steps
        terms = self._exploring_terms(views) if exploring else self._terms(views)
        total = torch.stack(list(terms.values())).sum()
        (gradient,) = torch.autograd.grad(total, self.values)
        with torch.no_grad():  # the step itself has no history
            if exploring:
                self._explore(gradient)
            else:
                self._descend(gradient)
            self.values.clamp_(self.settings.margin, 1 - self.settings.margin)
            self.step_count += 1
            every = self.settings.fill_every
            if every and self.step_count % every == round(_FILLED * every):
                self._fill()
        return {"total": total.item(), **{name: term.item() for name, term in terms.items()}}

    def volume(self) -> VoxelGrid:
        """The fitted probabilities, in the target's units."""
        scale = self.frame.scale[:, None]
        origin, spacing = self.grid.origin * scale + self.frame.center, self.grid.spacing * scale
        return VoxelGrid(self.values.detach().clone(), origin, spacing)

    def meshes(self) -> Meshes:
        """The surface of the fitted grid, in the target's units."""
        return marching_cubes(self.volume())

    def surface_in_frame(self, grid: VoxelGrid) -> Meshes:
        """The surface of another grid of the target's units, in the frame in which `full` compares."""
        return normalize(marching_cubes(grid), self.frame)

    def distance(self, code: ShapeCode | None = None) -> float:
        """DR-KFS to the target, over all views.

        Args:
            code: `fit.full.encode(fit.target)`, for repeated calls.
        """
        with torch.no_grad():  # a measurement
            surface = marching_cubes(self.grid.with_values(self.values.detach()))
            return float(self.full(surface, self.full.encode(self.target) if code is None else code))

    # -- the two kinds of steps ----------------------------------------------------------------------------------

    def _terms(self, views: list[int]) -> dict[str, Tensor]:
        surface = marching_cubes(self.grid.with_values(self.values))
        rendered = self.fine.renderer(surface, self.fine.renderer.cameras[views])
        terms = self._pixel_terms(rendered, self.fine_views[views])
        if self.fine_code is not None and self.step_count % self.settings.drkfs_every == 0:
            terms["drkfs"] = self.settings.drkfs * self.fine(surface, self.fine_code, views=views[:1])
        return terms

    def _descend(self, gradient: Float[Tensor, "1 X Y Z"]) -> None:
        """A step of Adam."""
        explored = self.settings.exploring_steps if self.form == "soft" else 0
        count = self.step_count + 1 - explored
        self.mean.lerp_(gradient, 1 - _BETAS[0])
        self.square.lerp_(gradient.square(), 1 - _BETAS[1])
        mean, square = self.mean / (1 - _BETAS[0] ** count), self.square / (1 - _BETAS[1] ** count)
        fall = 0.5 * (1.0 + math.cos(math.pi * self.step_count / self.settings.steps))
        self.values.sub_(self.settings.learning_rate * (0.01 + 0.99 * fall) * mean / (square.sqrt() + _EPSILON))

    def _exploring_terms(self, views: list[int]) -> dict[str, Tensor]:
        current = self.grid.with_values(self.values)
        cameras, wanted = self.coarse.cameras[views], self.coarse_views[views]
        with torch.no_grad():  # where to look is a discrete choice
            shown = self.coarse(marching_cubes(current), cameras)
            explore = self._chosen(doubt_of_points(self.points, cameras, shown, wanted, self.spacing))
        surface: SoftSurface = soft_surface(current, explore=explore, least_opacity=self.settings.least_opacity)
        return self._pixel_terms(self.coarse(surface, cameras), wanted)

    def _chosen(self, doubt: Float[Tensor, " N"]) -> Bool[Tensor, "1 X Y Z"]:
        """Samples by their squared doubt, which goes for large errors first; a tenth of the weight is spread evenly."""
        weights = doubt.square()
        weights = weights + 0.1 * weights.mean() + 1e-9
        count = min(self.settings.explored, len(weights))
        chosen = torch.zeros(len(weights), dtype=torch.bool)
        if count > 0:
            chosen[torch.multinomial(weights.cpu(), count, generator=self.generator)] = True
        return chosen.to(weights.device).view_as(self.values)

    def _explore(self, gradient: Float[Tensor, "1 X Y Z"]) -> None:
        """A step by the sign of strong gradients; weak ones move nothing, and haze that none asks for fades."""
        size = gradient.abs()
        strong = size[size > 0].kthvalue(max(1, round(_STRONG * int((size > 0).sum())))).values if size.any() else 1.0
        push = torch.where(size < _WEAK * strong, 0.0, (gradient / strong).clamp(-1.0, 1.0))
        idle = (self.values < 0.5) & (push >= 0)
        fading = torch.where(idle, _FADING * (self.values - self.settings.margin), 0.0)
        self.values.sub_(self.settings.exploring_rate * push + fading)

    def _pixel_terms(self, rendered: Views, wanted: Views) -> dict[str, Tensor]:
        return {
            "shade": self.settings.shade * image_loss(rendered, wanted),
            "silhouette": self.settings.silhouette * image_loss(rendered, wanted, channel="alpha"),
        }

    def _fill(self) -> None:
        surface = marching_cubes(self.grid.with_values(self.values))
        renderer = self.fine.renderer
        hidden = hidden_points(self.points, renderer, renderer.cameras, surface, self.spacing)
        self.values[hidden.view_as(self.values)] = 1 - self.settings.margin

    # -- save and restore ----------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What must agree for a saved state to be this fit's."""
        return {
            "form": self.form,
            "settings": dataclasses.asdict(self.settings),
            "grid": fingerprint(self.grid.values, self.grid.origin, self.grid.spacing),
            "target": fingerprint(self.target.vertices, self.target.faces),
            "metric": self.full.settings(),
        }

    def save(self, path: str | Path) -> None:
        """Write the state to a `.safetensors` file, in one step (a half-written file never replaces a whole one)."""
        tensors = {"values": self.values, "mean": self.mean, "square": self.square}
        tensors["generator"] = self.generator.get_state()
        save_fit(path, tensors, layout=LAYOUT, identity=self._identity(), step_count=self.step_count)

    def restore(self, path: str | Path) -> None:
        """Continue from what `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a saved fit, or one of another grid, target, form or other settings.
        """
        tensors, self.step_count = load_fit(path, layout=LAYOUT, identity=self._identity())
        with torch.no_grad():  # not a step of the optimisation
            for own, name in ((self.values, "values"), (self.mean, "mean"), (self.square, "square")):
                own.copy_(tensors[name])
        self.generator.set_state(tensors["generator"])


def _check(settings: VoxelFitSettings) -> None:
    if settings.steps < 1 or settings.views_per_step < 1 or settings.drkfs_every < 1 or settings.learning_rate <= 0:
        raise ValueError(f"steps, views_per_step, drkfs_every and learning_rate must be positive, got {settings}.")
    if min(settings.exploring_steps, settings.explored, settings.fill_every, settings.drkfs) < 0:
        raise ValueError(f"exploring_steps, explored, fill_every and drkfs must not be negative, got {settings}.")
    if not 0 < settings.margin < 0.5 or settings.sharpening <= 0:
        raise ValueError(f"margin must be in (0, 0.5) and sharpening positive, got {settings}.")


def _probabilities(grid: VoxelGrid, settings: VoxelFitSettings) -> Float[Tensor, "1 X Y Z"]:
    values = grid.values.to(torch.promote_types(grid.dtype, torch.float32))
    logits = values if grid.kind == "logit" else values.clamp(1e-6, 1 - 1e-6).logit()
    return (settings.sharpening * logits).sigmoid().clamp(settings.margin, 1 - settings.margin)
