"""An audit as a picture: the scores of every distance, and how it responds to every edit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dr_kfs.audit.edits import Edit
from dr_kfs.audit.report import SCORES
from dr_kfs.audit.run import AuditReport
from dr_kfs.audit.scores import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["audit_picture", "check_matplotlib", "save_audit_picture"]

SHOWN = (
    ("labelled pairs in order", 0.5, 1.0),
    ("Table 5: removal > shifts", None, 1.0),
    ("Table 5: removal / shift", 1.0, None),
    ("Figure 2: removal is worst", None, 1.0),
    ("Figure 2: removal / worst other", 1.0, None),
)
"""Scores in the first row, each with the value of chance or of equality, and the largest that there is."""
COLUMNS = 5
LEAST_RANGE = 0.02
"""Of a response's axis: what costs nothing should look like nothing."""


def check_matplotlib() -> None:
    """See that pictures can be drawn, before hours are spent on one.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError('A picture of an audit needs matplotlib: pip install "dr_kfs[visual]"') from None


def save_audit_picture(report: AuditReport, path: Path) -> None:
    """Write `audit_picture`; the format follows from the suffix (png, pdf, svg).

    Raises:
        ImportError: matplotlib is not installed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    audit_picture(report).savefig(path, dpi=110)


def audit_picture(report: AuditReport) -> Figure:
    """First row: scores with their 95 % intervals. Below: one panel per edit, the distance by strength.

    Distances have different units: each is drawn as a share of its distance to another shape of the family (1).

    Raises:
        ImportError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    edits = [edit for edit in report.edits if any(scores.response.get(edit.name) for scores in report.scores.values())]
    rows = 1 + math.ceil(len(edits) / COLUMNS)
    figure = Figure(figsize=(3.3 * COLUMNS, 2.7 * rows + 0.6), layout="constrained")
    grid: Any = figure.subplots(rows, COLUMNS, squeeze=False)
    colours = {name: f"C{place % 10}" for place, name in enumerate(report.scores)}
    for axes, (label, line, largest) in zip(grid[0], SHOWN, strict=True):
        _draw_score(axes, label, report, colours)
        axes.set_xlim(left=0.0, right=largest)
        if line is not None:
            axes.axvline(line, color="0.3", linewidth=0.8, linestyle="--")
    panels = list(grid[1:].reshape(-1))
    for axes, edit in zip(panels, edits, strict=False):
        _draw_response(axes, edit, report, colours)
    for axes in grid[1:, 0]:
        axes.set_ylabel("distance / another shape", fontsize=8)
    for axes in panels[len(edits) :]:
        axes.axis("off")
    handles = [_handle(colour, name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False)
    shapes = len({row.shape for row in report.rows})
    figure.suptitle(f"{shapes} shapes, {report.settings['split']} split; bars and bands: 95 % bootstrap intervals")
    return figure


def _draw_score(axes: Any, label: str, report: AuditReport, colours: dict[str, str]) -> None:
    for place, (name, scores) in enumerate(report.scores.items()):
        estimate = SCORES[label](scores)
        if estimate is None:
            continue
        error = [[max(estimate.mean - estimate.low, 0.0)], [max(estimate.high - estimate.mean, 0.0)]]
        axes.barh(place, estimate.mean, xerr=error, color=colours[name], error_kw={"elinewidth": 1.0})
        axes.text(0.02, place, f"{estimate.mean:.2f}", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.set_yticks([])
    axes.set_ylim(len(report.scores) - 0.4, -0.6)
    axes.tick_params(labelsize=8)
    axes.set_title(label, fontsize=9)


def _draw_response(axes: Any, edit: Edit, report: AuditReport, colours: dict[str, str]) -> None:
    for name, scores in report.scores.items():
        response: dict[float, Estimate] = scores.response.get(edit.name, {})
        places = [edit.strengths.index(strength) for strength in response]
        values = list(response.values())
        axes.plot(places, [value.mean for value in values], "o-", color=colours[name], markersize=3, linewidth=1.2)
        low, high = [value.low for value in values], [value.high for value in values]
        axes.fill_between(places, low, high, color=colours[name], alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(edit.strengths)), [edit.label(strength) for strength in edit.strengths])
    axes.set_ylim(0.0, max(axes.get_ylim()[1], LEAST_RANGE))
    axes.set_title(edit.name, fontsize=9)
    axes.set_xlabel(edit.unit, fontsize=8)
    axes.tick_params(labelsize=8)


def _handle(colour: str, name: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=colour, label=name)
