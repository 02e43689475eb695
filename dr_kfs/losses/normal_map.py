"""Normal map loss: how differently the visible surfaces are slanted, pixel by pixel."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry import Meshes, SoftSurface
from dr_kfs.losses._reductions import Reduction, reduce_items
from dr_kfs.losses._rendered_pairs import RenderedPairLoss, check_pair
from dr_kfs.rendering import Cameras, render_normals

__all__ = ["NormalMapLoss", "normal_map_loss"]


def normal_map_loss(
    predicted: Float[Tensor, "B V 3 H W"], target: Float[Tensor, "T V 3 H W"], *, reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean absolute difference of the normal maps.

        loss = 1 / (3 V H W) sum_{v, y, x} || n_predicted - n_target ||_1

    of the maps of `render_normals`, whose background is 0: a missing part costs the length of its normals. A shaded
    image is one projection of the normal, cut off where it turns from the light; the map is the whole normal, so that
    no slant of a visible surface goes unseen. Where it lies, along the view, does: that is the depth's.

    Args:
        predicted: normal maps of B shapes.
        target: of B shapes or of one for all, of the same cameras and size.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).

    Returns:
        (B,) or a scalar in [0, 2 / sqrt(3)].

    Raises:
        ValueError: maps that do not go together, or an unknown reduction.

    References:
        Z. Yu et al.: MonoSDF. NeurIPS 2022 (its normal loss; the angular part of it is left out here).
    """
    check_pair(predicted, target, "normal_map_loss")
    return reduce_items((predicted - target).abs().mean((1, 2, 3, 4)), reduction)


class NormalMapLoss(RenderedPairLoss):
    """`normal_map_loss` of shapes: both are normalised as in `DRKFSLoss`, and rendered; see `RenderedPairLoss`.

    The renderer must be a `SoftRenderer`. A step renders three times what an `ImageLoss` does.
    """

    def _compare(self, predicted: Meshes | SoftSurface, target: Meshes, cameras: Cameras) -> Tensor:
        if isinstance(predicted, SoftSurface):
            raise TypeError("Translucent faces have no one normal per pixel: compare a SoftSurface by its other views.")
        maps = (render_normals(self.renderer, side, cameras) for side in (predicted, target))
        return normal_map_loss(*maps, reduction=self.reduction)
