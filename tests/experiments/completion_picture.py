"""Coverage against spurious rate: the losses as points, one per seed, and the curve of lambda_attr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from completion_losses import ABLATION, CURVE, MAIN
from experiment_rows import Row

COLOURS = dict(zip(MAIN, ("#2e7d4f", "#c98a12", "#7a4a9b", "#1f5fa8", "#4a9bd8"), strict=True))
GREY = "#8a8f98"


def draw(rows: list[Row], path: Path, *, tau: float) -> None:
    """Write the picture, a panel for each split.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    splits = list(dict.fromkeys(row["split"] for row in rows))
    figure = Figure(figsize=(5.2 * len(splits), 4.4), dpi=90)
    FigureCanvasAgg(figure)
    for panel, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits, strict=True):
        _draw_split(panel, [row for row in rows if row["split"] == split])
        panel.set_title(f"new shapes of {split}", fontsize=10)
        panel.set_xlabel(f"spurious rate at {tau:g} (lower is better)")
        panel.set_ylabel(f"Cov@{tau:g} (higher is better)")
        panel.grid(True, color="#dddddd", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, loc="best")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_split(panel: Any, rows: list[Row]) -> None:
    for name, colour in COLOURS.items():
        places = [(row["spurious"], row["coverage"]) for row in rows if row["loss"] == name]
        if not places:
            continue
        panel.scatter(*zip(*places, strict=True), s=14, color=colour, alpha=0.5)
        panel.scatter(*np.mean(places, axis=0), s=60, color=colour, marker="D", label=f"{name} (mean of {len(places)})")
    curve = sorted((_attraction(row["loss"]), row["spurious"], row["coverage"]) for row in rows if _on_curve(row))
    if len(curve) > 1:
        panel.plot(
            [x for _, x, _ in curve],
            [y for _, _, y in curve],
            color=COLOURS["QAL"],
            linewidth=1.0,
            marker=".",
            label="QAL, lambda varied (seed 0)",
        )
        for value, x, y in curve:
            panel.annotate(f"{value:g}", (x, y), (4, 4), textcoords="offset points", fontsize=7, color=COLOURS["QAL"])
    others = [(row["spurious"], row["coverage"]) for row in rows if row["loss"] in ABLATION]
    if others:
        panel.scatter(
            *zip(*others, strict=True), s=22, color=GREY, marker="x", label="QAL, other eps, omega; scheduled (seed 0)"
        )


def _on_curve(row: Row) -> bool:
    return row["seed"] == 0 and (row["loss"] in CURVE or row["loss"] == "QAL")


def _attraction(name: str) -> float:
    return float(name.rpartition("=")[2]) if "=" in name else 0.5
