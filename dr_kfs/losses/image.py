"""Image loss: the per-pixel difference of shaded views or silhouettes, the rival that DR-KFS is measured against."""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Meshes, as_meshes, bounding_frame, normalize
from dr_kfs.losses._reductions import Reduction, reduce_items
from dr_kfs.rendering import SoftRenderer, Views

__all__ = ["ImageLoss", "image_loss"]

Channel = Literal["shade", "alpha"]
Normalization = Literal["target", "each", "none"]
Shape = Any
"""`Meshes`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence of those."""


def image_loss(
    predicted: Views, target: Views, *, channel: Channel = "shade", reduction: Reduction = "mean"
) -> Float[Tensor, " B"] | Float[Tensor, ""]:
    """Mean squared difference of the pixels of two batches of views.

        loss = 1 / (V H W) sum_{v, y, x} (I_predicted - I_target)^2

    in [0, 1] per item. It compares each pixel with the one in the same place, so that bars which are shifted by
    5 px cost more than bars which are missing (0.30 to 0.37 against 0.20 in the paper's Table 5).

    Args:
        predicted: views of B shapes.
        target: views of B shapes or of one for all, of the same cameras and size.
        channel: `"shade"`: the shaded images; `"alpha"`: the silhouettes.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).

    Returns:
        (B,) or a scalar.

    Raises:
        ValueError: views that do not go together, or an unknown channel or reduction.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 4, Tables 4 and 5 ("per-pixel MSE" on shaded images).
    """
    if channel not in ("shade", "alpha"):
        raise ValueError(f'channel must be "shade" or "alpha", got {channel!r}.')
    ours, theirs = (side.images if channel == "shade" else side.alpha for side in (predicted, target))
    if ours.shape[1:] != theirs.shape[1:] or len(theirs) not in (1, len(ours)):
        raise ValueError(
            f"image_loss needs views of equal shape (B, V, H, W), or a target of one item, got predicted "
            f"{tuple(ours.shape)} and target {tuple(theirs.shape)}."
        )
    return reduce_items((ours - theirs).square().mean((1, 2, 3)), reduction)


class ImageLoss(nn.Module):
    """`image_loss` of shapes: both are normalised as in `DRKFSLoss`, and rendered.

    Args:
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`, 25 views of 256x256.
        channel: `"shade"`: the shaded images; `"alpha"`: the silhouettes.
        normalize: `"target"` maps both shapes with the target's box (centre to the origin, diagonal to 1);
            `"each"` every shape with its own; `"none"` trusts the caller.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
    """

    def __init__(
        self,
        *,
        renderer: nn.Module | None = None,
        channel: Channel = "shade",
        normalize: Normalization = "target",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if channel not in ("shade", "alpha"):
            raise ValueError(f'channel must be "shade" or "alpha", got {channel!r}.')
        if normalize not in ("target", "each", "none"):
            raise ValueError(f'normalize must be "target", "each" or "none", got {normalize!r}.')
        self.renderer: Any = SoftRenderer() if renderer is None else renderer
        self.channel: Channel = channel
        self.normalize: Normalization = normalize
        self.reduction: Reduction = reduction

    def forward(self, predicted: Shape, target: Shape, *, views: list[int] | None = None) -> Tensor:
        """The loss of B pairs.

        Args:
            predicted: B shapes.
            target: B shapes, or one for all.
            views: use only these views of the rig. A random choice per step gives an unbiased, cheaper gradient.

        Raises:
            ValueError: batches of different sizes, or a view that the rig lacks.
            TypeError: something that is not a shape.
        """
        ours, theirs = self._normalized(as_meshes(predicted), as_meshes(target))
        cameras = self.renderer.cameras
        if views is not None:
            if not views or not all(0 <= view < len(cameras) for view in views):
                raise ValueError(f"views must name views of the rig, 0 to {len(cameras) - 1}, got {views}.")
            cameras = cameras[views]
        return image_loss(
            self.renderer(ours, cameras),
            self.renderer(theirs, cameras),
            channel=self.channel,
            reduction=self.reduction,
        )

    def _normalized(self, predicted: Meshes, target: Meshes) -> tuple[Meshes, Meshes]:
        """Both sides in the frame of the rig."""
        if len(target) not in (1, len(predicted)):
            raise ValueError(
                f"predicted holds {len(predicted)} shapes and target {len(target)}; they must be equal, or the "
                "target one."
            )
        if self.normalize == "none":
            return predicted, target
        frame = bounding_frame(target)
        return normalize(predicted, frame if self.normalize == "target" else None), normalize(target, frame)
