"""A differentiable repeatability: what share of a detector's expected keypoints another view has as well.

A score map stands for random keypoints. A pixel is one if it is the maximum of the window around it (a softmax over the
window's scores) and if it is among the `count` best of the candidates (a sigmoid above a threshold that gives so many
in expectation). So the expectation follows what `repeatability` measures, and has a gradient.

Candidates are pixels of the surface that the other view sees too, and pixels beside the shape where the detector's
filters see light: these can never be found again, and count as lost. Without them a detector learns to have all but
its best points there, where nothing counts them. No candidates are surfaces that the other view does not see, and
black: it is most of an image, its scores are equal, and each of its pixels would be 1/81 of a keypoint.

The idea of expected keypoints is DISK's (Tyszkiewicz et al., NeurIPS 2020), which draws them and scores the draws; here
the expectation is in closed form, and the number of points is given, or the best detector would find none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs._constants import constant, made_once
from dr_kfs.rendering import Cameras
from dr_kfs.training.repeatability import DEPTH_TOLERANCE, is_surface
from dr_kfs.training.view_geometry import ndc_to_pixels

WINDOW = 9
"""Side of the window in which a keypoint is the maximum [px]; that of `strongest_points`."""
LARGEST_SCORE = 20.0
"""Scores are clamped to this on both sides: their exponentials are summed."""
BISECTIONS = 14


@dataclass(frozen=True, eq=False)
class CarriedPixels:
    """Where the surface at each pixel of a view lies in another one."""

    place: Float[Tensor, "K H W 2"]
    """(x, y) in [-1, 1] as `grid_sample` has it, y down."""
    seen: Float[Tensor, "K H W"]
    """1 where the other view sees that point of the surface, the common part, else 0."""
    hidden: Float[Tensor, "K H W"]
    """1 where there is a surface that it does not see, else 0."""

    def thinned(self) -> CarriedPixels:
        """Every second pixel of every second row: for images of half the size."""
        return CarriedPixels(self.place[:, ::2, ::2], self.seen[:, ::2, ::2], self.hidden[:, ::2, ::2])


def carried_pixels(
    depth: tuple[Float[Tensor, "K H W"], Float[Tensor, "K H W"]], cameras: tuple[Cameras, Cameras]
) -> CarriedPixels:
    """All pixels of K first views carried to K second ones, with the depth test of `carried`.

    Args:
        depth: rendered, of the first and of the second views.
        cameras: K of each.
    """
    first, second = cameras
    near, there = (-torch.nn.functional.max_pool2d(-each, 3, stride=1, padding=1) for each in depth)
    size = near.shape[-1]
    half = math.tan(math.radians(first.fov) / 2.0)
    centres = (2.0 * torch.arange(size, device=near.device) + 1.0) / size - 1.0
    in_first = torch.stack([centres * half * near, -centres[:, None] * half * near, near], dim=-1)
    world = torch.einsum("khwc,kcd->khwd", in_first - first.translation[:, None, None], first.rotation)
    in_second = torch.einsum("khwd,kcd->khwc", world, second.rotation) + second.translation[:, None, None]
    expected = in_second[..., 2]
    ndc = in_second[..., :2] / (half * expected.unsqueeze(-1))
    pixels = ndc_to_pixels(ndc, size)
    column, row = pixels.round().long().clamp(0, size - 1).unbind(-1)
    rendered = there.flatten(1).gather(1, (row * size + column).flatten(1)).view_as(expected)
    inside = ((pixels >= 0) & (pixels <= size - 1)).all(-1)
    surface = is_surface(near)
    seen = surface & inside & ((rendered - expected).abs() < DEPTH_TOLERANCE)
    place = ndc * constant((1.0, -1.0), ndc.dtype, ndc.device)
    return CarriedPixels(place, seen.float(), (surface & ~seen).float())


def expected_keypoints(
    score: Float[Tensor, "K H W"], candidates: Float[Tensor, "K H W"], count: int
) -> Float[Tensor, "K H W"]:
    """The probability of each pixel to be one of about `count` keypoints among the candidates of its image.

    Args:
        score: of each pixel.
        candidates: 1 where keypoints count, else 0. They must exceed their other neighbours too.
        count: keypoints. If there is no room for so many, all maxima among the candidates are keypoints.
    """
    mass = score.clamp(-LARGEST_SCORE, LARGEST_SCORE).exp()
    around = torch.nn.functional.avg_pool2d(mass, WINDOW, stride=1, padding=WINDOW // 2) * WINDOW**2
    chosen = mass / (around + 1e-6) * candidates
    with torch.no_grad():  # the threshold is what gives the number, not something to be learned
        threshold = score.new_zeros(len(score), 1, 1)
        step = 1.5 * LARGEST_SCORE
        for _ in range(BISECTIONS):
            step /= 2.0
            expected = (chosen * torch.sigmoid(score - threshold)).sum((-2, -1), keepdim=True)
            threshold.add_((expected - count).sign(), alpha=step)
    return chosen * torch.sigmoid(score - threshold)


def expected_repeatability(
    score: Float[Tensor, "K H W"],
    lit: Bool[Tensor, "K H W"],
    carried: CarriedPixels,
    *,
    count: int,
    radius: float,
) -> Float[Tensor, ""]:
    """`sum_common P_a(p) R_b(p') / sum_candidates P_a(p)`, the mean of both directions and all pairs.

    R_b is the expected number of b's keypoints within about `radius` of p', at most 1; p' is where p lies in b.

    Args:
        score: of the first views of all pairs, then of their second ones.
        lit: where the detector's filters see light, `sees_light`.
        carried: pixels of each view to the other one of its pair.
        count: keypoints among the candidates of an image.
        radius: how near counts as found again [px]; nothing counts from `radius + 1` on.
    """
    points = expected_keypoints(score, lit * (1.0 - carried.hidden), count)
    common = points * carried.seen
    disc = _disc(radius, points.device)
    around = torch.nn.functional.conv2d(common.unsqueeze(1), disc, padding=disc.shape[-1] // 2).clamp_max(1.0)
    of_other = around.roll(len(points) // 2, 0)
    found = torch.nn.functional.grid_sample(of_other, carried.place, align_corners=False).squeeze(1)
    # The small numbers make a pair without candidates a constant.
    return (((common * found).sum((-2, -1)) + 1e-3) / (points.sum((-2, -1)) + 1e-2)).mean()


@made_once(8)
def _disc(radius: float, device: torch.device) -> Float[Tensor, "1 1 D D"]:
    """1 up to the radius, falling to 0 one pixel further out."""
    reach = int(radius) + 1
    step = torch.arange(-reach, reach + 1, device=device).float()
    distance = (step[:, None].square() + step.square()).sqrt()
    return (radius + 1.0 - distance).clamp(0.0, 1.0)[None, None]
