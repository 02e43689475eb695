"""Depth loss: how far apart the visible surfaces are along the axes of the views."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Meshes, SoftSurface
from dr_kfs.losses._reductions import Reduction, reduce_items
from dr_kfs.losses._rendered_pairs import Normalization, RenderedPairLoss, check_pair
from dr_kfs.rendering import Cameras, Views

__all__ = ["DepthLoss", "depth_loss"]

Pixels = Literal["all", "both"]
COVERED = 0.999
"""Alpha from which on a pixel shows nothing but surface, and its depth is the surface's."""


def depth_loss(
    predicted: Views, target: Views, *, pixels: Pixels = "all", reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean absolute difference of the depth maps.

        loss = 1 / sum_p m_p sum_p m_p |z_predicted - z_target|,    p over the pixels of all views

    in units of the rig's frame, where the target has diagonal 1. With `pixels="all"` m = 1 and the background lies at
    the cameras' `far`: a part that is missing costs its distance from there, so the loss knows outlines too. With
    `"both"` m = 1 where both shapes cover the pixel (alpha at least 0.999), 0 elsewhere: errors of the surface alone.
    A shape can then escape by shrinking away, so combine it with a loss of silhouettes; the choice of the pixels is a
    constant of the step. Depth sees what shading does not: a face that moves along its own normal. It does not see
    what is hidden.

    Args:
        predicted: views of B shapes.
        target: views of B shapes or of one for all, of the same cameras and size.
        pixels: which pixels count.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).

    Returns:
        (B,) or a scalar, at least 0 [world units of the rig's frame]; 0 where no pixel counts.

    Raises:
        ValueError: views that do not go together, or an unknown choice of pixels or reduction.
    """
    _check(pixels)
    check_pair(predicted.depth, target.depth, "depth_loss")
    error = (predicted.depth - target.depth).abs()
    if pixels == "all":
        return reduce_items(error.mean((1, 2, 3)), reduction)
    counts = (torch.minimum(predicted.alpha, target.alpha).detach() >= COVERED).to(error.dtype)
    return reduce_items((counts * error).sum((1, 2, 3)) / counts.sum((1, 2, 3)).clamp(min=1.0), reduction)


def _check(pixels: Pixels) -> None:
    if pixels not in ("all", "both"):
        raise ValueError(f'pixels must be "all" or "both", got {pixels!r}.')


class DepthLoss(RenderedPairLoss):
    """`depth_loss` of shapes: both are normalised as in `DRKFSLoss`, and rendered.

    Args:
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`, 25 views of 256x256.
        pixels: which pixels count. A mean over those that both shapes cover, in all views, is not the mean of what some
            views say: with `views=` the gradient of `"both"` is nearly unbiased, no more.
        normalize: as in `ImageLoss`.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
    """

    def __init__(
        self,
        *,
        renderer: nn.Module | None = None,
        pixels: Pixels = "all",
        normalize: Normalization = "target",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(renderer=renderer, normalize=normalize, reduction=reduction)
        _check(pixels)
        self.pixels: Pixels = pixels

    def _compare(self, predicted: Meshes | SoftSurface, target: Meshes, cameras: Cameras) -> Tensor:
        views = (self.renderer(side, cameras) for side in (predicted, target))
        return depth_loss(*views, pixels=self.pixels, reduction=self.reduction)
