"""The rows as a picture: time above, added memory below, a column for each thing that was varied; log-log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cases import AXES, Axis, Case
from measure import Row

NAMES: dict[Axis, str] = {
    "faces": "faces",
    "views": "views",
    "size": "image side [px]",
    "batch": "shapes in the batch",
    "grid": "grid side",
    "points": "points of each set",
}
Series = tuple[str, float]
"""`Case.kind` and sigma."""
STYLES: dict[Series, tuple[str, str, str]] = {
    ("pytorch3d", 1e-5): ("PyTorch3D, 1 view, scaled", "#b03a2e", "s"),
    ("step", 1e-5): ("loss step", "#1f5fa8", "o"),
    ("step bfloat16", 1e-5): ("loss step, bfloat16", "#4a9bd8", "D"),
    ("step fine", 1e-5): ("loss step, fine", "#7a3b69", "o"),
    ("step fine bfloat16", 1e-5): ("loss step, fine, bfloat16", "#b279a2", "D"),
    ("render", 1e-4): ("rendering, sigma 1e-4", "#c98a12", "^"),
    ("render", 1e-5): ("rendering", "#2e7d4f", "o"),
    ("surface", 1e-5): ("marching cubes", "#7a4a9b", "v"),
    ("ckdtree", 1e-5): ("scipy's tree", "#b03a2e", "s"),
    ("chamfer", 1e-5): ("Chamfer", "#2e7d4f", "o"),
    ("qal", 1e-5): ("QAL", "#1f5fa8", "o"),
}
"""Name, colour and marker of each line."""
LABEL_SIZE = 8.0
"""Of the values and names in the panels [points]."""
LINE = 1.2 * LABEL_SIZE


@dataclass(frozen=True)
class Quantity:
    """What one row of panels shows."""

    title: str
    of: Callable[[Row], float | None]
    text: Callable[[float], str]


@dataclass
class Label:
    """A value at its point; one of each line names the line as well."""

    x: float
    y: float
    text: str
    colour: str
    side: Literal["left", "right", "center"] = "center"


def draw(rows: Iterable[Row], machine: dict[str, Any], path: Path) -> bool:
    """Write the picture; rows with an error are not in it.

    Returns:
        Whether there was anything to draw.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = [row for row in rows if row.error is None]
    lines = {axis: _lines(measured, axis) for axis in AXES}
    shown = [axis for axis in AXES if any(len(line) > 1 for line in lines[axis].values())]
    shown = shown or [axis for axis in AXES if lines[axis]]
    if not shown:
        return False
    quantities = (
        Quantity("time of forward + backward", lambda row: row.seconds, _time_text),
        Quantity("added peak memory", lambda row: row.memory_mb, _memory_text),
    )
    widths = [1.6 if axis == "faces" else 1.0 for axis in shown]  # most lines are there
    figure = Figure(figsize=(1.5 + 4.0 * sum(widths), 9.0), dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(shown), sharex="col", sharey="row", squeeze=False, width_ratios=widths)
    labels = {}
    for panels, quantity in zip(grid, quantities, strict=True):
        for panel, axis in zip(panels, shown, strict=True):
            labels[panel] = _draw_lines(panel, lines[axis], axis, quantity)
        panels[0].set_ylabel(quantity.title, fontsize=11)
        panels[0].yaxis.set_major_formatter(lambda value, _, text=quantity.text: text(value))
    for panel, axis in zip(grid[1], shown, strict=True):
        panel.set_xlabel(NAMES[axis], fontsize=11)
    usual = Case(what="render")
    fixed = f"{usual.faces:,} faces, {usual.views} views, {usual.size} px, one shape"
    figure.suptitle(f"Where not on the axis: {fixed}, sigma {usual.sigma_text}\n{_place(machine)}", fontsize=11)
    figure.tight_layout()
    for panel, texts in labels.items():  # now that the panels have their sizes
        _place_labels(panel, texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return True


def _lines(rows: list[Row], axis: Axis) -> dict[Series, list[Row]]:
    """The rows that vary this, by series, in order."""
    lines: dict[Series, list[Row]] = {}
    for row in sorted(rows, key=lambda row: getattr(row.case, axis)):
        if axis in row.axes:
            lines.setdefault((row.case.kind, row.case.sigma), []).append(row)
    return lines


def _draw_lines(panel: Any, lines: dict[Series, list[Row]], axis: Axis, quantity: Quantity) -> list[Label]:
    labels = []
    ticks = sorted({getattr(row.case, axis) for rows in lines.values() for row in rows})
    for series, rows in lines.items():
        name, colour, marker = STYLES[series]
        points = [(getattr(row.case, axis), value) for row in rows if (value := quantity.of(row))]
        if not points:
            continue
        panel.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=5, linewidth=1.6)
        own = [Label(x, y, quantity.text(y), colour) for x, y in points]
        if own[0].x > ticks[0]:  # there is room before a line that begins late
            own[0].text, own[0].side = f"{name}  {own[0].text}", "left"
        else:
            own[-1].text, own[-1].side = f"{own[-1].text}  {name}", "right"
        labels += own
    panel.set_xscale("log")
    panel.set_yscale("log")
    if ticks:
        # Of two that are close together the first has its number.
        crowded = [tick < 1.5 * before for tick, before in zip(ticks[1:], ticks, strict=False)]
        numbers = ["" if close else f"{tick:,}" for tick, close in zip(ticks, [False, *crowded], strict=True)]
        panel.set_xticks(ticks, numbers, fontsize=9)
        width = max(ticks[-1] / ticks[0], 4.0)
        before, after = (0.23, 0.23) if axis == "faces" else (0.12, 0.5)  # room for names
        panel.set_xlim(ticks[0] / width**before, ticks[-1] * width**after)
    panel.set_xticks([], minor=True)
    panel.margins(y=0.1)
    panel.grid(True, which="major", color="#dddddd", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    return labels


def _place_labels(panel: Any, labels: list[Label]) -> None:
    """Names beside their points; of the values the lowest goes below its point, the rest above, none over another."""
    from matplotlib.patheffects import withStroke

    pixels_per_point = panel.figure.dpi / 72.0
    for place in sorted({(label.x, label.side) for label in labels}):
        free = float("-inf")
        here = sorted((label for label in labels if (label.x, label.side) == place), key=lambda label: label.y)
        for rank, label in enumerate(here):
            point = panel.transData.transform((label.x, label.y))[1] / pixels_per_point
            if label.side == "center" and rank == 0:
                height = point - LINE
            else:
                height = max(point + LINE if label.side == "center" else point, free)
                free = height + LINE
            panel.annotate(
                label.text,
                (label.x, label.y),
                ({"left": -7, "center": 0, "right": 7}[label.side], height - point),
                textcoords="offset points",
                ha={"left": "right", "center": "center", "right": "left"}[label.side],
                va="center",
                fontsize=LABEL_SIZE,
                color=label.colour,
                path_effects=[withStroke(linewidth=2.0, foreground="white")],
            )


def _time_text(seconds: float) -> str:
    return f"{_short(1000 * seconds)} ms" if seconds < 0.0995 else f"{_short(seconds)} s"


def _memory_text(megabytes: float) -> str:
    return f"{_short(megabytes)} MB" if megabytes < 999.5 else f"{_short(megabytes / 1000)} GB"


def _short(value: float) -> str:
    """Two digits, or all of a larger number."""
    return f"{value:.2g}" if value < 99.5 else f"{value:,.0f}"


def _place(machine: dict[str, Any]) -> str:
    device = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
    return f"{device}; torch {machine['torch']}, Warp {machine['warp']}"
