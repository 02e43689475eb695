"""The stages behind the renderer: from images of two shapes to their distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.comparison import Direction, SeenShape
from dr_kfs.descriptors import PatchScales, ViewDescriptor, extract_patches
from dr_kfs.descriptors.lit_patches import BlankPatch, describe_lit_patches
from dr_kfs.matching import match_scales, scaled_similarity


@dataclass(frozen=True, eq=False)
class SeenViews:
    """Some views of some shapes, before they are described."""

    images: Float[Tensor, "B V H W"]
    poi: tuple[Float[Tensor, "B V _ _"], ...]
    """Of the images at each scale."""

    def part(self, views: slice) -> SeenViews:
        """Some of the views."""
        return SeenViews(self.images[:, views], tuple(poi[:, views] for poi in self.poi))

    def leaves(self) -> SeenViews:
        """The same values without their history, ready to gather a gradient where they have one."""
        images, *poi = (x.detach().requires_grad_(x.requires_grad) for x in (self.images, *self.poi))
        return SeenViews(images, tuple(poi))


@dataclass(frozen=True, eq=False)
class DescribedViews:
    """What some views of some shapes look like to the matcher."""

    descriptors: Float[Tensor, "B V P D"]
    weights: Float[Tensor, "B V P"]
    """Mean PoI of each patch, `w_i` of Eq. 2."""

    def part(self, views: slice) -> DescribedViews:
        """Some of the views."""
        return DescribedViews(self.descriptors[:, views], self.weights[:, views])

    def joined(self, other: DescribedViews) -> DescribedViews:
        """Both batches as one."""
        descriptors = torch.cat([self.descriptors, other.descriptors])
        return DescribedViews(descriptors, torch.cat([self.weights, other.weights]))

    def leaves(self) -> DescribedViews:
        """Itself: a code has no history."""
        return self


Look: TypeAlias = SeenViews | DescribedViews


@dataclass(frozen=True, eq=False)
class ImageStages:
    """Detector, descriptor and matcher with what else a distance depends on; see `DRKFSLoss`."""

    detector: Any
    descriptor: Any
    matcher: Any
    scales: PatchScales
    blank: BlankPatch
    precision_weight: float | Tensor
    recall_weight: float | Tensor
    """Tensors where a schedule changes them under a recording."""
    detach_weights: bool

    def detect(self, images: Float[Tensor, "B V H W"]) -> SeenViews:
        """Keypoints at each scale."""
        with no_autocast(images):  # PoI values are small differences of large sums
            return SeenViews(images, tuple(self.detector(shrunk) for shrunk in self.scales.shrink(images)))

    def patches(self, seen: SeenViews) -> tuple[Float[Tensor, "B V P S S"], Float[Tensor, "B V P"]]:
        """The patches of all scales, and their mean PoI."""
        patches = torch.cat([extract_patches(poi) for poi in seen.poi], dim=2)
        return patches, patches.mean((-2, -1))

    def describe(self, look: Look) -> DescribedViews:
        """Descriptors of the patches and their weights; all blank ones share one descriptor, and have weight 0."""
        if isinstance(look, DescribedViews):
            return look
        patches, weights = self.patches(look)
        if isinstance(self.descriptor, ViewDescriptor):
            with no_autocast(patches):
                described = [self.descriptor.describe_views(shrunk) for shrunk in self.scales.shrink(look.images)]
            return DescribedViews(torch.cat(described, dim=2), weights)
        with no_autocast(patches):
            blank = self.blank.described(self.descriptor, patches)
            descriptors = describe_lit_patches(self.descriptor, patches.flatten(0, 2), blank)
        return DescribedViews(descriptors.view(*patches.shape[:3], -1), weights)

    def distance(self, ours: Look, theirs: Look) -> Float[Tensor, " B"]:
        """The part of the distance that some views contribute."""
        a, b = self.describe(ours), self.describe(theirs)
        b = DescribedViews(b.descriptors.expand_as(a.descriptors), b.weights.expand_as(a.weights))
        # Both directions at once: on a GPU a launch takes longer than what it does here.
        forth, back = self.direction(a.joined(b), b.joined(a)).per_view.chunk(2)
        return (self.precision_weight * forth + self.recall_weight * back).sum(1)

    def direction(self, query: DescribedViews | SeenShape, reference: DescribedViews | SeenShape) -> Direction:
        """One direction of Eq. 2."""
        found = match_scales(self.matcher, query.descriptors, reference.descriptors, self.scales)
        # As constants, or the loss falls when keypoints vanish.
        weights = query.weights.detach() if self.detach_weights else query.weights
        return Direction(scaled_similarity(found.distance, weights, self.scales), found.distance, weights, found.index)


def no_autocast(values: Tensor) -> torch.autocast:
    """A stage has the precision that its settings name, under a user's autocast too: codes depend on it."""
    return torch.autocast(values.device.type, enabled=False)


def tensors_with_gradient(looks: list[Look]) -> Iterator[Tensor]:
    """What a gradient flows through on its way from the second half of a step to the first."""
    both = (x for look in looks if isinstance(look, SeenViews) for x in (look.images, *look.poi))
    return (x for x in both if x.requires_grad)
