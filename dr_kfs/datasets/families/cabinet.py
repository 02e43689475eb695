"""Cabinets, shelves, wardrobes, racks: "side_left", "shelf_0", "door_0", "drawer_0", "handle_0", "leg_0", ..."""

from __future__ import annotations

from dr_kfs.datasets.choices import Choices, Requirement, StyleOptions
from dr_kfs.datasets.families.cabinet_contents import build_contents
from dr_kfs.datasets.families.cabinet_ends import build_base, build_top, rimmed_plate
from dr_kfs.datasets.families.cabinet_fronts import build_fronts
from dr_kfs.datasets.families.cabinet_layout import Carcass, Cell, grid, lay_out
from dr_kfs.datasets.families.cabinet_rack import build_rack
from dr_kfs.datasets.families.placement import on_floor
from dr_kfs.datasets.primitives import Solid, box

__all__ = ["OPTIONS", "build"]

_SHELVED = ("bookcase", "rack", "hutch", "sideboard", "ladder")
OPTIONS = StyleOptions(
    family="cabinet",
    code=106,
    options={
        "form": {
            "wardrobe": 2,
            "sideboard": 2.5,
            "bookcase": 2,
            "dresser": 2,
            "hutch": 1.5,
            "nightstand": 1,
            "rack": 1.5,
            "ladder": 0.7,
        },
        "fronts": {"doors": 2, "drawers": 1.5, "open": 1.5, "mixed": 3},
        "panels": {"flat": 2, "framed": 2, "louvred": 1, "glazed": 1, "curved": 0.7},
        "doors": {"closed": 3, "ajar": 1.2},
        "handles": {"knobs": 2, "bars": 2, "cups": 1, "rings": 1, "none": 0.7},
        "base": {"plinth": 1.5, "legs": 2, "bun": 1, "casters": 0.8, "sled": 1, "floor": 1},
        "top": {"flat": 2, "overhang": 2, "cornice": 1.2, "arched": 0.8, "gallery": 0.7},
        "contents": {"none": 3, "books": 1.5, "jars": 1, "boxes": 1},
    },
    requirements=(
        Requirement("form", ("wardrobe",), "fronts", ("doors", "mixed")),
        Requirement("form", ("bookcase",), "fronts", ("open", "mixed")),
        Requirement("form", ("dresser",), "fronts", ("drawers", "mixed")),
        Requirement("form", ("hutch",), "fronts", ("mixed", "drawers", "doors")),
        Requirement("form", ("rack", "ladder"), "fronts", ("open",)),
        Requirement("form", ("rack",), "base", ("floor", "casters")),
        Requirement("form", ("ladder",), "base", ("floor",)),
        Requirement("form", ("rack", "ladder"), "top", ("flat",)),
        Requirement("fronts", ("open", "drawers"), "doors", ("closed",)),
        Requirement("fronts", ("open",), "panels", ("flat",)),
        Requirement("fronts", ("open",), "handles", ("none",)),
        Requirement("fronts", ("drawers",), "panels", ("flat", "framed", "curved")),
        Requirement("contents", ("books", "jars", "boxes"), "fronts", ("open", "mixed", "doors")),
        Requirement("contents", ("books", "jars", "boxes"), "form", _SHELVED),
        Requirement("top", ("arched",), "form", ("wardrobe", "bookcase", "hutch")),
        Requirement("top", ("gallery",), "form", ("sideboard", "dresser", "nightstand")),
    ),
)

# Width, height and depth.
_MEASURES = {
    "wardrobe": ((0.46, 0.8), (0.85, 1.1), (0.27, 0.36)),
    "sideboard": ((0.85, 1.2), (0.3, 0.5), (0.26, 0.36)),
    "bookcase": ((0.35, 0.85), (0.8, 1.15), (0.17, 0.26)),
    "dresser": ((0.5, 0.9), (0.5, 0.8), (0.27, 0.36)),
    "hutch": ((0.5, 0.8), (0.45, 0.55), (0.27, 0.34)),
    "nightstand": ((0.36, 0.5), (0.36, 0.52), (0.3, 0.4)),
    "rack": ((0.45, 0.9), (0.6, 1.1), (0.22, 0.36)),
    "ladder": ((0.4, 0.6), (0.9, 1.1), (0.3, 0.4)),
}


def build(choices: Choices) -> dict[str, Solid]:
    """Parts of a cabinet, its doors and drawers towards +z."""
    form = choices.style["form"]
    width, height, depth = (choices.size(n, *_MEASURES[form][i]) for i, n in enumerate(("width", "height", "depth")))
    if form in ("rack", "ladder"):
        return on_floor(build_rack(choices, width, height, depth))
    low, base = build_base(choices, width, depth)
    body = Carcass(width, low, low + height, -depth / 2, depth / 2, choices.size("board", 0.012, 0.028))
    cells = lay_out(choices, body)
    parts = _boards(body, cells) | build_fronts(choices, body, cells) | base
    if form == "hutch":
        upper, shelves = _upper(choices, body)
        parts |= {"worktop": rimmed_plate(width + 0.02, depth + 0.02, body.top - 0.004, body.top + 0.016)}
        parts |= shelves
        body = upper
    else:
        parts |= build_contents(choices, body, cells)
    return on_floor(parts | build_top(choices, body))


def _upper(choices: Choices, lower: Carcass) -> tuple[Carcass, dict[str, Solid]]:
    """Open shelves on top of the lower body, or on two stays above it."""
    tall, gap = choices.size("hutch_height", 0.4, 0.6), max(choices.size("hutch_gap", -0.14, 0.14), 0.0)
    deep = choices.size("hutch_depth", 0.45, 0.75) * (lower.front - lower.back)
    width = lower.width - 2 * choices.size("hutch_inset", 0.0, 0.06)
    foot = lower.top + 0.012 + gap
    upper = Carcass(width, foot, foot + tall, lower.back, lower.back + deep, lower.board)
    columns = choices.count("hutch_columns", 1, 2)
    cells = grid(upper, columns, [choices.count("hutch_shelves", 2, 4)] * columns, "open")
    parts = {f"hutch_{name}": solid for name, solid in _boards(upper, cells).items()}
    if gap > 0:
        size, x = (lower.board, gap + 0.02, deep), (width - lower.board) / 2
        stay = box(size, (x, lower.top + 0.01 + gap / 2, lower.back + deep / 2))
        parts |= {"hutch_post_left": stay, "hutch_post_right": stay.mirrored()}
    return upper, parts | build_contents(choices, upper, cells)


def _boards(body: Carcass, cells: list[Cell]) -> dict[str, Solid]:
    """Sides, floor, ceiling, back, and the shelves and dividers between the cells."""
    board, y, z = body.board, (body.bottom + body.top) / 2, (body.back + body.front) / 2
    deep, tall = body.front - body.back, body.top - body.bottom
    side = box((board, tall, deep), ((body.width - board) / 2, y, z), bevel=0.002)
    parts = {"side_left": side, "side_right": side.mirrored()}
    for name, level in (("floor", body.bottom + board / 2), ("ceiling", body.top - board / 2)):
        parts[name] = box((body.width - 0.5 * board, board, deep - 0.004), (0, level, z))
    parts["back"] = box((body.width - board, tall - board, 0.008), (0, y, body.back + 0.005))
    inner = deep - 0.012
    walls = {cell.left for cell in cells if cell.left > -body.width / 2 + 2 * board}
    for i, x in enumerate(sorted(walls)):
        beside = [cell for cell in cells if cell.left == x]
        low, high = min(cell.low for cell in beside), max(cell.high for cell in beside)
        parts[f"divider_{i}"] = box((0.8 * board, high - low, inner), (x, (low + high) / 2, z))
    floors = {(cell.left, cell.right, cell.low) for cell in cells if cell.low > body.bottom + 2 * board}
    for i, (left, right, level) in enumerate(sorted(floors)):
        parts[f"shelf_{i}"] = box((right - left, 0.75 * board, inner), ((left + right) / 2, level, z))
    return parts
