"""Tables and figures of what the metric sees."""

from dr_kfs.report.figures import (
    comparison_sheet,
    contact_sheet,
    draw_matches,
    fit_sheet,
    render_sheet,
    save_image,
    seen_sheet,
    view_runs,
)
from dr_kfs.report.tables import comparison_table, distance_table, weights_text

__all__ = [
    "comparison_sheet",
    "comparison_table",
    "contact_sheet",
    "distance_table",
    "draw_matches",
    "fit_sheet",
    "render_sheet",
    "save_image",
    "seen_sheet",
    "view_runs",
    "weights_text",
]
