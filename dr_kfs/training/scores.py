"""Figures for detectors and descriptors: average precision, FPR at 95 % recall, repeatability."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dr_kfs.datasets import generate
from dr_kfs.geometry import normalize
from dr_kfs.rendering import SoftRenderer
from dr_kfs.training.detector_data import DEPTH_TOLERANCE, IMAGE_SIZE, dilate
from dr_kfs.training.view_geometry import jittered_cameras, nearest_depth, project_visible, sample_at, unproject

FAMILIES = ("chair", "table", "lamp", "airplane", "car")
"""What the registered weights were trained on and scored with; the commands in `weights/README.md` make them again."""


def average_precision(scores: Float[Tensor, " K"], positive: Bool[Tensor, " K"]) -> float:
    """Area under the precision-recall curve: the mean precision at each positive, by falling score."""
    order = scores.argsort(descending=True)
    hits = positive[order].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum().clamp_min(1.0))


def fpr_at_95_recall(distances: Float[Tensor, " K"], matching: Bool[Tensor, " K"]) -> float:
    """Share of non-matching pairs that lie below the distance which accepts 95 % of the matching pairs."""
    threshold = distances[matching].double().quantile(0.95)
    return float((distances[~matching] <= threshold).double().mean())


def strongest_points(score: Float[Tensor, "H W"], count: int, *, radius: int = 4) -> Float[Tensor, "K 2"]:
    """The `count` highest local maxima above 0 as (column, row) [px]."""
    kept = torch.where((score == dilate(score, radius)) & (score > 1e-6), score, 0.0)
    values, index = kept.flatten().topk(count)
    index = index[values > 0]
    return torch.stack([index % score.shape[1], index // score.shape[1]], dim=-1).float()


def shi_tomasi(images: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Kornia's Shi-Tomasi response, as the rival."""
    from kornia.feature import gftt_response

    return gftt_response(images[:, None])[:, 0]


def harris(images: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """Kornia's Harris response, as the rival."""
    from kornia.feature import harris_response

    return harris_response(images[:, None], k=0.04)[:, 0]


def repeatability(
    detector: Callable[[Tensor], Tensor],
    *,
    shapes: int,
    first_seed: int,
    seed: int,
    count: int = 40,
    radius: float = 3.0,
) -> dict[str, float]:
    """Share of a view's strongest points that are found again, among those that the other view sees.

    Pairs of views up to 20 degrees apart; `count` points per view; found again within `radius` [px]. The detector
    stands beside Harris and Shi-Tomasi, on the same views.
    """
    rivals = {"detector": detector, "shi_tomasi": shi_tomasi, "harris": harris}
    found, seen = dict.fromkeys(rivals, 0.0), dict.fromkeys(rivals, 0.0)
    generator = torch.Generator().manual_seed(seed)
    for index in range(shapes):
        meshes = normalize(generate(FAMILIES[index % len(FAMILIES)], first_seed + index).to_meshes())
        cameras = jittered_cameras(2, generator=generator)
        with torch.no_grad():
            views = SoftRenderer(cameras=cameras, image_size=IMAGE_SIZE)(meshes)
            for name, respond in rivals.items():
                maps = respond(views.images[0])
                here, there = (strongest_points(score, count) for score in maps)
                depth = views.depth[0]
                points = unproject(here, sample_at(nearest_depth(depth[0]), here), cameras[0], IMAGE_SIZE)
                pixels, visible = project_visible(points, cameras[1], depth[1], tolerance=DEPTH_TOLERANCE)
                if len(there):
                    found[name] += float((visible & (torch.cdist(pixels, there).amin(1) < radius)).sum())
                seen[name] += float(visible.sum())
    return {name: round(found[name] / max(seen[name], 1.0), 4) for name in rivals}
