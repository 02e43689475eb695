"""What an audit found, as tables for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from dr_kfs.audit.rows import FORMAT
from dr_kfs.audit.run import AuditReport
from dr_kfs.audit.scores import DistanceScores, Estimate

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["SCORES", "edit_table", "report_json", "score_table"]

Reading = Callable[[DistanceScores], Estimate | None]

SCORES: dict[str, Reading] = {
    "labelled pairs in order": lambda s: s.ordering,
    "  weaker < stronger": lambda s: s.ordering_by_group.get("graded"),
    "  mild change < part removed": lambda s: s.ordering_by_group.get("structure"),
    "  edit < another shape": lambda s: s.ordering_by_group.get("another"),
    "Table 5: removal > shifts": lambda s: s.bars_share,
    "Table 5: removal / shift": lambda s: s.bars_ratio,
    "Figure 2: removal is worst": lambda s: s.limbs_share,
    "Figure 2: removal / worst other": lambda s: s.limbs_ratio,
    "voxels strictly monotone": lambda s: s.strictly_monotone.get("voxels"),
    "re-triangulation / another shape": lambda s: s.invariance.get("retriangulation"),
    "winding / another shape": lambda s: s.invariance.get("winding"),
}
"""Rows of `score_table`."""


def score_table(report: AuditReport) -> Table:
    """The scores of every distance, with bootstrap intervals over shapes."""
    from rich.markup import escape
    from rich.table import Table

    counts = sorted({row.shape for row in report.rows})
    table = Table(caption=f"mean over shapes [95 % interval]; {len(counts)} shapes, {report.settings['split']} split")
    table.add_column("", no_wrap=True)
    for name in report.scores:
        table.add_column(escape(name), justify="right")
    for label, reading in SCORES.items():
        cells = [_with_interval(reading(scores)) for scores in report.scores.values()]
        if any(cells):
            table.add_row(label, *cells)
    table.add_row("mean Spearman over edits", *(_mean_spearman(scores) for scores in report.scores.values()))
    return table


def edit_table(report: AuditReport) -> Table:
    """Per graded edit Spearman's correlation with the strength, and the share of strictly monotone shapes."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(caption="Spearman of distance and strength, mean over shapes (share of strictly monotone shapes)")
    table.add_column("edit", no_wrap=True)
    table.add_column("strengths", no_wrap=True)
    for name in report.scores:
        table.add_column(escape(name), justify="right")
    for edit in report.edits:
        found = [(s.monotonicity.get(edit.name), s.strictly_monotone.get(edit.name)) for s in report.scores.values()]
        if any(rank is not None for rank, _ in found):
            cells = ["" if a is None or b is None else f"{a.mean:.2f} ({b.mean:.0%})" for a, b in found]
            strengths = f"{edit.label(edit.strengths[0])} to {edit.label(edit.strengths[-1])} {edit.unit}"
            table.add_row(escape(edit.name), escape(strengths), *cells)
    return table


def report_json(report: AuditReport) -> dict[str, Any]:
    """Settings, scores and all rows, fit for `json.dumps`."""
    return {
        "format": FORMAT,
        "settings": report.settings,
        "scores": {name: asdict(scores) for name, scores in report.scores.items()},
        "rows": [asdict(row) for row in report.rows],
    }


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{_number(estimate.mean)} \\[{_number(estimate.low)}, {_number(estimate.high)}]"


def _number(value: float) -> str:
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.1 else f"{value:.4f}"


def _mean_spearman(scores: DistanceScores) -> str:
    values = [estimate.mean for estimate in scores.monotonicity.values()]
    return f"{np.mean(values):.2f}" if values else ""
