"""What all losses of rendered views share: two shapes in one frame, rendered by one rig, views that go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn

from dr_kfs.geometry import Meshes, SoftSurface, as_meshes, as_surface, bounding_frame, normalize
from dr_kfs.geometry.soft_surface import normalize_surface, surface_frame
from dr_kfs.losses._reductions import Reduction, check_reduction
from dr_kfs.rendering import Cameras, SoftRenderer
from dr_kfs.rendering.cameras import check_views

Normalization = Literal["target", "each", "none"]
Shape = Any
"""`Meshes`, `VoxelGrid`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence of those; a predicted one may
be a `SoftSurface`."""


class RenderedPairLoss(nn.Module):
    """A loss of two shapes that compares their views pixel by pixel; subclasses say what of them.

    Args:
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`, 25 views of 256x256.
        normalize: `"target"` maps both shapes with the target's box (centre to the origin, diagonal to 1);
            `"each"` every shape with its own; `"none"` trusts the caller.
        reduction: over the batch: `"mean"`, `"sum"` or `"none"` (one value per pair).
    """

    takes = "shapes"
    """What a `HybridLoss` hands it: the prediction and the target."""

    def __init__(
        self,
        *,
        renderer: nn.Module | None = None,
        normalize: Normalization = "target",
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        check_normalization(normalize)
        check_reduction(reduction)
        self.renderer: Any = SoftRenderer() if renderer is None else renderer
        self.normalize: Normalization = normalize
        self.reduction: Reduction = reduction

    def forward(self, predicted: Shape, target: Shape, *, views: Sequence[int] | Tensor | None = None) -> Tensor:
        """The loss of B pairs.

        Args:
            predicted: B shapes.
            target: B shapes, or one for all.
            views: use only these views of the rig. A random choice per step gives an unbiased, cheaper gradient.

        Raises:
            ValueError: batches of different sizes, or a view that the rig lacks.
            TypeError: something that is not a shape.
        """
        ours, theirs = self._normalized(as_surface(predicted), as_meshes(target))
        cameras = self.renderer.cameras
        if views is not None:
            cameras = cameras[check_views(views, len(cameras))]
        return self._compare(ours, theirs, cameras)

    def _compare(self, predicted: Meshes | SoftSurface, target: Meshes, cameras: Cameras) -> Tensor:
        """The loss of shapes that are in the rig's frame."""
        raise NotImplementedError

    def _normalized(self, predicted: Meshes | SoftSurface, target: Meshes) -> tuple[Meshes | SoftSurface, Meshes]:
        """Both sides in the frame of the rig."""
        if len(target) not in (1, len(predicted)):
            raise ValueError(
                f"predicted holds {len(predicted)} shapes and target {len(target)}; they must be equal, or the "
                "target one."
            )
        if self.normalize == "none":
            return predicted, target
        frame = bounding_frame(target)
        own = frame if self.normalize == "target" else surface_frame(predicted)
        return normalize_surface(predicted, own), normalize(target, frame)


def check_normalization(normalize: Normalization) -> None:
    """Raise ValueError for any other frame."""
    if normalize not in ("target", "each", "none"):
        raise ValueError(f'normalize must be "target", "each" or "none", got {normalize!r}.')


def check_pair(predicted: Tensor, target: Tensor, name: str) -> None:
    """Raise ValueError where pictures (B, V, ...) do not go together; the target may be one for all."""
    if predicted.shape[1:] != target.shape[1:] or len(target) not in (1, len(predicted)):
        shape = "(B, V, H, W)" if predicted.ndim == 4 else "(B, V, 3, H, W)"
        raise ValueError(
            f"{name} needs views of equal shape {shape}, or a target of one item, got predicted "
            f"{tuple(predicted.shape)} and target {tuple(target.shape)}."
        )
