"""What an audit measures, one row per value, and the file that keeps them while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from dr_kfs.audit.targets import Variant

__all__ = ["FORMAT", "Row", "RowFile"]

FORMAT = "dr_kfs.audit/1"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One value, or the reason why there is none."""

    family: str
    seed: int
    """Of the shape."""
    variant: Variant
    edit: str
    strength: float
    distance: str
    """Name of the distance; "" where the edit itself does not exist for the shape."""
    value: float | None
    skipped: str = ""
    """Why the shape has no such edit."""

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant) or (self.value is None) != bool(self.skipped):
            raise ValueError(f"A row has a known variant, and a value or a reason to have none, got {self}.")

    @property
    def shape(self) -> tuple[str, int]:
        """Family and seed: what is resampled."""
        return self.family, self.seed

    @property
    def key(self) -> tuple[str, int, str, str, float, str]:
        """What a row is about; a file has each at most once."""
        return self.family, self.seed, self.variant, self.edit, self.strength, self.distance


class RowFile:
    """A JSON-lines file of rows under a line with the settings; rows are appended as they come.

    A line that was cut off while it was written is dropped. Without a path nothing is kept.

    Args:
        path: the file; it is made if there is none.
        settings: JSON-able. The file must have been made with the same.

    Raises:
        ValueError: the file has other settings, or is something else.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path is None:
            return
        header = json.dumps({"format": FORMAT, "settings": settings}, sort_keys=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if not whole:
            if text and not header.startswith(text):
                raise ValueError(f"{path} is no file of audit rows: take another name.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header + "\n", encoding="utf-8")
            return
        lines = whole.splitlines()
        _check_header(path, lines[0], json.loads(header))
        try:
            self.rows = [Row(**json.loads(line)) for line in lines[1:]]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} has a line that is no audit row: {error}") from error
        if whole != text:
            path.write_text(whole, encoding="utf-8")

    def append(self, row: Row) -> None:
        """Add a row, on disk too."""
        self.rows.append(row)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")


def _check_header(path: Path, line: str, ours: dict[str, Any]) -> None:
    try:
        theirs = json.loads(line)
    except ValueError:
        theirs = None
    if not isinstance(theirs, dict) or theirs.get("format") != FORMAT:
        raise ValueError(f"{path} is no file of audit rows: take another name.")
    if theirs == ours:
        return
    mine, old = ours["settings"], theirs["settings"]
    keys = [key for key in sorted({*mine, *old}) if mine.get(key) != old.get(key)]
    found = "; ".join(f"{key}: {_short(old.get(key))} there, {_short(mine.get(key))} now" for key in keys)
    raise ValueError(
        f"{path} holds rows of another audit ({found}): take another file, or the settings that it was made with."
    )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
