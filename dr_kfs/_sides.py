"""The two sides of a comparison: whatever the user gave, checked and in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from dr_kfs.comparison import SideName
from dr_kfs.geometry import Frame, Meshes, SoftSurface, as_meshes, as_surface, normalize
from dr_kfs.geometry.soft_surface import normalize_surface, surface_frame
from dr_kfs.losses._rendered_pairs import Normalization
from dr_kfs.shape_code import ShapeCode, check_same_settings

Shape = Any
"""`Meshes`, `VoxelGrid`, `ShapeCode`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence of those; a
predicted one may be a `SoftSurface`."""
Side: TypeAlias = "Meshes | SoftSurface | ShapeCode"


def accept_side(shape: Shape, name: SideName, settings: dict[str, object]) -> Side:
    """A shape as meshes; a code as it is, if it was made with these settings; a soft surface, if it is predicted.

    Raises:
        ValueError: no shape at all, vertices that are not finite, or a code of other settings.
    """
    if isinstance(shape, ShapeCode):
        check_same_settings(shape.settings, settings, f"The {name} code", "this loss")
        side: Side = shape
    else:
        side = as_surface(shape) if name == "predicted" else as_meshes(shape)
        # Here, while all items are together; a step may take them one by one.
        (side.meshes if isinstance(side, SoftSurface) else side).check_finite()
    if len(side) == 0:
        raise ValueError(f"{name} holds no shape: leave an empty batch out.")
    return side


def sides_in_one_frame(
    predicted: Shape, target: Shape, *, normalization: Normalization, settings: dict[str, object]
) -> tuple[Side, Side]:
    """Both sides checked and normalised; codes keep the frame they have.

    Raises:
        ValueError: batches of different sizes, codes of other settings or frames.
        TypeError: something that is not a shape.
    """
    ours = accept_side(predicted, "predicted", settings)
    theirs = accept_side(target, "target", settings)
    if len(theirs) not in (len(ours), 1):
        raise ValueError(
            f"predicted holds {len(ours)} shapes and target {len(theirs)}; they must be equal, or the target one."
        )
    their_frame = theirs.frame if isinstance(theirs, ShapeCode) else own_frame(theirs, normalization)
    if isinstance(ours, ShapeCode):
        if normalization != "each" and not ours.frame.allclose(expanded(their_frame, len(ours))):
            raise ValueError(
                "The predicted code was normalised in another frame than the target. Encode it in the target's: "
                "`loss_fn.encode(predicted, frame=target_code.frame)`."
            )
    else:
        if normalization == "none" and not their_frame.allclose(Frame.identity(len(theirs))):
            raise ValueError(
                'The target code was normalised with a frame, and normalize="none" leaves the prediction as it is. '
                "Encode the target without one, or normalize both with it."
            )
        frame = their_frame if normalization == "target" else own_frame(ours, normalization)
        frame = expanded(frame, len(ours))
        ours = normalize_surface(ours, frame)
    if isinstance(theirs, Meshes):
        theirs = normalize(theirs, their_frame)
    return ours, theirs


def own_frame(shape: Meshes | SoftSurface, normalization: Normalization) -> Frame:
    """The frame that shapes are encoded in: that of their boxes, or none."""
    if normalization == "none":
        return Frame.identity(len(shape), device=shape.device)
    return surface_frame(shape)


def device_of(shape: Shape) -> torch.device:
    """Where a shape or a code is."""
    return shape.descriptors.device if isinstance(shape, ShapeCode) else as_surface(shape).device


def side_tensors(side: Side) -> tuple[Tensor, ...]:
    """What of a side a gradient flows to: vertices and opacities; nothing of a code."""
    if isinstance(side, SoftSurface):
        return side.meshes.vertices, side.face_opacity
    return (side.vertices,) if isinstance(side, Meshes) else ()


def with_side_tensors(side: Side, tensors: Sequence[Tensor]) -> Side:
    """The side with others in the place of its `side_tensors`."""
    if isinstance(side, SoftSurface):
        return SoftSurface(side.meshes.with_vertices(tensors[0]), tensors[1])
    return side.with_vertices(tensors[0]) if isinstance(side, Meshes) else side


def side_items(side: Side) -> tuple[Tensor, ...]:
    """The shape that each row of each of its `side_tensors` belongs to."""
    if isinstance(side, SoftSurface):
        return side.meshes.vertex_item(), side.meshes.face_item()
    return (side.vertex_item(),) if isinstance(side, Meshes) else ()


def expanded(frame: Frame, count: int) -> Frame:
    """The frame of one shape for all; that of several shapes as it is."""
    if len(frame) != 1:
        return frame
    return Frame(center=frame.center.expand(count, 3), scale=frame.scale.expand(count))
