"""How often a detector finds a point again: from another direction, on other triangles, on a careless CAD export.

What counts are points in the common part of two images (Mikolajczyk et al., "A Comparison of Affine Region Detectors",
IJCV 2005): within a pixel of the surface, and carried by the rendered depth to where the other image sees that surface
(depth test). Such a point is found again if one of the detector's points there lies near and each is the nearest to
the other. Both directions count.

A detector that gives fewer points is more often right about them: Harris, whose response is of fourth degree in the
contrast, gives 22 points in the common part where others give 36. So in every pair of images all detectors get the same
number of points there: as many as the hand-made one that has the fewest (`fewest_points`). One that has fewer loses the
rest. (If all are cut to one number of points anywhere, a detector gains by points beside the shape, where nothing can
be found again: what it has left in the common part are its few best.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.progress import track
from torch import Tensor

from dr_kfs.datasets import generate, retriangulated, with_cad_defects
from dr_kfs.geometry import bounding_frame, normalize
from dr_kfs.keypoints import GHHDetector
from dr_kfs.keypoints.ghh import blank_response
from dr_kfs.rendering import Cameras, SoftRenderer
from dr_kfs.training.view_geometry import jittered_cameras, nearest_depth, project_visible, sample_at, unproject

IMAGE_SIZE = 256
DEPTH_TOLERANCE = 0.015
"""A point is seen where the rendered depth agrees to this [shape diagonals]."""
FAINTEST = 1e-6
"""A maximum below this is none; relative to the map's highest."""

Response = Callable[[Float[Tensor, "B H W"]], Float[Tensor, "B H W"]]
Change = Literal["view", "triangles", "export"]


@dataclass(frozen=True, eq=False)
class ViewPair:
    """Two images of what is to the eye one shape."""

    family: str
    images: Float[Tensor, "2 H W"]
    depth: Float[Tensor, "2 H W"]
    cameras: Cameras

    @functools.cached_property
    def common(self) -> Bool[Tensor, "2 H W"]:
        """Where each image shows what the other one sees too."""
        size = self.depth.shape[-1]
        row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        every = torch.stack([column, row], dim=-1).flatten(0, 1).float()
        visible = [carried(every, self.depth[order], self.cameras[order])[1] for order in ([0, 1], [1, 0])]
        return torch.stack(visible).view(self.depth.shape)


def view_pair(family: str, seed: int, change: Change, *, generator: torch.Generator) -> ViewPair:
    """A shape before and after a change that should not matter.

    Args:
        family: of the shape.
        seed: of the shape and its edits.
        change: `"view"`: a camera up to 20 degrees away; `"triangles"`: the same camera, the same surface in other
            triangles; `"export"`: both, and CAD defects.
        generator: of the cameras.
    """
    shape = generate(family, seed)
    cameras = jittered_cameras(2, generator=generator)
    if change == "triangles":
        cameras = cameras[[0, 0]]
    edited = with_cad_defects(shape, seed) if change == "export" else shape
    meshes = shape.to_meshes()
    after = meshes if change == "view" else retriangulated(edited, seed).to_meshes()
    frame = bounding_frame(meshes)  # of the shape as it was: an opened end moves the box, and all points with it
    renderer = SoftRenderer(image_size=IMAGE_SIZE)
    with torch.no_grad():
        views = [renderer(normalize(mesh, frame), cameras[[index]]) for index, mesh in enumerate((meshes, after))]
    return ViewPair(family, torch.cat([v.images[0] for v in views]), torch.cat([v.depth[0] for v in views]), cameras)


def view_pairs(
    families: Sequence[str], first_seed: int, change: Change, count: int, *, seed: int, label: str, console: Console
) -> list[ViewPair]:
    """Pairs of the families in turn, each of a shape of its own.

    Args:
        families: of the shapes.
        first_seed: of the first shape; the others follow.
        change: see `view_pair`.
        count: how many.
        seed: of the cameras.
        label: what the progress bar says.
        console: where it is.
    """
    generator = torch.Generator().manual_seed(seed)
    return [
        view_pair(families[index % len(families)], first_seed + index, change, generator=generator)
        for index in track(range(count), description=label, console=console)
    ]


def is_surface(depth: Float[Tensor, "*batch"]) -> Bool[Tensor, "*batch"]:
    """Where a view of the default rig's depths sees a surface, not the background."""
    return depth < Cameras.far - DEPTH_TOLERANCE / 10.0


def strongest_points(
    score: Float[Tensor, "H W"],
    count: int,
    *,
    radius: int = 4,
    faintest: float = FAINTEST,
    within: Bool[Tensor, "H W"] | None = None,
) -> Float[Tensor, "K 2"]:
    """The `count` highest local maxima above `faintest`, the highest first, as (column, row) [px].

    With `within` those that lie there; they exceed their neighbours elsewhere too.
    """
    maxima = (score == dilate(score, radius)) & (score > faintest)
    kept = torch.where(maxima if within is None else maxima & within, score, 0.0)
    values, index = kept.flatten().topk(count)
    index = index[values > 0]
    return torch.stack([index % score.shape[1], index // score.shape[1]], dim=-1).float()


def dilate(values: Float[Tensor, "H W"], radius: int) -> Float[Tensor, "H W"]:
    """The largest value within a square of 2 radius + 1 px, rows first and then columns."""
    size = 2 * radius + 1
    rows = torch.nn.functional.max_pool2d(values[None], (1, size), stride=1, padding=(0, radius))
    return torch.nn.functional.max_pool2d(rows, (size, 1), stride=1, padding=(radius, 0))[0]


def found_again(points: Float[Tensor, "K 2"], others: Float[Tensor, "L 2"], *, radius: float) -> Bool[Tensor, " K"]:
    """Which points have one of the others within `radius` [px], each the nearest to the other."""
    if len(points) == 0 or len(others) == 0:
        return torch.zeros(len(points), dtype=torch.bool)
    distance = torch.cdist(points, others)
    nearest = distance.argmin(1)
    return (distance.argmin(0)[nearest] == torch.arange(len(points))) & (distance.amin(1) < radius)


def carried(
    points: Float[Tensor, "K 2"], depth: Float[Tensor, "2 H W"], cameras: Cameras
) -> tuple[Float[Tensor, "K 2"], Bool[Tensor, " K"]]:
    """Where points of the first of two views lie in the second [px], and whether they are on a surface that it sees."""
    size = depth.shape[-1]
    nearest = sample_at(nearest_depth(depth[0]), points)
    surface = unproject(points, nearest, cameras[0], size)
    pixels, visible = project_visible(surface, cameras[1], depth[1], tolerance=DEPTH_TOLERANCE)
    return pixels, visible & is_surface(nearest) & ((pixels >= 0) & (pixels <= size - 1)).all(-1)


def repeatability(
    detectors: Mapping[str, Response],
    pairs: Sequence[ViewPair],
    numbers: Sequence[int],
    *,
    radius: float = 3.0,
) -> dict[str, float]:
    """Share of the points in the common part of two images that are found again, per detector; see above.

    Args:
        detectors: by name; images to maps whose maxima are the points; `above_blank` of a `GHHDetector`.
        pairs: of `view_pair`.
        numbers: the points of an image that each pair asks for, of `fewest_points`; those that are missing are lost.
        radius: how near [px].
    """
    found = dict.fromkeys(detectors, 0)
    for pair, number in zip(pairs, numbers, strict=True):
        for name, respond in detectors.items():
            points = _points_of(respond, pair, number)
            for order in ([0, 1], [1, 0]):
                here, there = (points[image] for image in order)
                pixels, _ = carried(here, pair.depth[order], pair.cameras[order])
                found[name] += int(found_again(pixels, there, radius=radius).sum())
    return {name: round(found[name] / max(2 * sum(numbers), 1), 4) for name in detectors}


def fewest_points(detectors: Mapping[str, Response], pairs: Sequence[ViewPair], *, count: int = 40) -> list[int]:
    """How many points, at most `count`, the detector that has the fewest gives in an image of each pair."""
    return [
        min(len(each) for respond in detectors.values() for each in _points_of(respond, pair, count)) for pair in pairs
    ]


def _points_of(respond: Response, pair: ViewPair, count: int) -> list[Float[Tensor, "K 2"]]:
    """A detector's strongest points in the common part of both images."""
    with torch.no_grad():  # places of maxima have no gradient
        return [
            strongest_points(score, count, faintest=FAINTEST * float(score.max()), within=common.to(score.device)).cpu()
            for score, common in zip(respond(pair.images), pair.common, strict=True)
        ]


def above_blank(detector: GHHDetector) -> Response:
    """`f(I)` of Eq. 1 where it is above that of a black image, else 0: what ranks the points of a PoI map.

    The map itself is so near 1 at strong corners that neighbouring pixels are equal in float32, and all of them maxima.
    """

    def respond(images: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
        return (detector.response(images) - blank_response(detector.biases)).clamp_min(0.0)

    return respond


def baselines() -> dict[str, Response]:
    """Kornia's hand-made detectors.

    `harris`, `shi_tomasi` and `dog` have the smoothing (DoG: the scale) that was best on the validation families when
    all were cut to one number of points anywhere; `harris_plain` and `shi_tomasi_plain` are as kornia has them.
    """
    from kornia.feature import dog_response_single, gftt_response, harris_response
    from kornia.filters import gaussian_blur2d

    def smoothed(images: Tensor, sigma: float) -> Tensor:
        return gaussian_blur2d(images[:, None], (13, 13), (sigma, sigma))

    return {
        "harris": lambda images: harris_response(smoothed(images, 1.5), k=0.04)[:, 0],
        "harris_plain": lambda images: harris_response(images[:, None], k=0.04)[:, 0],
        "shi_tomasi": lambda images: gftt_response(smoothed(images, 1.0))[:, 0],
        "shi_tomasi_plain": lambda images: gftt_response(images[:, None])[:, 0],
        "dog": lambda images: dog_response_single(images[:, None], 2.5, 4.0)[:, 0].abs(),
    }
