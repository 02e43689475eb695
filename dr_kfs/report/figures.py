"""Figures of what the metric sees: views, PoI maps, where two shapes differ, which patch matched which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dr_kfs.comparison import Comparison, SeenShape, SideName
from dr_kfs.descriptors import PatchScales
from dr_kfs.descriptors.patches import PATCH_SIZE, PATCH_STRIDE
from dr_kfs.geometry import Meshes, bounding_frame, normalize
from dr_kfs.rendering import Cameras, Views
from dr_kfs.rendering.cameras import check_views
from dr_kfs.report.sheets import Tile, contact_sheet, save_image, tile_rows
from dr_kfs.report.view_names import view_names, view_rows

__all__ = [
    "comparison_sheet",
    "contact_sheet",
    "draw_matches",
    "fit_sheet",
    "render_sheet",
    "save_image",
    "seen_sheet",
    "view_runs",
]

POI_GAMMA = 0.5
"""Exponent that PoI maps are shown with: probabilities are mostly small."""
HEAT_COLOURS = ((0.0, 0.0, 0.0), (0.55, 0.05, 0.35), (0.95, 0.3, 0.1), (1.0, 0.8, 0.2), (1.0, 1.0, 0.9))
"""Of the error maps, from 0 to the largest error."""


def comparison_sheet(
    comparison: Comparison, *, item: int = 0, views: Sequence[int] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Where two shapes differ: views, PoI maps, and what each patch adds to the distance, laid over the views.

    The error of a pixel is the mean of `w_i d_i / sum_i w_i` over the patches that hold it, summed over the scales; the
    PoI maps are those of the first scale. One colour scale serves both directions and all views of the sheet. A side
    that was a `ShapeCode` has no pictures: its error is laid over black.

    Args:
        comparison: of B pairs.
        item: which pair.
        views: which views, as columns; the five that contribute most by default.

    Raises:
        ValueError: no such view.
    """
    count = comparison.per_view.shape[1]
    chosen = comparison.worst_views(5)[item].tolist() if views is None else views
    chosen = check_views(chosen, count)
    names = view_names(_cameras_of(comparison), count)
    values = comparison.per_view[item].tolist()
    captions = [f"{names[view]} ({values[view]:.4f})" for view in chosen]
    sides: tuple[SideName, SideName] = ("predicted", "target")
    rows: list[Sequence[Tile]] = []
    labels: list[str] = []
    for heading, maps_of in (("shaded", _images_of), ("PoI", _poi_of)):
        for side in sides:
            maps = maps_of(_seen(comparison, side))
            if maps is not None:
                rows.append(_grey_tiles(maps[item, chosen]))
                labels.append(f"{side}\n{heading}")
    heats = {side: _heat(comparison.patch_error(side)[item, chosen], comparison.scales) for side in sides}
    largest = max(float(heat.max()) for heat in heats.values())
    for side in sides:
        images = _images_of(_seen(comparison, side))
        below = torch.zeros_like(heats[side]) if images is None else images[item, chosen]
        rows.append(_heat_tiles(below, heats[side] / (largest if largest > 0 else 1.0)))
        labels.append(f"{side}\nerror")
    return tile_rows(rows, labels, captions=[captions])


def render_sheet(
    views: Views,
    poi: Float[Tensor, "B V H W"] | None = None,
    *,
    item: int = 0,
    cameras: Cameras | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Shaded views with their PoI maps below, the views of one elevation side by side.

    Args:
        views: of B shapes.
        poi: the detector's maps of `views.images`; None leaves them out.
        item: which shape.
        cameras: the rig of the views, which names them.
    """
    return _views_sheet(views.images[item], None if poi is None else poi[item], cameras)


def seen_sheet(comparison: Comparison, side: SideName, *, item: int = 0) -> UInt8[np.ndarray, "height width 3"]:
    """All views of one side of a comparison with their PoI maps, as `render_sheet`.

    Args:
        comparison: of B pairs.
        side: `"predicted"` or `"target"`.
        item: which pair.

    Raises:
        ValueError: an unknown side, or one that was a `ShapeCode`, which has no pictures.
    """
    if side not in ("predicted", "target"):
        raise ValueError(f'side must be "predicted" or "target", got {side!r}.')
    seen = _seen(comparison, side)
    if seen.images is None or seen.poi is None:
        raise ValueError(f"The {side} side was a ShapeCode, which has no pictures: compare shapes.")
    return _views_sheet(seen.images[item], _full_size(seen.poi[0][item], seen.images), _cameras_of(comparison))


def fit_sheet(
    rows: Mapping[str, Meshes], renderer: torch.nn.Module, *, views: Sequence[int] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """Shapes one below the other, seen from the same cameras and in the frame of the last: before, after, target.

    Args:
        rows: batches of one, by the label of their row.
        renderer: `(Meshes, Cameras) -> Views`, a `SoftRenderer` say.
        views: of the renderer's rig, as columns; six that are spread over it by default.

    Raises:
        ValueError: no rows, a batch of several shapes, or no such view.
    """
    if not rows or any(len(meshes) != 1 for meshes in rows.values()):
        raise ValueError(f"fit_sheet needs batches of one mesh, got {[len(meshes) for meshes in rows.values()]}.")
    stages: Any = renderer
    count = len(stages.cameras)
    spread = torch.linspace(0, count - 1, min(6, count)).round().int().tolist()
    chosen = check_views(spread if views is None else views, count)
    frame = bounding_frame(list(rows.values())[-1])
    with torch.no_grad():  # a picture has no gradient
        shown = [stages(normalize(meshes, frame), stages.cameras[chosen]).images[0] for meshes in rows.values()]
    names = view_names(stages.cameras, count)
    return contact_sheet(torch.stack(shown), list(rows), captions=[names[view] for view in chosen])


def view_runs(comparison: Comparison) -> list[list[int]]:
    """All views of a comparison in runs that fit on one `comparison_sheet` each: one elevation per run."""
    return view_rows(_cameras_of(comparison), comparison.per_view.shape[1])


def draw_matches(
    comparison: Comparison,
    view: int,
    *,
    item: int = 0,
    side: SideName = "predicted",
    count: int = 8,
    dpi: int = 130,
) -> UInt8[np.ndarray, "height width 3"]:
    """Which patch matched which in one view: the patches with the largest errors, and their best matches.

    A circle marks a patch of 32x32 px. Matches in the same place are green, others yellow.

    Args:
        comparison: of B pairs of shapes (not of codes).
        view: which view.
        item: which pair.
        side: whose patches look for a match, `"predicted"` or `"target"`; it is shown on the left.
        count: how many patches.
        dpi: resolution of the figure, which is 10 inches wide.

    Raises:
        ImportError: kornia_moons or matplotlib is not installed (`pip install "dr-kfs[visual]"`).
        ValueError: no such view or side, or a side that was a `ShapeCode`.
    """
    if side not in ("predicted", "target"):
        raise ValueError(f'side must be "predicted" or "target", got {side!r}.')
    check_views([view], comparison.per_view.shape[1])
    other: SideName = "target" if side == "predicted" else "predicted"
    left, right = _images_of(_seen(comparison, side)), _images_of(_seen(comparison, other))
    if left is None or right is None:
        raise ValueError("draw_matches needs the views of both shapes: compare shapes instead of a ShapeCode.")
    pictures = [_grey_tiles(images[item, [view]])[0] for images in (left, right)]
    draw_lafs, figure_type, canvas_type = _drawing_tools()
    error = comparison.scales.split(comparison.patch_error(side)[item, view], 0)[0]
    queries = error.topk(min(count, len(error))).indices
    queries = queries[error[queries] > 0].cpu()
    direction = comparison.predicted_to_target if side == "predicted" else comparison.target_to_predicted
    matches = direction.match[item, view].cpu()
    frames = _patch_frames(round(len(error) ** 0.5), comparison.scales.factors[0])
    names = view_names(_cameras_of(comparison), comparison.per_view.shape[1])
    figure = figure_type(figsize=(10.0, 5.4), dpi=dpi)
    canvas = canvas_type(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 0.93))
    axes.set_axis_off()
    axes.set_title(f"view {names[view]}: patches of the {side} shape (left) and their best matches", fontsize=11)
    if len(queries):
        draw_lafs(
            frames,
            frames,
            torch.stack([queries, matches[queries]], dim=1),
            *pictures,
            inlier_mask=(queries == matches[queries]).numpy(),
            draw_dict={
                "tentative_color": (1.0, 0.85, 0.1),
                "inlier_color": (0.3, 0.9, 0.4),
                "feature_color": None,
            },
            ax=axes,
        )
    else:  # identical views: nothing to match
        axes.imshow(np.concatenate(pictures, axis=1))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _drawing_tools() -> tuple[Any, Any, Any]:
    """kornia_moons' `draw_LAF_matches`, and matplotlib's figure and canvas without its global state."""
    try:
        from kornia_moons.viz import draw_LAF_matches  # pyright: ignore[reportMissingImports] - an extra
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f'draw_matches needs kornia_moons and matplotlib ({error}): pip install "dr-kfs[visual]".'
        ) from error
    return draw_LAF_matches, Figure, FigureCanvasAgg


def _patch_frames(grid: int, scale: int) -> Float[Tensor, "1 P 2 3"]:
    """Local affine frames of the patches: their centres [px, pixel 0 at 0] and half their side."""
    place = (torch.arange(grid) * PATCH_STRIDE + PATCH_SIZE / 2) * scale - 0.5
    down, right = torch.meshgrid(place, place, indexing="ij")
    centers = torch.stack([right.flatten(), down.flatten()], dim=-1)
    axes = torch.eye(2).expand(len(centers), 2, 2) * (scale * PATCH_SIZE / 2)
    return torch.cat([axes, centers.unsqueeze(-1)], dim=-1).unsqueeze(0)


# -- tiles -----------------------------------------------------------------------------------------------------------


def _views_sheet(images: Tensor, poi: Tensor | None, cameras: Cameras | dict[str, Any] | None) -> np.ndarray:
    names = view_names(cameras, len(images))
    rows: list[Sequence[Tile]] = []
    labels: list[str] = []
    captions: list[Sequence[str]] = []
    for run in view_rows(cameras, len(images)):
        rows.append(_grey_tiles(images[run]))
        labels.append("shaded")
        captions.append([names[view] for view in run])
        if poi is not None:
            rows.append(_grey_tiles(poi[run].clamp_min(0.0) ** POI_GAMMA))
            labels.append("PoI")
            captions.append([])
    return tile_rows(rows, labels, captions=captions)


def _grey_tiles(images: Float[Tensor, "C H W"]) -> list[Tile]:
    return _colour_tiles(images.unsqueeze(-1).expand(*images.shape, 3))


def _colour_tiles(images: Float[Tensor, "C H W 3"]) -> list[Tile]:
    # Detached: a picture has no gradient.
    return list((images.detach().float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy())


def _heat_tiles(images: Float[Tensor, "C H W"], heat: Float[Tensor, "C H W"]) -> list[Tile]:
    """Dimmed views under the colours of the error [0, 1]."""
    colours = torch.tensor(HEAT_COLOURS, device=heat.device)
    position = heat.detach().float().clamp(0.0, 1.0) * (len(colours) - 1)
    lower = position.long().clamp_max(len(colours) - 2)
    share = (position - lower).unsqueeze(-1)
    colour = (1.0 - share) * colours[lower] + share * colours[lower + 1]
    cover = (0.9 * heat.detach().float().clamp(0.0, 1.0).sqrt()).unsqueeze(-1)
    return _colour_tiles((1.0 - cover) * 0.55 * images.unsqueeze(-1) + cover * colour)


def _heat(error: Float[Tensor, "C P"], scales: PatchScales) -> Float[Tensor, "C H W"]:
    """Errors of the patches of all scales as a map of the view."""
    maps = []
    for part, factor in zip(scales.split(error, 1), scales.factors, strict=True):
        heat = _heat_at_one_scale(part, scales.image_size // factor)
        maps.append(heat.repeat_interleave(factor, 1).repeat_interleave(factor, 2) / factor**2)  # over more pixels
    return torch.stack(maps).sum(0)


def _heat_at_one_scale(error: Float[Tensor, "C P"], image_size: int) -> Float[Tensor, "C H W"]:
    """Errors of overlapping patches as a map: at each pixel a mean of its patches, those centred near it first."""
    tent = 1.0 - (torch.arange(PATCH_SIZE) - (PATCH_SIZE - 1) / 2).abs() / (PATCH_SIZE / 2)
    window = torch.outer(tent, tent).flatten()[:, None].to(error.device)

    def spread(values: Tensor) -> Tensor:
        folded = torch.nn.functional.fold(
            window * values.float().unsqueeze(1), (image_size, image_size), PATCH_SIZE, stride=PATCH_STRIDE
        )
        return folded.squeeze(1)

    return spread(error) / spread(torch.ones_like(error))


def _seen(comparison: Comparison, side: SideName) -> SeenShape:
    return comparison.predicted if side == "predicted" else comparison.target


def _images_of(seen: SeenShape) -> Tensor | None:
    return seen.images


def _poi_of(seen: SeenShape) -> Tensor | None:
    if seen.poi is None or seen.images is None:
        return None
    return _full_size(seen.poi[0], seen.images).clamp_min(0.0) ** POI_GAMMA


def _full_size(poi: Tensor, images: Tensor) -> Tensor:
    """PoI maps of shrunk images in the size of the views."""
    factor = images.shape[-1] // poi.shape[-1]
    return poi.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def _cameras_of(comparison: Comparison) -> dict[str, Any]:
    renderer: Any = comparison.settings.get("renderer", {})
    return renderer.get("cameras", {})
