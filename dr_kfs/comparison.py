"""What `DRKFSLoss.compare` returns: the distance taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs.descriptors import PatchScales

SideName = Literal["predicted", "target"]


@dataclass(frozen=True, eq=False)
class SeenShape:
    """One side of a comparison: B shapes as the matcher sees them."""

    descriptors: Float[Tensor, "B V P D"]
    weights: Float[Tensor, "B V P"]
    """Mean PoI of each patch."""
    images: Float[Tensor, "B V H W"] | None
    """Shaded views; None where the side was a `ShapeCode`."""
    poi: tuple[Float[Tensor, "B V _ _"], ...] | None
    """PoI maps at each scale; None where the side was a `ShapeCode`."""

    @staticmethod
    def cat(parts: Sequence[SeenShape], dim: int) -> SeenShape:
        """Shapes (dim 0) or runs of views (dim 1) as one."""
        images = [part.images for part in parts if part.images is not None]
        maps = [part.poi for part in parts if part.poi is not None]
        return SeenShape(
            torch.cat([part.descriptors for part in parts], dim),
            torch.cat([part.weights for part in parts], dim),
            torch.cat(images, dim) if images else None,
            tuple(torch.cat(same, dim) for same in zip(*maps, strict=True)) if maps else None,
        )


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of the two-way matching."""

    per_view: Float[Tensor, "B V"]
    """`sum_i w_i d_i / sum_i w_i` of each view, summed over the scales."""
    patch_distance: Float[Tensor, "B V P"]
    """`d_i`: the distance of each patch to its best match."""
    weights: Float[Tensor, "B V P"]
    """`w_i`: the patch's mean PoI; the share of patch i in its view and scale is w_i / sum w."""
    match: Int[Tensor, "B V P"]
    """Which patch of the other shape, same view and scale, was the best match; patches count as in `PatchScales`."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """DR-KFS of B pairs, taken apart by view, direction and patch."""

    predicted: SeenShape
    target: SeenShape
    predicted_to_target: Direction
    """What the prediction has and the target lacks: visual precision."""
    target_to_predicted: Direction
    """What the target has and the prediction lacks: visual recall."""
    scales: PatchScales
    """Which patches belong to which scale."""
    settings: dict[str, object]
    """Renderer, detector, descriptor (with their weights), matcher and the weights of the directions."""
    recall_weight: float = 1.0
    """What the direction from target to prediction counts in `value`."""
    precision_weight: float = 1.0
    """What the direction from prediction to target counts."""

    @property
    def per_view(self) -> Float[Tensor, "B V"]:
        """Both directions of each view, weighted."""
        precision, recall = self.predicted_to_target.per_view, self.target_to_predicted.per_view
        return self.precision_weight * precision + self.recall_weight * recall

    @property
    def value(self) -> Float[Tensor, " B"]:
        """The distance: the sum over the views."""
        return self.per_view.sum(1)

    def worst_views(self, count: int = 3) -> Int[Tensor, "B count"]:
        """The views that contribute most, largest first."""
        return self.per_view.topk(min(count, self.per_view.shape[1]), dim=1).indices

    def patch_error(self, side: SideName) -> Float[Tensor, "B V P"]:
        """What each patch adds to the distance; `side`: "predicted" or "target".

        `w_i d_i / sum_i w_i` of its scale, times `precision_weight` or `recall_weight`.
        """
        if side not in ("predicted", "target"):
            raise ValueError(f'side must be "predicted" or "target", got {side!r}.')
        forth = side == "predicted"
        direction = self.predicted_to_target if forth else self.target_to_predicted
        weight = self.precision_weight if forth else self.recall_weight
        totals = [w.sum(-1, keepdim=True).expand_as(w) for w in self.scales.split(direction.weights, -1)]
        total = torch.cat(totals, dim=-1)
        return weight * direction.weights * direction.patch_distance / torch.where(total > 0, total, 1.0)

    def to_dict(self) -> dict[str, object]:
        """The numbers, JSON-able: value, both directions (before their weights), per view."""
        return {
            "drkfs": self.value.tolist(),
            "predicted_to_target": self.predicted_to_target.per_view.sum(1).tolist(),
            "target_to_predicted": self.target_to_predicted.per_view.sum(1).tolist(),
            "per_view": self.per_view.tolist(),
            "worst_views": self.worst_views().tolist(),
            "settings": self.settings,
        }
