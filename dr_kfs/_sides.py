"""The two sides of a comparison: whatever the user gave, checked and in one frame."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch

from dr_kfs.geometry import Frame, Meshes, as_meshes, bounding_frame, normalize
from dr_kfs.shape_code import ShapeCode, check_same_settings

Normalization = Literal["target", "each", "none"]
Shape = Any
"""`Meshes`, `VoxelGrid`, `ShapeCode`, trimesh, PyTorch3D `Meshes`, `(vertices, faces)`, or a sequence of those."""
Side: TypeAlias = "Meshes | ShapeCode"


def accept_side(shape: Shape, name: str, settings: dict[str, object]) -> Side:
    """A shape as meshes; a code as it is, if it was made with these settings."""
    if isinstance(shape, ShapeCode):
        check_same_settings(shape.settings, settings, f"The {name} code", "this loss")
        return shape
    return as_meshes(shape)


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
        if normalization != "each" and not ours.frame.allclose(their_frame):
            raise ValueError(
                "The predicted code was normalised in another frame than the target. Encode it in the target's: "
                "`loss_fn.encode(predicted, frame=target_code.frame)`."
            )
    else:
        frame = their_frame if normalization == "target" else own_frame(ours, normalization)
        ours = normalize(ours, _expanded(frame, len(ours)))
    if not isinstance(theirs, ShapeCode):
        theirs = normalize(theirs, their_frame)
    return ours, theirs


def own_frame(meshes: Meshes, normalization: Normalization) -> Frame:
    """The frame that shapes are encoded in: that of their boxes, or none."""
    if normalization == "none":
        return Frame.identity(len(meshes), device=meshes.device)
    return bounding_frame(meshes)


def device_of(shape: Shape) -> torch.device:
    """Where a shape or a code is."""
    return shape.descriptors.device if isinstance(shape, ShapeCode) else as_meshes(shape).device


def _expanded(frame: Frame, count: int) -> Frame:
    return Frame(center=frame.center.expand(count, 3), scale=frame.scale.expand(count))
