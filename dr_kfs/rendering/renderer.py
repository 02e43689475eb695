"""Meshes in, shaded views out: cameras, lighting and the soft rasterizer put together."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dr_kfs._constants import may_be_kept
from dr_kfs._plain_autograd import check_plain
from dr_kfs.geometry import Meshes, SoftSurface
from dr_kfs.rendering._compositing_reference import softras_reach
from dr_kfs.rendering._loose_faces import by_view, counts_by_view, loose_faces
from dr_kfs.rendering._softras_reference import reach as surface_reach
from dr_kfs.rendering.cameras import Cameras, hemisphere_rig
from dr_kfs.rendering.compositing import composite_softras, composite_translucent
from dr_kfs.rendering.fragments import soft_fragments
from dr_kfs.rendering.lighting import Lighting, Shading
from dr_kfs.rendering.projection import ProjectedMeshes, project_meshes
from dr_kfs.rendering.softras import Backend, RasterizedViews, rasterize_meshes

Coverage = Literal["surface", "softras"]
_GAMMA: dict[Coverage, float] = {"surface": 1e-3, "softras": 1e-4}
"""What `gamma` is by default."""
_COUNTED_VIEWS = 4
"""Views in which fragments are counted beforehand."""


@dataclass(frozen=True, eq=False)
class Views:
    """Rendered views of a batch of meshes."""

    images: Float[Tensor, "B V H W"]
    """Shade composited on black [0, 1]."""
    alpha: Float[Tensor, "B V H W"]
    """Coverage [0, 1]."""
    depth: Float[Tensor, "B V H W"]
    """Depth of the visible surface [world units]; the cameras' `far` on the background."""

    def __getitem__(self, views: list[int]) -> Views:
        """Some of the views, of every item."""
        return Views(self.images[:, views], self.alpha[:, views], self.depth[:, views])


class SoftRenderer(nn.Module):
    """Renders meshes from a fixed rig of cameras, differentiably; no colour, no texture.

    The mesh is expected in the rig's frame: centred, diagonal 1 (`normalize`). Gradients reach the vertices through
    screen position, depth and shading. Runs in float32 (float64 for float64 meshes), also under autocast.

    Args:
        cameras: the views; `hemisphere_rig()` by default.
        lighting: `Lighting()` by default.
        image_size: side of the square images [px].
        sigma: softness of outlines and edges [NDC^2].
        gamma: depth below which two surfaces blend, as a share of the cameras' `far - near`; 1e-3, or the 1e-4 of
            SoftRas with its `coverage`.
        shading: `"flat"` or `"smooth"` normals.
        coverage: `"surface"`, or `"softras"`: the original formula, with its seams, for comparison.
        backend: `"warp"` kernels, the dense PyTorch `"reference"`, or `"pytorch3d"` if it is installed.
        faces_per_pixel: of PyTorch3D, see `rasterize_meshes`.

    Raises:
        ValueError: an option that is none of these; a size, sigma, gamma or number of faces that is not positive.

    References:
        Jin et al., "DR-KFS", ECCV 2020, Sec. 3.1; Liu et al., "Soft Rasterizer", ICCV 2019. What differs from the
        latter is stated in `dr_kfs.rendering.softras`.
    """

    _rig_settings: tuple[Cameras, tuple[Tensor, ...], dict[str, Any]] | None = None

    def __init__(
        self,
        *,
        cameras: Cameras | None = None,
        lighting: Lighting | None = None,
        image_size: int = 256,
        sigma: float = 1e-5,
        gamma: float | None = None,
        shading: Shading = "flat",
        coverage: Coverage = "surface",
        backend: Backend = "warp",
        faces_per_pixel: int = 100,
    ) -> None:
        super().__init__()
        _check_options(shading, coverage, backend)
        gamma = _GAMMA[coverage] if gamma is None else gamma
        numbers = {"image_size": image_size, "sigma": sigma, "gamma": gamma, "faces_per_pixel": faces_per_pixel}
        for name, number in numbers.items():
            if not 0 < number < math.inf:
                raise ValueError(f"{name} must be positive, got {number}.")
        self.cameras = hemisphere_rig() if cameras is None else cameras
        self.lighting = Lighting() if lighting is None else lighting
        self.image_size = image_size
        self.sigma = sigma
        self.gamma = gamma
        self.shading: Shading = shading
        self.coverage: Coverage = coverage
        self.backend: Backend = backend
        self.faces_per_pixel = faces_per_pixel
        self._rig: tuple[Cameras, tuple[object, ...], Cameras] | None = None

    def forward(
        self,
        meshes: Meshes | SoftSurface,
        cameras: Cameras | None = None,
        *,
        face_opacity: Float[Tensor, " F"] | None = None,
    ) -> Views:
        """Render every mesh from every camera.

        Args:
            meshes: B meshes, in the rig's frame; a `SoftSurface` is drawn with the opacities that it has.
            cameras: instead of the rig's: a part of it, say.
            face_opacity: of each face of the batch [0, 1], with gradient: how much of the light it stops, or the
                probability that it is there. None: all faces are opaque, which is another formula, and faster; see
                `dr_kfs.rendering.compositing` for this one.

        Raises:
            ValueError: vertices that are not finite; opacities that are not one per face or not in [0, 1], or not with
                this coverage or backend, or in addition to those of a `SoftSurface`.
        """
        if isinstance(meshes, SoftSurface):
            if face_opacity is not None:
                raise ValueError("A SoftSurface has opacities already: leave face_opacity out.")
            meshes, face_opacity = meshes.meshes, meshes.face_opacity
        if not torch.compiler.is_compiling():  # a graph cannot depend on values
            check_plain(meshes.vertices)
            meshes.check_finite()
        dtype = torch.float64 if meshes.dtype == torch.float64 else torch.float32
        cameras = self._moved(self.cameras if cameras is None else cameras, meshes.device, dtype)
        if face_opacity is not None and len(face_opacity) != len(meshes.faces):
            raise ValueError(
                f"face_opacity has {len(face_opacity)} entries, the meshes have {len(meshes.faces)} faces."
            )
        with torch.autocast(meshes.device.type, enabled=False):
            projected = project_meshes(
                meshes.vertices.to(dtype),
                meshes.faces,
                cameras,
                lighting=self.lighting,
                shading=self.shading,
                kernels=self.backend == "warp",
            )
            opacity = None if face_opacity is None else face_opacity.to(dtype)
            rasterized = self._rasterize(projected, list(meshes.face_offsets), opacity, cameras)
        shape = (len(meshes), len(cameras), self.image_size, self.image_size)
        return Views(
            images=rasterized.image.view(shape),
            alpha=rasterized.alpha.view(shape),
            depth=rasterized.depth.view(shape),
        )

    def _moved(self, cameras: Cameras, device: torch.device, dtype: torch.dtype) -> Cameras:
        """Some cameras on a device; the whole rig is kept there, since a GPU waits for every copy from the host."""
        if not may_be_kept() or cameras is not self.cameras:
            return cameras.to(device, dtype)
        tensors = (cameras.rotation, cameras.translation)
        if any(tensor.requires_grad for tensor in tensors):
            return cameras.to(device, dtype)
        if any(tensor.is_inference() for tensor in tensors):
            with torch.inference_mode(False):  # a training may use it later
                rotation, translation = (tensor.clone() for tensor in tensors)
                return dataclasses.replace(cameras, rotation=rotation, translation=translation).to(device, dtype)
        key = (device, dtype, *(tensor._version for tensor in tensors))  # which counts changes in place
        rig = self._rig
        if rig is None or rig[0] is not cameras or rig[1] != key:
            with torch.inference_mode(False):  # a training may use it later
                rig = self._rig = cameras, key, cameras.to(device, dtype)
        return rig[2]

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {**super().__getstate__(), "_rig": None, "_rig_settings": None}

    def expected_fragments(self, meshes: Meshes | SoftSurface) -> float:
        """About how many fragments (face, pixel) one view of the largest item keeps in memory; see `soft_fragments`.

        A face of projected area a and perimeter p is listed at the pixels whose centres are within its reach r:
        a + p r + pi r^2 of them on average [px]. The most that any of four views of the rig has counts. 0 for surfaces
        that are drawn without a list: opaque ones, unless `coverage` is `"softras"`.

        Args:
            meshes: B shapes, in the rig's frame.
        """
        if self.coverage == "surface" and not isinstance(meshes, SoftSurface):
            return 0.0
        radius = softras_reach(self.sigma) if self.coverage == "softras" else surface_reach(self.sigma)
        meshes = meshes.meshes if isinstance(meshes, SoftSurface) else meshes
        step = max(1, len(self.cameras) // _COUNTED_VIEWS)
        cameras = self.cameras[::step].to(meshes.device, meshes.dtype)
        counts = [0.0]
        with torch.no_grad():  # a number of bytes has no gradient
            for view in range(len(cameras)):
                corners = cameras[view].project(meshes.vertices)[0, :, :2][meshes.faces]
                edges = corners - corners.roll(1, dims=1)
                area = (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).abs() / 2
                listed = area + radius * edges.norm(dim=-1).sum(1) + math.pi * radius**2
                counts += [float(part.sum()) for part in listed.split(meshes.face_counts)]
        return max(counts) * (self.image_size / 2) ** 2  # NDC spans two units

    def _rasterize(
        self, projected: ProjectedMeshes, face_offsets: list[int], opacity: Tensor | None, cameras: Cameras
    ) -> RasterizedViews:
        corners, faces, shade = projected.corners, projected.faces, projected.shade
        gamma = self.gamma * (cameras.far - cameras.near)
        if opacity is None and self.coverage == "surface":
            return rasterize_meshes(
                corners,
                faces,
                shade,
                face_offsets,
                image_size=self.image_size,
                sigma=self.sigma,
                gamma=gamma,
                far=cameras.far,
                clip=cameras.clip,
                backend=self.backend,
                faces_per_pixel=self.faces_per_pixel,
            )
        if self.backend == "pytorch3d" or (opacity is not None and self.coverage == "softras"):
            raise ValueError(
                'face_opacity and coverage="softras" need backend="warp" or "reference", and do not go together.'
            )
        fragments = soft_fragments(
            *loose_faces(corners, faces, shade, face_offsets),
            counts_by_view(len(cameras), face_offsets),
            image_size=self.image_size,
            reach=softras_reach(self.sigma) if self.coverage == "softras" else surface_reach(self.sigma),
            clip=cameras.clip,
            backend=self.backend,
        )
        if opacity is not None:
            opacity = by_view(opacity.expand(len(cameras), -1), face_offsets)
            return composite_translucent(fragments, opacity, sigma=self.sigma, gamma=gamma, far=cameras.far)
        return composite_softras(fragments, sigma=self.sigma, gamma=self.gamma, near=cameras.near, far=cameras.far)

    def resized(self, image_size: int) -> SoftRenderer:
        """The same renderer at another size, equally soft in pixels."""
        return SoftRenderer(
            cameras=self.cameras,
            lighting=self.lighting,
            image_size=image_size,
            sigma=self.sigma * (self.image_size / image_size) ** 2,
            gamma=self.gamma,
            shading=self.shading,
            coverage=self.coverage,
            backend=self.backend,
            faces_per_pixel=self.faces_per_pixel,
        )

    def settings(self) -> dict[str, object]:
        """What the images depend on, JSON-able: two renderers with equal settings give equal images."""
        return {
            "cameras": self._camera_settings(),
            "lighting": {**dataclasses.asdict(self.lighting), "direction": list(self.lighting.direction)},
            "image_size": self.image_size,
            "sigma": self.sigma,
            "gamma": self.gamma,
            "shading": self.shading,
            "coverage": self.coverage,
        }

    def _camera_settings(self) -> dict[str, object]:
        """Of the rig, named anew where its numbers are others: every step asks for them."""
        rig, kept = self.cameras, self._rig_settings
        tensors = (rig.rotation, rig.translation)
        if kept is None or kept[0] is not rig or not all(map(torch.equal, kept[1], tensors)):
            kept = rig, tuple(tensor.detach().clone() for tensor in tensors), rig.settings()
            self._rig_settings = kept
        # The caller's own: a code keeps it.
        return {name: [*map(list, value)] if isinstance(value, list) else value for name, value in kept[2].items()}


def _check_options(shading: Shading, coverage: Coverage, backend: Backend) -> None:
    """Raise ValueError for what is none of them: when a renderer is made, not at its first view."""
    options = (("shading", shading, Shading), ("coverage", coverage, Coverage), ("backend", backend, Backend))
    for name, value, allowed in options:
        names = get_args(allowed)
        if value not in names:
            raise ValueError(f"{name} must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}, got {value!r}.")
