"""DR-KFS: the differentiable perceptual distance between 3D shapes, as a loss and as a metric.

shape -> meshes -> views -> PoI maps -> patches -> descriptors -> two-way localized matching -> distance
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs._chunked_step import ChunkedStep
from dr_kfs._image_stages import DescribedViews, ImageStages, Look, SeenViews
from dr_kfs._plain_autograd import refuse_recomputation
from dr_kfs._recorded_stages import RecordedStages, check_recordable
from dr_kfs._sides import Normalization, Shape, Side, accept_side, device_of, expanded, own_frame, sides_in_one_frame
from dr_kfs.comparison import Comparison, SeenShape
from dr_kfs.descriptors import HardNetDescriptor, patch_scales
from dr_kfs.descriptors.hardnet import DEFAULT_DESCRIPTOR
from dr_kfs.descriptors.lit_patches import BlankPatch
from dr_kfs.descriptors.patches import PATCH_SIZE, PATCH_STRIDE
from dr_kfs.descriptors.precision import Precision
from dr_kfs.geometry import Frame, Meshes, SoftSurface, as_meshes, as_surface, normalize
from dr_kfs.keypoints import GHHDetector
from dr_kfs.losses._reductions import Reduction, check_reduction, reduce_items
from dr_kfs.losses._rendered_pairs import check_normalization
from dr_kfs.matching import LocalizedMatcher
from dr_kfs.presets import Preset, find_preset, preset_name
from dr_kfs.rendering import SoftRenderer
from dr_kfs.rendering.cameras import check_views
from dr_kfs.shape_code import ShapeCode
from dr_kfs.step_plan import StepPlan, plan_step


class DRKFSLoss(nn.Module):
    """DR-KFS as a loss; `drkfs_distance` is the function, `compare` says where two shapes differ.

    Both shapes are rendered from 25 views, each view becomes maps of keypoint probabilities (PoI), their 58 patches
    become descriptors, and patches are matched with their neighbours in the same view of the other shape, both ways:

        Sim_a->b = sum_v [ sum_i w_i min_k mean_D (a_i - b_k)^2 / sum_i w_i ],   w_i = mean PoI of patch i
        DR-KFS   = precision_weight Sim_predicted->target + recall_weight Sim_target->predicted

    summed over the views: 0 for identical shapes; each term is at most 4 / 128 per view and direction, 0.2 to 0.6 in
    total for a network's reconstructions in the paper. Where a view shows nothing of a side, its direction is 0: an
    empty prediction costs what is missing, maybe less than a wrong one. Other weights or settings are other metrics.

    The four stages are injected; each is a plain module. The defaults own no parameters, add nothing to
    `state_dict()`, and do not change in `train()`.

        >>> loss_fn = DRKFSLoss()
        >>> loss_fn(predicted, target).backward()

    Args:
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`, which takes a `SoftSurface` too.
        detector: images (B, V, H, W) to PoI maps of the same size; `GHHDetector()`.
        descriptor: PoI patches (K, 32, 32) to descriptors (K, D), or a `ViewDescriptor`, or the name of HardNet
            weights (`"hardnet-liberty"`); `HardNetDescriptor()`.
        matcher: two (B, V, P, D) to `PatchMatches`; `LocalizedMatcher()`.
        scales: compare the views shrunk by these factors, see `PatchScales`; the distance is the sum over the scales,
            each term as above. None: patches of a quarter and of half the view, (2, 4) at 256 px. (1,) is the paper's.
        normalize: `"target"` maps both shapes with the target's box (centre to the origin, diagonal to 1), so that a
            value does not depend on units; `"each"` every shape with its own; `"none"` trusts the caller.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        view_chunk: views that are in memory at once; None lets `plan_step` choose, for one shape after the other on a
            CPU, for as many shapes and views as fit on a GPU. The value is the same up to the order of float32 sums.
        max_memory: what a step may add [bytes]; an estimate made before it (`step_plan`) cuts the step accordingly.
        views_per_step: in training mode, use so many views per call, drawn without replacement, and scale the sum
            by V / views_per_step: an unbiased, cheaper gradient. `eval()` uses all.
        seed: of that draw. The n-th call draws the same views in every run; `steps_taken` counts the calls and may
            be set, to resume.
        recall_weight: of the target's patches, which look for themselves in the prediction: visual recall, what is
            missing. More of it completes shapes at the price of extra parts. 1 and 1 are the paper's sum.
        precision_weight: of the prediction's patches, which look for themselves in the target: what does not belong.
        detach_weights: treat `w_i` as constants. Otherwise the loss can fall by erasing keypoints.
        fused: compute the gradient chunk by chunk during the forward and keep only d loss / d vertices, so that
            memory does not grow with the number of views. Not used where an injected stage has parameters that
            require a gradient, which it would miss. First derivatives only.
        cuda_graphs: record what follows the renderer (detector, descriptor, matcher and their gradient) at the first
            step of a size (shapes, views, targets, dtype), and replay it from then on: some 300 launches fewer, for
            hosts that are slower than their GPU. Values are the same to rounding. The recordings of the last two
            sizes are kept, each with the memory of its step; `to()` drops them. Steps whose target has a gradient, or
            whose views are more than one chunk, run as without. Needs a GPU, `fused`, `GHHDetector`,
            `HardNetDescriptor` and `LocalizedMatcher`; anything else is a ValueError.

    References:
        Jin, Patil, Xiong, Zhang, "DR-KFS: A Differentiable Visual Similarity Metric for 3D Shape Reconstruction",
        ECCV 2020, Sec. 3, Eq. 1 and 2. The scales, angles of the views, calibration of the PoI maps, division by
        `sum_i w_i` and the detached weights are ours; the code says so where it happens.
    """

    takes = "shapes"
    """What a `HybridLoss` hands it: the prediction and the target."""

    def __init__(
        self,
        *,
        renderer: nn.Module | None = None,
        detector: nn.Module | None = None,
        descriptor: nn.Module | str | None = None,
        matcher: nn.Module | None = None,
        scales: Sequence[int] | None = None,
        normalize: Normalization = "target",
        reduction: Reduction = "mean",
        view_chunk: int | None = None,
        max_memory: float | None = None,
        views_per_step: int | None = None,
        seed: int = 0,
        recall_weight: float = 1.0,
        precision_weight: float = 1.0,
        detach_weights: bool = True,
        fused: bool = True,
        cuda_graphs: bool = False,
    ) -> None:
        super().__init__()
        check_normalization(normalize)
        check_reduction(reduction)
        for name, number in (("view_chunk", view_chunk), ("max_memory", max_memory)):
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be positive, got {number}.")
        # Any: an injected stage is whatever module keeps the contract above.
        self.renderer: Any = SoftRenderer() if renderer is None else renderer
        self.detector: Any = GHHDetector() if detector is None else detector
        descriptor = DEFAULT_DESCRIPTOR if descriptor is None else descriptor
        self.descriptor: Any = HardNetDescriptor(descriptor) if isinstance(descriptor, str) else descriptor
        self.matcher: Any = LocalizedMatcher() if matcher is None else matcher
        self.scales = patch_scales(getattr(self.renderer, "image_size", 256), scales)
        self.normalize: Normalization = normalize
        self.reduction: Reduction = reduction
        if views_per_step is not None and not 1 <= views_per_step <= self.view_count:
            raise ValueError(f"views_per_step must be in 1..{self.view_count}, got {views_per_step}.")
        self.view_chunk = view_chunk
        self.max_memory = max_memory
        self.views_per_step = views_per_step
        self.seed = seed
        self.steps_taken = 0
        if not (0.0 <= recall_weight < math.inf and 0.0 <= precision_weight < math.inf):
            raise ValueError(
                f"recall_weight and precision_weight must be at least 0, got {recall_weight} and {precision_weight}."
            )
        self.recall_weight = recall_weight
        self.precision_weight = precision_weight
        self.detach_weights = detach_weights
        self.fused = fused
        self._blank = BlankPatch()
        if cuda_graphs and not fused:
            raise ValueError("cuda_graphs=True records fused steps: leave fused=False out.")
        if cuda_graphs:
            check_recordable(self._image_stages())
        self.cuda_graphs = cuda_graphs
        self._recorded = RecordedStages()

    @classmethod
    def from_preset(cls, preset: Preset = "default", *, precision: Precision = "float32", **settings: Any) -> DRKFSLoss:
        """The loss of a preset, which its results name; see `PRESETS`. `settings` are other arguments of the class.

        Raises:
            ValueError: an unknown preset, or weights that were not fetched.
        """
        chosen = find_preset(preset)
        descriptor = HardNetDescriptor(chosen.descriptor, precision=precision)
        scales = chosen.scales.resized(getattr(settings.get("renderer"), "image_size", 256))
        return cls(descriptor=descriptor, scales=scales.factors, **settings)

    # -- public ------------------------------------------------------------------------------------------------

    def forward(
        self,
        predicted: Shape,
        target: Shape,
        *,
        views: Sequence[int] | Tensor | None = None,
        reduction: Reduction | None = None,
    ) -> Float[Tensor, ""] | Float[Tensor, " B"]:
        """The distance of each predicted shape to its target.

        Args:
            predicted: B shapes, their code, or a `SoftSurface`.
            target: B shapes or their code, or one for all.
            views: use only these views of the rig, in units of the whole: the sum over them times V / len(views).
                A random choice per step gives an unbiased, cheaper gradient.
            reduction: instead of the module's.

        Raises:
            ValueError: batches of different sizes, codes of other settings or frames, tensors on another device.
            TypeError: something that is not a shape.
        """
        ours, theirs = self._in_one_frame(predicted, target)
        views = check_views(self._drawn_views() if views is None else views, self.view_count)
        step = self._chunked_step(ours, theirs, views)
        fused = self.fused and not any(parameter.requires_grad for parameter in self.parameters())
        values = step.values(ours, theirs, fused=fused)
        if len(views) != self.view_count:
            values = values * (self.view_count / len(views))
        return reduce_items(values, self.reduction if reduction is None else reduction)

    @torch.inference_mode(False)  # a code that is made there may be the target of a training later
    @torch.no_grad()
    def encode(self, shape: Shape, *, frame: Frame | None = None) -> ShapeCode:
        """Describe shapes once; the code stands for them as a target (or as a prediction, without gradient).

        Args:
            shape: B shapes.
            frame: normalise with this box instead of the shapes' own, e.g. `frame=target_code.frame`.
        """
        meshes = as_meshes(shape)
        if frame is None:
            frame = own_frame(meshes, self.normalize)
        frame = expanded(frame, len(meshes))
        meshes = normalize(meshes, frame)
        seen = self._remembered(meshes, pictures=False)
        return ShapeCode(seen.descriptors, seen.weights, frame, self.code_settings())

    @torch.no_grad()
    def compare(self, predicted: Shape, target: Shape) -> Comparison:
        """Where two batches of shapes differ: per view, per direction, per patch, with the matches and the pictures."""
        ours, theirs = self._in_one_frame(predicted, target)
        if len(theirs) < len(ours):
            theirs = theirs[[0] * len(ours)]
        seen, stages = [self._remembered(side) for side in (ours, theirs)], self._image_stages()
        return Comparison(
            predicted=seen[0],
            target=seen[1],
            predicted_to_target=stages.direction(seen[0], seen[1]),
            target_to_predicted=stages.direction(seen[1], seen[0]),
            scales=self.scales,
            settings=self.settings(),
            recall_weight=self.recall_weight,
            precision_weight=self.precision_weight,
        )

    def step_plan(self, predicted: Shape, target: Shape | None = None) -> StepPlan:
        """How a step with these shapes is cut up, and what it adds; soft surfaces without a target as they stand.

        Raises:
            ValueError: not even one view of one shape fits into `max_memory`.
        """
        if target is not None:
            return self._plan(*self._in_one_frame(predicted, target))
        ours = accept_side(predicted, "predicted", self.code_settings())
        return self._plan(ours, ours)

    @property
    def view_count(self) -> int:
        """V, the number of views of the rig."""
        return len(self.renderer.cameras)

    def code_settings(self) -> dict[str, object]:
        """What a `ShapeCode` depends on; codes with equal settings can be compared."""
        return {
            "renderer": _settings(self.renderer),
            "detector": _settings(self.detector),
            "descriptor": _settings(self.descriptor),
            "patches": {"size": PATCH_SIZE, "stride": PATCH_STRIDE, "scales": list(self.scales.factors)},
            "normalize": self.normalize,
        }

    def settings(self) -> dict[str, object]:
        """What a value depends on, and the name of its preset."""
        return {"preset": self.preset, **self._settings()}

    def _settings(self) -> dict[str, object]:
        weights = {"recall_weight": self.recall_weight, "precision_weight": self.precision_weight}
        return {**self.code_settings(), "matcher": _settings(self.matcher), **weights}

    @property
    def preset(self) -> str:
        """The preset that has these settings, or "custom"."""
        return preset_name({**self._settings(), "detach_weights": self.detach_weights}, self.scales)

    # -- the stages ----------------------------------------------------------------------------------------------

    def _render(self, side: Side, views: list[int]) -> Float[Tensor, "B V H W"] | DescribedViews:
        """Some views of a side; those of a code are described already."""
        if isinstance(side, ShapeCode):
            if views == list(range(self.view_count)):  # nothing to choose: a GPU would wait for the numbers
                return DescribedViews(side.descriptors, side.weights)
            return DescribedViews(side.descriptors[:, views], side.weights[:, views])
        self._check_device(side)
        return self.renderer(side, self.renderer.cameras[views]).images

    def _image_stages(self) -> ImageStages:
        """What follows; the loss may have been given another stage or weight since the last step."""
        return ImageStages(
            detector=self.detector,
            descriptor=self.descriptor,
            matcher=self.matcher,
            scales=self.scales,
            blank=self._blank,
            precision_weight=self.precision_weight,
            recall_weight=self.recall_weight,
            detach_weights=self.detach_weights,
        )

    def _remembered(self, side: Side, *, pictures: bool = True) -> SeenShape:
        """Descriptors of all views, with the pictures they came from if there are any.

        In the chunks of a step, so that a code is what a step sees.
        """
        step = self._chunked_step(side, side, list(range(self.view_count)))

        def remembered(look: Look) -> SeenShape:
            described = step.stages.describe(look)
            kept = (look.images, look.poi) if pictures and isinstance(look, SeenViews) else (None, None)
            return SeenShape(described.descriptors, described.weights, *kept)

        shapes = []
        for items in step.shape_chunks(len(side)):
            runs = [remembered(look) for seen in step.seen(side[items]) for (look,) in step.runs(seen)]
            shapes.append(SeenShape.cat(runs, dim=1))
        return SeenShape.cat(shapes, dim=0)

    # -- what comes in, and how it is cut up -------------------------------------------------------------------

    def _in_one_frame(self, predicted: Shape, target: Shape) -> tuple[Side, Side]:
        return sides_in_one_frame(predicted, target, normalization=self.normalize, settings=self.code_settings())

    def _chunked_step(self, ours: Side, theirs: Side, views: list[int]) -> ChunkedStep:
        self._blank.start_step()
        recorded = self._recorded if self.cuda_graphs else None
        if recorded is not None:
            recorded.check_device(device_of(ours))
        return ChunkedStep(self._render, self._image_stages(), self._plan(ours, theirs), views, recorded)

    def _drawn_views(self) -> list[int]:
        if self.views_per_step is None or not self.training:
            return list(range(self.view_count))
        refuse_recomputation("views_per_step would draw other views where a step is computed again")
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.steps_taken)
        self.steps_taken += torch.is_grad_enabled()  # a step is what a gradient can come from
        return torch.randperm(self.view_count, generator=generator)[: self.views_per_step].tolist()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> DRKFSLoss:
        self._recorded.clear()
        return super()._apply(fn, recurse)

    def _plan(self, ours: Side, theirs: Side) -> StepPlan:
        meshes = [side.meshes if isinstance(side, SoftSurface) else side for side in (ours, theirs)]
        faces = [count for side in meshes if isinstance(side, Meshes) for count in side.face_counts]
        count: Any = getattr(self.renderer, "expected_fragments", lambda side: 0.0)  # another renderer may list none
        fragments = [count(side) for side in (ours, theirs) if not isinstance(side, ShapeCode)]
        return plan_step(
            batch=len(ours),
            view_count=self.view_count,
            image_size=self.scales.image_size,
            patches=sum(self.scales.counts),
            faces=max(faces, default=0),
            device=device_of(ours),
            fragments=max(fragments, default=0.0),
            view_chunk=self.view_chunk,
            max_memory=self.max_memory,
        )

    def _check_device(self, meshes: Meshes | SoftSurface) -> None:
        own = next((buffer.device for buffer in self.buffers()), meshes.device)
        if own != meshes.device:
            raise ValueError(
                f'The shape is on {meshes.device}, the loss on {own}: call `loss_fn.to("{meshes.device}")`.'
            )


def _settings(module: nn.Module) -> dict[str, object]:
    describe: Any = getattr(module, "settings", None)
    if describe is not None:
        return describe()
    return {"type": f"{type(module).__module__}.{type(module).__qualname__}"}


@functools.cache
def _default_loss(normalize: Normalization, device: torch.device) -> DRKFSLoss:
    return DRKFSLoss(normalize=normalize).to(device)  # its weights are usable in every mode, wherever it is made


def drkfs_distance(
    predicted: Shape,
    target: Shape,
    *,
    normalize: Normalization | None = None,
    reduction: Reduction | None = None,
    loss: DRKFSLoss | None = None,
) -> Float[Tensor, ""] | Float[Tensor, " B"]:
    """DR-KFS with the default stages, or those of `loss`; see `DRKFSLoss` for formula, shapes, arguments and errors.

    >>> values = drkfs_distance(predicted, target, reduction="none")      # (B,)

    `normalize` is `"target"` and `reduction` `"mean"` by default, or what `loss` has; it is a ValueError to give
    `normalize` beside a `loss`.
    """
    if loss is not None and normalize is not None:
        raise ValueError("A loss has its own normalize: set it there, DRKFSLoss(normalize=...), or leave loss out.")
    if loss is None:
        if not isinstance(predicted, ShapeCode):
            predicted = as_surface(predicted)  # once: it may take a marching cubes
        loss = _default_loss("target" if normalize is None else normalize, device_of(predicted))
    return loss(predicted, target, reduction=reduction)
