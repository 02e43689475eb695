"""Silhouette IoU: the share of the two outlines' area that they have in common."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Meshes, SoftSurface
from dr_kfs.losses._reductions import Reduction, reduce_items
from dr_kfs.losses._rendered_pairs import RenderedPairLoss, check_pair
from dr_kfs.rendering import Cameras, Views

__all__ = ["SilhouetteIoULoss", "silhouette_iou_loss"]


def silhouette_iou_loss(
    predicted: Views, target: Views, *, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """One minus the intersection over union of the silhouettes, mean over the views.

        loss = 1 / V sum_v [ 1 - sum_p a b / sum_p (a + b - a b) ],    a, b: alpha of predicted and target

    in [0, 1] per item; 0 for a view in which neither shape is seen. It compares the outlines alone: unlike the
    squared difference of silhouettes (`image_loss` with `channel="alpha"`) its value does not depend on how much of
    the image the shape fills, so that thin shapes count as much as broad ones. A soft outline, 0 < alpha < 1, has an
    overlap below 1 with itself: equal shapes have a small value above 0, that of their rim.

    Args:
        predicted: views of B shapes.
        target: views of B shapes or of one for all, of the same cameras and size.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).

    Returns:
        (B,) or a scalar.

    Raises:
        ValueError: views that do not go together, or an unknown reduction.

    References:
        S. Liu, T. Li, W. Chen, H. Li: Soft Rasterizer. ICCV 2019, Sec. 5.1 (silhouette loss).
    """
    ours, theirs = predicted.alpha, target.alpha
    check_pair(ours, theirs, "silhouette_iou_loss")
    common = (ours * theirs).sum((2, 3))
    union = (ours + theirs - ours * theirs).sum((2, 3))
    seen = union.detach() > 0
    overlap = torch.where(seen, common / torch.where(seen, union, 1.0), 1.0)
    return reduce_items((1.0 - overlap).mean(1), reduction)


class SilhouetteIoULoss(RenderedPairLoss):
    """`silhouette_iou_loss` of shapes: both are normalised as in `DRKFSLoss`, and rendered; see `RenderedPairLoss`."""

    def _compare(self, predicted: Meshes | SoftSurface, target: Meshes, cameras: Cameras) -> Tensor:
        views = (self.renderer(side, cameras) for side in (predicted, target))
        return silhouette_iou_loss(*views, reduction=self.reduction)
