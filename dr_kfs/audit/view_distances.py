"""Per-pixel errors of views: of shaded images, of silhouettes and of PoI maps."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs.geometry import Frame, Meshes, bounding_frame, normalize
from dr_kfs.keypoints import GHHDetector
from dr_kfs.rendering import Cameras, SoftRenderer, Views, hemisphere_rig

__all__ = ["SilhouetteRenderer", "ViewMSE", "front_silhouette_renderer"]

Picture = Literal["shade", "alpha", "poi"]


class SilhouetteRenderer(nn.Module):
    """A renderer whose images are silhouettes: white shapes on black, as in the paper's Figure 6.

    Args:
        renderer: makes the views.
    """

    def __init__(self, renderer: SoftRenderer) -> None:
        super().__init__()
        self.renderer = renderer
        self.cameras = renderer.cameras
        self.image_size = renderer.image_size

    def forward(self, meshes: Meshes, cameras: Cameras | None = None) -> Views:
        """The views, with their alpha as the image."""
        views = self.renderer(meshes, cameras)
        return Views(images=views.alpha, alpha=views.alpha, depth=views.depth)

    def settings(self) -> dict[str, object]:
        """Those of the renderer, and that it draws silhouettes."""
        return {**self.renderer.settings(), "images": "silhouettes"}


def front_silhouette_renderer(image_size: int = 256) -> SilhouetteRenderer:
    """The front view of the default rig alone, as a silhouette."""
    return SilhouetteRenderer(SoftRenderer(cameras=hemisphere_rig()[0], image_size=image_size))


class ViewMSE:
    """Mean squared difference of the pixels of two shapes' views, in [0, 1]; both in the target's frame.

    Args:
        picture: what is compared: "shade" the shaded images, "alpha" the silhouettes, "poi" the PoI maps.
        renderer: `(Meshes, Cameras) -> Views`; `SoftRenderer()`, 25 views of 256x256.
        detector: images to PoI maps, for "poi"; `GHHDetector()`.
        name: how reports call it.
        device: where it runs.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Table 5 ("MSE (I)" and "MSE (PoI Maps)").
    """

    def __init__(
        self,
        picture: Picture,
        *,
        renderer: nn.Module | None = None,
        detector: nn.Module | None = None,
        name: str,
        device: str = "cpu",
    ) -> None:
        self.picture: Picture = picture
        self.name = name
        self.device = device
        self.renderer: Any = (SoftRenderer() if renderer is None else renderer).to(device)
        self.detector: Any = None
        if picture == "poi":
            self.detector = (GHHDetector() if detector is None else detector).to(device)

    def prepare(self, target: Meshes) -> tuple[Frame, Float[Tensor, "1 V H W"]]:
        """The target's frame and pictures."""
        target = target.to(device=self.device)
        frame = bounding_frame(target)
        return frame, self._pictures(normalize(target, frame))

    def distance(self, predicted: Meshes, state: tuple[Frame, Float[Tensor, "1 V H W"]]) -> float:
        """Mean squared difference over views and pixels."""
        frame, theirs = state
        ours = self._pictures(normalize(predicted.to(device=self.device), frame))
        return float((ours - theirs).square().mean())

    def settings(self) -> dict[str, Any]:
        """What is compared, and a fingerprint of the renderer's and the detector's settings."""
        stages = {}
        for name, stage in (("renderer", self.renderer), ("detector", self.detector)):
            describe = getattr(stage, "settings", None)
            stages[name] = repr(stage) if describe is None else describe()
        text = json.dumps(stages, sort_keys=True, default=str)
        return {"distance": f"{self.picture}-mse", "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:12]}

    @torch.no_grad()
    def _pictures(self, meshes: Meshes) -> Float[Tensor, "1 V H W"]:
        views = self.renderer(meshes)
        if self.picture == "alpha":
            return views.alpha
        return views.images if self.picture == "shade" else self.detector(views.images)
