"""Triplets of PoI patches for the descriptor, from renders of procedural shapes.

*Anchor*: a patch of a shape's PoI map. *Positive*: the patch around the same surface point after what a perceptual
metric should forgive: parts moved by a few pixels, thickened or stretched a little, a smooth bend, another sigma, a
slightly turned camera, a patch that is off by up to 3 px. *Negative*: the same place after a part was removed, where
that changes the PoI map. Correspondence is exact: a surface point keeps its face and barycentrics.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from dr_kfs.datasets import LabelledShape
from dr_kfs.descriptors.patches import PATCH_SIZE
from dr_kfs.geometry import Meshes, bounding_frame, normalize, sample_surface
from dr_kfs.keypoints import GHHDetector
from dr_kfs.rendering import Cameras, SoftRenderer
from dr_kfs.rendering.cameras import hemisphere_rig
from dr_kfs.training.view_geometry import project_visible, sample_at, windows_at

IMAGE_SIZE = 256
VIEWS = 4
POINTS = 24
"""Anchors per view, at most."""
DEPTH_TOLERANCE = 0.02
"""A point is visible if the rendered depth agrees to this [shape diagonals]."""
MIN_WEIGHT = 2e-3
"""Patches with a lower mean PoI teach nothing."""
MIN_CHANGE = 0.3
"""A removal is seen in a patch if the PoI changes by this share of the anchor's sum."""


@dataclass(frozen=True, eq=False)
class Triplets:
    """Anchor, positive and (where there is one) negative patches."""

    anchors: UInt8[Tensor, "K 32 32"]
    """PoI times 255."""
    positives: UInt8[Tensor, "K 32 32"]
    negatives: UInt8[Tensor, "K 32 32"]
    """Zero where `has_negative` is false."""
    has_negative: Bool[Tensor, " K"]
    view: Int[Tensor, " K"]
    """A number per (shape, view)."""
    pixel: Float[Tensor, "K 2"]
    """Centre of the anchor (column, row) [px]."""

    @staticmethod
    def cat(parts: list[Triplets]) -> Triplets:
        """Several sets as one."""
        names = [field.name for field in dataclasses.fields(Triplets)]
        return Triplets(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    def take(self, index: Int[Tensor, " J"]) -> Triplets:
        """Some of the triplets."""
        return Triplets(**{field.name: getattr(self, field.name)[index] for field in dataclasses.fields(self)})

    def mirrored(self) -> Triplets:
        """All patches flipped left to right."""
        return dataclasses.replace(
            self,
            anchors=self.anchors.flip(-1),
            positives=self.positives.flip(-1),
            negatives=self.negatives.flip(-1),
        )


def forgivable_change(
    shape: LabelledShape, *, generator: torch.Generator, strength: float = 1.0
) -> Float[Tensor, "N 3"]:
    """The shape's vertices after a small deformation: per part a shift and a scale, over all a bend and a stretch."""
    moved = []
    for part in shape.parts.values():
        vertices = torch.tensor(part.vertices, dtype=torch.float32)
        if torch.rand(1, generator=generator) < 0.5:
            centre = (vertices.amin(0) + vertices.amax(0)) / 2.0
            scale = torch.exp(0.08 * strength * torch.randn(3, generator=generator))
            shift = 0.012 * strength * torch.randn(3, generator=generator)
            vertices = centre + (vertices - centre) * scale + shift
        moved.append(vertices)
    vertices = torch.cat(moved) * torch.exp(0.03 * strength * torch.randn(3, generator=generator))
    wave, phase = 4.0 * torch.randn(3, 3, generator=generator), 6.28 * torch.rand(3, generator=generator)
    return vertices + 0.008 * strength * torch.sin(vertices @ wave + phase)


def shape_triplets(
    shape: LabelledShape, detector: GHHDetector, *, first_view: int, generator: torch.Generator
) -> Triplets | None:
    """Triplets of one shape in `VIEWS` views of the rig; None where nothing of use is visible."""
    original = shape.to_meshes()
    frame = bounding_frame(original)
    anchor = normalize(original, frame)
    positive = normalize(original.with_vertices(forgivable_change(shape, generator=generator)), frame)
    names = list(shape.parts)
    removed = names[int(torch.randint(len(names), (1,), generator=generator))]
    negative = normalize(shape.without(removed).to_meshes(), frame) if len(names) > 1 else anchor

    rig = hemisphere_rig()[torch.randperm(25, generator=generator)[:VIEWS]]
    seed = int(torch.randint(2**31, (1,), generator=generator))
    samples = sample_surface(anchor, 3000, seed=seed)
    moved_points = (samples.barycentric[0, :, :, None] * positive.vertices[positive.faces[samples.faces[0]]]).sum(1)
    parts = []
    maps_a, depth_a = _poi(anchor, rig, detector, generator)
    turned = _turned(rig, generator)
    maps_p, depth_p = _poi(positive, turned, detector, generator)
    maps_n, _ = _poi(negative, rig, detector, generator, same_sigma=True)
    for view in range(VIEWS):
        pixels_a, seen_a = project_visible(samples.points[0], rig[view], depth_a[view], tolerance=DEPTH_TOLERANCE)
        pixels_p, seen_p = project_visible(moved_points, turned[view], depth_p[view], tolerance=DEPTH_TOLERANCE)
        chosen = _choose(maps_a[view], pixels_a, seen_a & seen_p, generator)
        if len(chosen) == 0:
            continue
        shift = torch.randint(-3, 4, (len(chosen), 2), generator=generator)
        anchors = windows_at(maps_a[view], pixels_a[chosen], PATCH_SIZE)
        negatives = windows_at(maps_n[view], pixels_a[chosen], PATCH_SIZE)
        change = (anchors - negatives).abs().sum((1, 2)) > MIN_CHANGE * anchors.sum((1, 2))
        positives = windows_at(maps_p[view], pixels_p[chosen] + shift, PATCH_SIZE)
        quantized = [(255.0 * part).round().to(torch.uint8) for part in (anchors, positives, negatives)]
        parts.append(
            Triplets(
                anchors=quantized[0],
                positives=quantized[1],
                negatives=quantized[2],
                has_negative=change,
                view=torch.full((len(chosen),), first_view + view),
                pixel=pixels_a[chosen],
            )
        )
    return Triplets.cat(parts) if parts else None


def _poi(
    meshes: Meshes, cameras: Cameras, detector: GHHDetector, generator: torch.Generator, *, same_sigma: bool = False
) -> tuple[Tensor, Tensor]:
    """PoI maps and depths (V, H, W), with a random softness of the renderer."""
    exponent = 0.0 if same_sigma else float(torch.rand(1, generator=generator))
    renderer = SoftRenderer(cameras=cameras, image_size=IMAGE_SIZE, sigma=1e-5 * 4.0**exponent)
    with torch.no_grad():
        views = renderer(meshes)
        return detector(views.images[0]), views.depth[0]


def _turned(cameras: Cameras, generator: torch.Generator, degrees: float = 2.0) -> Cameras:
    """The same cameras, moved a little around the shape."""
    eye = cameras.eye
    length = eye.norm(dim=-1, keepdim=True)
    moved = eye + length * torch.deg2rad(torch.tensor(degrees)) * torch.randn(eye.shape, generator=generator)
    moved[eye[:, 1] > 0.999 * length[:, 0]] = eye[eye[:, 1] > 0.999 * length[:, 0]]  # the top view keeps its up
    return Cameras.look_at(length * moved / moved.norm(dim=-1, keepdim=True))


def _choose(poi: Tensor, pixels: Tensor, seen: Tensor, generator: torch.Generator) -> Tensor:
    """Up to `POINTS` visible points, drawn by their patch's weight, no two within 8 px."""
    weights = torch.nn.functional.avg_pool2d(poi[None, None], PATCH_SIZE - 1, stride=1, padding=PATCH_SIZE // 2 - 1)
    weight = sample_at(weights[0, 0], pixels) * seen
    weight = torch.where(weight > MIN_WEIGHT, weight, 0.0)
    candidates = int((weight > 0).sum())
    if candidates == 0:
        return torch.empty(0, dtype=torch.long)
    drawn = torch.multinomial(weight, min(4 * POINTS, candidates), generator=generator)
    kept: list[int] = []
    for index in drawn.tolist():
        if all((pixels[index] - pixels[other]).abs().amax() >= 8.0 for other in kept):
            kept.append(index)
        if len(kept) == POINTS:
            break
    return torch.tensor(kept)
