"""DR-KFS: the differentiable perceptual distance between 3D shapes, as a loss and as a metric.

shape -> views -> PoI maps -> patches -> descriptors -> two-way localized matching -> distance
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs._view_chunks import Side, ViewChunk, sum_over_chunks
from dr_kfs.comparison import Comparison, Direction, SeenShape
from dr_kfs.descriptors import HardNetDescriptor, extract_patches, patch_grid
from dr_kfs.descriptors.patches import PATCH_SIZE, PATCH_STRIDE
from dr_kfs.geometry import Frame, Meshes, as_meshes, bounding_frame, normalize
from dr_kfs.keypoints import GHHDetector
from dr_kfs.losses._mesh_topology import Reduction, reduce_items
from dr_kfs.matching import LocalizedMatcher, PatchMatches, weighted_similarity
from dr_kfs.rendering import SoftRenderer
from dr_kfs.shape_code import ShapeCode, check_same_settings

Normalization = Literal["target", "each", "none"]
Shape = Any
"""`Meshes`, `ShapeCode`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence of those."""


@dataclass(frozen=True)
class DescribedViews:
    """What the views of B shapes look like to the matcher."""

    descriptors: Float[Tensor, "B V P D"]
    weights: Float[Tensor, "B V P"]
    """Mean PoI of each patch, `w_i` of Eq. 2."""


class DRKFSLoss(nn.Module):
    """DR-KFS as a loss; `drkfs_distance` is the function, `compare` says where two shapes differ.

    Both shapes are rendered from 25 views, each view becomes a map of keypoint probabilities (PoI), its 225 patches
    become descriptors, and patches are matched with their neighbours in the same view of the other shape, both ways:

        Sim_a->b = sum_v [ sum_i w_i min_k mean_D (a_i - b_k)^2 / sum_i w_i ],   w_i = mean PoI of patch i
        DR-KFS   = Sim_predicted->target + Sim_target->predicted

    summed over the views: 0 for identical shapes; each term is at most 4 / 128 per view and direction, 0.2 to 0.6 in
    total for a network's reconstructions in the paper. Values of different weights or settings are different metrics.

    The four stages are injected; each is a plain module. The defaults own no parameters, add nothing to
    `state_dict()`, and do not change in `train()`.

        >>> loss_fn = DRKFSLoss()
        >>> loss = loss_fn(predicted, target)
        >>> loss.backward()

    Args:
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`.
        detector: images (B, V, H, W) to PoI maps of the same size; `GHHDetector()`.
        descriptor: PoI patches (K, 32, 32) to descriptors (K, D); `HardNetDescriptor()`.
        matcher: two (B, V, P, D) to `PatchMatches`; `LocalizedMatcher()`.
        normalize: `"target"` maps both shapes with the target's box (centre to the origin, diagonal to 1), so that a
            value does not depend on units; `"each"` every shape with its own; `"none"` trusts the caller.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
        view_chunk: views that are processed at once. Fewer views take less memory; the value is the same up to the
            order of a float32 sum. By default all on CUDA, and on a CPU, where small batches stay in the cache and
            are faster, as many as have 225 patches: 1 of 256 px.
        detach_weights: treat `w_i` as constants. Otherwise the loss can fall by erasing keypoints.
        fused: compute the gradient chunk by chunk during the forward and keep only d loss / d vertices, so that
            memory does not grow with the number of views. Not used where an injected stage has parameters that
            require a gradient, which it would miss. First derivatives only.

    References:
        Jin, Patil, Xiong, Zhang, "DR-KFS: A Differentiable Visual Similarity Metric for 3D Shape Reconstruction",
        ECCV 2020, Sec. 3, Eq. 1 and 2. Angles of the views, calibration of the PoI maps, division by `sum_i w_i` and
        the detached weights are ours; the code says so where it happens.
    """

    def __init__(
        self,
        *,
        renderer: nn.Module | None = None,
        detector: nn.Module | None = None,
        descriptor: nn.Module | None = None,
        matcher: nn.Module | None = None,
        normalize: Normalization = "target",
        reduction: Reduction = "mean",
        view_chunk: int | None = None,
        detach_weights: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        if normalize not in ("target", "each", "none"):
            raise ValueError(f'normalize must be "target", "each" or "none", got {normalize!r}.')
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r}.')
        if view_chunk is not None and view_chunk < 1:
            raise ValueError(f"view_chunk must be at least 1, got {view_chunk}.")
        # Any: an injected stage is whatever module keeps the contract above.
        self.renderer: Any = SoftRenderer() if renderer is None else renderer
        self.detector: Any = GHHDetector() if detector is None else detector
        self.descriptor: Any = HardNetDescriptor() if descriptor is None else descriptor
        self.matcher: Any = LocalizedMatcher() if matcher is None else matcher
        self.normalize: Normalization = normalize
        self.reduction: Reduction = reduction
        self.view_chunk = view_chunk
        self.detach_weights = detach_weights
        self.fused = fused

    # -- public ------------------------------------------------------------------------------------------------

    def forward(
        self,
        predicted: Shape,
        target: Shape,
        *,
        views: list[int] | None = None,
        reduction: Reduction | None = None,
    ) -> Float[Tensor, ""] | Float[Tensor, " B"]:
        """The distance of each predicted shape to its target.

        Args:
            predicted: B shapes, or their code.
            target: B shapes or their code, or one for all.
            views: use only these views of the rig, in units of the whole: the sum over them times V / len(views).
                A random choice per step gives an unbiased, cheaper gradient.
            reduction: instead of the module's.

        Raises:
            ValueError: batches of different sizes, codes of other settings or frames, tensors on another device.
            TypeError: something that is not a shape.
        """
        ours, theirs = self._in_one_frame(predicted, target)
        chunks = self._view_chunks(views, _device_of(ours))
        values = sum_over_chunks(
            self._chunk_values,
            ours,
            theirs,
            chunks,
            fused=self.fused and not any(parameter.requires_grad for parameter in self.parameters()),
        )
        if views is not None:
            values = values * (self.view_count / len(views))
        return reduce_items(values, self.reduction if reduction is None else reduction)

    @torch.no_grad()
    def encode(self, shape: Shape, *, frame: Frame | None = None) -> ShapeCode:
        """Describe shapes once; the code stands for them as a target (or as a prediction, without gradient).

        Args:
            shape: B shapes.
            frame: normalise with this box instead of the shapes' own, e.g. `frame=target_code.frame`.
        """
        meshes = as_meshes(shape)
        if frame is None:
            frame = self._own_frame(meshes)
        meshes = normalize(meshes, frame)
        parts = [self._describe(meshes, chunk) for chunk in self._view_chunks(None, meshes.device)]
        return ShapeCode(
            descriptors=torch.cat([part.descriptors for part in parts], dim=1),
            weights=torch.cat([part.weights for part in parts], dim=1),
            frame=frame,
            settings=self.code_settings(),
        )

    @torch.no_grad()
    def compare(self, predicted: Shape, target: Shape) -> Comparison:
        """Where two batches of shapes differ: per view, per direction, per patch, with the matches and the pictures."""
        ours, theirs = self._in_one_frame(predicted, target)
        if len(theirs) < len(ours):
            theirs = theirs[[0] * len(ours)]
        chunks = self._view_chunks(None, _device_of(ours))
        seen = [SeenShape.cat([self._see(side, chunk) for chunk in chunks]) for side in (ours, theirs)]
        forth: PatchMatches = self.matcher(seen[0].descriptors, seen[1].descriptors)
        back: PatchMatches = self.matcher(seen[1].descriptors, seen[0].descriptors)
        return Comparison(
            predicted=seen[0],
            target=seen[1],
            predicted_to_target=Direction(
                weighted_similarity(forth.distance, seen[0].weights), forth.distance, seen[0].weights, forth.index
            ),
            target_to_predicted=Direction(
                weighted_similarity(back.distance, seen[1].weights), back.distance, seen[1].weights, back.index
            ),
            settings={**self.code_settings(), "matcher": _settings(self.matcher)},
        )

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
            "patches": {"size": PATCH_SIZE, "stride": PATCH_STRIDE},
            "normalize": self.normalize,
        }

    # -- the five stages -----------------------------------------------------------------------------------------

    def _describe(self, meshes: Meshes, chunk: ViewChunk) -> DescribedViews:
        """Meshes in the rig's frame to the descriptors and weights of some views."""
        self._check_device(meshes)
        views = self.renderer(meshes, self.renderer.cameras[chunk])
        with torch.autocast(meshes.device.type, enabled=False):  # PoI values are small differences of large sums
            patches = extract_patches(self.detector(views.images))
        return DescribedViews(self._describe_patches(patches), patches.mean((-2, -1)))

    def _describe_patches(self, patches: Float[Tensor, "B V P S S"]) -> Float[Tensor, "B V P D"]:
        """Descriptors of the patches; all blank ones share one, computed once.

        Exact: the PoI of a blank patch is 0 with gradient 0, and its weight is 0.
        """
        blank = self.descriptor(patches.new_zeros(1, *patches.shape[-2:])).detach().float()
        touched = patches.detach().flatten(0, 2).amax((-2, -1)) > 0
        index = touched.nonzero().squeeze(1)
        descriptors = blank.expand(len(touched), -1).to(torch.promote_types(patches.dtype, torch.float32))
        if len(index):
            described = self.descriptor(patches.flatten(0, 2)[index]).to(descriptors.dtype)
            descriptors = descriptors.index_copy(0, index, described)
        return descriptors.view(*patches.shape[:3], -1)

    def _chunk_values(self, ours: Side, theirs: Side, chunk: ViewChunk) -> Float[Tensor, " B"]:
        """The part of the distance that some views contribute."""
        a, b = self._described(ours, chunk), self._described(theirs, chunk)
        b = DescribedViews(b.descriptors.expand_as(a.descriptors), b.weights.expand_as(a.weights))
        forth = weighted_similarity(self.matcher(a.descriptors, b.descriptors).distance, self._weights(a))
        back = weighted_similarity(self.matcher(b.descriptors, a.descriptors).distance, self._weights(b))
        return (forth + back).sum(1)

    def _described(self, side: Side, chunk: ViewChunk) -> DescribedViews:
        if isinstance(side, ShapeCode):
            return DescribedViews(side.descriptors[:, chunk], side.weights[:, chunk])
        return self._describe(side, chunk)

    def _see(self, side: Side, chunk: ViewChunk) -> SeenShape:
        """Descriptors with the pictures they came from; a code has none."""
        if isinstance(side, ShapeCode):
            return SeenShape(side.descriptors[:, chunk], side.weights[:, chunk], None, None)
        images = self.renderer(side, self.renderer.cameras[chunk]).images
        poi = self.detector(images)
        patches = extract_patches(poi)
        return SeenShape(self._describe_patches(patches), patches.mean((-2, -1)), images, poi)

    def _weights(self, described: DescribedViews) -> Tensor:
        # As constants, or the loss falls when keypoints vanish.
        return described.weights.detach() if self.detach_weights else described.weights

    # -- what comes in -------------------------------------------------------------------------------------------

    def _in_one_frame(self, predicted: Shape, target: Shape) -> tuple[Side, Side]:
        """Both sides checked and normalised; codes keep the frame they have."""
        ours = self._accept(predicted, "predicted")
        theirs = self._accept(target, "target")
        if len(theirs) not in (len(ours), 1):
            raise ValueError(
                f"predicted holds {len(ours)} shapes and target {len(theirs)}; they must be equal, or the target one."
            )
        their_frame = theirs.frame if isinstance(theirs, ShapeCode) else self._own_frame(theirs)
        if isinstance(ours, ShapeCode):
            same_frame = self.normalize == "each" or ours.frame.allclose(their_frame)
            if not same_frame:
                raise ValueError(
                    "The predicted code was normalised in another frame than the target. Encode it in the target's: "
                    "`loss_fn.encode(predicted, frame=target_code.frame)`."
                )
        else:
            frame = their_frame if self.normalize == "target" else self._own_frame(ours)
            ours = normalize(ours, _expanded(frame, len(ours)))
        if not isinstance(theirs, ShapeCode):
            theirs = normalize(theirs, their_frame)
        return ours, theirs

    def _accept(self, shape: Shape, name: str) -> Side:
        if isinstance(shape, ShapeCode):
            check_same_settings(shape.settings, self.code_settings(), f"The {name} code", "this loss")
            return shape
        return as_meshes(shape)

    def _own_frame(self, meshes: Meshes) -> Frame:
        if self.normalize == "none":
            return Frame.identity(len(meshes), device=meshes.device)
        return bounding_frame(meshes)

    def _view_chunks(self, views: list[int] | None, device: torch.device) -> list[ViewChunk]:
        size = self.view_chunk
        if size is None:
            patches = patch_grid(getattr(self.renderer, "image_size", 256)) ** 2
            size = max(1, 225 // patches) if device.type == "cpu" else self.view_count
        if views is None:
            return [slice(start, min(start + size, self.view_count)) for start in range(0, self.view_count, size)]
        if not views or not all(0 <= view < self.view_count for view in views):
            raise ValueError(f"views must name views of the rig, 0 to {self.view_count - 1}, got {views}.")
        return [views[start : start + size] for start in range(0, len(views), size)]

    def _check_device(self, meshes: Meshes) -> None:
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


def _expanded(frame: Frame, count: int) -> Frame:
    return Frame(center=frame.center.expand(count, 3), scale=frame.scale.expand(count))


@functools.cache
def _default_loss(normalize: Normalization, device: torch.device) -> DRKFSLoss:
    return DRKFSLoss(normalize=normalize).to(device)


def drkfs_distance(
    predicted: Shape,
    target: Shape,
    *,
    normalize: Normalization = "target",
    reduction: Reduction = "mean",
    loss: DRKFSLoss | None = None,
) -> Float[Tensor, ""] | Float[Tensor, " B"]:
    """DR-KFS with the default stages (or those of `loss`); see `DRKFSLoss` for the formula and the arguments.

    >>> values = drkfs_distance(predicted, target, reduction="none")      # (B,)
    """
    if loss is None:
        loss = _default_loss(normalize, _device_of(predicted))
    return loss(predicted, target, reduction=reduction)


def _device_of(shape: Shape) -> torch.device:
    return shape.descriptors.device if isinstance(shape, ShapeCode) else as_meshes(shape).device
