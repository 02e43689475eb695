"""Maps shapes to a frame of their own, so that no value depends on units or position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dr_kfs.geometry.meshes import Meshes, expect_meshes

__all__ = ["Frame", "bounding_frame", "normalize"]


@dataclass(frozen=True, eq=False)
class Frame:
    """Where B shapes are and how large: `normalize` maps points p of shape b to (p - center[b]) / scale[b].

    The scale is uniform: a frame changes no proportions.
    """

    center: Float[Tensor, "B 3"]
    """Centre of the bounding box [world units]."""
    scale: Float[Tensor, " B"]
    """Diagonal of the bounding box [world units], positive."""

    def __post_init__(self) -> None:
        if self.center.ndim != 2 or self.center.shape != (len(self.scale), 3) or self.scale.ndim != 1:
            raise ValueError(
                "Frame needs centers of shape (B, 3) and scales of shape (B,), got "
                f"{tuple(self.center.shape)} and {tuple(self.scale.shape)}."
            )
        if self.center.device != self.scale.device:
            raise ValueError(
                f"Frame needs its tensors on one device, got centers on {self.center.device} and scales on "
                f"{self.scale.device}."
            )

    @classmethod
    def identity(
        cls, count: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
    ) -> Frame:
        """The frame of `count` shapes that changes nothing."""
        return cls(
            center=torch.zeros(count, 3, device=device, dtype=dtype),
            scale=torch.ones(count, device=device, dtype=dtype),
        )

    def __len__(self) -> int:
        return len(self.scale)

    def __getitem__(self, index: int | slice) -> Frame:
        """The frames of some of the shapes; an integer gives a batch of one."""
        if not isinstance(index, slice):
            if not -len(self) <= index < len(self):
                raise IndexError(f"Expected an item in [-{len(self)}, {len(self)}), got {index}.")
            index = slice(index % len(self), index % len(self) + 1)
        return Frame(center=self.center[index], scale=self.scale[index])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Frame:
        """The frame on another device or in another floating-point dtype."""
        return Frame(center=self.center.to(device=device, dtype=dtype), scale=self.scale.to(device=device, dtype=dtype))

    def detach(self) -> Frame:
        """The same frame, cut from the autograd graph: a caller who asks for it treats it as a constant."""
        return Frame(center=self.center.detach(), scale=self.scale.detach())

    def allclose(self, other: Frame, *, tolerance: float = 1e-5) -> bool:
        """Whether both frames map every point to the same place.

        Args:
            other: any frame; on another device or of another dtype is fine.
            tolerance: largest difference of centers and of scales [bounding-box diagonals]. The default is a
                five-hundredth of a pixel in a 256x256 view.
        """
        if len(self) != len(other):
            return False
        # Detached: the answer is a bool. In float64, so that the comparison adds no error of its own.
        mine, theirs = (frame.detach().to("cpu").to(dtype=torch.float64) for frame in (self, other))
        slack = tolerance * mine.scale.abs()
        close = ((mine.center - theirs.center).abs() <= slack[:, None]).all()
        return bool(close & ((mine.scale - theirs.scale).abs() <= slack).all())


def bounding_frame(meshes: Meshes) -> Frame:
    """The bounding box of every mesh: its centre, and its diagonal as the scale.

    Only vertices that a face references count: what cannot be seen must not move the shape. Computed in
    float32, or in float64 for float64 vertices, and differentiable: gradients go to the vertices that touch
    the box.

    Args:
        meshes: B meshes.

    Raises:
        TypeError: something other than `Meshes`.
        ValueError: a mesh has no faces, or its box is a single point, or overflows the dtype; names the item.
    """
    expect_meshes(meshes)
    rows = meshes.derived("referenced", lambda: _referenced(meshes))
    vertices = meshes.vertices[rows].to(torch.promote_types(meshes.dtype, torch.float32))
    item = meshes.vertex_item()[rows][:, None].expand(-1, 3)
    unset = vertices.new_zeros(len(meshes), 3)
    low = unset.scatter_reduce(0, item, vertices, "amin", include_self=False)
    high = unset.scatter_reduce(0, item, vertices, "amax", include_self=False)
    half = high / 2 - low / 2  # halves first: 3e38 - (-3e38) overflows
    # In units of the longest side, so that squares neither overflow nor underflow. Detached: it cancels.
    side = half.detach().amax(dim=1).clamp(min=torch.finfo(half.dtype).tiny)
    scale = 2 * side * torch.linalg.vector_norm(half / side[:, None], dim=1)
    for number, diagonal in enumerate(scale.detach().tolist()):
        if not torch.finfo(scale.dtype).tiny <= diagonal < float("inf"):
            raise ValueError(_no_frame(meshes, number, diagonal))
    return Frame(center=low / 2 + high / 2, scale=scale)


def normalize(meshes: Meshes, frame: Frame | None = None) -> Meshes:
    """The shapes in a frame: `(vertices - center) / scale`, differentiable.

    With the default frame each bounding box is centred at the origin and has diagonal 1. Half-precision
    vertices come back in float32: rounding to bfloat16 would move them by up to a fifth of a pixel of a
    256x256 view.

    Args:
        meshes: B meshes.
        frame: of B shapes, or of one, which then serves all; None for the meshes' own `bounding_frame`.

    Raises:
        TypeError: something other than `Meshes`.
        ValueError: a frame of another number of shapes or on another device, or, without a frame, a mesh that
            has none of its own.
    """
    expect_meshes(meshes)
    if frame is None:
        frame = bounding_frame(meshes)
    if len(frame) not in (1, len(meshes)):
        raise ValueError(f"Expected a frame of 1 or {len(meshes)} shapes, one per mesh, got {len(frame)}.")
    if frame.center.device != meshes.device:
        raise ValueError(
            f"Expected a frame on {meshes.device}, where the meshes are, got {frame.center.device}. "
            "Move it with frame.to(device)."
        )
    dtype = torch.promote_types(meshes.dtype, torch.float32)
    frame = frame.to(dtype=dtype)
    center, scale = frame.center, frame.scale[:, None]
    if len(frame) > 1:
        item = meshes.vertex_item()
        center, scale = center[item], scale[item]
    return meshes.with_vertices((meshes.vertices.to(dtype) - center) / scale)


def _referenced(meshes: Meshes) -> Tensor:
    """Rows of the vertices that some face uses."""
    used = torch.zeros(len(meshes.vertices), dtype=torch.bool, device=meshes.device)
    used[meshes.faces.flatten()] = True
    return used.nonzero()[:, 0]


def _no_frame(meshes: Meshes, item: int, diagonal: float) -> str:
    if meshes.face_counts[item] == 0:
        return f"item {item}: expected faces, to have a bounding box, got none. Pass a frame, or leave it out."
    return (
        f"item {item}: expected a bounding box with a positive, finite diagonal, got {diagonal} from "
        f"{meshes.face_counts[item]} faces."
    )
