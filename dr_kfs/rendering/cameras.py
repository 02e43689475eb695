"""Where the shape is seen from: perspective cameras, and the 25-view hemisphere rig of the paper."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

HEMISPHERE_ELEVATIONS = (0.0, 30.0, 60.0)
HEMISPHERE_AZIMUTHS = tuple(45.0 * step for step in range(8))


@dataclass(frozen=True, eq=False, kw_only=True)
class Cameras:
    """V perspective cameras that look at a unit-diagonal shape.

    The world is right-handed with y up. A camera maps a world point p to camera space `R p + t`, where x points
    right, y up and **z away from the eye** (so depth is positive in front), and then to normalised device
    coordinates (NDC) `x / (z tan(fov / 2))`, with [-1, 1] spanning the square image, y up.
    """

    rotation: Float[Tensor, "V 3 3"]
    """World-to-camera rotation; the rows are the camera's right, up and forward axes in the world."""
    translation: Float[Tensor, "V 3"]
    """World-to-camera translation [world units]."""
    fov: float = 25.0
    """Full field of view of the square image [degrees]. 25 and a distance of 2.732 let a unit-diagonal shape span
    up to 83 % of the frame."""
    near: float = 2.132
    far: float = 3.332
    """Depth range of interest [world units]. It fixes the unit of the rasterizer's `gamma` and the depth of the
    background (`far`); it clips nothing. Faces are dropped only where they come nearer than `clip`."""

    def __post_init__(self) -> None:
        if self.rotation.shape[0] != self.translation.shape[0]:
            raise ValueError(
                f"Cameras needs as many rotations as translations, got {self.rotation.shape[0]} and "
                f"{self.translation.shape[0]}."
            )
        if not (0.0 < self.near < self.far):
            raise ValueError(f"Cameras needs 0 < near < far, got near={self.near}, far={self.far}.")
        if not (0.0 < self.fov < 180.0):
            raise ValueError(f"Cameras needs a field of view in (0, 180) degrees, got {self.fov}.")

    @classmethod
    def look_at(
        cls,
        eye: Float[Tensor, "V 3"],
        *,
        target: Sequence[float] = (0.0, 0.0, 0.0),
        up: Sequence[float] = (0.0, 1.0, 0.0),
        fov: float = 25.0,
        near: float = 2.132,
        far: float = 3.332,
    ) -> Cameras:
        """Cameras at `eye` that look at `target`.

        Where the view runs along `up`, -z takes its place (the top view), or y if `up` is along z.

        Raises:
            ValueError: an eye at the target, or no `up`.
        """
        ahead = torch.tensor(target, dtype=eye.dtype, device=eye.device) - eye
        if not (ahead.norm(dim=-1) > 0).all():
            raise ValueError(f"An eye must be away from what it looks at, {tuple(target)}.")
        if not any(up):
            raise ValueError(f"up must be a direction, got {tuple(up)}.")
        forward = torch.nn.functional.normalize(ahead, dim=-1)
        up_axis = torch.nn.functional.normalize(torch.tensor(up, dtype=eye.dtype, device=eye.device), dim=-1)
        along_up = (forward * up_axis).sum(-1, keepdim=True).abs() > 1.0 - 1e-6
        instead = up_axis.new_tensor([0.0, 1.0, 0.0] if up_axis[2].abs() > 1.0 - 1e-6 else [0.0, 0.0, -1.0])
        up_axis = torch.where(along_up, instead, up_axis)
        right = torch.nn.functional.normalize(torch.linalg.cross(forward, up_axis), dim=-1)
        true_up = torch.linalg.cross(right, forward)
        rotation = torch.stack([right, true_up, forward], dim=-2)
        translation = -(rotation @ eye.unsqueeze(-1)).squeeze(-1)
        return cls(rotation=rotation, translation=translation, fov=fov, near=near, far=far)

    def __len__(self) -> int:
        return self.rotation.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Cameras:
        """A sub-rig: `cameras[3]` (one view), `cameras[:8]`, `cameras[[0, 24]]`."""
        if isinstance(index, int):
            index = [index]
        if isinstance(index, tuple):
            index = list(index)
        if isinstance(index, list) and index == list(range(len(self))) and bool not in map(type, index):
            return self
        return Cameras(
            rotation=self.rotation[index],
            translation=self.translation[index],
            fov=self.fov,
            near=self.near,
            far=self.far,
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Cameras:
        """The rig on another device or in another float dtype."""
        return Cameras(
            rotation=self.rotation.to(device=device, dtype=dtype),
            translation=self.translation.to(device=device, dtype=dtype),
            fov=self.fov,
            near=self.near,
            far=self.far,
        )

    @property
    def clip(self) -> float:
        """Depth [world units] in front of which a face is dropped whole: a tenth of `near`."""
        return 0.1 * self.near

    @property
    def eye(self) -> Float[Tensor, "V 3"]:
        """Camera centres in the world, `-R^T t`."""
        return -(self.rotation * self.translation.unsqueeze(-1)).sum(-2)  # no product of matrices: autocast rounds it

    def project(self, points: Float[Tensor, "N 3"]) -> Float[Tensor, "V N 3"]:
        """World points to (x [NDC], y [NDC], depth [world units]) in every view.

        Points at or behind the eye have no projection; their depth is kept and their x, y are divided by
        `clip` instead, so that no value or gradient is infinite. The rasterizer drops their faces.
        """
        # Written out: a product of matrices rounds differently with the number of threads, and under autocast.
        axes, along = self.rotation.unsqueeze(1).unbind(-1), points.unsqueeze(-1).unbind(1)
        in_camera = self.translation.unsqueeze(1)
        for axis, coordinate in zip(axes, along, strict=True):
            in_camera = torch.addcmul(in_camera, axis, coordinate)
        aside, depth = in_camera.split([2, 1], dim=-1)
        scale = depth.clamp_min(self.clip).mul(math.tan(math.radians(self.fov) / 2.0)).reciprocal()
        return torch.cat([aside * scale, depth], dim=-1)

    def settings(self) -> dict[str, object]:
        """What makes two rigs the same, as plain JSON-able numbers (rounded to 1e-6)."""
        return {
            "eyes": [[round(value, 6) + 0.0 for value in eye] for eye in self.eye.double().tolist()],
            "up": [[round(value, 6) + 0.0 for value in up] for up in self.rotation[:, 1].double().tolist()],
            "fov": self.fov,
            "near": self.near,
            "far": self.far,
        }


def check_views(views: Sequence[int] | Tensor, count: int) -> list[int]:
    """The numbers of some views of a rig of `count`.

    Raises:
        ValueError: none, or something that is no view of the rig.
    """
    given = views.tolist() if hasattr(views, "tolist") else list(views)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        numbers = [operator.index(view) for view in given if not isinstance(view, bool)]
    except TypeError:
        numbers = []
    if not numbers or len(numbers) < len(given) or not all(0 <= number < count for number in numbers):
        raise ValueError(f"views must name views of the rig, 0 to {count - 1}, got {given}.")
    return numbers


def sphere_points(azimuth: Tensor, elevation: Tensor, distance: float) -> Float[Tensor, "V 3"]:
    """Points on a sphere: azimuth [degrees] turns from +z towards +x, elevation [degrees] rises towards +y."""
    azimuth, elevation = torch.deg2rad(azimuth), torch.deg2rad(elevation)
    return distance * torch.stack(
        [
            elevation.cos() * azimuth.sin(),
            elevation.sin(),
            elevation.cos() * azimuth.cos(),
        ],
        dim=-1,
    )


def hemisphere_rig(*, distance: float = 2.732, fov: float = 25.0, margin: float = 0.6) -> Cameras:
    """The 25 views of DR-KFS: azimuths every 45 degrees at elevations 0, 30 and 60 degrees, and the top view.

    The paper says "25 viewpoints, sampled on a semi-sphere"; the angles are ours. Views are ordered by elevation,
    then azimuth, from the front (+z); the last is the top view, whose image-up is -z.

    Args:
        distance: eye to the shape's centre [world units; the shape has diagonal 1].
        fov: full field of view [degrees].
        margin: near and far are `distance -+ margin` [world units]; a unit-diagonal shape needs 0.5.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 3.1.
    """
    elevation, azimuth = torch.meshgrid(
        torch.tensor(HEMISPHERE_ELEVATIONS, dtype=torch.float64),
        torch.tensor(HEMISPHERE_AZIMUTHS, dtype=torch.float64),
        indexing="ij",
    )
    top = torch.tensor([90.0], dtype=torch.float64)
    eye = sphere_points(torch.cat([azimuth.flatten(), 0.0 * top]), torch.cat([elevation.flatten(), top]), distance)
    cameras = Cameras.look_at(eye, fov=fov, near=distance - margin, far=distance + margin)
    return cameras.to(dtype=torch.float32)
