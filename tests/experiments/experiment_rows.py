"""Rows of an experiment in a JSON file: written as they come, and gone on with after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dr_kfs._settings_differences import settings_differences
from dr_kfs.whole_files import written_whole

Row = dict[str, Any]


def rows_so_far(path: Path, settings: dict[str, Any], *, resume: bool) -> list[Row]:
    """The rows of an earlier run with the same settings; none without `resume`.

    Raises:
        SystemExit: the file was made with other settings, and would mix what cannot be compared.
    """
    if not resume or not path.is_file():
        return []
    report = json.loads(path.read_text("utf-8"))
    if differences := settings_differences(report["settings"], json.loads(json.dumps(settings))):
        raise SystemExit(f"{path} was made with another {differences}. Start anew without --resume.")
    return report["rows"]


def write_rows(path: Path, settings: dict[str, Any], rows: list[Row]) -> None:
    """In one step: a half-written file never replaces a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"settings": settings, "rows": rows}
    with written_whole(path) as partial:
        partial.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", "utf-8")
