"""Tables for the terminal: one comparison taken apart, and several distances side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from dr_kfs.comparison import Comparison
from dr_kfs.report.view_names import view_names

__all__ = ["comparison_table", "distance_table", "weights_text"]

BAR_LENGTH = 24
"""Characters of the longest bar."""


def comparison_table(comparison: Comparison, *, item: int = 0, worst: int = 3) -> Table:
    """The distance of one pair: in total, in either direction, and in the views that contribute most.

    Args:
        comparison: of B pairs.
        item: which pair.
        worst: how many views to list.
    """
    forth = (comparison.precision_weight * comparison.predicted_to_target.per_view[item]).tolist()
    back = (comparison.recall_weight * comparison.target_to_predicted.per_view[item]).tolist()
    names = view_names(_settings_of(comparison, "renderer").get("cameras"), len(forth))
    table = Table(caption="forth: predicted to target; back: target to predicted")
    table.add_column("views, the worst first", no_wrap=True)
    for heading in ("DR-KFS", "forth", "back"):
        table.add_column(heading, justify="right", no_wrap=True)
    total = (sum(forth) + sum(back), sum(forth), sum(back))
    table.add_row(f"all {len(forth)}", *(f"{value:.4f}" for value in total), end_section=True)
    for view in comparison.worst_views(worst)[item].tolist():
        values = (forth[view] + back[view], forth[view], back[view])
        table.add_row(f"view {names[view]}", *(f"{value:.4f}" for value in values))
    return table


def distance_table(distances: Mapping[str, float], *, title: str = "DR-KFS", name: str = "") -> Table:
    """Several distances by name, each with a bar in proportion to the largest.

    Args:
        distances: in the order of the rows.
        title: heading of the values.
        name: heading of the names.
    """
    table = Table()
    table.add_column(escape(name))
    table.add_column(escape(title), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = max((abs(value) for value in distances.values()), default=0.0)
    for label, value in distances.items():
        length = BAR_LENGTH * abs(value) / largest if largest > 0 else 0.0
        table.add_row(escape(label), f"{value:.4f}", "█" * round(length))
    return table


def weights_text(settings: Mapping[str, object]) -> str:
    """What a value depends on: `"preset default, detector ghh-shapes (98245c1ef7fd), descriptor ..."`.

    Args:
        settings: of a `Comparison` or a `ShapeCode`, `DRKFSLoss.settings()` or `code_settings()`.
    """
    parts = [f"preset {settings['preset']}"] if "preset" in settings else []
    for stage in ("detector", "descriptor"):
        described: Any = settings.get(stage, {})
        name = described.get("weights", described.get("type", "unknown"))
        fingerprint = described.get("fingerprint")
        parts.append(f"{stage} {name}" + (f" ({fingerprint})" if fingerprint else ""))
    return ", ".join(parts)


def _settings_of(comparison: Comparison, stage: str) -> dict[str, Any]:
    settings: Any = comparison.settings.get(stage, {})
    return settings
