"""What each camera sees of meshes before they are rasterized: where their corners lie, and how bright their faces are.

For a camera `R, t` with the eye `e = -R^T t`, a vertex p, and a face with the corners a, b, c in the light l:

    q = R p + t             corner = (q_x, q_y) / (max(q_z, clip) tan(fov / 2)), q_z
    n = (b - a) x (c - a)   shade = ambient + diffuse max(0, s n . l / |n|),   s = -1 if n . (e - (a + b + c) / 3) < 0

Faces that are lines or points, or have a corner beyond `FARTHEST`, are not drawn: their three corners become one that
lies at the eye, in front of the clip plane, where the rasterizer drops them with no gradient.

With flat shading, kernels compute this and its gradient: PyTorch takes some ninety operations, and a GPU waits for the
host to start each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dr_kfs._kernel_launch import refuse_second_derivative
from dr_kfs.rendering import _projection_launch as launch
from dr_kfs.rendering import _projection_reference as reference
from dr_kfs.rendering.cameras import Cameras
from dr_kfs.rendering.lighting import Lighting, Shading


@dataclass(frozen=True, eq=False)
class ProjectedMeshes:
    """The meshes of a batch as V cameras see them; what `rasterize_meshes` takes."""

    corners: Float[Tensor, "V M 3"]
    """(x, y [NDC, y up], depth [world units]) of the vertices, and of one more, which lies at the eye."""
    faces: Int[Tensor, "F 3"]
    """Indices into the corners."""
    shade: Float[Tensor, "V F C"]
    """Of each face [0, 1]: C is 1 with flat shading, else 3, one at each corner."""


def project_meshes(
    vertices: Float[Tensor, "N 3"],
    faces: Int[Tensor, "F 3"],
    cameras: Cameras,
    *,
    lighting: Lighting,
    shading: Shading = "flat",
    kernels: bool = True,
) -> ProjectedMeshes:
    """Project the vertices and shade the faces of meshes; the formulas are in the module's docstring.

    Args:
        vertices: world positions, float32 or float64.
        faces: indices into them.
        cameras: V, on the same device and of the same dtype.
        lighting: the light.
        shading: `"flat"` or `"smooth"` normals.
        kernels: False computes everything in PyTorch, as happens anyway with smooth shading, with cameras or lights
            that learn, and with subclasses of `Cameras` and `Lighting`, whose formulas are not known here.

    Raises:
        ValueError: vertices and cameras of different dtypes or on different devices.
        IndexError: a face of a vertex that is not there (on a GPU torch's own error, where the corners are gathered).
    """
    if not kernels or shading != "flat" or not _plain(cameras, lighting):
        return ProjectedMeshes(*reference.project_and_shade(vertices, faces, cameras, lighting, shading))
    tensors = (vertices, cameras.rotation, cameras.translation)
    if vertices.dtype not in (torch.float32, torch.float64) or len({(x.dtype, x.device) for x in tensors}) > 1:
        raise ValueError(
            "vertices and cameras must be of one dtype, float32 or float64, and on one device; got "
            + ", ".join(f"{x.dtype} on {x.device}" for x in tensors)
        )
    length = math.hypot(*lighting.direction)
    projected = _project_and_shade(
        vertices,
        faces.long(),
        cameras.rotation,
        cameras.translation,
        cameras.eye,
        [math.tan(math.radians(cameras.fov) / 2.0), cameras.clip],
        [part / length for part in lighting.direction],
        [lighting.ambient, lighting.diffuse],
    )
    return ProjectedMeshes(*projected)


def _plain(cameras: Cameras, lighting: Lighting) -> bool:
    """Whether cameras and light are what the kernels know: constants, and of no class with formulas of its own."""
    learning = cameras.rotation.requires_grad or cameras.translation.requires_grad
    numbers = (lighting.ambient, lighting.diffuse, *lighting.direction)
    constant = not learning and not any(isinstance(number, Tensor) for number in numbers)
    return constant and type(cameras) is Cameras and type(lighting) is Lighting


@torch.library.custom_op(
    "dr_kfs::project_and_shade",
    mutates_args=(),
    schema="(Tensor vertices, Tensor faces, Tensor rotation, Tensor translation, Tensor eye, float[] lens, "
    "float[] light, float[] brightness) -> (Tensor, Tensor, Tensor)",
)
def _project_and_shade(
    vertices: Tensor,
    faces: Tensor,
    rotation: Tensor,
    translation: Tensor,
    eye: Tensor,
    lens: list[float],
    light: list[float],
    brightness: list[float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Corners, the faces' indices into them, and their shades.

    Args:
        vertices: as in `project_meshes`, with `faces`.
        faces: indices.
        rotation: of the cameras, with their `translation` and their `eye`.
        translation: see there.
        eye: see there.
        lens: half the image's width at depth 1, and `clip`.
        light: unit vector towards it.
        brightness: ambient and diffuse.
    """
    return launch.forward(vertices, faces, (rotation, translation, eye), lens, light, brightness)


@_project_and_shade.register_fake
def _(vertices, faces, rotation, *_):  # type: ignore[no-untyped-def]
    views = rotation.shape[0]
    corners = vertices.new_empty(views, vertices.shape[0] + 1, 3)
    return corners, faces.new_empty(faces.shape), vertices.new_empty(views, faces.shape[0], 1)


@torch.library.custom_op(
    "dr_kfs::project_and_shade_backward",
    mutates_args=(),
    schema="(Tensor vertices, Tensor faces, Tensor rotation, Tensor translation, Tensor eye, Tensor? grad_corners, "
    "Tensor? grad_shade, float[] lens, float[] light, float[] brightness) -> Tensor",
)
def _project_and_shade_backward(
    vertices: Tensor,
    faces: Tensor,
    rotation: Tensor,
    translation: Tensor,
    eye: Tensor,
    grad_corners: Tensor | None,
    grad_shade: Tensor | None,
    lens: list[float],
    light: list[float],
    brightness: list[float],
) -> Tensor:
    """The gradient of `vertices`."""
    cameras, gradients = (rotation, translation, eye), (grad_corners, grad_shade)
    return launch.backward(vertices, faces, cameras, gradients, lens, light, brightness)


@_project_and_shade_backward.register_fake
def _(vertices, *_):  # type: ignore[no-untyped-def]
    return vertices.new_empty(vertices.shape)


def _setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.lens, ctx.light, ctx.brightness = inputs
    ctx.save_for_backward(*tensors)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_corners, _, grad_shade):  # type: ignore[no-untyped-def]
    gradient = _project_and_shade_backward(
        *ctx.saved_tensors, grad_corners, grad_shade, ctx.lens, ctx.light, ctx.brightness
    )
    return gradient, None, None, None, None, None, None, None


_project_and_shade.register_autograd(_backward, setup_context=_setup_context)
_project_and_shade_backward.register_autograd(
    refuse_second_derivative(
        "project_meshes", "Leave out create_graph=True, or use `kernels=False`, which is plain PyTorch."
    )
)
