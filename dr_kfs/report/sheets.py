"""Pictures in rows with labels, as one image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dr_kfs.whole_files import check_suffix, written_whole

__all__ = ["contact_sheet", "save_image", "tile_rows"]

BACKGROUND = (34, 36, 42)
TEXT = (226, 228, 232)
GAP = 4
"""Between tiles [px]."""
IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
"""Formats that `save_image` writes."""

Tile = np.ndarray
"""(height, width, 3) uint8."""


def contact_sheet(
    rows: Float[Tensor, "R C H W"] | Float[Tensor, "R C H W 3"],
    labels: Sequence[str] = (),
    *,
    captions: Sequence[str] = (),
) -> UInt8[np.ndarray, "height width 3"]:
    """R rows of C pictures, with a label left of every row and a caption above every column.

    Args:
        rows: grey or RGB images [0, 1]; values outside are clipped.
        labels: R labels, of one line or more, or none.
        captions: C captions, or none.

    Raises:
        ValueError: no pictures, or another number of labels or captions.
    """
    if rows.shape[0] == 0 or rows.shape[1] == 0:
        raise ValueError(f"contact_sheet needs at least one row and one column, got {tuple(rows.shape)}.")
    if len(captions) not in (0, rows.shape[1]):
        raise ValueError(f"contact_sheet needs {rows.shape[1]} captions, one per column, got {len(captions)}.")
    colour = rows if rows.ndim == 5 else rows.unsqueeze(-1).expand(*rows.shape, 3)
    # Detached: a picture has no gradient.
    pixels = (colour.detach().float().clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).cpu().numpy()
    tiles = [list(row) for row in pixels]
    return tile_rows(tiles, labels, captions=[captions, *([()] * (len(tiles) - 1))])


def tile_rows(
    rows: Sequence[Sequence[Tile]], labels: Sequence[str] = (), *, captions: Sequence[Sequence[str]] = ()
) -> UInt8[np.ndarray, "height width 3"]:
    """Rows of equally large tiles, of any length each, as one image.

    Args:
        rows: tiles (H, W, 3) uint8.
        labels: one per row, drawn left of it, or none.
        captions: for every row those of its tiles, drawn above them, or none.

    Raises:
        ValueError: another number of labels than rows.
    """
    from PIL import Image, ImageDraw, ImageFont

    if len(labels) not in (0, len(rows)):
        raise ValueError(f"A sheet of {len(rows)} rows needs as many labels or none, got {len(labels)}.")
    tile_height, tile_width = rows[0][0].shape[:2]
    font = ImageFont.load_default(size=max(11, min(20, tile_width // 13)))
    line = _text_height(font)
    left = GAP + (max(_text_width(font, label) for label in labels) + 2 * GAP if any(labels) else 0)
    columns = max(len(row) for row in rows)
    above = [line + GAP if index < len(captions) and any(captions[index]) else 0 for index in range(len(rows))]
    width = left + columns * (tile_width + GAP)
    height = GAP + sum(above) + len(rows) * (tile_height + GAP)
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for index, row in enumerate(rows):
        top += above[index]
        if labels:
            _draw_label(draw, labels[index], font, left=2 * GAP, middle=top + tile_height // 2)
        for column, tile in enumerate(row):
            x = left + column * (tile_width + GAP)
            sheet.paste(Image.fromarray(tile), (x, top))
            if above[index] and column < len(captions[index]):
                text = _shortened(captions[index][column], font, tile_width)
                draw.text((x + tile_width / 2, top - GAP / 2), text, fill=TEXT, font=font, anchor="md")
        top += tile_height + GAP
    return np.asarray(sheet).copy()


def save_image(
    path: str | os.PathLike[str],
    array: UInt8[np.ndarray, "height width 3"] | UInt8[np.ndarray, "height width"],
) -> None:
    """Write an image file: PNG, JPEG or WebP, by its suffix.

    Args:
        path: the file to write; one that is there is replaced.
        array: RGB or grey.

    Raises:
        ValueError: an unknown suffix.
    """
    from PIL import Image

    path = Path(path)
    check_suffix(path, IMAGE_SUFFIXES)
    with written_whole(path) as partial:
        Image.fromarray(array).save(partial)


def _draw_label(draw, text: str, font, *, left: int, middle: int) -> None:  # type: ignore[no-untyped-def]
    lines = text.split("\n")
    step = _text_height(font) + 2
    for number, line in enumerate(lines):
        y = middle + (number - (len(lines) - 1) / 2) * step
        draw.text((left, y), line, fill=TEXT, font=font, anchor="lm")


def _text_width(font, text: str) -> int:  # type: ignore[no-untyped-def]
    return max(round(font.getlength(line)) for line in text.split("\n"))


def _text_height(font) -> int:  # type: ignore[no-untyped-def]
    _, top, _, bottom = font.getbbox("Ag", anchor="ls")
    return round(bottom - top)


def _shortened(text: str, font, width: int) -> str:  # type: ignore[no-untyped-def]
    """The text, cut so that it is no wider than `width` [px]."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
